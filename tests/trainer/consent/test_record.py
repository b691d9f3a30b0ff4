"""The folder of somebody else's run imports, downloads and reads nothing without consent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.saved_checkpoints import make_checkpoint
from tests.helpers.small_run import config_of, save_model
from trainer.config import Config, load_config, to_toml, with_settings
from trainer.consent import NotTrusted, check_file, check_run, consent_hash, record_consent
from trainer.loop import resume, train
from trainer.runs import branch
from trainer.training.evaluate_checkpoint import evaluate_checkpoint

ROOT = Path(__file__).parents[3]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The user's reward, in the working folder; its import would be noticed."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine_reward.py"
    path.write_text("raise SystemExit('imported')\n")
    return path


@pytest.fixture
def folder(tmp_path, module):
    """A run whose configuration names that reward, and nobody agreed to it."""
    config = with_settings(Config(), ["task.objective=mine_reward:f"])
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.toml").write_text(to_toml(config))
    return run


def test_the_message_names_what_would_be_imported_and_the_hash(folder, module):
    config = load_config(folder / "config.toml")
    with pytest.raises(NotTrusted) as raised:
        check_run(folder, config)
    line = str(raised.value)
    assert f"task.objective = mine_reward:f imports mine_reward ({module})" in line
    assert consent_hash(folder, config, to_toml(config))[:16] in line
    assert "\n" not in line


def test_consent_lasts_until_the_configuration_or_the_code_changes(folder, module):
    config = load_config(folder / "config.toml")
    check_run(folder, config, trust=True)
    check_run(folder, config)
    text = module.read_text()
    module.write_text("import os\n")
    with pytest.raises(NotTrusted):
        check_run(folder, config)
    module.write_text(text)
    check_run(folder, config)
    with (folder / "config.toml").open("a") as file:
        file.write("# more\n")
    with pytest.raises(NotTrusted):
        check_run(folder, config)


def test_consent_belongs_to_the_folder_and_lies_outside_of_it(folder, tmp_path):
    config = load_config(folder / "config.toml")
    before = sorted(folder.iterdir())
    check_run(folder, config, trust=True)
    assert sorted(folder.iterdir()) == before
    other = folder.rename(tmp_path / "elsewhere")
    with pytest.raises(NotTrusted):
        check_run(other, config)


def test_a_hash_stands_for_consent_where_it_fits(folder):
    config = load_config(folder / "config.toml")
    right = consent_hash(folder, config, to_toml(config))
    for wrong in (right[:15], "0" * 64, ""):
        with pytest.raises(NotTrusted):
            check_run(folder, config, trust=wrong)
    check_run(folder, config, trust=right[:16])


def test_a_damaged_record_is_no_consent(folder):
    config = load_config(folder / "config.toml")
    record_consent(folder, config, to_toml(config))
    check_run(folder, config)
    records = Path(os.environ["XDG_STATE_HOME"]).rglob("consent/*.json")
    (record,) = [p for p in records if json.loads(p.read_text())["file"].startswith(str(folder))]
    for damage in ("", "[]", '"x"', "\ud800".encode("utf-16", "surrogatepass")):
        record.write_bytes(damage.encode() if isinstance(damage, str) else damage)
        with pytest.raises(NotTrusted):
            check_run(folder, config)


def test_what_the_user_types_needs_no_consent(folder):
    replaced = with_settings(load_config(folder / "config.toml"), ["task.objective=my_own:f"])
    check_run(folder, replaced)


def test_without_a_place_for_records_a_run_can_begin(folder, monkeypatch):
    config = load_config(folder / "config.toml")
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/nowhere")
    record_consent(folder, config, to_toml(config))
    with pytest.raises(NotTrusted):
        check_run(folder, config)
    check_run(folder, config, trust=True)


def test_a_file_of_ones_own_needs_consent_to_remote_code_only(tmp_path):
    code = with_settings(Config(), ["task=my_task:make", "policy.model=owner/name"])
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(code))
    check_file(str(file), code)
    check_file(str(file), with_settings(code, ["policy.trust_remote_code=true"]))
    remote = with_settings(code, ["policy.trust_remote_code=true"])
    file.write_text(to_toml(remote))
    with pytest.raises(NotTrusted, match="runs the code that comes with owner/name"):
        check_file(str(file), remote)
    check_file(str(file), remote, trust=True)
    check_file(str(file), remote)


def test_the_file_in_a_run_is_somebody_elses(folder):
    with pytest.raises(NotTrusted, match="mine_reward"):
        check_file(str(folder / "config.toml"), load_config(folder / "config.toml"))


def test_commands_run_nothing_of_a_strangers_folder(tmp_path):
    """``name = "os:system"`` of a configuration ran its command."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").touch()
    (run / "config.toml").write_text(
        f'[task]\nname = "evil:make"\ncommand = "touch {tmp_path}/pwned"\n'
    )
    saved = make_checkpoint(run, 1)
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    for words in (
        ["evaluate", run],
        ["evaluate", saved],
        ["resume", run],
        ["branch", run, "--out", tmp_path / "branch", "--set", "steps=9"],
        ["plan", run / "config.toml"],
        ["run", run / "config.toml", "--out", tmp_path / "out"],
        ["sweep", run / "config.toml", "--out", tmp_path / "out", "--axis", "seed=1"],
    ):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "trainer", *map(str, words)],
            capture_output=True, text=True, cwd=tmp_path, timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert "evil:make imports evil" in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.py", "run"]


def test_a_run_of_ones_own_is_resumed_evaluated_and_branched_without_a_word(tmp_path):
    config = config_of(save_model(tmp_path / "model"), "steps=2")
    train(config, tmp_path / "run")
    resume(tmp_path / "run")
    evaluate_checkpoint(str(tmp_path / "run"), samples=8)
    branch(tmp_path / "run", tmp_path / "branch", settings=["steps=3"])
    resume(tmp_path / "branch")
