"""``qdtrain partition`` as a person types it."""

import json

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
        app, ["partition", "--pairs", str(table), "--out", str(out), "--epochs", "1"]
    )
    assert done.exit_code == 0, done.output
    assert "held-out accuracy" in done.stdout
    assert "calibration error" in done.stdout
    assert f"task.equivalence=learned:{out}" in done.stdout
    assert (out / "partition.json").exists()
    args = ["partition", "--pairs", str(table), "--out", str(out), "--epochs", "1", "--json"]
    answer = json.loads(runner.invoke(app, args).stdout)
    assert {"accuracy", "calibration_error", "folder"} <= set(answer)


def test_one_source_of_pairs_is_needed(tmp_path):
    for more in ([], ["--task", "arithmetic", "--pairs", "x.csv"]):
        done = runner.invoke(app, ["partition", "--out", str(tmp_path), *more])
        assert "one of --pairs TABLE and --task NAME" in str(done.exception)
