"""The REINVENT4 plug-in: on a stand-in for its documented interface, and on REINVENT4 itself.

REINVENT4 is in no registry: the last tests run where it is installed, as ``make peers`` installs it
from the source folder that ``REINVENT4_SRC`` names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from qdlaws import BadData, read
from qdlaws.integrations import reinvent4

torch = pytest.importorskip("torch")
pytest.importorskip("rdkit")
pytest.importorskip("pydantic")

ROOT = Path(__file__).parents[3]
SMILES = ["CCO", "c1ccccc1", "CC(=O)O", "CCN", "C1CCCCC1", "COC", "CCCl", "O=C=O"]


class RLReward:
    """As REINVENT4's: reads σ at every call."""

    def __init__(self, sigma=120):
        self._sigma = sigma
        self.used = []

    def __call__(self, orig_smilies, scores, agent_nlls, prior_nlls, mask_idx, inception, agent):
        self.used.append(self._sigma)
        return "loss"


@pytest.fixture
def reinvent(monkeypatch, tmp_path):
    """Stand-ins for the modules of REINVENT4 that the plug-in touches, and a fresh state."""
    reward = type("RLReward", (), dict(vars(RLReward)))
    modules = {
        "reinvent.runmodes.RL.reward": {"RLReward": reward},
        "reinvent.runmodes.RL.setup.terminators": {"SimpleTerminator": object},
        "reinvent_plugins.components.add_tag": {"add_tag": _add_tag},
        "reinvent_plugins.components.component_results": {"ComponentResults": list},
    }
    for name, content in modules.items():
        for i in range(1, name.count(".") + 2):
            part = ".".join(name.split(".")[:i])
            if part not in sys.modules:
                monkeypatch.setitem(sys.modules, part, ModuleType(part))
        vars(sys.modules[name]).update(content)
    monkeypatch.setattr(reinvent4, "_running", None)
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(RLReward=reward, terminators=sys.modules[list(modules)[1]])


def _begin():
    reinvent4.register_terminator()
    reinvent4.start({"min_diversity": 0.5})


def _add_tag(label, text="True"):
    return lambda cls: setattr(cls, label, text) or cls


def run(reward, different, steps, terminator=None):
    """Steps of a run whose batches hold so many different molecules each."""
    rng = np.random.default_rng(0)
    for step, k in zip(range(steps), different, strict=False):
        smiles = [SMILES[i % k] for i in rng.permutation(16)]
        scores = 0.4 + 0.01 * rng.standard_normal(16)
        nll = torch.full((16,), 20.0)
        reward(smiles, scores, nll, nll + 3.0, np.arange(16), None, agent=None)
        if terminator is not None and terminator(0.4, step):
            return step
    return None


def lines(name):
    return [json.loads(line) for line in Path("qdlaws", name).read_text().splitlines()]


def test_a_run_is_measured_and_its_log_is_one_that_qdlaws_reads(reinvent):
    reinvent4.start({"min_diversity": 0.5, "every": 2})
    reward = reinvent.RLReward(100)
    run(reward, [8] * 20, 20)
    rows = lines("metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(2, 21, 2))
    for row in rows:
        assert row["entropy"] == 20.0
        assert row["entropy_kind"] == "sequence_nll"
        assert row["kl"] == pytest.approx(3.0)
        assert (row["kl_coef"], row["reward_scale"]) == (1.0, 100)
        assert row["n_samples"] == 32
    log = read("qdlaws", series="eval")
    assert log.columns == ("quality", "diversity", "entropy")
    assert reward.used == [100] * 20  # advice turns nothing
    assert len(lines("advice.jsonl")) == 10


def test_sigma_is_lowered_where_the_floor_is_near_and_raised_where_there_is_room(reinvent):
    used = {}
    for name, different in (("falling", [8, 7, 6, 5, 4, 3, 3, 2, 2, 2, 2, 2]), ("high", [8] * 12)):
        reinvent4._running = None
        floor = 0.8 if name == "falling" else 0.2
        reinvent4.start({"min_diversity": floor, "mode": "steer", "every": 1, "folder": name})
        reward = reinvent.RLReward(100)
        run(reward, different, 12)
        used[name] = reward.used
    assert used["falling"][0] == used["high"][0] == 100
    assert used["falling"][-1] < 80
    assert used["high"][-1] > 120
    scales = read(Path("falling", "qdlaws")).extra["reward_scale"]
    assert list(scales) == pytest.approx(used["falling"][:1] + used["falling"][:-1])


def test_a_floor_that_is_clearly_broken_ends_the_run(reinvent):
    reinvent4.register_terminator()
    terminator = reinvent.terminators.QdlawsTerminator(max_score=1.0, min_steps=5)
    reinvent4.start({"min_diversity": 0.7, "mode": "stop", "every": 1})
    ended = run(reinvent.RLReward(100), [8] * 6 + [2] * 30, 36, terminator)
    assert 7 <= ended <= 12
    last = lines("advice.jsonl")[-1]
    assert (last["action"], last["stopped"]) == ("stop", True)
    # as before, a run ends at its highest score
    assert reinvent.terminators.QdlawsTerminator(0.3, 5)(0.4, 6)


@pytest.mark.parametrize("mode", ["stop", "steer"])
def test_a_run_whose_first_molecules_are_all_invalid_waits_and_goes_on(reinvent, monkeypatch, mode):
    reinvent4.start({"min_diversity": 0.5, "mode": mode, "every": 1})
    reward = reinvent.RLReward(100)
    monkeypatch.setattr(sys.modules[__name__], "SMILES", ["C1CC"] * 8)
    run(reward, [8] * 3, 3)
    assert reward.used == [100] * 3
    advice = lines("advice.jsonl")
    assert [line["action"] for line in advice] == ["wait"] * 3
    assert "diversity" in advice[-1]["reasons"][0]


def test_the_next_stage_goes_on_with_the_rows(reinvent):
    for _ in range(2):
        reinvent4.start({"min_diversity": 0.5, "every": 2})
        run(reinvent.RLReward(100), [8] * 4, 4)
    assert [row["step"] for row in lines("metrics.jsonl")] == [2, 4, 6, 8]


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [
        ("reinvent.runmodes.RL.reward", "RLReward", "lacks reinvent.runmodes.RL.reward.RLReward"),
        ("reinvent.runmodes.RL.setup.terminators", "SimpleTerminator", "SimpleTerminator"),
    ],
)
def test_another_version_is_refused_in_one_line(reinvent, monkeypatch, module, name, words):
    monkeypatch.delattr(sys.modules[module], name)
    with pytest.raises(BadData, match=re.escape(words)) as caught:
        _begin()
    assert "\n" not in str(caught.value)
    assert reinvent4.TESTED in str(caught.value)


def test_a_reward_without_the_arguments_or_sigma_is_refused(reinvent):
    reinvent4.start({"min_diversity": 0.5})
    reward = reinvent.RLReward(100)
    del reward._sigma
    with pytest.raises(BadData, match="_sigma"):
        run(reward, [8], 1)
    sys.modules["reinvent.runmodes.RL.reward"].RLReward = type(
        "Other", (), {"__call__": lambda self, orig_smilies, scores: None}
    )
    with pytest.raises(BadData, match="the argument agent_nlls"):
        reinvent4.start({"min_diversity": 0.5})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_diversty": 0.5}, "unknown option min_diversty"),
        ({"mode": "watch"}, "advise, stop, steer"),
        ({"mode": "steer"}, "min_diversity"),
        ({"every": 0}, "above 0"),
    ],
)
def test_bad_options_are_refused_before_the_first_step(reinvent, options, words):
    with pytest.raises(BadData, match=words):
        reinvent4.start(options)


def test_the_file_that_is_written_is_a_component_of_reinvent4(reinvent, tmp_path, monkeypatch):
    path = reinvent4.install(tmp_path / "plugins")
    assert path.name == "comp_qdlaws.py"
    package = sys.modules["reinvent_plugins.components"]
    monkeypatch.setattr(package, "__path__", [str(path.parent)], raising=False)
    plugin = importlib.import_module("reinvent_plugins.components.comp_qdlaws")
    monkeypatch.delitem(sys.modules, plugin.__name__)
    assert plugin.Qdlaws.__dict__["__component"] == "penalty"
    # REINVENT4 hands over a list an option, None where an endpoint leaves one out
    component = plugin.Qdlaws(plugin.Parameters(min_diversity=[0.7], mode=["steer"], every=[5]))
    assert reinvent4._running.advisor.goal.min_diversity == 0.7
    assert reinvent4._running.advisor.every == 5
    (scores,) = component(["C", "CC"])
    assert list(scores) == [1, 1]
    assert hasattr(reinvent.terminators, "QdlawsTerminator")


# ── REINVENT4 itself ──────────────────────────────────────────────────────────────────────────

STAGE = """
run_type = "staged_learning"
device = "cpu"
[parameters]
prior_file = "{prior}"
agent_file = "{prior}"
summary_csv_prefix = "run"
batch_size = 64
[learning_strategy]
type = "dap"
sigma = 40
rate = 0.002
[[stage]]
max_steps = {steps}
min_steps = 200
chkpt_file = "end.chkpt"
termination = "qdlaws"
[stage.scoring]
type = "arithmetic_mean"
[[stage.scoring.component]]
[stage.scoring.component.qed]
[[stage.scoring.component.qed.endpoint]]
name = "QED"
[[stage.scoring.component]]
[stage.scoring.component.qdlaws]
[[stage.scoring.component.qdlaws.endpoint]]
name = "qdlaws"
params.mode = "{mode}"
params.min_diversity = {floor}
params.every = 2
"""


PRIOR = """
import random, sys
from pathlib import Path
import torch
from rdkit import Chem, RDConfig
from reinvent.models.meta_data import update_model_data
from reinvent.runmodes.create_model.create_reinvent import create_model

lines = Path(RDConfig.RDDataDir, "NCI", "first_5K.smi").read_text().splitlines()
smiles = [line.split()[0] for line in lines]
smiles = [s for s in smiles if set(s) <= set("CNOcno()=123") and len(s) < 26][:700]
Path("known.smi").write_text("\\n".join(smiles))
torch.manual_seed(0)
about = {"data_source": "NCI", "comment": ""}
model = create_model(1, 64, 0.0, 64, "gru", 32, False, False, "known.smi", sys.argv[1], about)
optimizer = torch.optim.Adam(model.network.parameters(), lr=5e-3)
for epoch in range(25):
    random.Random(epoch).shuffle(smiles)
    for i in range(0, len(smiles), 64):
        loss = model.likelihood_smiles(smiles[i : i + 64]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
torch.save(update_model_data(model.get_save_dict(), "trained"), sys.argv[1])
"""


def run_python(folder, *words):
    paths = [str(folder / "plugins"), str(ROOT)]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    """A small prior of REINVENT4's own making: a GRU that has read 700 small molecules."""
    folder = tmp_path_factory.mktemp("prior")
    run_python(folder, "-c", PRIOR, str(folder / "small.prior"))
    return folder / "small.prior"


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("reinvent") is None, reason="REINVENT4 is not installed"
)
@pytest.mark.parametrize(("mode", "floor", "steps"), [("stop", 0.99, 40), ("steer", 0.99, 16)])
def test_a_run_of_reinvent4_is_stopped_and_steered(tmp_path, prior, mode, floor, steps):
    reinvent4.install(tmp_path / "plugins")
    config = tmp_path / "run.toml"
    config.write_text(STAGE.format(prior=prior, mode=mode, floor=floor, steps=steps))
    run_python(tmp_path, "-m", "reinvent", str(config))
    folder = tmp_path / "qdlaws"
    advice = [json.loads(line) for line in (folder / "advice.jsonl").read_text().splitlines()]
    log, table = read(folder, series="eval"), read(tmp_path / "run_1.csv")
    ended = int(table.step[-1])
    assert log.columns == ("quality", "diversity", "entropy")
    if mode == "stop":
        assert ended < steps
        assert advice[-1]["stopped"]
        assert (tmp_path / "end.chkpt").exists()
    else:
        assert ended == steps
        sigma = log.extra["reward_scale"].to_numpy()
        assert sigma[0] == 40
        assert advice[-1]["knobs"]["reward_scale"] < 30
        # target = −prior + sigma·score in REINVENT4's own table, of the step before the last row
        rows = pd.read_csv(tmp_path / "run_1.csv").query("step == 15 and Score > 0")
        ratio = (rows["Target"] + rows["Prior"]) / rows["Score"]
        assert ratio.median() == pytest.approx(sigma[-1], rel=1e-3)
