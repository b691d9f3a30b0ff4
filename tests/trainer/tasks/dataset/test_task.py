import csv
import json
import math
import sys

import numpy as np
import pytest

from qdlaws.errors import BadData, QdlawsError
from tests.helpers import example_rewards as example
from trainer.tasks import make_task
from trainer.tasks.dataset import tables
from trainer.tasks.task import Prompt

ROWS = [
    {"prompt": f"question {i}", "answer": str(i), "topic": "a" if i % 2 else "b"} for i in range(60)
]


def write(path, rows=ROWS):
    """The rows as the file's ending says."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        pq.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            separator = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
    return str(path)


def dataset(path, **options):
    options = {"rewards": [example.correct], **options}
    return make_task("dataset", path=str(path), **options)


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_every_format_gives_the_same_task(tmp_path, kind):
    task = dataset(write(tmp_path / f"rows.{kind}"))
    reference = dataset(write(tmp_path / "reference.jsonl"))
    for split in ("train", "eval"):
        assert task.prompts(split) == reference.prompts(split)
    prompts = task.prompts()
    answers = [p.data["answer"] for p in prompts]
    assert task.score(prompts, answers).score.all()
    assert not task.score(prompts, ["no"] * len(prompts)).score.any()


def test_splits_follow_the_hash_of_the_prompt(tmp_path):
    task = dataset(write(tmp_path / "a.jsonl"), eval_share=0.2)
    train, held = ({p.text for p in task.prompts(s)} for s in ("train", "eval"))
    assert not train & held
    assert len(train | held) == 60
    assert 4 <= len(held) <= 20
    # other rows beside them, another order, every prompt twice: the same prompts are held out
    more = [{"prompt": f"another {i}", "answer": "1", "topic": "c"} for i in range(40)]
    other = dataset(write(tmp_path / "b.jsonl", [*more, *ROWS[::-1], *ROWS]), eval_share=0.2)
    assert {p.text for p in other.prompts("eval")} - {r["prompt"] for r in more} == held
    assert len({p.number for s in ("train", "eval") for p in other.prompts(s)}) == 160


def test_two_prompts_are_split_into_one_and_one(tmp_path):
    two = dataset(write(tmp_path / "two.jsonl", ROWS[:2]), eval_share=0.01)
    assert [len(two.prompts(s)) for s in ("train", "eval")] == [1, 1]
    most = dataset(write(tmp_path / "most.jsonl", ROWS[:3]), eval_share=1.0)
    assert [len(most.prompts(s)) for s in ("train", "eval")] == [1, 2]
    one = dataset(write(tmp_path / "one.jsonl", ROWS[:1]))
    assert one.prompts() == one.prompts("eval")
    assert one.traits.many_prompts is False
    none = dataset(write(tmp_path / "none.jsonl"), eval_share=0)
    assert none.prompts() == none.prompts("eval")


def test_a_second_file_is_held_out(tmp_path):
    held = write(tmp_path / "held.csv", ROWS[50:])
    task = dataset(write(tmp_path / "train.csv", ROWS[:50]), eval_path=held)
    assert [p.text for p in task.prompts("eval")] == [r["prompt"] for r in ROWS[50:]]
    assert len(task.prompts()) == 50
    assert task.prompts("eval")[0].number == 50
    with pytest.raises(QdlawsError, match="train and eval"):
        task.prompts("test")


def test_prompts_can_be_messages(tmp_path):
    system = {"role": "system", "content": "be brief"}
    user = {"role": "user", "content": "hello"}
    rows = [{"prompt": [user]}, {"prompt": [system, user]}]
    task = dataset(write(tmp_path / "m.jsonl", rows), rewards=[example.chat], eval_share=0)
    one, two = task.prompts()
    assert one.text == "hello"
    assert two.text == "system: be brief\nuser: hello"
    assert two.data["messages"] == [system, user]
    assert task.score([one, two], ["hello", "bye"]).score.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"prompt": "x"}\n\n{"prompt": 3}', "line 3: the prompt must be text"),
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": null}', "line 2: the prompt must be text"),
        ("a.jsonl", '{"prompt": "x"}\n{"promt": "y"}', "line 2: no column 'prompt'; found promt"),
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": ', "line 2: not JSON"),
        ("a.jsonl", '{"prompt": "x"}\n[1]', "line 2: an object was needed"),
        ("a.jsonl", '{"prompt": [{"role": "user"}]}', "line 1: the prompt must be text or a list"),
        ("a.jsonl", '{"prompt": []}', "line 1: the prompt must be"),
        ("a.jsonl", "", "no rows"),
        ("a.json", '{"prompt": "x"}', "a list of objects"),
        ("a.json", "[1,\n2", "line 2: not JSON"),
        ("a.csv", "prompt,answer\na,1\nb\n", "line 3: 1 values, not 2"),
        ("a.csv", "prompt,answer\na,1\nb,2,3\n", "line 3: 3 values, not 2"),
        ("a.csv", "question\nb\n", "line 2: no column 'prompt'; found question"),
        ("a.csv", "", "no rows"),
        ("a.parquet", "no parquet", "not a parquet file"),
        ("a.txt", "x", "one of .jsonl"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(QdlawsError, match=f"{name}.*{message}") as raised:
        make_task("dataset", path=str(path), rewards=[example.short])
    assert "\n" not in str(raised.value)


def test_a_binary_file_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"prompt": "\xff"}')
    with pytest.raises(QdlawsError, match="not UTF-8"):
        dataset(path)


def test_rows_are_limited(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jsonl")
    assert len(dataset(path, limit=7, eval_share=0).prompts()) == 7
    monkeypatch.setattr(tables, "MOST_ROWS", 59)
    with pytest.raises(QdlawsError, match="more than 59 rows; limit="):
        dataset(path)
    assert len(dataset(path, limit=60, eval_share=0).prompts()) == 60
    with pytest.raises(QdlawsError, match="limit=0"):
        dataset(path, limit=0)


def test_rewards_get_other_columns_and_miss_none(tmp_path):
    rows = [{"q": "a", "answer": "1"}, {"q": "b"}]
    task = dataset(write(tmp_path / "a.jsonl", rows), prompt="q", eval_share=0)
    assert task.prompts()[0] == Prompt(0, "a", {"answer": "1"})
    assert task.score(task.prompts(), ["1", "1"]).score.tolist() == [1, 0]
    with pytest.raises(QdlawsError, match="needs missing_column; there are prompt, answer"):
        dataset(tmp_path / "a.jsonl", prompt="q", rewards=[example.needs_more])


def test_failed_rewards_are_nan_and_counted(tmp_path):
    task = dataset(write(tmp_path / "a.jsonl"), rewards=[example.touchy])
    with pytest.warns(UserWarning, match="touchy"):
        result = task.score(task.prompts()[:3], ["ok", "boom", "word"])
    assert math.isnan(result.score[1])
    assert result.failed == 2
    assert result.failure.startswith("reward touchy failed: RuntimeError: it went boom")
    assert task.rewards.failures == {"touchy": 2}


def test_keys_follow_the_equivalence(tmp_path):
    path = write(tmp_path / "a.jsonl")
    texts = ["One two", "one, TWO!", " One two ", "one"]

    def keys(**options):
        task = dataset(path, **options)
        return task.keys(task.prompts()[:4], texts)

    exact = keys(equivalence="exact")
    assert exact[0] == exact[2] != exact[1]
    same = keys()
    assert same[0] == same[1] == same[2] != same[3]
    first = keys(equivalence=example.first_word)
    assert first == ["One", "one,", "One", "one"]
    topics = keys(equivalence=example.by_topic)
    assert all(isinstance(key, tuple) for key in topics)
    task = dataset(path, equivalence=example.first_word)
    with pytest.warns(UserWarning, match="first_word failed: IndexError"):
        assert task.keys(task.prompts()[:2], ["", "a b"]) == [None, "a"]
    for wrong, message in (
        ("similar", "'exact', 'normalised'"),
        ("tests.helpers.example_rewards:nothing", "has no nothing"),
    ):
        with pytest.raises(QdlawsError, match=message):
            keys(equivalence=wrong)


def test_diversity_and_pass_at_k_are_measured(tmp_path):
    calls = []

    def graded(text, answer):
        calls.append(text)
        return float(text == answer)

    path = write(tmp_path / "a.jsonl")
    task = dataset(path, rewards=[graded], binary=True, equivalence="normalised")
    prompts = [p for p in task.prompts()[:4] for _ in range(4)]
    texts = [p.data["answer"] if i % 4 == 0 else f"no {i % 2}" for i, p in enumerate(prompts)]
    task.score(prompts, texts)
    result = task.measure(prompts, texts)
    assert len(calls) == 16  # the scores just given were not asked for again
    assert result["pass@1"].value == 0.25
    assert result["pass@4"].value == 1
    assert result["solved"].value == 1
    assert result["diversity"].value == pytest.approx(5 / 6)
    assert result["unique_share"].m == 2
    assert task.measure(prompts[:8], texts[:8])["pass@1"].value == 0.25
    assert len(calls) == 24
    unknown = dataset(tmp_path / "a.jsonl")
    assert "pass@1" not in unknown.measure(prompts, texts)


def test_diversity_of_open_answers_is_by_words_unless_something_else_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl")
    prompts = [p for p in dataset(path).prompts()[:2] for _ in range(2)]
    texts = ["a red fox ran", "a red hen ran", "the sea is blue", "the sea was blue"]

    def told(**options):
        measures = dataset(path, **options).measure(prompts, texts)
        return measures["diversity"], measures

    words, every = told()
    assert 0 < words.value < 1  # exact equality reads 1 for any open answers
    assert every["diversity_equivalence"].value == 1
    assert words.kind.startswith("ngram_cosine")
    assert told(equivalence="normalised")[0].value == 1
    assert told(equivalence="exact", diversity="ngrams")[0].value == words.value

    def embed(texts):
        return np.array([[len(text), 1.0] for text in texts])

    vectors, every = told(embedding=embed)
    assert vectors.value == every["diversity_embedding"].value
    assert vectors.kind.startswith("embedding_cosine")
    task = dataset(path)
    assert task.distances(prompts, texts)[0, 1] == pytest.approx(
        every["diversity_ngrams"].value * 2 - task.distances(prompts, texts)[2, 3]
    )
    with pytest.raises(QdlawsError, match="did you mean 'ngrams'"):
        dataset(path, diversity="ngram")
    with pytest.raises(QdlawsError, match="needs embedding="):
        dataset(path, diversity="embedding")


def test_traits_are_those_the_user_states(tmp_path):
    path = write(tmp_path / "a.jsonl")
    traits = dataset(path).traits
    assert (traits.binary, traits.lowest, traits.highest) == (None, None, None)
    assert traits.many_prompts
    assert traits.equivalence
    traits = dataset(path, binary=True).traits
    assert (traits.binary, traits.lowest, traits.highest) == (True, 0, 1)
    traits = dataset(path, lowest=-1.0, highest=2.0).traits
    assert (traits.binary, traits.lowest, traits.highest) == (None, -1, 2)


def test_the_corpus_is_drawn_from_the_completions(tmp_path):
    rows = [{**row, "completion": row["answer"] * 2} for row in ROWS]
    task = dataset(write(tmp_path / "a.jsonl", rows))
    pairs = task.corpus(30, seed=0)
    train = {(p.text, p.data["completion"]) for p in task.prompts()}
    assert len(pairs) == 30
    assert set(pairs) <= train
    assert pairs == task.corpus(30, seed=0)
    with pytest.raises(QdlawsError, match="no text in a column 'gold'"):
        dataset(tmp_path / "a.jsonl", completion="gold").corpus(3, 0)


def test_one_source_of_rows_is_required(tmp_path):
    for options in ({}, {"path": "a.jsonl", "hub": "owner/name"}):
        with pytest.raises(QdlawsError, match="one of path= and hub="):
            make_task("dataset", rewards=[example.short], **options)
    with pytest.raises(QdlawsError, match="no such file"):
        dataset(tmp_path / "none.jsonl")
    with pytest.raises(QdlawsError, match="a list of"):
        make_task("dataset", path=write(tmp_path / "a.jsonl"))


def test_rows_can_come_from_the_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(QdlawsError, match="pip install datasets"):
        make_task("dataset", hub="owner/name", rewards=[example.short])

    class Hub:
        @staticmethod
        def load_dataset(name, config, split):
            if name != "owner/name":
                raise FileNotFoundError(f"{name} is nowhere\nmore lines")
            assert (config, split) == ("main", "test")
            return ROWS

    monkeypatch.setitem(sys.modules, "datasets", Hub)
    options = {"rewards": [example.correct], "hub_config": "main", "hub_split": "test"}
    task = make_task("dataset", hub="owner/name", eval_share=0, **options)
    assert [p.text for p in task.prompts()] == [r["prompt"] for r in ROWS]
    with pytest.raises(QdlawsError, match=r"owner is nowhere$"):
        make_task("dataset", hub="owner", **options)


def test_rewards_by_name_end_with_the_task_and_have_a_time_limit(tmp_path):
    path = write(tmp_path / "a.jsonl")
    name = "tests.helpers.example_rewards:stuck"
    task = make_task("dataset", path=path, rewards=[name], timeout=1.0)
    prompts = task.prompts()[:2]
    with pytest.warns(UserWarning, match="stuck failed: took longer than 1 s"):
        result = task.score(prompts, ["hang", "fine"])
    assert np.isnan(result.score).tolist() == [True, False]
    assert task.report() == {"timed_out": 1}
    resumed = dataset(path)
    resumed.load_state(json.loads(json.dumps(task.state_dict())))
    assert resumed.report() == {"timed_out": 1}
    task.close()
    with pytest.raises(QdlawsError, match="were closed"):
        task.score(prompts, ["hang", "fine"])
    with pytest.raises(QdlawsError, match="a timeout needs workers"):
        make_task("dataset", path=path, rewards=[name], timeout=1.0, workers=0)
    with pytest.raises(QdlawsError, match="workers=-1"):
        make_task("dataset", path=path, rewards=[name], workers=-1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"prompt": "a"}\n' + "[" * 100_000, "line 2: JSON nested too deeply"),
        ("a.json", "[" * 100_000, "JSON nested too deeply"),
        ("a.jsonl", '{"prompt": ' + "9" * 5000 + "}", "line 1: JSON with an integer of too many"),
        ("a.json", '[{"prompt": ' + "9" * 5000 + "}]", "JSON with an integer of too many digits"),
    ],
)
def test_json_beyond_reason_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadData, match=message):
        dataset(tmp_path / name)


def test_a_packed_table_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    """92 KiB became 900 MB of text."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = arrow.DictionaryArray.from_arrays(arrow.array([0] * 20_000), ["x" * 5_000])
    parquet.write_table(arrow.table({"prompt": column, "answer": column}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    monkeypatch.setattr(tables, "MOST_CHARACTERS", 10_000_000)
    with pytest.raises(QdlawsError, match="more than 10,000,000 characters in the first 1,00"):
        dataset(tmp_path / "a.parquet")
    assert len(dataset(tmp_path / "a.parquet", limit=100).prompts()) > 0


def test_an_equivalence_by_name_has_a_time_limit_and_ends_with_the_task(tmp_path):
    path = write(tmp_path / "a.jsonl")
    name = "tests.helpers.example_rewards:stuck"
    task = dataset(path, equivalence=name, timeout=1.0, workers=1)
    with pytest.warns(UserWarning, match="stuck failed: took longer than 1 s"):
        assert task.keys(task.prompts()[:2], ["hang", "fine"]) == [None, 1.0]
    task.close()
    with pytest.raises(QdlawsError, match="were closed"):
        task.keys(task.prompts()[:1], ["fine"])


def test_an_equivalence_that_calls_sys_exit_gives_no_key(tmp_path):
    task = dataset(write(tmp_path / "a.jsonl"), equivalence=example.odd)
    with pytest.warns(UserWarning, match="odd failed: SystemExit"):
        assert task.keys(task.prompts()[:2], ["exit", "a"]) == [None, 1.0]
