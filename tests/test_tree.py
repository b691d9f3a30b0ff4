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
    "qdlaws/advice/test_consistency.py": "no two lines of an advice contradict each other",
    "qdlaws/laws/test_nist.py": "NIST's certified values and R's SSasymp",
    "qdlaws/readers/test_dialects.py": "the logs of the tools, as their loggers write them",
    "qdlaws/readers/test_fuzz.py": "damaged and made-up logs give right numbers or one error",
    "qdlaws/readers/test_hostile.py": "harmful and broken files are refused without damage",
    "qdlaws/readers/test_real_runs.py": "ten logs of other people's trainers",
    "docs/test_integrations_page.py": "the lines for other trainers run against their hooks",
    "qdlaws/reporting/test_hostile_run_files.py": "a run's own files end neither watch nor report",
    "qdlaws/reporting/test_report_browser.py": "the page in a real browser",
    "trainer/policy/test_precision.py": "mixed precision in sampling, scoring, training, resuming",
    "trainer/test_bandit_run.py": "a run on the bandit settles at the tilt",
    "trainer/test_clusters.py": "a sweep on a cluster: a run whose worker is killed goes on",
    "trainer/test_fuzzed_run_files.py": "any content of a run's files is used or refused",
    "trainer/test_broken_off_runs.py": "a run that is killed, stopped or damaged loses nothing",
    "trainer/test_read_only_folder.py": "a folder that cannot be written to is one line",
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

TESTS_ALSO = {
    "qdlaws/advice/test_advise.py": "qdlaws/control/targets",
    "qdlaws/advice/test_checkpoints.py": "qdlaws/advice/next_measurement",
    "qdlaws/control/test_steering.py": "qdlaws/control/knobs",
    "qdlaws/integrations/trl/test_callback.py": (
        "qdlaws/integrations/batch qdlaws/integrations/online qdlaws/integrations/run_folder "
        "qdlaws/integrations/trl/trainer_access"
    ),
    "qdlaws/integrations/test_verl.py": "qdlaws/integrations/verl_reward",
    "qdlaws/integrations/test_watch.py": "qdlaws/integrations/trainer_process",
    "qdlaws/measure/test_entropy.py": "qdlaws/core/kinds",
    "qdlaws/measure/molecule/test_tanimoto.py": "qdlaws/measure/molecule/pair_kernel",
    "qdlaws/measure/text/test_diversity.py": "qdlaws/measure/text/tokens",
    "qdlaws/readers/formats/test_delimited.py": ("qdlaws/readers/columns/generic_names"),
    "qdlaws/readers/formats/test_tensorboard.py": "qdlaws/readers/formats/protobuf",
    "qdlaws/readers/test_reading.py": "qdlaws/readers/detect",
    "qdlaws/readers/test_real_runs.py": "qdlaws/readers/formats/reinvent_score",
    "qdlaws/test_bad_input.py": "qdlaws/errors",
    "qdlaws/test_light_import.py": "qdlaws/core/types",
    "qdlaws/comparison/test_compare.py": "qdlaws/comparison/plots",
    "qdlaws/laws/test_plots.py": "qdlaws/core/plot_style",
    "qdlaws/test_results.py": "qdlaws/forecasting/plots",
    "trainer/algorithms/recipes/test_recipes.py": (
        "trainer/algorithms/recipes/diversity trainer/algorithms/recipes/policy_gradient "
        "trainer/algorithms/recipes/selective trainer/algorithms/recipes/off_policy "
        "trainer/algorithms/recipes/spreading"
    ),
    "trainer/algorithms/test_objective.py": "trainer/types",
    "trainer/algorithms/test_suitability.py": "trainer/cli/recipe_table",
    "trainer/cli/test_app.py": "trainer/cli/display trainer/training/evaluate_checkpoint",
    "trainer/control/test_law_controller.py": "qdlaws/control/controller",
    "trainer/distributed/test_processes.py": (
        "trainer/distributed/sharding trainer/distributed/world"
    ),
    "trainer/policy/test_bundled_priors.py": "trainer/pretrain/model_card",
    "trainer/pretrain/test_make_prior.py": "trainer/pretrain/resume_state",
    "trainer/pretrain/test_smiles_corpus.py": "trainer/pretrain/recombine",
    "trainer/sampling/test_engine.py": "trainer/sampling/cache trainer/sampling/decoder",
    "trainer/sampling/test_sampling.py": "trainer/sampling/generate",
    "trainer/tasks/dataset/test_task.py": "trainer/tasks/dataset/tables trainer/tasks/splits",
    "trainer/tasks/molecules/test_composite.py": "trainer/tasks/molecules/score_function",
    "trainer/tasks/molecules/test_objectives.py": ("trainer/tasks/molecules/guacamol"),
    "trainer/tasks/molecules/test_task.py": (
        "trainer/tasks/molecules/external_scores trainer/tasks/molecules/smiles"
    ),
    "trainer/tasks/scoring/test_worker_pool.py": "trainer/tasks/scoring/_worker",
    "trainer/tasks/sql/test_task.py": (
        "trainer/tasks/sql/domains trainer/tasks/sql/parsing trainer/tasks/sql/questions "
        "trainer/tasks/sql/templates"
    ),
    "trainer/tasks/stories/test_task.py": (
        "trainer/tasks/stories/grammar trainer/tasks/stories/reading"
    ),
    "trainer/tasks/test_task.py": "trainer/tasks/scoring/call_by_name",
    "trainer/test_loop.py": (
        "trainer/errors trainer/runs trainer/training/replay_rows "
        "trainer/training/rollout trainer/training/setup"
    ),
    "trainer/training/test_run_control.py": "trainer/knobs",
}
"""Test files, and the modules that they test beside the one that they are named after."""


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


@pytest.mark.parametrize("package", ["qdlaws", "trainer"])
def test_every_module_has_a_test_file_or_is_named_by_one(package):
    elsewhere = {f"{name}.py" for names in TESTS_ALSO.values() for name in names.split()}
    untested = []
    for path in sorted((ROOT / package).rglob("*.py")):
        inside = path.relative_to(ROOT)
        test = ROOT / "tests" / inside.with_name(f"test_{inside.name}")
        if not inside.name.startswith("__") and not test.exists() and str(inside) not in elsewhere:
            untested.append(str(inside))
    assert untested == []


def test_the_table_of_modules_names_files_that_exist():
    for test, names in TESTS_ALSO.items():
        assert (ROOT / "tests" / test).exists(), test
        for name in names.split():
            assert (ROOT / f"{name}.py").exists(), name


def test_every_topic_is_a_file_that_mirrors_no_module():
    for name in TOPICS:
        path = ROOT / "tests" / name
        assert path.exists(), name
        assert not mirrored(path).exists(), f"{name} mirrors a module: it needs no topic"
