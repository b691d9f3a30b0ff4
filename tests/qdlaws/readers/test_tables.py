"""CSV, JSON and JSONL: damage is repaired and noted, or refused with the line it stands in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from qdlaws import BadLog, EntropyKind, MissingColumn
from qdlaws.readers import read


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str | bytes, name: str = "log") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


ROWS = "1,0.10,2.0\n2,0.20,1.9\n3,0.30,1.8\n4,0.40,1.7\n"
CSV = "step,reward,entropy\n" + ROWS
RECORDS = [{"step": s, "reward": s / 10, "entropy": 2.1 - s / 10} for s in (1, 2, 3, 4)]


SPELLINGS: dict[str, str | bytes] = {
    "plain": CSV,
    "no last line end": CSV.rstrip("\n"),
    "CRLF": CSV.replace("\n", "\r\n"),
    "CR": CSV.replace("\n", "\r"),
    "tabs": CSV.replace(",", "\t"),
    "semicolons": CSV.replace(",", ";"),
    "bars": CSV.replace(",", " | "),
    "decimal commas": CSV.replace(",", ";").replace(".", ","),
    "comments on top": "# made by hand\n\n" + CSV,
    "quotes": CSV.replace("step", '"step"'),
    "header repeated": CSV + "step,reward,entropy\n",
    "byte order mark": "\ufeff" + CSV,
    "gzip": gzip.compress(CSV.encode()),
    "UTF-16": CSV.encode("utf-16"),
    "JSON rows, backwards": json.dumps(RECORDS[::-1]),
    "JSON columns": json.dumps({name: [row[name] for row in RECORDS] for name in RECORDS[0]}),
    "JSON lines, nested": "\n".join(json.dumps({"step": r["step"], "m": r}) for r in RECORDS),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_one_log_in_many_spellings(write, text):
    log = read(write(text))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4])
    np.testing.assert_allclose(log.quality, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(log.entropy, [2.0, 1.9, 1.8, 1.7])
    assert log.kinds["entropy"] == EntropyKind.UNKNOWN


def test_thousands_separators(write):
    text = 'step;score\n1000;"1,234.5"\n2000;"12,345,678"\n3000;7\n'.replace(";", ",")
    log = read(write(text))
    np.testing.assert_allclose(log.quality, [1234.5, 12345678, 7])


def test_decimal_commas_only_where_the_file_shows_them(write):
    log = read(write("step;score\n1;1.234,5\n2;2,25\n3;3\n"))
    np.testing.assert_allclose(log.quality, [1234.5, 2.25, 3])
    threes = read(write("step;score\n1;1,234\n2;2,250\n3;3\n"))
    np.testing.assert_allclose(threes.quality, [1234, 2250, 3])


def test_unknown_values_are_nan(write):
    words = ["", "nan", "N/A", "inf", "null", "-", "0.5", "TRUE"]
    rows = "".join(f"{s},{word},1\n" for s, word in enumerate(words))
    log = read(write("step,reward,entropy\n" + rows))
    np.testing.assert_array_equal(log.quality, [*[np.nan] * 6, 0.5, 1.0])


def test_a_word_in_a_number_column_is_refused_with_its_line(write):
    path = write("step,reward,entropy\n1,0.1,2\n2,oops,1.9\n3,0.3,1.8\n")
    with pytest.raises(BadLog, match=r"log, line 3: 'oops' in column 'reward'"):
        read(path)
    assert len(read(write("step,reward,note\n1,.1,hi\n2,.2,there\n3,.3,5\n"))) == 3


def test_half_written_last_line_is_left_out(write):
    log = read(write(CSV + "5,0.5"))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4])
    assert any("half-written last line 6" in n for n in log.notes)
    log = read(write("reward,step\n.1,100\n.2,101\n.3,102\n.4,10"))  # 10 was to become 103
    np.testing.assert_array_equal(log.step, [100, 101, 102])


def test_broken_lines_are_named_and_many_are_refused(write):
    log = read(write(CSV + "5,0.5\n6,0.6,1.5\n"))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4, 6])
    assert any("line 6" in n for n in log.notes)
    with pytest.raises(BadLog, match=r"line 29: 2 fields .*first such line is 26"):
        read(write(CSV + ROWS * 5 + "5,0.5\n" * 9))


def test_no_header_and_no_rows_are_refused(write):
    for text in (ROWS, "step,reward\n", "", "   \n\n", "hello\nworld\n", "{", "[1, 2", "nothing"):
        with pytest.raises(BadLog):
            read(write(text))


def test_named_columns(write):
    path = write("t,loss,success,h\n10,1,0.1,3\n20,1,0.2,2\n30,1,0.3,1\n")
    log = read(path, step="t", quality="success", entropy="h")
    np.testing.assert_array_equal(log.step, [10, 20, 30])
    assert dict(log.names) == {"quality": "success", "entropy": "h"}
    with pytest.raises(MissingColumn, match="for diversity"):
        read(path, diversity="div")
    with pytest.raises(MissingColumn, match="for step"):
        read(path, step="tt")


def test_a_table_without_a_step_is_numbered(write):
    log = read(write("reward,entropy\n.1,2\n.2,1\n.3,.5\n"))
    np.testing.assert_array_equal(log.step, [0, 1, 2])
    assert any("numbered" in n for n in log.notes)


def test_resumed_run_overwrites_and_abandons(write):
    old = "".join(f"{s},{s / 100},1\n" for s in range(1, 21))
    new = "".join(f"{s},{s / 10},1\n" for s in range(11, 16))
    log = read(write("step,reward,entropy\n" + old + "step,reward,entropy\n" + new))
    np.testing.assert_array_equal(log.step, np.arange(1, 16))
    np.testing.assert_allclose(log.quality, [*np.arange(1, 11) / 100, *np.arange(11, 16) / 10])
    assert any("abandoned" in n for n in log.notes)


def test_rows_out_of_order_are_no_resumed_run(write):
    log = read(write("step,reward\n1,.1\n2,.2\n4,.4\n3,.3\n5,.5\n"))
    np.testing.assert_allclose(log.quality, [0.1, 0.2, 0.3, 0.4, 0.5])


def test_samples_are_averaged_with_a_standard_error(write):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 16))
    rows = "".join(f"{s},{v}\n" for s in range(5) for v in values[s])
    log = read(write("step,reward\n" + rows))
    np.testing.assert_allclose(log.quality, values.mean(axis=1))
    np.testing.assert_allclose(log.quality_se, values.std(axis=1, ddof=1) / 4)


def test_standard_errors_as_logged_and_from_a_spread(write):
    log = read(write("step,reward,reward_stderr\n1,.1,.01\n2,.2,.02\n"))
    np.testing.assert_allclose(log.quality_se, [0.01, 0.02])
    log = read(write("step,reward/mean,reward/std,n_samples\n1,.1,.4,16\n2,.2,.4,64\n"))
    np.testing.assert_allclose(log.quality_se, [0.1, 0.05])


def test_plain_evaluation_columns_are_kept_apart(write):
    rows = "".join(
        f"{s},{s / 50},{s / 100 if s % 5 == 0 else ''},{1 - s / 100}\n" for s in range(50)
    )
    path = write("step,reward,eval/accuracy,entropy\n" + rows)
    log = read(path)
    assert log.names["quality"] == "eval/accuracy"
    np.testing.assert_array_equal(log.step, np.arange(0, 50, 5))
    np.testing.assert_allclose(log.entropy, 1 - np.arange(0, 50, 5) / 100)
    assert read(path, series="train").names["quality"] == "reward"
    assert read(path, quality="reward").names["quality"] == "reward"
    with pytest.raises(MissingColumn, match="no evaluation"):
        read(write(CSV, "other"), series="eval")
    with pytest.raises(BadLog, match="series"):
        read(path, series="test")  # type: ignore[arg-type]


def test_wandb_export_of_the_pages(write):
    head = '"Step","a - reward","a - reward__MIN","a - reward__MAX"'
    log = read(write(head + '\n"1","0.1","0.1","0.1"\n"2","0.2","0.2","0.2"\n'))
    np.testing.assert_allclose(log.quality, [0.1, 0.2])
    two = write(head + ',"b - reward","b - reward__MIN"\n1,.1,.1,.1,.5,.5\n2,.2,.2,.2,.6,.6\n')
    with pytest.raises(BadLog, match="2 runs: a, b"):
        read(two)
    np.testing.assert_allclose(read(two, run="b").quality, [0.5, 0.6])


# ---------------------------------------------------------------------- JSON lines


def jsonl(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_our_own_run_folder(write, tmp_path: Path):
    rows = []
    for step in range(0, 101, 5):
        rows.append({"step": step, "phase": "train", "reward": 0.5, "entropy": 9.0, "kl": 1.0})
        if step % 10 == 0:
            row = {"step": step, "phase": "eval", "quality": step / 100, "quality_se": 0.01}
            row |= {"diversity": 0.9, "diversity_se": 0.02, "entropy": 20.0, "entropy_se": 0.3}
            row |= {"n_samples": 64, "kl": 0.1, "knobs": {"kl": 0.05}}
            rows.append(row | {"kinds": {"entropy": "sequence_entropy", "quality": "validity"}})
    write(jsonl(rows), "metrics.jsonl")
    write(jsonl([{"step": 5, "action": "wait"}]), "advice.jsonl")
    (tmp_path / "samples").mkdir()
    log = read(tmp_path)
    assert log.tool == "qdtrain"
    np.testing.assert_array_equal(log.step, np.arange(0, 101, 10))
    np.testing.assert_allclose(log.quality, np.arange(11) / 10)
    assert set(log.quality_se) == {0.01}
    assert set(log.diversity_se) == {0.02}
    assert set(log.entropy_se) == {0.3}
    assert log.kinds["entropy"] == EntropyKind.SEQUENCE
    assert log.kinds["quality"] == "validity"
    assert set(log.extra["knobs/kl"]) == {0.05}
    train = read(tmp_path, series="train")
    assert train.names["quality"] == "train/reward"
    assert len(train) == 21
    for name in ("reward", "train/reward"):
        assert read(tmp_path, quality=name).names["quality"] == "train/reward"
    assert read(tmp_path, quality="kl").names["quality"] == "kl"


def test_jsonl_cut_lines(write):
    rows = jsonl({"step": s, "reward": s / 10} for s in range(1, 40))
    log = read(write(rows + '{"step": 40, "rew'))
    assert len(log) == 39
    lines = rows.splitlines(keepends=True)
    killed = "".join(lines[:20]) + lines[20][:9] + "\n" + "".join(lines[21:])
    log = read(write(killed))
    assert len(log) == 38
    assert any("left out: line 21" in n for n in log.notes)
    with pytest.raises(BadLog, match="line 2: 4 of 5 lines"):
        read(write(lines[0] + "no json\n" * 30))


def test_prime_rl_writes_parts_of_a_step_into_several_files(tmp_path: Path):
    (tmp_path / "trainer").mkdir()
    (tmp_path / "orchestrator").mkdir()
    parts, rewards = [], []
    for step in range(10):
        parts += [
            {"step": step, "time": 1.0, "perf/throughput": 10.0},
            {"step": step, "time": 1.1, "optim/lr": 1e-6},
            {
                "step": step,
                "time": 1.2,
                "entropy/all/mean": 1 - step / 20,
                "mismatch_kl/all/mean": 0.1,
            },
            {"step": step, "time": 1.3, "time/step": 3.0},
            {"step": step, "time": 1.4, "disk/used": 3.0},
        ]
        rewards.append({"step": step, "time": 2.0, "train/agg/all/agent/reward/mean": step / 10})
    (tmp_path / "trainer/metrics.jsonl").write_text(jsonl(parts))
    (tmp_path / "orchestrator/metrics.jsonl").write_text(jsonl(rewards))
    log = read(tmp_path)
    assert log.tool == "prime-rl"
    np.testing.assert_array_equal(log.step, np.arange(10))
    np.testing.assert_allclose(log.quality, np.arange(10) / 10)
    np.testing.assert_allclose(log.entropy, 1 - np.arange(10) / 20)
    assert "kl" not in log.kinds  # the trainer against the sampler is no KL to a reference
    assert log.kinds["mismatch_kl/all/mean"].endswith("the sampling policy")


def test_ms_swift_logging(write):
    rows = [
        {"loss": 0.1, "reward": s / 10, "reward_std": 0.2, "kl": 0.01, "entropy/mean": 1.0,
         "global_step/max_steps": f"{s}/20", "percentage": f"{5 * s}%", "elapsed_time": "3s"}
        for s in range(1, 21)
    ]  # fmt: skip
    log = read(write(jsonl([*rows, {"train_runtime": 3.0, "global_step/max_steps": "20/20"}])))
    assert log.tool == "ms-swift"
    np.testing.assert_allclose(log.quality, np.arange(1, 21) / 10)
    assert log.kinds["entropy"] == EntropyKind.TOKEN


# ---------------------------------------------------------------------- console logs


def test_verl_line_prefixes_number_wrappers_and_cuts(write):
    line = "step:{} - actor/entropy:np.float64(0.{}) - critic/score/mean:-0.5{} - x/y:np.int32(2)"
    text = "\n".join(
        [
            "loading", "(TaskRunner pid=1)\x1b[0m " + line.format(1, 41, 1),
            "Progress:  3%|  | 1/9\r" + line.format(2, 42, 2),
            line.format(3, 43, 3)[: -len("y:np.int32(2)")] + "y:np.int32(2",
            line.format(4, 44, 4).replace("np.float64(0.44)", "nan"),
            "step:5 of the recipe",
        ]
    )  # fmt: skip
    log = read(write(text + "\n"))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4])
    np.testing.assert_allclose(log.quality, [-0.51, -0.52, -0.53, -0.54])
    np.testing.assert_allclose(log.entropy, [0.41, 0.42, 0.43, np.nan])
    np.testing.assert_allclose(log.extra["x/y"], [2, 2, np.nan, 2])  # the cut pair is not trusted


def test_openrlhf_log_line(write):
    def line(step: int) -> str:
        status = {"policy_loss": -0.1, "reward": step / 10, "kl": 0.01, "entropy_loss": 0.5,
                  "logprobs_diff": 0.0, "actor_lr": 1e-6, "name": "it's"}  # fmt: skip
        return f"INFO 08-13 10:00:00 ppo_trainer.py:140] ✨ Global step {step}: {status}\n"

    log = read(write("start\n" + "".join(line(s) for s in range(1, 12)) + line(12)[:70]))
    assert log.tool == "openrlhf"
    np.testing.assert_allclose(log.quality[:11], np.arange(1, 12) / 10)
    assert set(log.entropy[:11]) == {0.5}
    assert log.kinds["entropy"] == EntropyKind.TOKEN
    assert "k1" in log.kinds["kl"]
