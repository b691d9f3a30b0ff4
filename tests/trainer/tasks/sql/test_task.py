import math
import re
import sqlite3

import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks import make_task
from trainer.tasks.sql.parsing import normalised_query, query_in
from trainer.tasks.sql.questions import Database, Question
from trainer.tasks.sql.sandbox import Limits, ReadOnlyDatabase
from trainer.tasks.sql.task import Sql

KEYWORDS = frozenset(
    {"select", "from", "where", "join", "on", "group", "by", "order", "desc", "limit"}
    | {"count", "max", "min", "avg", "sum", "distinct"}
)
BOMB = "with recursive c(x) as (select 1 union all select x+1 from c) select max(x) from c"

SPLITS = ("train", "eval", "cross")


@pytest.fixture(scope="module")
def task():
    made = make_task("sql")
    yield made
    made.close()


def small(questions, instances=1, **options):
    """A task on one table of three people."""
    people = [("ada", 30), ("ben", 20), ("cleo", 20)]
    other = [("dan", 50), ("eva", 40), ("gil", 41)]
    made = [
        ReadOnlyDatabase("create table p(name text, age integer)", {"p": rows}, Limits(rows=50))
        for rows in (people, other)[:instances]
    ]
    return Sql([Database("people", "p(name,age)", tuple(made))], {"train": questions}, **options)


OLDEST = Question("people", "who is the oldest", "select name from p order by age desc limit 1")
RANKED = Question("people", "ages, rising", "select age from p order by age", ordered=True)
ALL = Question("people", "all ages", "select age from p")


@pytest.mark.parametrize(
    ("question", "query", "score", "valid"),
    [
        (OLDEST, OLDEST.sql, 1, True),
        (OLDEST, "SELECT name FROM p WHERE age=(SELECT max(age) FROM p)", 1, True),
        (OLDEST, "```sql\nselect name from p limit 1;\n```", 1, True),
        (OLDEST, "select name,age from p limit 1", 0, True),
        (OLDEST, "select nom from p", 0, False),
        (OLDEST, "drop table p", 0, False),
        (OLDEST, "", 0, False),
        (RANKED, "select age from p order by age", 1, True),
        (RANKED, "select age from p order by age desc", 0, True),
        (ALL, "select age from p order by age desc", 1, True),
        (ALL, "select distinct age from p", 0, True),
        (ALL, "select age*1.0 from p", 1, True),
        (ALL, "select age from p, (select 1 union select 2)", 0, True),
        (ALL, "select a.age from p a, p b, p c, p d, p e", 0, True),
    ],
)
def test_a_query_with_the_gold_rows_scores_one(question, query, score, valid):
    task = small([question])
    result = task.score(task.prompts(), [query])
    assert result.score.tolist() == [score]
    assert result.valid.tolist() == [valid]


def test_a_second_instance_rejects_queries_right_by_chance():
    lucky = "select name from p where age=30"
    assert small([OLDEST]).score(small([OLDEST]).prompts(), [lucky]).score == [1]
    two = small([OLDEST], instances=2)
    assert two.score(two.prompts(), [lucky, OLDEST.sql][:1]).score == [0]
    assert two.score(two.prompts(), [OLDEST.sql]).score == [1]


def test_a_query_out_of_time_has_a_failed_score():
    task = small([OLDEST], instances=2)
    prompts = task.prompts() * 3
    result = task.score(prompts, [BOMB, OLDEST.sql, "?"])
    assert math.isnan(result.score[0])
    assert result.score[1:].tolist() == [1, 0]
    assert result.failed == 1
    assert result.valid.tolist() == [True, True, False]
    assert task.keys(prompts, [BOMB, OLDEST.sql, "?"])[0] is None
    figures = task.measure(prompts, [BOMB, OLDEST.sql, "?"])
    assert figures["pass@1"].value == 0.5


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select wrong from p", "no such column"),
        ("drop table p", "not authorized"),
        ("select a.age from p a,p b,p c,p d", "more than 50 rows"),
        (BOMB, "steps"),
    ],
)
def test_a_gold_query_that_fails_is_refused(sql, message):
    with pytest.raises(QdlawsError, match=f"gold query of 'why' fails.*{message}"):
        small([Question("people", "why", sql)])


def test_unknown_database_is_refused():
    with pytest.raises(QdlawsError, match="unknown 'nobody'"):
        small([Question("nobody", "why", "select 1")])


def test_keys_by_query_and_by_result():
    queries = [
        "select name from p where age>25",
        "SELECT Name\nFROM p WHERE age > 25;",
        "select name from p where age>=26",
        "select name from p where age>99",
        "broken",
    ]
    task = small([OLDEST])
    keys = task.keys(task.prompts() * 5, queries)
    assert keys[0] == keys[1] != keys[2]
    assert keys[4] is None
    task = small([OLDEST], equivalence="result")
    keys = task.keys(task.prompts() * 5, queries)
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert keys[3] is not None
    assert keys[4] is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("select A from T", "SELECT a FROM t ;"),
        ("select a from t where b<>'X'", "select \"a\" from [t] where `b` != 'X'"),
        ("select a from t order by b", "select a from t order by b asc -- up"),
        ("select a as b from t inner join u", "select a b from t join u /* both */"),
        ("select a from t where b==1.50", "select a  from t where b = 1.50"),
    ],
)
def test_equal_queries_have_one_normal_form(a, b):
    assert normalised_query(a) == normalised_query(b)


def test_different_queries_have_different_normal_forms():
    assert normalised_query("select 'A'") != normalised_query("select 'a'")
    assert normalised_query("select 'it''s as ;'") == "select 'it''s as ;'"
    assert normalised_query("select a, b") != normalised_query("select b, a")
    assert query_in("Here it is:\n```SQL\nselect 1\n```\nDone.") == "select 1"


# ---------------------------------------------------------------------- the generated task


def test_gold_queries_score_one_and_give_something(task):
    for split in SPLITS:
        prompts = task.prompts(split)
        assert task.score(prompts, [p.data["sql"] for p in prompts]).score.all()


def test_gold_rows_are_those_of_plain_python(task):
    """Three kinds of question answered from the rows without SQL."""
    checked = 0
    for prompt in task.prompts() + task.prompts("eval"):
        text = prompt.text.split("|")[1]
        instance = task._databases[prompt.data["database"]].instances[0]
        table = re.match(r"(\w+)\(id,name,(\w+),(\w+)\)", prompt.text)
        rows = instance.ask(f"select * from {table[1]}").rows
        answer = [r[0] for r in instance.ask(prompt.data["sql"]).rows]
        if m := re.fullmatch(
            rf"(?:how many|number of) {table[1]} (?:have|with) {table[2]} (\w+)", text
        ):
            assert answer == [sum(r[2] == m[1] for r in rows)]
        elif m := re.fullmatch(rf"which {table[1]} have {table[3]} over (\d+)", text):
            assert sorted(answer) == sorted(r[1] for r in rows if r[3] > int(m[1]))
        elif text == f"names of {table[1]} by falling {table[3]}":
            assert answer == [r[1] for r in sorted(rows, key=lambda r: -r[3])]
        else:
            continue
        checked += 1
    assert checked >= 10


def test_splits_share_no_query(task):
    sql = {split: {p.data["sql"] for p in task.prompts(split)} for split in SPLITS}
    assert not sql["train"] & sql["eval"]
    tables = {s: {re.match(r"\w+", p.text)[0] for p in task.prompts(s)} for s in SPLITS}
    assert not (tables["train"] | tables["eval"]) & tables["cross"]
    assert tables["eval"] <= tables["train"]
    assert [len(task.prompts(s)) for s in SPLITS] == [400, 100, 100]
    numbers = [p.number for s in SPLITS for p in task.prompts(s)]
    assert numbers == list(range(600))
    with pytest.raises(QdlawsError, match="train, eval, cross"):
        task.prompts("test")


def test_prompts_are_short_and_varied(task):
    prompts = [p for s in SPLITS for p in task.prompts(s)]
    assert max(len(p.text) for p in prompts) <= 120
    assert len({p.text for p in prompts}) == 600
    assert len({p.data["database"] for p in prompts}) > 60
    assert {p.data["ordered"] for p in prompts} == {True, False}
    shapes = {
        re.sub(r"\w+", lambda m: m[0] if m[0] in KEYWORDS else "_", p.data["sql"]) for p in prompts
    }
    assert len(shapes) >= 20


def test_a_wrong_query_is_rarely_right_by_chance(task):
    """Gold queries of other questions about the same database, in two instances."""
    train = task.prompts()
    right = tried = 0
    for prompt in train[:150]:
        others = {p.data["sql"] for p in train if p.data["database"] == prompt.data["database"]} - {
            prompt.data["sql"]
        }
        result = task.score([prompt] * len(others), sorted(others)).score
        right, tried = right + result.sum(), tried + len(others)
    assert tried > 300
    assert right / tried < 0.02


def test_corpus_shows_nothing_of_the_held_out_splits(task):
    pairs = task.corpus(4000, seed=5)
    held = {p.data["sql"] for s in ("eval", "cross") for p in task.prompts(s)}
    texts = {p.text for s in ("eval", "cross") for p in task.prompts(s)}
    assert not texts & {a for a, _ in pairs}
    assert not held & {b for _, b in pairs}
    about_cross = sum(a.startswith(("zoos", "airlines", "museums", "garages")) for a, _ in pairs)
    assert about_cross / 4000 == pytest.approx(0.2, abs=0.03)
    assert pairs == task.corpus(4000, seed=5)
    assert len({b for _, b in pairs}) > 800


def test_the_corpus_has_the_wanted_share_of_right_queries(task):
    standard, task = task, make_task("sql", right=0.5, cross_share=0.0, seed=1, instances=1)
    assert task.prompts() != standard.prompts()  # another seed
    by_text = {}
    for question in task._pools[0]:
        by_text[task._text(question)] = question.sql
    pairs = task.corpus(1000, seed=0)
    exact = sum(by_text[a] == b for a, b in pairs) / 1000
    assert exact == pytest.approx(0.5, abs=0.07)
    assert not any(a.startswith("zoos") for a, _ in pairs)


def test_the_cross_split_is_measured_like_the_others(task):
    prompts = [p for p in task.prompts("cross")[:20] for _ in range(4)]
    texts = [p.data["sql"] if i % 2 else "select 1" for i, p in enumerate(prompts)]
    result = task.measure(prompts, texts)
    assert result["pass@1"].value == pytest.approx(0.5, abs=0.05)
    assert result["pass@4"].value == 1
    assert result["diversity"].value == pytest.approx(2 / 3)
    # "select 1" happens to answer a question whose answer is 1, and is then another right one
    assert result["diversity_correct"].value < 0.1
    assert result["unique_share"].m == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 10**6}, "train=1000000"),
        ({"instances": 0}, "instances=0"),
        ({"equivalence": "same"}, "equivalence"),
        ({"template": "{question}"}, "template"),
        ({"invalid": "no"}, "invalid"),
        ({"eval_share": 2}, "eval_share"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(QdlawsError, match=message):
        make_task("sql", **options)


def test_a_gold_query_gives_the_same_rows_on_plain_sqlite(task):
    """The gold rows are what an ordinary connection gives."""
    instance = task._databases["shops-city-staff-price"].instances[0]
    plain = sqlite3.connect(":memory:")
    plain.execute("create table shops(id,name,city,staff)")
    rows = instance.ask("select * from shops").rows
    plain.executemany("insert into shops values (?,?,?,?)", rows)
    query = "select city,avg(staff) from shops group by city"
    assert sorted(instance.ask(query).rows) == sorted(plain.execute(query).fetchall())
