"""tests/ mirrors the packages: tests/qdlaws/laws/test_fit.py tests qdlaws/laws/fit.py."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TOPICS = {
    "qdlaws/test_bad_input.py": "every public function answers bad input with one clear line",
    "qdlaws/test_coverage_small.py": "intervals hold the truth, in a few cells with fixed seeds",
    "qdlaws/test_results.py": "every result answers alike",
    "qdlaws/test_light_import.py": "`import qdlaws` loads nothing heavy",
    "qdlaws/test_odd_logs.py": "every command answers odd logs or refuses them, no warnings",
    "qdlaws/test_verdict_table.py": "verdicts are right, in a few cells with fixed seeds",
    "qdlaws/inference/test_posterior_emcee.py": "the posterior agrees with emcee",
    "qdlaws/laws/test_equivariance.py": "units, origin, time direction and row order do not matter",
    "qdlaws/laws/test_nist.py": "NIST's certified values and R's SSasymp",
    "qdlaws/readers/test_hostile.py": "harmful and broken files are refused without damage",
    "qdlaws/readers/test_real_runs.py": "ten logs of other people's trainers",
    "qdlaws/reporting/test_report_browser.py": "the page in a real browser",
    "trainer/test_bandit_run.py": "a run on the bandit settles at the tilt",
    "trainer/test_bare_machine.py": "training needs no rdkit, lmfit or matplotlib",
    "trainer/test_public_names.py": "the names of `import trainer`, and its import is light",
    "trainer/test_presets.py": "every bundled configuration runs",
    "trainer/control/test_one_decision.py": "a run that is told to stop is told to turn nothing",
    "trainer/distributed/test_processes.py": "one process and several give the same run",
    "trainer/sampling/test_foreign_sampler.py": "a sampler of the user's",
    "trainer/sampling/test_sampling.py": "the two samplers draw from the same distribution",
    "trainer/tasks/test_user_task.py": "a task and a reward of the user",
    "trainer/tasks/test_tasks_together.py": "what every bundled task promises",
    "trainer/tasks/test_text_tasks.py": "what all text tasks share",
    "trainer/algorithms/recipes/test_recipes.py": "live knobs and plant of every recipe",
}
"""Files that test a promise of several modules together, and the promise."""


def mirrored(path: Path) -> Path:
    """The module that a test file is named after."""
    inside = path.relative_to(ROOT / "tests")
    return ROOT / inside.with_name(inside.name.removeprefix("test_"))


@pytest.mark.parametrize("package", ["qdlaws", "trainer"])
def test_every_test_file_is_named_after_a_module_or_states_its_topic(package):
    strays = []
    for path in sorted((ROOT / "tests" / package).rglob("test_*.py")):
        name = str(path.relative_to(ROOT / "tests"))
        if not mirrored(path).exists() and name not in TOPICS:
            strays.append(name)
    assert strays == []


def test_every_topic_is_a_file_that_mirrors_no_module():
    for name in TOPICS:
        path = ROOT / "tests" / name
        assert path.exists(), name
        assert not mirrored(path).exists(), f"{name} mirrors a module: it needs no topic"
