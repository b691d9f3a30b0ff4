"""The reading of a story: its sentences, which of them the grammar derives, and its plot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from trainer.tasks.stories.grammar import (
    CHARACTERS,
    ENDINGS,
    EVENTS,
    GOALS,
    KEYWORDS,
    MARKERS,
    NOUNS,
    PLACES,
    lexicon,
    patterns,
)

__all__ = ["Reading", "read"]

LONGEST = 2000
"""Characters that are read; what follows is ignored."""

_PHRASES = {
    "place": PLACES,
    "goal": GOALS,
    "event": EVENTS,
    "ending": ENDINGS,
    "character": CHARACTERS,
}


@dataclass(frozen=True)
class Reading:
    """The reading of a text; a class is None where the text does not have it."""

    sentences: tuple[str, ...]
    kinds: tuple[str | None, ...]
    """The part of the grammar that derives each sentence; None: none does."""
    finished: bool
    """The last sentence has its full stop."""
    character: str | None
    place: str | None
    goal: str | None
    event: str | None
    ending: str | None

    @property
    def key(self) -> tuple[str | None, ...] | None:
        """(character, goal, event, ending), the meaning of the story; None: nothing recognised."""
        classes = (self.character, self.goal, self.event, self.ending)
        return None if all(part is None for part in classes) else classes

    @property
    def words(self) -> list[str]:
        return " ".join(self.sentences).split()

    def share_derived(self) -> float:
        """The share of sentences that the grammar derives; half of the known words for another."""
        vocabulary = lexicon()
        credit = 0.0
        for sentence, kind in zip(self.sentences, self.kinds, strict=True):
            words = sentence.split()
            credit += 1 if kind else 0.5 * sum(word in vocabulary for word in words) / len(words)
        return credit / len(self.sentences) if self.sentences else 0.0

    def coherence(self, character: str, place: str | None) -> float:
        """½ for each of these that does not hold of a story about them: 1, .5, .25, …

        It opens with the character and in the place of the prompt; nobody else is in it; the
        character is mentioned again; goal, event and ending each come once and in this order; it
        closes with an ending and a full stop; no sentence comes twice.
        """
        if not self.sentences:
            return 0.0
        order = [kind for kind in self.kinds if kind not in (None, "detail")]
        others = {who for sentence in self.sentences for who in _nouns(sentence)} - {character}
        checks = [
            self.kinds[0] == "opening",
            self.character == character,
            place is None or self.place == place,
            not others,
            any(_mentions(sentence, character) for sentence in self.sentences[1:]),
            order == ["opening", "goal", "event", "ending"],
            self.kinds[-1] == "ending" and self.finished,
            len(set(self.sentences)) == len(self.sentences),
        ]
        return float(0.5 ** (len(checks) - sum(checks)))


def read(text: str) -> Reading:
    """The reading of a text; case, commas and quotation marks do not matter."""
    plain = re.sub(r"[^a-z.!?' ]+", " ", text[:LONGEST].lower()).strip()
    sentences = [" ".join(s.split()) for s in re.split(r"[.!?]+", plain)]
    sentences = [s for s in sentences if s]
    kinds, plot = [], {}
    for sentence in sentences:
        kind, classes = _derived(sentence)
        kinds.append(kind)
        for name, phrase_class in classes.items():
            # a story ends with its last ending; of all else the first counts
            if name == "ending" or name not in plot:
                plot[name] = phrase_class
    for name, part in _parts(sentences).items():
        if name not in plot and (guess := _by_keyword(name, part)) is not None:
            plot[name] = guess
    return Reading(
        tuple(sentences),
        tuple(kinds),
        finished=plain.endswith((".", "!", "?")),
        **{name: plot.get(name) for name in _PHRASES},
    )


# ---------------------------------------------------------------------- helpers


def _derived(sentence: str) -> tuple[str | None, dict[str, str]]:
    """The kind of a sentence of the grammar, and the class of each of its phrases."""
    for kind, pattern in patterns().items():
        match = pattern.match(sentence)
        if match:
            phrases = {k: v for k, v in match.groupdict().items() if v is not None}
            return kind, {name: _meaning(name)[phrase] for name, phrase in phrases.items()}
    return None, {}


def _parts(sentences: list[str]) -> dict[str, str]:
    """Where to look for each class: the place at the beginning, the ending at the end."""
    if not sentences:
        return {}
    starts = tuple(MARKERS)
    ends = [i for i, s in enumerate(sentences) if s.startswith(starts)]
    end = ends[-1] if ends else len(sentences) - 1
    middle = " . ".join(sentences[1:end] or sentences[:end])
    parts = {"character": " . ".join(sentences), "place": sentences[0]}
    if middle:
        parts |= {"goal": middle, "event": middle}
    if end > 0 or ends:
        parts["ending"] = sentences[end]
    return parts


def _by_keyword(kind: str, text: str) -> str | None:
    """The class whose word comes first in the text."""
    table = _keywords(kind)
    return next((table[word] for word in text.split() if word in table), None)


@cache
def _keywords(kind: str) -> dict[str, str]:
    return {word: name for name, words in KEYWORDS[kind].items() for word in words.split()}


@cache
def _meaning(kind: str) -> dict[str, str]:
    return {phrase: name for name, phrases in _PHRASES[kind].items() for phrase in phrases}


def _nouns(sentence: str) -> list[str]:
    return [NOUNS[word] for word in sentence.split() if word in NOUNS]


def _mentions(sentence: str, character: str) -> bool:
    pronouns = {"it", "its", "he", "she"}
    return character in _nouns(sentence) or not pronouns.isdisjoint(sentence.split())
