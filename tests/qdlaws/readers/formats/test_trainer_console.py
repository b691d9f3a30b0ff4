"""The dictionaries that TRL, Unsloth and their kin print on a terminal."""

from __future__ import annotations

import time

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind
from qdlaws.readers import read
from qdlaws.readers.formats.trainer_console import is_trainer_console

STEPS = np.arange(5, 105, 5)


def printed(step: int, quoted: bool = False) -> str:
    """What TRL prints of one step; transformers 5 puts the numbers into quotes."""
    row = {"loss": 0.0012, "grad_norm": 1.5, "learning_rate": 1e-06, "num_tokens": 4096.0,
           "reward": step / 200, "reward_std": 0.2, "rewards/correct/mean": step / 200,
           "entropy": 2 - step / 100, "kl": 0.01, "epoch": round(step / 900, 2)}  # fmt: skip
    return str({name: f"{value:.4g}" for name, value in row.items()} if quoted else row)


def bar(step: int, steps: int = 400) -> str:
    return f"\r  1%|▏         | {step}/{steps} [00:21<27:35,  4.19s/it]"


def same_as_printed(log) -> None:
    assert log.tool == "trl"
    np.testing.assert_array_equal(log.step, STEPS)
    np.testing.assert_allclose(log.quality, STEPS / 200)
    np.testing.assert_allclose(log.entropy, 2 - STEPS / 100)
    assert log.kinds["entropy"] == EntropyKind.TOKEN
    assert log.names["kl"] == "kl"


@pytest.mark.parametrize("quoted", [False, True], ids=["numbers", "quoted"])
def test_the_step_is_that_of_the_progress_bar_before_a_row(write, quoted):
    text = "Loading\nMap: 100%|██| 1000/1000 [00:00<00:00]\nargs {'beta': 0.04, 'epochs': 3}\n"
    for step in map(int, STEPS):
        clear = "\r" + " " * 60 + "\r"
        text += bar(step) + clear + printed(step, quoted) + "\n" + bar(step)
    text += "\n{'train_runtime': 12.3, 'train_loss': 0.4, 'epoch': 1.0}\n"
    log = read(write(text, "output.log"))
    same_as_printed(log)
    assert any("progress bar" in note for note in log.notes)


def test_rows_wrapped_at_the_width_of_a_terminal_inside_markdown(write):
    text = "# My run\n\nIt went `well`:\n\n```text\n"
    for step in map(int, STEPS):
        line = f"{step}/400 {printed(step)}"
        text += "\n".join(line[i : i + 37] for i in range(0, len(line), 37)) + "\n"
    same_as_printed(read(write(text + "```\nThe end.\n", "README.md")))
    quote = "".join(f"> {step}/400 {printed(step)}\n>\n" for step in map(int, STEPS))
    same_as_printed(read(write(quote.replace(", 'kl'", ",\n> 'kl'"), "notes.md")))


def test_rows_with_colours_time_stamps_and_number_wrappers(write):
    text = ""
    for step in map(int, STEPS):
        row = printed(step).replace("'kl': 0.01", "'kl': tensor(0.01, device=None)")
        row = row.replace("'grad_norm': 1.5", "'grad_norm': nan").replace(
            "0.0012", "np.float64(0.0012)"
        )
        text += f"[2026-11-28 10:00:00] step\x1b[0m\n[ {step}/400 00:21 < 27:35, Epoch 0.1/1]"
        text += f"\x1b[32m{row}\x1b[0m\n"
    log = read(write(text, "nohup.out"))
    same_as_printed(log)
    assert set(log.extra["loss"]) == {0.0012}
    assert set(log.extra["kl"]) == {0.01}


def test_evaluations_stand_at_the_step_of_training(write):
    text = ""
    for step in map(int, STEPS):
        text += bar(step) + "\r" + printed(step) + "\n"
        text += bar(7, 8) + "\r" + str({"eval_reward": step / 400, "eval_loss": 0.1}) + "\n"
    log = read(write(text), series="eval")
    np.testing.assert_array_equal(log.step, STEPS)
    np.testing.assert_allclose(log.quality, STEPS / 400)
    np.testing.assert_array_equal(read(write(text), series="train").step, STEPS)


def test_bars_that_stand_still_are_no_clock(write):
    text = bar(0) + bar(300) + "\n" + "".join(printed(int(s)) + "\n" for s in STEPS)
    log = read(write(text))
    np.testing.assert_array_equal(log.step, np.arange(20))  # no row is merged with another
    np.testing.assert_allclose(log.quality, STEPS / 200)
    assert any("no progress bar" in note for note in log.notes)


def test_the_bars_drawn_anew_are_the_steps_of_rows_that_were_printed_later(write):
    """The error stream of a job, unbuffered, stands before its output in the file."""
    bars = "".join(
        f"\r {k}%| | {k}/40 [00:{k:02d}<01:00]"
        + (f"\r{' ' * 40}\r {k}%| | {k}/40 [00:{k:02d}<01:00]" if k % 5 == 0 else "")
        for k in range(1, 41)
    )
    rows = [f"{{'loss': 0.1, 'reward': {k / 10}, 'entropy': 1.0}}" for k in range(1, 9)]
    log = read(write("\n".join([bars, *rows])))
    assert list(log.step) == [5, 10, 15, 20, 25, 30, 35, 40]
    one_row_lost = read(write("\n".join([bars, *rows[:-1]])))
    assert one_row_lost.is_numbered


def test_a_row_that_broke_off_is_named_and_the_next_one_read(write):
    lines = [f"{step}/400 {printed(int(step))}" for step in STEPS]
    lines[3] = lines[3][:90]
    log = read(write("\n".join(lines) + "\n"))
    np.testing.assert_array_equal(log.step, np.delete(STEPS, 3))
    assert any("line 4" in note for note in log.notes)


@pytest.mark.parametrize(
    "text", ["{'a': 1, 'b': 2}\n", "x = {'loss': 1}\n", "{'beta': 1, 'lr': 2}"]
)
def test_other_dictionaries_are_no_log(write, text):
    with pytest.raises(BadLog):
        read(write(text * 20))


@pytest.mark.parametrize(
    "hostile",
    [
        "{'loss': __import__('os').abort(), 'reward': 1}\n",
        "{'loss': " + "(" * 5000 + "\n",
        "{'loss': " + "-" * 9000 + "1, 'reward': 2}\n",
        "{'loss': 9**9**9**9, 'reward': 1}\n",
        "{'loss': '" + "\\'" * 8000 + "\n",
        "{\n" * 5000,
    ],
    ids=["call", "brackets", "signs", "power", "quotes", "opened"],
)
def test_a_dictionary_made_to_do_harm_is_left_out(write, hostile):
    rows = "".join(f"{step}/400 {printed(int(step))}\n" for step in STEPS)
    begin = time.monotonic()
    same_as_printed(read(write(rows + hostile)))
    assert not is_trainer_console(hostile)
    assert time.monotonic() - begin < 10
