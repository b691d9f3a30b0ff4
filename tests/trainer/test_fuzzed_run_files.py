"""Whatever stands in the files of a run, the trainer uses it or refuses it in one line, in bounded
time and memory, and touches nothing outside."""

from __future__ import annotations

import json
import logging
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from qdlaws.errors import QdlawsError
from tests.helpers.bounded import bounded
from tests.helpers.saved_checkpoints import make_checkpoint, state_of
from trainer.config import Config, load_config, to_toml
from trainer.config.settings import _tree
from trainer.consent import check_run, named_outside
from trainer.control import KnobsFile, run_log
from trainer.control.knobs_file import LARGEST
from trainer.knobs import Knobs
from trainer.loop import _summary
from trainer.tasks.dataset.tables import read_rows as read_table
from trainer.training.checkpoint import due_steps, load_optimizer, newest_whole
from trainer.training.fresh_start import has_progress
from trainer.training.metrics import read_rows
from trainer.training.presamples import _read_presamples
from trainer.training.progress import Progress
from trainer.training.run_control import _read_start
from trainer.training.run_folder import cut_files

Folders = pytest.TempPathFactory
FEW = settings(
    deadline=None, max_examples=60, suppress_health_check=list(HealthCheck), derandomize=True
)

NUMBERS = st.one_of(
    st.floats(), st.integers(), st.sampled_from([10**400, -1, 2**63, 1e308, 5e-324, True, None])
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "../../victim", "/victim", "\ud800", "\x1b]52;c;cm0=\x07", "a\0b", "os:system"]
    ),
)
VALUES = st.recursive(
    NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
BEYOND_REASON = st.sampled_from([b"[" * 50_000, b"9" * 5_000, b'{"a":' * 20_000, b"\xff\xfe{", b""])


def json_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


PIECES = st.sampled_from([b"\0", b"[", b'"', b"9" * 400])


@st.composite
def changed(draw: Callable[..., Any], content: bytes) -> bytes:
    """The bytes after a few changes."""
    out = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(out) - 1, 0)))
        rest = draw(st.sampled_from([0, 1, 7, 10**9]))
        out[place : place + rest] = draw(
            st.binary(max_size=6) | st.sampled_from([b"\0", b"[", b'"', b"9" * 400])
        )
    return bytes(out)


def with_changed_key(mapping: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The mapping with another value at one of its keys, or without it."""
    keys = st.sampled_from(sorted(mapping))
    other = st.builds(lambda key, value: {**mapping, key: value}, keys, VALUES)
    return other | keys.map(lambda key: {k: v for k, v in mapping.items() if k != key})


def answer(action: Callable[[], Any]) -> Any:
    """What the action gives within its bounds; None where it refuses in one line."""
    with bounded():
        try:
            return action()
        except QdlawsError as error:
            str(error).encode(errors="surrogateescape")
            return None


# ---------------------------------------------------------------------- config.toml

CONFIG = to_toml(Config()).encode()
TREE = _tree(Config())


@FEW
@given(st.one_of(st.binary(max_size=200), changed(CONFIG), st.just(b"a = " + b"[" * 50_000)))
def test_any_text_as_a_configuration(tmp_path_factory: Folders, content: bytes) -> None:
    path = tmp_path_factory.mktemp("run") / "config.toml"
    path.write_bytes(content)
    config = answer(lambda: load_config(path))
    if config is not None:
        assert isinstance(config, Config)
        path.write_text(to_toml(config), encoding="utf-8")
        assert load_config(path) == config


SECTIONS = st.sampled_from(
    [name for name, value in TREE.items() if isinstance(value, dict) and value]
)


@FEW
@given(SECTIONS, st.data())
def test_any_value_in_a_configuration(
    tmp_path_factory: Folders, section: str, data: st.DataObject
) -> None:
    tree = {**TREE, section: data.draw(with_changed_key(TREE[section]) | VALUES)}
    folder = tmp_path_factory.mktemp("run")
    try:
        (folder / "config.toml").write_text(tomli_w.dumps(tree), encoding="utf-8")
    except (TypeError, ValueError, AttributeError):
        return  # TOML has no such value
    config = answer(lambda: load_config(folder / "config.toml"))
    if config is not None:
        answer(lambda: named_outside(config, folder))
        answer(lambda: check_run(folder, config))


# ---------------------------------------------------------------------- checkpoints


@FEW
@given(
    st.one_of(with_changed_key(state_of(4)).map(json_bytes), VALUES.map(json_bytes), BEYOND_REASON)
)
def test_any_state_of_a_checkpoint(tmp_path_factory: Folders, content: bytes) -> None:
    base = tmp_path_factory.mktemp("state")
    (base / "victim").write_text("0123456789")
    run = base / "runs" / "run"
    folder = make_checkpoint(run, 4, manifest=False)
    (run / "metrics.jsonl").write_text("{}\n")
    (folder / "state.json").write_bytes(content)

    def used() -> None:
        _, state, _ = newest_whole(run)
        Progress.from_state(state)
        cut_files(run, state["step"], state["sizes"])

    answer(used)
    assert (base / "victim").read_text() == "0123456789"


NAMES = (
    st.sampled_from(["state.json", "optimizer.safetensors", "../../../../victim", "/victim"])
    | TEXTS
)
FIGURES = st.fixed_dictionaries({"bytes": NUMBERS, "sha256": TEXTS}) | VALUES
MANIFESTS = st.fixed_dictionaries(
    {},
    optional={"interrupted": VALUES, "files": st.dictionaries(NAMES, FIGURES, max_size=3) | VALUES},
)


@FEW
@given(st.one_of(MANIFESTS.map(json_bytes), VALUES.map(json_bytes), BEYOND_REASON))
def test_any_manifest_of_a_checkpoint(tmp_path_factory: Folders, content: bytes) -> None:
    run = tmp_path_factory.mktemp("run")
    folder = make_checkpoint(run, 4)
    (folder / "manifest.json").write_bytes(content)
    assert answer(lambda: newest_whole(run)) is None
    assert answer(lambda: due_steps(run)) in ([], [4])


TENSORS = st.dictionaries(
    st.sampled_from(["0.exp_avg", "1.exp_avg", "x.y", "-1.exp_avg", "0.", "exp_avg"]),
    st.sampled_from([torch.arange(4.0), torch.zeros(3), torch.zeros(0), torch.tensor(1)]),
    max_size=3,
)


@FEW
@given(TENSORS | st.binary(max_size=300))
def test_any_tensors_of_an_optimizer(
    tmp_path_factory: Folders, tensors: dict[str, torch.Tensor] | bytes
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    path = folder / "optimizer.safetensors"
    if isinstance(tensors, bytes):
        path.write_bytes(tensors)
    else:
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
    answer(lambda: load_optimizer(torch.optim.AdamW([torch.zeros(4, requires_grad=True)]), folder))


# ---------------------------------------------------------------------- other files of a run

SMALL: dict[str, tuple[Any, Callable[[Path], Any]]] = {
    "start.json": ({"knobs": {"kl": 0.1}, "gain": None}, lambda p: _read_start(p)),
    "summary.json": ({"step": 3, "ended": "done"}, lambda p: _summary(p.parent)),
    "metrics.jsonl": (
        {"step": 3, "phase": "eval", "quality": 0.1},
        lambda p: has_progress(p.parent),
    ),
}


@pytest.mark.parametrize("name", SMALL)
@FEW
@given(st.data())
def test_any_content_of_a_small_file(
    name: str, tmp_path_factory: Folders, data: st.DataObject
) -> None:
    usual, reading = SMALL[name]
    inner = VALUES if not isinstance(usual.get("knobs"), dict) else with_changed_key(usual["knobs"])
    content = data.draw(
        st.one_of(
            with_changed_key(usual).map(json_bytes),
            inner.map(lambda value: json_bytes({**usual, "knobs": value})),
            changed(json_bytes(usual)),
            BEYOND_REASON,
        )
    )
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.toml").write_bytes(CONFIG)
    (folder / name).write_bytes(content)
    answer(lambda: reading(folder / name))


COLUMNS = ("step", "phase", "quality", "diversity", "kl_coef")
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("step", "phase", "quality", "diversity", "kl_coef"), NUMBERS | VALUES
        ),
    )
    | VALUES
    | st.just({"step": 2, "phase": "eval", "quality": 0.5, "entropy": 1.0}),
    max_size=5,
)


@FEW
@given(ROWS, st.binary(max_size=20))
def test_any_rows_of_the_metrics(tmp_path_factory: Folders, rows: list[Any], end: bytes) -> None:
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    path.write_bytes(b"".join(json_bytes(row) + b"\n" for row in rows) + end)
    read = answer(lambda: read_rows(path))
    assert all(isinstance(row, dict) for row in read)
    answer(lambda: run_log(read))


TURNS = st.one_of(
    st.dictionaries(st.sampled_from([*LARGEST, "klx"]), NUMBERS | VALUES, max_size=3).map(
        json_bytes
    ),
    changed(b'{"kl": 0.1, "reward_scale": 2}'),
    st.binary(max_size=30),
    BEYOND_REASON,
    st.just(b" " * 70_000),
)


@FEW
@given(TURNS)
def test_any_turn_of_the_knobs(tmp_path_factory: Folders, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / "knobs.json").write_bytes(content)
    logging.disable()
    try:
        with bounded():
            knobs = KnobsFile(folder).read(0, Knobs(kl=0.5))
    finally:
        logging.disable(logging.NOTSET)
    assert all(0 <= getattr(knobs, name) <= largest for name, largest in LARGEST.items())


@FEW
@given(
    st.dictionaries(
        st.sampled_from(["numbers", "tokens", "mask", "ref_logp", "explored", "share", "other"]),
        st.sampled_from([torch.arange(3), torch.zeros(2, 3), torch.tensor(2), torch.zeros(0)]),
    )
    | st.binary(max_size=200)
)
def test_any_presamples(
    tmp_path_factory: Folders, tensors: dict[str, torch.Tensor] | bytes
) -> None:
    path = tmp_path_factory.mktemp("run") / "rehearsal.safetensors"
    if isinstance(tensors, bytes):
        path.write_bytes(tensors)
    else:
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
    answer(lambda: _read_presamples(path))


SAMPLE_NAMES = st.text(string.ascii_letters + string.digits + "-._ ", min_size=1, max_size=12)


@FEW
@given(
    st.lists(
        SAMPLE_NAMES | st.sampled_from(["step-000002.csv", "step-7.csv", "step-x.csv"]), max_size=4
    )
)
def test_only_tables_of_later_steps_leave_the_samples(
    tmp_path_factory: Folders, names: list[str]
) -> None:
    run = tmp_path_factory.mktemp("run")
    (run / "samples").mkdir()
    for name in names:
        if name not in (".", ".."):
            (run / "samples" / name).write_text("text")
    before = set(os.listdir(run / "samples"))
    with bounded():
        cut_files(run, 3, {})
    gone = before - set(os.listdir(run / "samples"))
    assert all(int(name.removeprefix("step-").removesuffix(".csv")) > 3 for name in gone)
    assert "step-000002.csv" not in gone


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".tsv"])
@FEW
@given(
    st.one_of(
        st.binary(max_size=60),
        ROWS.map(lambda rows: b"\n".join(map(json_bytes, rows))),
        ROWS.map(json_bytes),
        BEYOND_REASON,
    )
)
def test_any_table_of_a_data_set(ending: str, tmp_path_factory: Folders, content: bytes) -> None:
    path = tmp_path_factory.mktemp("data") / f"data{ending}"
    path.write_bytes(content)
    answer(lambda: read_table(path))
