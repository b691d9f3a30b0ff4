"""The small grammar of the stories: words, phrases, and the meaning of each phrase.

    story   := opening goal [detail] event [detail] ending
    opening := (once | long ago | …) a ADJECTIVE CHARACTER lived PLACE
    goal    := (the CHARACTER | it) GOAL          event := CONNECTOR EVENT
    ending  := MARKER ENDING                      detail := the CHARACTER MOOD

Every phrase of a class says the same in other words; a class is the meaning of a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

__all__ = [
    "CHARACTERS",
    "ENDINGS",
    "EVENTS",
    "GOALS",
    "KEYWORDS",
    "MARKERS",
    "NOUNS",
    "PLACES",
    "Plot",
    "draw_plot",
    "lexicon",
    "patterns",
    "story_sentences",
    "with_flaw",
]

Phrases = Mapping[str, tuple[str, ...]]

CHARACTERS: Phrases = {
    "fox": ("fox", "vixen"),
    "bear": ("bear",),
    "girl": ("girl", "maiden"),
    "boy": ("boy", "lad"),
    "king": ("king", "ruler"),
    "robot": ("robot", "machine"),
    "mouse": ("mouse",),
    "witch": ("witch", "sorceress"),
    "sailor": ("sailor", "captain"),
    "dragon": ("dragon",),
    "owl": ("owl",),
    "dog": ("dog", "hound"),
}
PLACES: Phrases = {
    "forest": ("in a deep forest", "in the woods"),
    "sea": ("by the sea", "near the ocean"),
    "castle": ("in an old castle", "in a tall tower"),
    "village": ("in a small village", "in a quiet town"),
    "desert": ("in a hot desert", "among the dunes"),
    "mountain": ("on a high mountain", "in the hills"),
}
GOALS: Phrases = {
    "food": ("wanted to find food", "was looking for something to eat", "was very hungry"),
    "treasure": ("wanted to find a treasure", "dreamed of gold", "was searching for jewels"),
    "friend": ("wanted to find a friend", "felt alone and looked for company", "was lonely"),
    "home": ("wanted to go home", "was looking for the way home", "missed its home"),
    "song": ("wanted to learn a song", "dreamed of making music", "hoped to sing well"),
    "moon": ("wanted to touch the moon", "dreamed of flying to the stars", "longed for the sky"),
}
EVENTS: Phrases = {
    "storm": ("a storm came", "heavy rain fell", "the wind blew and thunder rolled"),
    "thief": ("a thief took the map", "the bag was stolen", "a robber ran off with everything"),
    "stranger": ("a stranger passed by", "an old woman offered help", "a traveller gave advice"),
    "fall": ("it fell into a hole", "it slipped and hurt a leg", "it tumbled down a cliff"),
    "lost": ("it lost the path", "it took a wrong turn", "it walked in circles"),
    "magic": ("a magic lamp appeared", "a spell changed everything", "a wish came true"),
}
ENDINGS: Phrases = {
    "happy": ("all was well", "everyone was happy", "they lived in joy"),
    "sad": ("nothing was left but tears", "it cried all night", "hope was gone"),
    "lesson": ("it learned to share", "it understood that patience helps", "it became wise"),
    "party": ("there was a great feast", "they danced until morning", "the whole town celebrated"),
    "sleep": ("it fell asleep", "it went to bed", "it rested under a tree"),
    "journey": ("it went on its way", "it set out again", "a new road lay ahead"),
}
NOUNS = {noun: name for name, nouns in CHARACTERS.items() for noun in nouns}
ADJECTIVES = ("little", "old", "clever", "brave", "shy", "lazy", "kind", "proud")
OPENERS = ("once", "long ago", "one winter", "many years ago")
LIVING = ("lived", "made its home")
CONNECTORS = ("then", "one day", "suddenly", "that night", "on the way")
MARKERS = ("in the end", "finally", "at last")
MOODS = ("was afraid", "was tired", "did not give up", "kept going", "waited for a while")

KEYWORDS: Mapping[str, Mapping[str, str]] = {
    "character": {name: " ".join(nouns) for name, nouns in CHARACTERS.items()},
    "place": {
        "forest": "forest woods",
        "sea": "sea ocean",
        "castle": "castle tower",
        "village": "village town",
        "desert": "desert dunes",
        "mountain": "mountain hills",
    },
    "goal": {
        "food": "food eat hungry meal bread",
        "treasure": "treasure gold jewels riches",
        "friend": "friend company alone lonely",
        "home": "home house",
        "song": "song music sing",
        "moon": "moon stars sky",
    },
    "event": {
        "storm": "storm rain wind thunder",
        "thief": "thief stolen robber stole",
        "stranger": "stranger woman traveller",
        "fall": "fell slipped tumbled",
        "lost": "lost wrong circles",
        "magic": "magic spell wish",
    },
    "ending": {
        "happy": "well happy joy happily",
        "sad": "tears cried gone sad",
        "lesson": "learned understood wise",
        "party": "feast danced celebrated party",
        "sleep": "asleep bed rested slept",
        "journey": "way again road",
    },
}
"""Words that give a class away where a sentence is not one of the grammar's."""


@dataclass(frozen=True)
class Plot:
    """The plot of a story: the classes of its phrases."""

    character: str
    place: str
    goal: str
    event: str
    ending: str


def draw_plot(rng: Random, character: str, place: str | None = None) -> Plot:
    """A plot for the character; the rest, and the place where None, drawn evenly."""
    return Plot(
        character,
        place or rng.choice(list(PLACES)),
        rng.choice(list(GOALS)),
        rng.choice(list(EVENTS)),
        rng.choice(list(ENDINGS)),
    )


def story_sentences(plot: Plot, rng: Random) -> list[str]:
    """The plot in sentences, without full stops."""
    noun = rng.choice(CHARACTERS[plot.character])
    adjective = rng.choice(ADJECTIVES)
    article = "an" if adjective[0] in "aeiou" else "a"
    opening = (
        f"{rng.choice(OPENERS)} {article} {adjective} {noun} {rng.choice(LIVING)} "
        f"{rng.choice(PLACES[plot.place])}"
    )
    sentences = [
        opening,
        f"{rng.choice((f'the {noun}', 'it'))} {rng.choice(GOALS[plot.goal])}",
        f"{rng.choice(CONNECTORS)} {rng.choice(EVENTS[plot.event])}",
        f"{rng.choice(MARKERS)} {rng.choice(ENDINGS[plot.ending])}",
    ]
    if rng.random() < 0.7:
        sentences.insert(rng.choice((2, 3)), f"the {noun} {rng.choice(MOODS)}")
    return sentences


def with_flaw(sentences: list[str], rng: Random) -> list[str]:
    """The story with one more flaw, of a kind that a half-trained writer makes."""
    flaw = rng.choice(("missing", "swapped", "twice", "stranger", "jumbled", "unfinished"))
    sentences = list(sentences)
    i = rng.randrange(len(sentences))
    if flaw == "missing" and len(sentences) > 1:
        del sentences[i]
    elif flaw == "swapped" and len(sentences) > 1:
        j = rng.randrange(len(sentences))
        sentences[i], sentences[j] = sentences[j], sentences[i]
    elif flaw == "twice":
        sentences.insert(i, sentences[i])
    elif flaw == "stranger":
        other = rng.choice(list(CHARACTERS))
        sentences[i] = " ".join(
            other if word.strip(".") in NOUNS else word for word in sentences[i].split()
        )
    elif flaw == "jumbled":
        words = sentences[i].rstrip(".").split()
        rng.shuffle(words)
        sentences[i] = " ".join(words) + "."
    elif flaw == "unfinished":
        words = sentences[-1].rstrip(".").split()
        sentences[-1] = " ".join(words[: rng.randint(1, len(words))])
    return sentences


@cache
def patterns() -> dict[str, re.Pattern[str]]:
    """kind of sentence → the pattern of the sentences that the grammar derives."""
    noun = _any(n for nouns in CHARACTERS.values() for n in nouns)
    return {
        "opening": _whole(
            f"{_any(OPENERS)} an? {_any(ADJECTIVES)} (?P<character>{noun}) {_any(LIVING)} "
            f"(?P<place>{_any(_all(PLACES))})"
        ),
        "goal": _whole(f"(?:the (?P<character>{noun})|it) (?P<goal>{_any(_all(GOALS))})"),
        "event": _whole(f"{_any(CONNECTORS)} (?P<event>{_any(_all(EVENTS))})"),
        "ending": _whole(f"{_any(MARKERS)} (?P<ending>{_any(_all(ENDINGS))})"),
        "detail": _whole(f"the (?P<character>{noun}) {_any(MOODS)}"),
    }


@cache
def lexicon() -> frozenset[str]:
    """Every word that the grammar can write."""
    phrases = [*OPENERS, *LIVING, *CONNECTORS, *MARKERS, *MOODS, *ADJECTIVES, "a an the it"]
    for table in (CHARACTERS, PLACES, GOALS, EVENTS, ENDINGS):
        phrases += _all(table)
    return frozenset(" ".join(phrases).split())


# ---------------------------------------------------------------------- helpers


def _all(table: Phrases) -> list[str]:
    return [phrase for phrases in table.values() for phrase in phrases]


def _any(phrases: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(p) for p in sorted(phrases, key=len, reverse=True)) + ")"


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\A{pattern}\Z")
