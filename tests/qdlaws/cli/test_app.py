"""Every command: what it prints, its JSON, and one line for bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import qdlaws as qd
from tests.helpers.simulated import log

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "data" / "runs" / "additive"
COMMANDS = ("fit", "forecast", "advise", "compare", "atlas", "backtest", "report", "watch")


@pytest.fixture(scope="module")
def convex(tmp_path_factory) -> Path:
    """The log of a run with a convex law."""
    path = tmp_path_factory.mktemp("log") / "convex.csv"
    log(n=60, kappa=-3.0, seed=2).to_frame().to_csv(path, index=False)
    return path


def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    line = [sys.executable, "-m", "qdlaws", *words]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False, **options)


# ---------------------------------------------------------------------- help


def test_help_fits_80_columns_without_cut_summaries(command):
    for words in ([], *([name] for name in COMMANDS)):
        done = command(*words, "--help")
        assert done.status == 0
        assert max(map(len, done.out.splitlines())) <= 80
        assert not re.search(r"\w\.\.\.$", done.out, re.M)
    assert set(COMMANDS) <= set(re.findall(r"^  (\w+) ", command("--help").out, re.M))


def test_help_says_which_letter_stands_for_which_quantity(command):
    text = " ".join(command("--help").out.split())
    assert "Quality R (the reward), diversity D and entropy H" in text


def test_without_a_command_the_help_goes_to_stderr_with_status_2(command):
    done = command()
    assert (done.status, done.out) == (2, "")
    assert "Commands:" in done.err


@pytest.mark.parametrize(
    ("words", "completions"),
    [("qdlaws fo", {"forecast"}), ("qdlaws fit --series ", {"auto", "train", "eval"})],
)
def test_the_shell_completes_commands_and_values(words, completions):
    shell = {"_QDLAWS_COMPLETE": "complete_bash", "COMP_WORDS": words}
    shell["COMP_CWORD"] = str(words.count(" "))
    code = "import sys; sys.argv[0] = 'qdlaws'; from qdlaws.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **shell},
        check=False,
    )
    assert set(done.stdout.split()) == completions


# ---------------------------------------------------------------------- the commands


def test_fit_prints_laws_and_certificates(command):
    done = command("fit", EXAMPLE)
    assert done.status == 0
    for words in ("quality on diversity", "concave", "The more diversity", "simulated"):
        assert words in done.out


def test_fit_prints_each_law_by_itself_where_details_are_wanted(command):
    words = ("composition", "correlation of errors", "R = b − a·exp(c·D)")
    short = command("fit", EXAMPLE, "--no-certificate").out
    long = command("fit", EXAMPLE, "--no-certificate", "--details").out
    assert all(word in long and word not in short for word in words)


def test_fit_prints_the_documented_json_and_nothing_else():
    done = run("fit", str(EXAMPLE), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    out = json.loads(done.stdout)
    assert set(out) >= {"source", "tool", "n", "columns", "laws", "composition"}
    law = out["laws"]["rd"]
    assert law["verdict"] == "concave"
    assert set(law["params"]) == {"a", "b", "c"}
    assert set(law["params"]["c"]) == {"low", "mid", "high", "level"}
    assert law["certificate"]["nominal"] == 0.95
    assert {"slope", "intercept"} <= set(out["laws"]["hd"])


def test_fit_shows_the_best_point_at_a_price_or_why_there_is_none(command, convex):
    price = ("--price", "0.5", "--no-certificate")
    text = command("fit", EXAMPLE, *price).out
    assert re.search(r"diversity 0\.5\d+ \[[\d., ]+\]\n", text)
    assert re.search(r"entropy 2\.[34]\d* \[.*\], outside the data", text)
    assert "none: the law is convex" in command("fit", convex, *price).out


def test_forecast_looks_half_the_run_ahead_or_as_far_as_the_horizon(command):
    out = json.loads(command("forecast", EXAMPLE, "--json").out)
    assert out["horizon"] == 250
    out = json.loads(command("forecast", EXAMPLE, "--horizon", 100, "--json").out)
    assert out["horizon"] == 100
    assert "quality" in command("forecast", EXAMPLE).out


def test_forecast_needs_no_law(command, tmp_path):
    path = tmp_path / "quality.csv"
    path.write_text("step,quality\n" + "".join(f"{k},{0.5 + 0.01 * k}\n" for k in range(20)))
    assert command("forecast", path).status == 0


def test_advise_prints_the_documented_json(command):
    out = json.loads(command("advise", EXAMPLE, "--min-diversity", 0.5, "--json").out)
    assert set(out) == {
        "action",
        "alarms",
        "strength",
        "checkpoint",
        "step",
        "entropy_target",
        "diversity_target",
        "kl_factor",
        "reward_scale_factor",
        "confidence",
        "reasons",
    }
    assert out["action"] == "stop"


def test_compare_names_every_run(command):
    runs = [ROOT / "data" / "sweep" / f"rate-{rate}-seed-0" for rate in (0.3, 0.9)]
    done = command("compare", *runs)
    assert done.status == 0
    assert all(path.name in done.out for path in runs)
    assert len(json.loads(command("compare", *runs, "--json").out)["runs"]) == 2


def test_atlas_prints_one_json_object_and_words_with_counts(command):
    done = command("atlas", EXAMPLE, "--json")
    assert (done.status, done.out.count("\n")) == (0, 1)
    assert json.loads(done.out)["laws"]["rd"]["public_runs"] > 10
    assert "public runs that have a trade-off" in " ".join(command("atlas", EXAMPLE).out.split())


def test_backtest_takes_the_column_by_name(command):
    assert "diversity" in command("backtest", EXAMPLE, "--column", "diversity").out
    assert command("backtest", EXAMPLE, "--column", "diversity", "--json").status == 0


def test_report_writes_the_page_and_prints_its_path(command, tmp_path):
    out = tmp_path / "report.html"
    done = command("report", EXAMPLE, "--out", out, "--no-certificates", "--json")
    assert json.loads(done.out) == {"report": str(out)}
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_report_tells_on_stderr_which_runs_are_left_out_and_why(command, tmp_path):
    short = tmp_path / "short.csv"
    short.write_text("step,quality,diversity\n1,0.1,0.9\n2,0.2,0.8\n")
    out = tmp_path / "report.html"
    done = command("report", EXAMPLE, short, "--out", out, "--no-certificates")
    assert (done.status, done.out) == (0, f"{out}\n")
    assert re.fullmatch(rf"qdlaws: {short} is left out: .*5 are needed.*\n", done.err)


def test_watch_once_prints_and_writes_the_same_advice(command, tmp_path):
    out = tmp_path / "advice.json"
    done = command("watch", EXAMPLE, "--once", "--json", "--min-diversity", 0.5, "--write", out)
    assert json.loads(done.out) == json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(done.out)["action"] == "stop"


def test_watch_once_on_a_log_that_is_too_short_waits(command, tmp_path):
    path = tmp_path / "short.csv"
    path.write_text("step,quality,diversity\n1,0.1,0.9\n2,0.2,0.8\n")
    assert command("watch", path, "--once").status == 0


def test_watch_ends_quietly_when_interrupted():
    process = subprocess.Popen(
        [sys.executable, "-m", "qdlaws", "watch", str(EXAMPLE), "--every", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # a test run that was started in the background hands SIGINT down as ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout.readline().startswith("step 500 (101 rows): ")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("fit", "nowhere"), "nowhere: no such file or folder"),
        (("fit",), "Missing argument 'LOG...'"),
        (("fit", EXAMPLE, "--quality", "reward"), "reward"),
        (("fit", EXAMPLE, "--level", "95"), "95"),
        (("fit", EXAMPLE, "--series", "test"), "'auto', 'train', 'eval'"),
        (("fit", EXAMPLE, "--price", "-1", "--no-certificate"), "price is -1, it must be positive"),
        (("forecast", EXAMPLE, "--horizon", "-5"), "-5"),
        (("advise", EXAMPLE, "--price", "-1"), "price is -1, it must be positive"),
        (("advise", EXAMPLE, "--min-diversty", "0.5"), "No such option: --min-diversty"),
        (("compare", EXAMPLE), "one log was given"),
        (("backtest", EXAMPLE, "--column", "reward"), "'quality', 'diversity', 'entropy'"),
        (("advise", EXAMPLE, "--min-diversity", "80"), "did you mean 0.8?"),
        (("watch", EXAMPLE, "--once", "--min-diversity", "80"), "did you mean 0.8?"),
        (("watch", EXAMPLE, "--once", "--price", "-1"), "price is -1, it must be positive"),
        (("report", EXAMPLE, EXAMPLE, "--min-diversity", "80"), "did you mean 0.8?"),
        (("report", EXAMPLE, "--horizon", "-5"), "a positive number of steps, got -5"),
        (("report", EXAMPLE, "--price", "-1"), "price is -1, it must be positive"),
        (("atlas", EXAMPLE, "--level", "95"), "a level lies between 0 and 1"),
        (("watch", "typo", "--once"), "typo: no such file or folder"),
        (("watch", EXAMPLE, "--every", "0"), "above 0"),
        (("watch", EXAMPLE, "--signal", "1"), "process 1"),
        (("unfit", EXAMPLE), "No such command 'unfit'"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_status_2(command, words, reason):
    done = command(*words)
    assert (done.status, done.out) == (2, "")
    assert re.fullmatch(r"qdlaws: .+\n", done.err), done.err
    assert reason in done.err


def test_bad_input_to_report_writes_nothing(command, tmp_path):
    done = command("report", "nowhere", "--out", tmp_path / "r.html")
    assert (done.status, done.out) == (2, "")
    done = command("report", EXAMPLE, "--no-certificates", "--out", tmp_path / "none" / "r.html")
    assert (done.status, done.out) == (2, "")
    assert "cannot write" in done.err
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_log_is_named(command, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    assert str(tmp_path) in command("fit", tmp_path).err


def test_a_process_of_its_own_ends_with_the_same_line_and_status():
    done = run("fit", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "qdlaws: nowhere: no such file or folder\n"


def test_a_picture_is_all_that_is_written_but_for_the_fonts_of_matplotlib(tmp_path):
    """docs/reading.md names every file that a command writes outside of what it was asked for."""
    home, out = tmp_path / "home", tmp_path / "laws.png"
    home.mkdir()
    moved = {"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "QDLAWS_CACHE"}
    kept = {name: value for name, value in os.environ.items() if name not in moved}
    words = ("fit", str(EXAMPLE), "--no-certificate", "--plot", str(out))
    assert run(*words, env={**kept, "HOME": str(home)}).returncode == 0
    assert out.exists()
    places = {path.relative_to(home).parts[1] for path in home.rglob("*") if path.is_file()}
    assert places <= {"matplotlib"}


def test_a_reader_that_leaves_early_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m qdlaws fit {EXAMPLE} --no-certificate | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def test_errors_of_the_library_are_the_only_ones_that_become_a_line(command, monkeypatch):
    def fit(*_: object, **__: object) -> None:
        raise RuntimeError("a fault in the program")

    monkeypatch.setattr(qd, "fit", fit)
    with pytest.raises(RuntimeError, match="a fault"):
        command("fit", EXAMPLE)


def test_no_command_prints_control_characters_of_a_log(command, tmp_path):
    name = "foo\x1b]52;c;cm0gLXJmIC8=\x07\x1b[2J\x9b"
    rows = "".join(f"{s},{s / 9},{1 - s / 20}\n" for s in range(12))
    good, bad = tmp_path / f"{name}.csv", tmp_path / f"bad{name}"
    good.write_text("step,reward,diversity\n" + rows)
    bad.write_text(f"step,{name}\n1,1\n2,1\n3,2\n")
    printed = [command("fit", log) for log in (good, bad)]
    printed.append(command("fit", tmp_path / name))
    printed.append(command("watch", good, "--once"))
    printed.append(command("report", good, bad, "--out", tmp_path / f"{name}.html"))
    printed.append(command("fit\x1b[2J"))
    for done in printed:
        assert (done.out + done.err).replace("\n", "").replace("\t", "").isprintable(), done
    assert [done.status for done in printed] == [0, 2, 2, 0, 0, 2]


# ---------------------------------------------------------------------- one column


@pytest.fixture(scope="module")
def lone(tmp_path_factory) -> Path:
    """The log of a run that measured nothing but its reward."""
    path = tmp_path_factory.mktemp("lone") / "lone.csv"
    frame = log(n=60, kappa=-3.0, seed=2).to_frame()
    frame.rename(columns={"quality": "reward"})[["step", "reward"]].to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["fit", "forecast", "advise", "backtest", "report"])
def test_a_log_of_one_column_gets_what_it_can_from_every_command(command, lone, tmp_path, name):
    done = command(name, lone, *(["--out", tmp_path / "r.html"] if name == "report" else []))
    assert (done.status, done.err) == (0, "")
    words = " ".join(done.out.split())
    if name == "fit":
        assert "60 checkpoints" in words
        assert "A law needs two of quality, diversity and entropy" in words
        laws = json.loads(command("fit", lone, "--json").out)["laws"]
        assert laws == {"rd": None, "rh": None, "hd": None}
    if name in ("forecast", "advise"):  # how the log was read stands in every summary
        assert "the log: guessed from the names of the columns: quality is 'reward'" in words
    if name == "report":
        page = (tmp_path / "r.html").read_text()
        assert "Only quality was measured, so there is no law" in page
        assert 'id="laws"' not in page


@pytest.mark.parametrize("name", ["atlas", "compare"])
def test_what_needs_a_law_says_so_of_a_log_of_one_column(command, lone, name):
    done = command(name, *[lone] * (1 + (name == "compare")))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)


def test_a_log_of_one_column_has_no_law_to_draw(command, lone, tmp_path):
    done = command("fit", lone, "--plot", tmp_path / "p.png")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "no law to draw, only quality was measured" in done.err
    assert not (tmp_path / "p.png").exists()
