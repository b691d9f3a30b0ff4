import math
from random import Random

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks import make_task
from trainer.tasks.stories import grammar
from trainer.tasks.stories.reading import read

FOX = (
    "once a shy fox lived in the woods. it was very hungry. then a storm came. "
    "the fox did not give up. in the end everyone was happy."
)
PHRASES = {
    "goal": grammar.GOALS,
    "event": grammar.EVENTS,
    "ending": grammar.ENDINGS,
    "place": grammar.PLACES,
}


@pytest.fixture(scope="module")
def task():
    return make_task("stories")


def prompt_for(task, character, place=None):
    wanted = {"character": character, "place": place}
    return next(p for s in ("train", "eval") for p in task.prompts(s) if p.data == wanted)


def score(task, text, character="fox", place=None):
    return task.score([prompt_for(task, character, place)], [text])


def test_a_story_of_the_grammar_is_perfect(task):
    result = score(task, FOX)
    assert result.score == [1]
    assert {name: part.tolist() for name, part in result.parts.items()} == {
        "grammar": [1],
        "coherence": [1],
        "length": [1],
    }
    assert score(task, FOX, place="forest").score == [1]


def test_every_story_of_the_grammar_is_recognised(task):
    """Plot → words → plot, for every class, and always derived by the grammar."""
    rng = Random(0)
    for i in range(600):
        character = list(grammar.CHARACTERS)[i % 12]
        plot = grammar.draw_plot(rng, character)
        text = ". ".join(grammar.story_sentences(plot, rng)) + "."
        reading = read(text)
        assert None not in reading.kinds, text
        facts = (reading.character, reading.place, reading.goal, reading.event, reading.ending)
        assert facts == (plot.character, plot.place, plot.goal, plot.event, plot.ending)
        assert reading.coherence(character, plot.place) == 1
        assert reading.key == (plot.character, plot.goal, plot.event, plot.ending)


@pytest.mark.parametrize("kind", PHRASES)
def test_other_words_for_the_same_are_recognised_outside_the_grammar(kind):
    """Each phrase in a sentence that the grammar does not write."""
    for name, phrases in PHRASES[kind].items():
        for phrase in phrases:
            parts = {"place": "somewhere", "goal": "hm", "event": "hm", "ending": "nothing"}
            parts[kind] = phrase
            text = (
                f"There was a fox {parts['place']}. My fox truly {parts['goal']}! "
                f"And so {parts['event']}, you see. So {parts['ending']}."
            )
            assert getattr(read(text), kind) == name, text


def test_synonyms_have_one_key(task):
    prompt = prompt_for(task, "fox")
    other = FOX.replace("fox", "vixen").replace("was very hungry", "wanted to find food")
    another = FOX.replace("a storm came", "a thief took the map")
    keys = task.keys([prompt] * 4, [FOX, other, another, "xyz"])
    assert keys[0] == keys[1] == ("fox", "food", "storm", "happy")
    assert keys[2] == ("fox", "food", "thief", "happy")
    assert keys[3] is None


FLAWS = {
    "somebody else": FOX.replace("the fox did", "the bear did"),
    "no goal": FOX.replace("it was very hungry. ", ""),
    "no event": FOX.replace("then a storm came. ", ""),
    "no ending": FOX.replace(" in the end everyone was happy.", ""),
    "no beginning": FOX.split(". ", 1)[1],
    "wrong order": (
        "once a shy fox lived in the woods. then a storm came. it was very hungry. "
        "the fox did not give up. in the end everyone was happy."
    ),
    "twice": FOX.replace("it was very hungry.", "it was very hungry. it was very hungry."),
    "unfinished": FOX.rstrip("."),
    "never mentioned again": (
        "once a shy fox lived in the woods. then a storm came. in the end everyone was happy."
    ),
    "goes on": FOX + " then a storm came.",
    "noise": FOX.replace("then a storm came", "then qua storm zzz"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_lowers_the_score(task, flaw):
    result = score(task, FLAWS[flaw])
    assert result.score[0] < 0.85
    assert result.parts["coherence"][0] <= 0.5
    assert result.valid[0]


def test_a_wrong_character_or_place_lowers_the_score(task):
    assert score(task, FOX, "bear").score[0] < 0.8
    assert score(task, FOX, place="sea").parts["coherence"] == [0.5]


def test_the_length_reward_falls_outside_its_range(task):
    short = "once a shy fox lived in the woods."
    assert score(task, short).parts["length"] == pytest.approx(8 / 25)
    assert score(task, "the fox was tired. " * 12).parts["length"] == pytest.approx(1 - 3 / 45)
    assert score(task, "fox " * 500).parts["length"] == [0]
    strict = make_task("stories", weights={"length": 1.0, "grammar": 0.0, "coherence": 0.0})
    assert strict.score([prompt_for(strict, "fox")], [short]).score == pytest.approx(8 / 25)


@pytest.mark.parametrize("text", ["", " ", "...", "xyz", "\ud800\0", "a" * 100_000, "fox", "ß. ß!"])
def test_nothing_recognised_is_invalid(task, text):
    result = score(task, text)
    assert result.score == [0]
    assert not result.valid[0]
    dropped = make_task("stories", invalid="nan")
    assert math.isnan(score(dropped, text).score[0])


def test_case_and_punctuation_do_not_matter(task):
    assert score(task, FOX.upper().replace(". ", "!  ")).score == [1]


def test_train_and_eval_prompts_are_disjoint(task):
    train, held = task.prompts(), task.prompts("eval")
    assert len(train) + len(held) == 12 * 7
    assert len(held) == 17
    assert not {p.text for p in train} & {p.text for p in held}
    assert prompt_for(task, "owl").text == "a story about an owl:"
    assert prompt_for(task, "fox", "sea").text == "a story about a fox by the sea:"
    with pytest.raises(QdlawsError, match="train and eval"):
        task.prompts("cross")


def test_corpus_leaves_room_for_improvement(task):
    by_text = {p.text: p for s in ("train", "eval") for p in task.prompts(s)}
    means = {}
    for flawed in (0.0, 0.8, 1.0):
        pairs = make_task("stories", flawed=flawed).corpus(600, seed=0)
        result = task.score([by_text[a] for a, _ in pairs], [b for _, b in pairs])
        assert result.valid.mean() > 0.99
        means[flawed] = result.score.mean()
        # a story of four short sentences may have fewer than the 25 words wanted
        assert result.score.max() <= 1
    assert means[0.0] > 0.97
    assert means[1.0] < means[0.8] < 0.85


def test_diversity_counts_meanings_and_wordings(task):
    rng = Random(1)
    prompts = [p for p in task.prompts()[:6] for _ in range(8)]
    texts = [
        ". ".join(grammar.story_sentences(grammar.draw_plot(rng, p.data["character"]), rng)) + "."
        for p in prompts
    ]
    result = task.measure(prompts, texts)
    # 6³ equally likely classes: two plots agree with probability 1/216
    assert result["diversity"].value == pytest.approx(
        1 - 1 / 216, abs=3 * result["diversity"].se + 0.01
    )
    same = [texts[0]] * 24 + texts[24:]
    less = task.measure(prompts, same)
    assert less["diversity"].value < result["diversity"].value - 0.4
    assert less["diversity_wording"].value < result["diversity_wording"].value - 0.2
    unique = "diversity_wording_unique"
    assert less[unique].value == pytest.approx(result[unique].value, abs=0.1)
    one = task.measure(prompts[:8], texts[:8])
    assert np.isfinite(one["diversity"].value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"beauty": 1}}, "weights"),
        ({"weights": {"grammar": -1}}, "weights"),
        ({"min_words": 9, "max_words": 3}, "min_words=9"),
        ({"template": "a story"}, "about"),
        ({"flawed": 7}, "flawed=7"),
        ({"invalid": "?"}, "invalid"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message):
    with pytest.raises(QdlawsError, match=message):
        make_task("stories", **options)
