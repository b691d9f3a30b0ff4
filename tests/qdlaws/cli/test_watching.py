"""``qdlaws watch``: one look, many runs, the report that is kept, the page that is served."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from qdlaws.cli.watching import with_default_port

ROOT = Path(__file__).parents[3]
RUNS = [ROOT / "data" / "runs" / name for name in ("additive", "bigram")]


def test_several_runs_have_a_line_each_with_its_name(command):
    done = command("watch", *RUNS, "--once")
    assert [line.split(": step")[0] for line in done.out.splitlines()] == [str(r) for r in RUNS]
    lines = command("watch", *RUNS, "--once", "--json").out.splitlines()
    assert [json.loads(line)["source"] for line in lines] == [str(run) for run in RUNS]


def test_the_report_is_kept_in_a_file(command, tmp_path):
    out = tmp_path / "out.html"
    assert command("watch", *RUNS, "--once", "--report", out).status == 0
    page = out.read_text(encoding="utf-8")
    assert "<h1>2 runs</h1>" in page
    assert page.endswith("</html>\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("watch", "typo", "--once"), "typo: no such file or folder"),
        (("watch", RUNS[0], "typo", "--once"), "typo: no such file or folder"),
        (("watch", RUNS[0], "--once", "--serve"), "--once ends after one look"),
        (("watch", *RUNS, "--once", "--write", "a"), "write is about one run, but 2 are watched"),
        (("watch", RUNS[0], "--serve", "99999"), "cannot serve on 127.0.0.1, port 99999"),
        (("watch", RUNS[0], "--once", "--report", "none/out.html"), "cannot write none/out.html"),
    ],
)
def test_bad_input_is_one_line(command, words, error):
    done = command(*words)
    assert done.status == 2
    assert error in done.err
    assert done.err.strip().splitlines()[-1].startswith("qdlaws: ")


def test_a_port_is_only_put_where_none_is_given():
    assert with_default_port(["watch", "a", "--serve"]) == ["watch", "a", "--serve", "8765"]
    assert with_default_port(["watch", "--serve", "1", "a"]) == ["watch", "--serve", "1", "a"]
    assert with_default_port(["fit", "a"]) == ["fit", "a"]


def test_the_page_is_served_until_it_is_interrupted():
    line = [sys.executable, "-m", "qdlaws", "watch", str(RUNS[0]), "--serve", "0", "--every", "1"]
    process = subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # a test run that was started in the background hands SIGINT down as ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
        assert "step 500" in process.stdout.readline()
        page, until = "", time.monotonic() + 60
        while "data-version='1'" not in page and time.monotonic() < until:
            time.sleep(0.1)
            with urllib.request.urlopen(url, timeout=10) as answer:
                page = answer.read().decode()
        assert "<h1>additive</h1>" in page
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()
