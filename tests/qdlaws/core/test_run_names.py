"""Short names of runs."""

from qdlaws.core.run_names import fitting_names, run_name, short_names


def test_short_names_are_the_shortest_ends_of_the_paths_that_differ():
    assert short_names(["/r/a", "/r/b"]) == ["a", "b"]
    assert short_names(["/r/a/log", "/r/b/log"]) == ["a/log", "b/log"]
    assert short_names(["/r/a", "/r/a"]) == ["a (1)", "a (2)"]
    assert short_names([""]) == ["run (1)"]


def test_a_file_that_every_run_has_is_named_with_its_folder():
    assert run_name("/runs/grpo-3/metrics.jsonl") == "grpo-3/metrics.jsonl"
    assert run_name("/runs/grpo-3") == "grpo-3"
    assert run_name("/runs/kl-0.1.csv") == "kl-0.1.csv"
    assert run_name("") == "run"


def test_long_names_of_runs_are_shortened_and_stay_different():
    assert fitting_names(["kl 0.1/seed 1", "b"]) == ["kl 0.1/seed 1", "b"]
    long = [f"/a/very/long/path/of/experiments/{name}" for name in "xy"]
    assert fitting_names(long) == ["x", "y"]
    cut = fitting_names([f"{'a' * 40}{i}{'b' * 40}" for i in range(3)])
    assert max(map(len, cut)) <= 22
    assert len(set(cut)) == 3
