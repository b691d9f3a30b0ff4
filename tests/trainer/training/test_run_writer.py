"""Files of a run are cut back to what they were at a checkpoint."""

from trainer.training.run_writer import cut_files


def test_files_are_cut_back_to_the_checkpoint_and_newer_tables_removed(tmp_path):
    samples = tmp_path / "samples"
    samples.mkdir()
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste')
    (samples / "all.csv").write_text("1,a\n2,b\n")
    for name in ("step-000002.csv", "step-000004.csv", "late.csv"):
        (samples / name).write_text("text")
    cut_files(tmp_path, 2, {"metrics.jsonl": 12, "samples/all.csv": 4})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'
    assert (samples / "all.csv").read_text() == "1,a\n"
    assert sorted(p.name for p in samples.iterdir()) == ["all.csv", "step-000002.csv"]
