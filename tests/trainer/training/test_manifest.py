"""A checkpoint is compared with its manifest: a changed, cut or missing file is named."""

import json
import os

import pytest

from qdlaws.errors import BadLog
from tests.helpers.saved_checkpoints import flip_bit, make_checkpoint
from trainer.training.manifest import checked_state, is_interrupted


def test_a_whole_checkpoint_gives_its_state_with_and_without_a_manifest(tmp_path):
    assert checked_state(make_checkpoint(tmp_path, 2))["step"] == 2
    assert checked_state(make_checkpoint(tmp_path, 4, manifest=False))["step"] == 4


@pytest.mark.parametrize("name", ["state.json", "optimizer.safetensors", "manifest.json"])
@pytest.mark.parametrize("place", [-3, 30])
def test_a_flipped_bit_in_any_file_is_seen(name, place, tmp_path):
    folder = make_checkpoint(tmp_path, 2)
    flip_bit(folder / name, place)
    with pytest.raises(BadLog, match=r"state\.json|optimizer\.safetensors|manifest\.json|missing"):
        checked_state(folder)


@pytest.mark.parametrize("name", ["state.json", "optimizer.safetensors", "manifest.json"])
@pytest.mark.parametrize("size", [None, 0, 20])
def test_a_cut_or_missing_file_is_named(name, size, tmp_path):
    folder = make_checkpoint(tmp_path, 2)
    path = folder / name
    path.write_bytes(path.read_bytes()[:size]) if size is not None else path.unlink()
    with pytest.raises(BadLog, match=name.replace(".", r"\.")):
        checked_state(folder)


@pytest.mark.parametrize("size", [0, 5, 60])
def test_before_there_were_manifests_cut_tensors_are_seen(size, tmp_path):
    folder = make_checkpoint(tmp_path, 2, manifest=False)
    path = folder / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadLog, match=r"optimizer\.safetensors cannot be read"):
        checked_state(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "newer than this program"),
        ({"step": 4}, "is of step 4"),
        ({"task": ...}, "not of this version: it has no 'task'"),
        ({"step": "2"}, "not of this version"),
        ({"knobs": {"kl": 1, "warmth": 2}}, "not of this version"),
        ({"knobs": {"kl": 10**400}}, "not of this version"),
        ({"memory": {}}, "not of this version"),
        ({"cursor": 10**400}, "not of this version"),
        ({"buckets": 7}, "not of this version"),
    ],
)
def test_a_state_of_another_version_or_step_is_one_line(change, message, tmp_path):
    folder = make_checkpoint(tmp_path, 2, manifest=False)
    path = folder / "state.json"
    state = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in state.items() if value is not ...}))
    with pytest.raises(BadLog, match=message):
        checked_state(folder)


def test_a_manifest_reaches_no_file_outside_its_folder(tmp_path):
    folder = make_checkpoint(tmp_path, 2)
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    values["files"]["../../secret"] = {"bytes": 0, "sha256": ""}
    path.write_text(json.dumps(values))
    with pytest.raises(BadLog, match="secret is missing"):
        checked_state(folder)


def test_a_checkpoint_of_an_interruption_is_marked(tmp_path):
    assert is_interrupted(make_checkpoint(tmp_path, 3, interrupted=True))
    assert not is_interrupted(make_checkpoint(tmp_path, 4))
    assert not is_interrupted(make_checkpoint(tmp_path, 5, manifest=False))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["state.json", "manifest.json"])
def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(name, tmp_path):
    folder = make_checkpoint(tmp_path, 4)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(BadLog):
        checked_state(folder)
