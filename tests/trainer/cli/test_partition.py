"""``qdtrain partition`` as a person types it."""

import json
import random

from typer.testing import CliRunner

from trainer.cli.app import app

runner = CliRunner()


def test_a_partition_of_a_table_says_how_good_it_is_and_how_it_is_used(tmp_path):
    lines = ["a,b,same"]
    for i in range(60):
        word, other = "abcdef"[i % 6], "abcdef"[(i + i // 6 + 1) % 6]
        lines += [f"x{i} {word},y{i} {word},1", f"u{i} {word},v{i} {other},{int(word == other)}"]
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(lines))
    out = tmp_path / "part"
    done = runner.invoke(
        app, ["partition", "--pairs", str(table), "--out", str(out), "--epochs", "40"]
    )
    assert done.exit_code == 0, done.output
    assert "held-out accuracy" in done.stdout
    assert "calibration error" in done.stdout
    assert f"task.equivalence=learned:{out}" in done.stdout
    assert (out / "partition.json").exists()
    args = ["partition", "--pairs", str(table), "--out", str(out), "--epochs", "1", "--json"]
    answer = json.loads(runner.invoke(app, args).stdout)
    assert {"accuracy", "calibration_error", "folder", "beats_constant"} <= set(answer)


def test_a_partition_that_has_learnt_nothing_says_so_and_is_not_offered(tmp_path):
    g = random.Random(0)
    lines = [f"{g.choice('abcdef')} {i},{g.choice('abcdef')} {i},{i % 2}" for i in range(200)]
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(["a,b,same", *lines]))
    args = ["partition", "--pairs", str(table), "--out", str(tmp_path / "p"), "--epochs", "1"]
    done = runner.invoke(app, args)
    assert done.exit_code == 0, done.output
    assert "no better than a constant answer" in done.stdout
    assert "not fit to train with" in done.stdout
    assert "task.equivalence=learned" not in done.stdout
    assert json.loads(runner.invoke(app, [*args, "--json"]).stdout)["beats_constant"] is False


def test_one_source_of_pairs_is_needed(tmp_path):
    for more in ([], ["--task", "arithmetic", "--pairs", "x.csv"]):
        done = runner.invoke(app, ["partition", "--out", str(tmp_path), *more])
        assert "one of --pairs TABLE and --task NAME" in str(done.exception)
