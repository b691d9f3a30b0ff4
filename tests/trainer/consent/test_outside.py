"""What a configuration names beyond the project, read without an import."""

import pytest

from trainer.config import Config, load_config, presets, read_config, with_settings
from trainer.consent import named_outside


def keys(config, folder):
    return [(item.key, item.value) for item in named_outside(config, folder)]


@pytest.mark.parametrize("name", presets())
def test_bundled_configurations_name_nothing_outside(name, tmp_path):
    assert keys(load_config(name), tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["task=my_task:make"], [("task.name", "my_task:make")]),
        (["task.objective=my_score:f"], [("task.objective", "my_score:f")]),
        (["task.equivalence=my_rule:same"], [("task.equivalence", "my_rule:same")]),
        (["task.equivalence=learned:part"], [("task.equivalence", "learned:part")]),
        (["task.equivalence=similarity:0.5"], []),
        (["task.objective=DRD2"], [("task.objective", "DRD2")]),
        (
            ["recipe=reinvent", "recipe.seeds=/data/known.smi"],
            [("recipe.seeds", "/data/known.smi")],
        ),
        (["train.sampler=my_sampler:draw"], [("train.sampler", "my_sampler:draw")]),
        (["policy.model=owner/name"], [("policy.model", "owner/name")]),
        (["policy.reference=owner/name"], [("policy.reference", "owner/name")]),
        (
            ["policy.model=owner/name", "policy.trust_remote_code=true"],
            [("policy.model", "owner/name"), ("policy.trust_remote_code", "true")],
        ),
        (["policy.trust_remote_code=true"], []),  # a bundled prior brings no code
        (
            ['log.sinks=["tensorboard", "wandb", "mlflow"]'],
            [("log.sinks", "wandb"), ("log.sinks", "mlflow")],
        ),
        (
            ["task=dataset", "task.path=/data/rows.csv", 'task.rewards=["a:f", "b.c:g"]'],
            [("task.rewards", "a:f"), ("task.rewards", "b.c:g"), ("task.path", "/data/rows.csv")],
        ),
        (["task=dataset", "task.hub=owner/rows"], [("task.hub", "owner/rows")]),
        (
            ['task.objective=[{objective="qed"}, {objective="my_score:f"}, {objective="jnk3"}]'],
            [("task.objective.objective", "my_score:f"), ("task.objective.objective", "jnk3")],
        ),
    ],
)
def test_each_kind_is_named(settings, named, tmp_path):
    assert keys(with_settings(Config(), settings), tmp_path) == named


def test_stages_are_looked_at_too(tmp_path):
    stages = [{"at": 5, "task.objective": "later:f"}, {"at": 9, "train.sampler": "latest:f"}]
    config = read_config({"task": {"name": "molecules", "objective": "qed"}, "stages": stages})
    assert keys(config, tmp_path) == [
        ("task.objective", "later:f"),
        ("train.sampler", "latest:f"),
    ]


def test_what_lies_in_the_folder_of_the_run_is_not_outside(tmp_path):
    folder, other = tmp_path / "run", tmp_path / "other"
    for place in (folder, other):
        (place / "model").mkdir(parents=True)
        (place / "rows.csv").write_text("prompt\n")
    settings = ["task=dataset", f"task.path={folder}/rows.csv", f"policy.model={folder}/model"]
    assert keys(with_settings(Config(), settings), folder) == []
    assert len(keys(with_settings(Config(), settings), other)) == 2
    (folder / "link.csv").symlink_to(other / "rows.csv")
    link = with_settings(Config(), [*settings, f"task.path={folder}/link.csv"])
    assert keys(link, folder) == [("task.path", f"{folder}/link.csv")]


def test_a_model_that_may_bring_code_is_named_with_its_files(tmp_path):
    model, checkpoint = tmp_path / "model", tmp_path / "run" / "checkpoints" / "step-000001"
    for place in (model, checkpoint):
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
    config = with_settings(Config(), [f"policy.model={model}", "policy.trust_remote_code=true"])
    assert keys(config, tmp_path / "run") == [("policy.model", str(model))]
    (model / "modeling.py").write_text("")
    (checkpoint / "config.json").write_text('{"auto_map": {"AutoModel": "owner/name--m.M"}}')
    items = named_outside(config, tmp_path / "run", checkpoint)
    assert [item.files for item in items] == [
        (),
        (model / "modeling.py",),
        (checkpoint / "config.json",),
    ]
    assert f"runs the code that comes with {checkpoint}" in str(items[2])


def test_a_classifier_is_named_with_its_files_unless_it_lies_in_the_folder_of_the_run(tmp_path):
    inside, other = tmp_path / "run" / "part", tmp_path / "part"
    for place in (inside, other):
        place.mkdir(parents=True)
        (place / "partition.json").write_text("{}")
    config = with_settings(Config(), [f"task.equivalence=learned:{other}"])
    (item,) = named_outside(config, tmp_path / "run")
    assert item.files == (other / "partition.json",)
    assert "classifier" in str(item)
    config = with_settings(Config(), [f"task.equivalence=learned:{inside}"])
    assert keys(config, tmp_path / "run") == []
