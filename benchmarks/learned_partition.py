"""Does the learned partition tell meanings apart where surface equivalences cannot?

    python benchmarks/learned_partition.py [--quick]

Generated sentences of who did what with what to whom and when: 36,960 meanings, each said with
synonyms, in active, passive, cleft and converse form (A sold B a car = B bought a car from A).
A pair says the same (another wording of one meaning) or it differs: a third of those are any two
sentences, a third differ in one slot or in who did it to whom, a third do so with as many words in
common as can be. The pairs that are tested are about meanings that no training pair was about.
Every surface measure gets its best threshold on the pairs that the learned one is trained on.

Printed: held-out accuracy with calibration; then groups of 12 sentences with 1–8 meanings, as a
policy might produce them, and how well each equivalence counts their classes (union–find).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qdlaws import measure
from qdlaws.measure import partition
from qdlaws.measure.equivalence.pairs import best_threshold

PEOPLE = [
    ("the doctor", "the physician", "the medic"),
    ("the lawyer", "the attorney", "the legal counsel"),
    ("the teacher", "the instructor", "the schoolmaster"),
    ("the child", "the kid", "the youngster"),
    ("the officer", "the cop", "the policeman"),
    ("the boss", "the manager", "the supervisor"),
    ("the farmer", "the grower", "the rancher"),
    ("the writer", "the author", "the novelist"),
    ("the sailor", "the seaman", "the mariner"),
    ("the soldier", "the trooper", "the infantryman"),
    ("the thief", "the robber", "the burglar"),
    ("the singer", "the vocalist", "the crooner"),
]
THINGS = [
    ("a car", "an automobile", "a motorcar"),
    ("a house", "a home", "a dwelling"),
    ("a picture", "a painting", "a canvas"),
    ("a phone", "a mobile", "a handset"),
    ("a bike", "a bicycle", "a two-wheeler"),
    ("a boat", "a small ship", "a vessel"),
    ("a couch", "a sofa", "a settee"),
    ("a stone", "a rock", "a pebble"),
]
WHEN = [
    ("yesterday", "the day before today", "one day ago"),
    ("last week", "seven days ago", "a week ago"),
    ("at night", "after dark", "when it was dark"),
    ("in the morning", "at dawn", "before noon"),
    ("in winter", "in the cold season", "when it snowed"),
]
# active verb, passive participle, converse verb (who got it, from whom): three wordings each
EVENTS = [
    (("sold", "traded away"), ("sold", "traded away"), ("bought", "purchased", "acquired")),
    (("lent", "loaned"), ("lent", "loaned"), ("borrowed", "took on loan")),
    (("gave", "donated"), ("given", "donated"), ("received", "was presented with")),
    (("posted", "mailed"), ("posted", "mailed"), ("got by post", "got by mail")),
    (("showed", "displayed"), ("shown", "displayed"), ("looked at", "viewed")),
    (("rented out", "leased out"), ("rented out", "leased out"), ("hired", "took on lease")),
    (("returned", "gave back"), ("returned", "given back"), ("got back", "recovered")),
]


@dataclass(frozen=True)
class Meaning:
    """What a sentence says: numbers into the tables above."""

    event: int
    giver: int
    taker: int
    thing: int
    when: int


def meaning(rng: np.random.Generator) -> Meaning:
    giver, taker = rng.choice(len(PEOPLE), 2, replace=False)
    event, thing, when = (int(rng.integers(len(t))) for t in (EVENTS, THINGS, WHEN))
    return Meaning(event, int(giver), int(taker), thing, when)


def say(what: Meaning, rng: np.random.Generator) -> str:
    """One wording of a meaning."""

    def one(options):
        return options[rng.integers(len(options))]

    active, passive, converse = (one(verbs) for verbs in EVENTS[what.event])
    giver, taker = one(PEOPLE[what.giver]), one(PEOPLE[what.taker])
    thing, when = one(THINGS[what.thing]), one(WHEN[what.when])
    core = one(
        [
            f"{giver} {active} {thing} to {taker}",
            f"{thing} was {passive} to {taker} by {giver}",
            f"{taker} {converse} {thing} from {giver}",
            f"it was {giver} who {active} {thing} to {taker}",
            f"it was {taker} who {converse} {thing} from {giver}",
        ]
    )
    return one([f"{core} {when}", f"{when} {core}", f"{when}, so they say, {core}"])


def changed(what: Meaning, rng: np.random.Generator) -> Meaning:
    """Another meaning: one slot differs, or who gave and who took are exchanged."""
    slot = rng.choice(["roles", "event", "giver", "taker", "thing", "when"])
    if slot == "roles":
        return replace(what, giver=what.taker, taker=what.giver)
    while True:
        other = replace(what, **{str(slot): getattr(meaning(rng), str(slot))})
        if other != what and other.giver != other.taker:
            return other


def another(what: Meaning, text: str, rng: np.random.Generator) -> str:
    """What a pair that differs is made of: any sentence, a close one, or the worst of six close.

    The worst has most words in common with the text: the same wording, one slot or the roles apart.
    """
    kind = rng.integers(3)
    if kind == 0:
        return say(meaning(rng), rng)
    words = set(text.split())
    close = (say(changed(what, rng), rng) for _ in range(1 if kind == 1 else 6))
    return max(close, key=lambda other: len(words & set(other.split())))


def labelled(
    count: int, seed: int, avoid: frozenset[Meaning] = frozenset()
) -> tuple[list[tuple[str, str]], np.ndarray, list[Meaning]]:
    """Pairs, whether they say the same, and the meaning they are about, none of those avoided."""
    rng = np.random.default_rng(seed)
    pairs, same, group = [], [], []
    seen: set[Meaning] = set()
    while len(seen) < count:
        what = meaning(rng)
        if what in seen or what in avoid:
            continue
        seen.add(what)
        for label in (1, 0):
            text = say(what, rng)
            other = say(what, rng) if label else another(what, text, rng)
            pairs.append((text, other))
            same.append(label)
            group.append(what)
    return pairs, np.array(same, float), group


# ---------------------------------------------------------------------- what people use instead


def overlap(a: str, b: str) -> float:
    x, y = set(a.split()), set(b.split())
    return len(x & y) / max(len(x), len(y))


def edit(a: str, b: str) -> float:
    return 1 - measure.edit_diversity([a, b], tokenizer=str.split).value


def bigrams(a: str, b: str) -> float:
    x, y = ({tuple(t.split()[i : i + 2]) for i in range(len(t.split()) - 1)} for t in (a, b))
    return len(x & y) / max(len(x | y), 1)


def cosine(a: str, b: str) -> float:
    letters = [{t[i : i + 3] for i in range(len(t) - 2)} for t in (a, b)]
    return len(letters[0] & letters[1]) / np.sqrt(len(letters[0]) * len(letters[1]))


SURFACE: dict[str, Callable[[str, str], float]] = {
    "exact": lambda a, b: float(a == b),
    "word overlap": overlap,
    "word edit similarity": edit,
    "bigram Jaccard": bigrams,
    "character 3-gram cosine": cosine,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a third of the data")
    options = parser.parse_args()
    count, groups = (2000, 60) if options.quick else (6000, 300)
    pairs, same, group = labelled(count, seed=0)
    start = time.perf_counter()
    learned = measure.train_partition(pairs, same, groups=group, held_out=0.1, epochs=6)
    spent = time.perf_counter() - start
    print(f"{len(pairs)} labelled pairs, trained in {spent:.0f} s\n{learned.report}\n")

    tests = 500 if options.quick else 2000
    test_pairs, test_same, _ = labelled(tests, seed=1, avoid=frozenset(group))
    trained = {text for pair in pairs for text in pair}
    fresh = [i for i, (a, b) in enumerate(test_pairs) if a not in trained and b not in trained]
    test_pairs, test_same = [test_pairs[i] for i in fresh], test_same[fresh]
    cases = [many(np.random.default_rng(100 + i)) for i in range(groups)]
    print(f"{len(test_pairs)} fresh pairs; {groups} groups of 12 sentences with 1–8 meanings\n")
    print(
        f"{'equivalence':28} {'accuracy':>8} {'cut':>6} {'classes off by':>16} {'pairs right':>12}"
    )
    rows = []
    for name, similarity in SURFACE.items():
        some = np.random.default_rng(2).permutation(len(pairs))[:4000]
        scores = np.array([similarity(*pairs[i]) for i in some])
        cut = best_threshold(scores, same[some])
        right = np.mean(
            [(similarity(*p) >= cut) == bool(s) for p, s in zip(test_pairs, test_same, strict=True)]
        )
        equal = lambda a, b, f=similarity, c=cut: f(a, b) >= c  # noqa: E731
        rows.append((name, right, cut, *counted(cases, equal)))
    right = np.mean((learned.probabilities(test_pairs) >= learned.threshold) == test_same)
    rows.append(("learned", right, learned.threshold, *counted(cases, learned.equivalence())))
    for name, right, cut, off, agree in rows:
        print(f"{name:28} {right:8.3f} {cut:6.3f} {off:16.2f} {agree:12.3f}")
    best = max(rows[:-1], key=lambda row: row[1])
    print(f"\nlearned {rows[-1][1]:.3f}, best surface one ({best[0]}) {best[1]:.3f}")
    if rows[-1][1] <= best[1]:
        raise SystemExit("the learned partition did not win")


def many(rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Twelve sentences with 1–8 meanings close to each other, and which meaning each has."""
    first = meaning(rng)
    meanings = [first]
    wanted = int(rng.integers(1, 9))
    while len(meanings) < wanted:
        other = changed(meanings[rng.integers(len(meanings))], rng)
        if other not in meanings:
            meanings.append(other)
    label = np.concatenate([np.arange(wanted), rng.integers(0, wanted, 12 - wanted)])
    return [say(meanings[i], rng) for i in label], label


def counted(cases, same) -> tuple[float, float]:
    """(mean absolute error of the number of classes, share of pairs put right)."""
    off, agree = [], []
    for texts, label in cases:
        found = partition(texts, same)
        off.append(abs(len(set(found.tolist())) - len(set(label.tolist()))))
        upper = np.triu_indices(len(texts), 1)
        agree.append(
            np.mean(((found[:, None] == found) == (label[:, None] == label))[upper]),
        )
    return float(np.mean(off)), float(np.mean(agree))


if __name__ == "__main__":
    main()
