"""A configuration of REINVENT4 becomes one of ours, and what is lost on the way is named."""

import json
from pathlib import Path

import pytest
import tomli_w
from typer.testing import CliRunner

from qdlaws.errors import BadData
from trainer.cli.app import app
from trainer.cli.reinvent_import import imported
from trainer.config import at_step, load_config, read_config
from trainer.training.recipe_config import build

pytest.importorskip("rdkit")

FILE = Path(__file__).parents[1] / "tasks" / "molecules" / "reinvent4.toml"
QED = {"type": "geometric_mean", "component": [{"QED": {"endpoint": [{"name": "QED"}]}}]}


def written(folder, **changes):
    """A configuration of REINVENT4 with one stage that scores by QED."""
    tree = {"run_type": "staged_learning", "stage": [{"max_steps": 7, "scoring": QED}], **changes}
    path = folder / "theirs.toml"
    path.write_text(tomli_w.dumps(tree))
    return path


def recipe_of(path):
    """The recipe that the imported configuration makes, and the lines of what was left out."""
    tree, left_out = imported(path)
    given = read_config(tree).recipe
    return build(given.name, given.options, reward_scale=given.reward_scale), left_out


def test_the_command_writes_a_configuration_that_loads(tmp_path):
    out = tmp_path / "ours.toml"
    result = CliRunner().invoke(app, ["import", str(FILE), "--out", str(out)])
    assert result.exit_code == 0
    config = load_config(str(out))
    assert (config.train.steps, config.train.samples, config.train.lr) == (150, 64, 1e-4)
    assert config.recipe.reward_scale == 128
    assert len(config.task.options["objective"]["components"]) == 17
    later = at_step(config, 100).task.options["objective"]
    assert [part["name"] for part in later["components"]] == ["QED"]
    assert "qdtrain run" in result.output
    lost = [line for line in result.output.splitlines() if line.startswith("not taken over: ")]
    assert len(lost) == 6
    assert lost[0].endswith("max_score = 0.6, min_steps = 25: a stage ends after its max_steps")


def test_without_a_file_to_write_the_configuration_is_printed(tmp_path):
    result = CliRunner().invoke(app, ["import", str(written(tmp_path))])
    assert result.stdout.startswith("# From theirs.toml, a configuration of REINVENT4\n[policy]\n")


def test_filter_and_inception(tmp_path):
    recipe, left_out = recipe_of(FILE)
    assert (recipe.filter.by, recipe.filter.bucket) == ("similar", 20)
    assert (recipe.filter.minscore, recipe.filter.similarity) == (0.3, 0.5)
    assert (recipe.replay.size, recipe.replay.per_step) == (100, 10)
    assert sum(line.startswith("parameters.prior_file") for line in left_out) == 1
    same = {"type": "PenalizeSameSmiles", "penalty_multiplier": 0.1, "bucket_size": 3}
    seeded = {"smiles_file": "known.smi"}
    recipe, _ = recipe_of(written(tmp_path, diversity_filter=same, inception=seeded))
    assert (recipe.filter.by, recipe.filter.multiplier, recipe.filter.bucket) == ("same", 0.1, 25)
    assert (recipe.replay.size, recipe.replay.seeds) == (50, "known.smi")


def test_neither_filter_nor_inception_where_there_is_none(tmp_path):
    recipe, left_out = recipe_of(written(tmp_path))
    assert recipe.filter is None
    assert recipe.replay is None
    assert left_out == []


def test_an_intrinsic_penalty_is_its_curve_and_the_bonus_for_novelty(tmp_path):
    penalty = {"type": "IdenticalMurckoScaffoldRND", "penalty_function": "Tanh", "bucket_size": 10}
    penalty["learning_rate"] = 1e-3
    recipe, left_out = recipe_of(written(tmp_path, intrinsic_penalty=penalty))
    assert (recipe.filter.by, recipe.filter.penalty, recipe.filter.bucket) == (
        "scaffold",
        "tanh",
        10,
    )
    assert recipe.novelty.lr == 1e-3
    assert left_out == []


def test_components_in_a_file_of_their_own_and_json(tmp_path):
    (tmp_path / "parts.toml").write_text(tomli_w.dumps({"component": QED["component"]}))
    scoring = {"type": "arithmetic_mean", "filename": "parts.toml"}
    tree = {"run_type": "scoring", "scoring": scoring, "parameters": {"smiles_file": "in.smi"}}
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(tree))
    ours, left_out = imported(path)
    assert ours["task"]["objective"]["components"][0]["objective"] == "qed"
    assert left_out == ["parameters.smiles_file"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run_type": "transfer_learning"}, "run_type = 'transfer_learning'; staged_learning or"),
        ({"stage": []}, "a list .*stage.* with a scoring block"),
        ({"stage": [{"max_steps": 5}]}, "a scoring block was needed"),
        ({"diversity_filter": {"type": "NoFilter"}}, "diversity_filter.type = 'NoFilter'; there"),
        ({"intrinsic_penalty": {"type": "RND"}}, "intrinsic_penalty.type = 'RND'; there is Ident"),
    ],
)
def test_what_is_no_run_of_reinvent_is_refused_in_one_line(changes, words, tmp_path):
    with pytest.raises(BadData, match=words):
        imported(written(tmp_path, **changes))


def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path):
    with pytest.raises(BadData, match="cannot be read: No such file"):
        imported(tmp_path / "nowhere.toml")
    (tmp_path / "broken.toml").write_text("[[")
    with pytest.raises(BadData, match="is no TOML or JSON"):
        imported(tmp_path / "broken.toml")
