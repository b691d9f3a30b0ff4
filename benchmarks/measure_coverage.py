"""Do the 95 % intervals of qdlaws.measure hold the population value in 95 % of samples?

    python benchmarks/measure_coverage.py [--quick]

Every case draws fresh samples from a known population and asks the public function for its
interval. Measures that do not depend on the sample size must cover 93–97 %, shares within 1/n of
0 or 1 at least 93 %, measures at a stated sample size m (their truth: the mean over 20,000 fresh
samples of size m) 90–98 %. Beside it, in the same run, what people use instead: for means and
shares value ± 1.96·s/√n without clusters (the Wald interval for shares), for pairs s/√(number of
pairs), for measures at m the percentile bootstrap of the whole sample.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qdlaws import measure
from qdlaws.measure import Estimate, tanimoto_matrix

N = 100
Draw = Callable[[np.random.Generator], object]


@dataclass(frozen=True)
class Case:
    """One population, one measure of its samples, the truth, and the interval of a peer."""

    name: str
    draw: Draw
    estimate: Callable[[object], Estimate]
    truth: float | Callable[[], float]  # called once, where it takes a simulation
    band: tuple[float, float]
    peer: Callable[[object, np.random.Generator], tuple[float, float]]


PLAIN, EDGE, SIZED = (0.93, 0.97), (0.93, 1.0), (0.90, 0.98)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 repeats instead of 2,000")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--peers", type=int, default=200, help="repeats that the peer gets")
    options = parser.parse_args()
    repeats = 200 if options.quick else 2000
    # a true coverage of .95 lies within 3 binomial errors of itself
    slack = 3 * math.sqrt(0.95 * 0.05 / repeats) if options.quick else 0.0
    print(f"coverage of nominal 95 % intervals, {repeats} repeats, n = {N} unless said\n")
    print(f"{'measure':44} {'truth':>9} {'ours':>6} {'peer':>6} {'band':>12}  {'no se':>6}   s")
    bad = 0
    for make in (quality_cases, entropy_cases, pair_cases, class_cases, text_cases):
        for case in make(20_000 if repeats == 2000 else 3000):
            if options.only in case.name:
                bad += not run(case, repeats, slack, options.peers)
    print(f"\n{'all inside their band' if not bad else f'{bad} outside their band'}")


def run(case: Case, repeats: int, slack: float, peers_wanted: int) -> bool:
    start = time.perf_counter()
    truth = case.truth() if callable(case.truth) else case.truth
    rng = np.random.default_rng(abs(hash_of(case.name)))
    held = peer = unknown = peers = 0
    every = max(1, repeats // peers_wanted)  # the bootstrap is slow
    for i in range(repeats):
        sample = case.draw(rng)
        low, high = case.estimate(sample).interval()
        unknown += math.isnan(low)
        held += low <= truth <= high
        if i % every == 0:
            low, high = case.peer(sample, rng)
            peer += low <= truth <= high
            peers += 1
    share = held / max(repeats - unknown, 1)
    low, high = case.band[0] - slack, case.band[1] + slack
    fine = low <= share <= high
    print(
        f"{case.name:44} {truth:9.4f} {share:6.3f} {peer / peers:6.3f} "
        f"{case.band[0]:5.2f}–{case.band[1]:.2f}  {unknown:6d} {time.perf_counter() - start:5.0f}"
        f"{'' if fine else '  OUTSIDE'}",
        flush=True,
    )
    return fine


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode()[:6], "little") + len(name)


def expected(draw: Callable[[np.random.Generator], float], draws: int) -> float:
    rng = np.random.default_rng(0)
    return float(np.mean([draw(rng) for _ in range(draws)]))


def wald(values: np.ndarray) -> tuple[float, float]:
    mean, se = values.mean(), values.std(ddof=1) / math.sqrt(len(values))
    return mean - 1.96 * se, mean + 1.96 * se


# ---------------------------------------------------------------------- quality


def quality_cases(draws: int):
    def scores(rng):
        return rng.beta(0.8, 2.0, N)

    yield Case(
        "mean score, beta(.8, 2)",
        scores,
        measure.mean_score,
        0.8 / 2.8,
        PLAIN,
        lambda x, _: wald(x),
    )
    prompts = np.repeat(np.arange(40), 8)

    def clustered(rng):
        return rng.beta(0.5, 0.5, 40)[prompts] * 0.8 + 0.2 * rng.random(320)

    yield Case(
        "mean score, 40 prompts × 8",
        clustered,
        lambda x: measure.mean_score(x, prompts),
        0.5,
        PLAIN,
        lambda x, _: wald(x),
    )
    for p, band in ((0.3, PLAIN), (1 / N, EDGE), (0.2 / N, EDGE), (1 - 1 / N, EDGE)):
        yield Case(
            f"share of {p:.3f}",
            lambda rng, p=p: (rng.random(N) < p).astype(float),
            measure.mean_score,
            p,
            band,
            lambda x, _: wald(x),
        )
    population = np.random.default_rng(1).beta(0.6, 1.2, 100_000)

    def solved(rng):
        return rng.binomial(16, rng.choice(population, 60))

    for k in (1, 4, 16):
        yield Case(
            f"pass@{k}, 60 prompts × 16",
            solved,
            lambda c, k=k: measure.pass_at_k(c, np.full(60, 16), k),
            float(np.mean(1 - (1 - population) ** k)),
            PLAIN,
            lambda c, rng, k=k: wald(
                (rng.hypergeometric(c, 16 - c, k) > 0).astype(float)  # one draw of k a prompt
            ),
        )
    for p in (1 / 60, 1 - 1 / 60):
        yield Case(
            f"pass@1, solvable share {p:.3f}",
            lambda rng, p=p: 16 * (rng.random(60) < p),
            lambda c: measure.pass_at_k(c, np.full(60, 16), 1),
            p,
            EDGE,
            lambda c, _: wald(c / 16),
        )
    yield Case(
        "best of 8 at m = 8, N = 64, one prompt",
        lambda rng: rng.beta(0.8, 2.0, 64),
        lambda x: measure.best_of_n(x, 8),
        lambda: expected(lambda rng: rng.beta(0.8, 2.0, 8).max(), 10 * draws),
        SIZED,
        lambda x, rng: bootstrap(lambda rows: x[rows].max(), 8, rng),
    )
    yield Case(
        "best of 8, 60 prompts × 16",
        lambda rng: rng.choice(population, 60)[:, None] * rng.random((60, 16)),
        lambda x: measure.best_of_n(x, 8),
        float(population.mean()) * 8 / 9,
        SIZED,
        lambda x, _: wald(x.max(axis=1)),
    )


# ---------------------------------------------------------------------- entropy


def entropy_cases(draws: int):
    spread = np.random.default_rng(2).gamma(2.0, 0.5, 50_000)  # each sequence has its own level

    def logits(rng):
        """60 sequences of 5–20 tokens: logits of 8 words whose scale belongs to the sequence."""
        length = rng.integers(5, 21, 60)
        scale = rng.choice(spread, 60)
        # longer sequences are more certain: a mean of per-sequence means would be another number
        z = rng.normal(size=(60, 20, 8)) * (scale * length / 10)[:, None, None]
        return z, np.arange(20)[None] < length[:, None]

    rng = np.random.default_rng(3)
    total = count = 0.0
    for _ in range(400 if draws >= 20_000 else 100):
        z, mask = logits(rng)
        total += measure.token_entropies(z)[mask].sum()
        count += mask.sum()
    yield Case(
        "token entropy, 60 sequences",
        logits,
        lambda s: measure.token_entropy(s[0], mask=s[1]),
        total / count,
        PLAIN,
        lambda s, _: wald(measure.token_entropies(s[0])[s[1]]),
    )

    def likelihoods(rng):
        length = rng.integers(5, 21, 60)
        rate = rng.gamma(4.0, 0.25, 60)
        return [-rng.exponential(r, n) for r, n in zip(rate, length, strict=True)]

    yield Case(
        "token NLL, 60 sequences",
        likelihoods,
        measure.token_nll,
        1.0,
        PLAIN,
        lambda rows, _: wald(-np.concatenate(rows)),
    )
    yield Case(
        "sequence NLL, 60 sequences",
        likelihoods,
        measure.sequence_nll,
        12.5,
        PLAIN,
        lambda rows, _: wald(-np.array([r.sum() for r in rows])),
    )


# ---------------------------------------------------------------------- pairs


def nci(count: int) -> measure.Molecules:
    """Molecules of the NCI set that rdkit's wheel carries."""
    from rdkit import RDConfig

    lines = (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines()
    molecules = measure.read_molecules([line.split()[0] for line in lines[:count]])
    _ = molecules.scaffolds  # worked out once for all draws
    return molecules.take(np.arange(len(molecules.canonical)))


def pair_cases(draws: int):
    population = nci(3000)
    size = len(population.canonical)
    distance = 1 - tanimoto_matrix(population)
    weight = np.full(size, 1 / size)
    collapsed = np.full(size, 0.1 / size)
    collapsed[7] += 0.9  # nine samples in ten are one molecule
    for name, w in (("NCI", weight), ("NCI, 90 % one molecule", collapsed)):

        def draw(rng, w=w):
            rows = rng.choice(size, N, p=w)
            return population.take(rows), distance[np.ix_(rows, rows)]

        yield Case(
            f"internal diversity, {name}",
            draw,
            lambda s: measure.internal_diversity(s[0]),
            float(w @ distance @ w),
            PLAIN,
            lambda s, _: wald(s[1][np.triu_indices(N, 1)]),
        )
    yield Case(
        "internal diversity, 2,000 sampled pairs, n = 400",
        lambda rng: population.take(rng.choice(size, 400)),
        lambda s: measure.tanimoto_sampled(s, pairs=2000),
        1 - float(weight @ distance @ weight),
        PLAIN,
        lambda s, rng: wald(sampled_pairs(s, rng)),
    )
    vectors = np.random.default_rng(4).normal(size=(2000, 5)) + np.array([1.0, 0, 0, 0, 0])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = unit.mean(axis=0)

    def embedded(rng):
        return vectors[rng.integers(0, 2000, N)]

    yield Case(
        "mean pairwise cosine distance",
        embedded,
        lambda x: measure.embedding_diversity([""] * N, x),
        1 - float(mean @ mean),
        PLAIN,
        lambda x, _: wald(1 - (x @ x.T)[np.triu_indices(N, 1)]),
    )
    words = [" ".join(w) for w in np.random.default_rng(5).choice(list("abcdef"), (300, 6))]
    table = np.array([[levenshtein(a, b) for b in words] for a in words])

    yield Case(
        "mean pairwise edit distance",
        lambda rng: rng.integers(0, 300, N),
        lambda rows: measure.edit_diversity([words[i] for i in rows], tokenizer=str.split),
        float(table.mean()),
        PLAIN,
        lambda rows, _: wald(table[np.ix_(rows, rows)][np.triu_indices(N, 1)]),
    )


def sampled_pairs(molecules, rng) -> np.ndarray:
    bits = molecules.fingerprints.unpacked().astype(bool)
    a, b = rng.integers(0, len(bits), (2, 2000))
    return (bits[a] & bits[b]).sum(1) / (bits[a] | bits[b]).sum(1)


def levenshtein(a: str, b: str) -> float:
    x, y = a.split(), b.split()
    row = list(range(len(y) + 1))
    for i, s in enumerate(x, 1):
        new = [i]
        for j, t in enumerate(y, 1):
            new.append(min(row[j] + 1, new[-1] + 1, row[j - 1] + (s != t)))
        row = new
    return row[-1] / max(len(x), len(y))


# ---------------------------------------------------------------------- measures at a size m


def bootstrap(statistic, n: int, rng: np.random.Generator, of: int | None = None):
    """The percentile bootstrap: the statistic on n draws with replacement, 200 times."""
    values = [statistic(rng.integers(0, of or 64, n)) for _ in range(200)]
    return tuple(np.quantile(values, (0.025, 0.975)))


def class_cases(draws: int):
    population = nci(3000)
    size, half = len(population.canonical), N // 2
    label = np.unique(population.scaffolds, return_inverse=True)[1]
    kernel = tanimoto_matrix(population)
    zipf = 1 / np.arange(1, size + 1)
    zipf /= zipf.sum()

    def draw(rng, n=N, p=None):
        return rng.choice(size, n, p=p)

    def shannon(rows):
        p = np.bincount(label[rows])
        p = p[p > 0] / len(rows)
        return float(-(p * np.log(p)).sum())

    def count(rows):
        return float(len(np.unique(label[rows])))

    def unique(rows):
        return len(np.unique(rows)) / len(rows)

    def effective(rows, q=1):
        return measure.vendi(kernel[np.ix_(rows, rows)], q).value

    def at_half(name, statistic, estimate, p=None):
        return Case(
            f"{name} at m = {half}",
            lambda rng: draw(rng, N, p),
            estimate,
            lambda: expected(lambda rng: statistic(draw(rng, half, p)), draws),
            SIZED,
            lambda rows, rng: bootstrap(lambda r: statistic(rows[r]), half, rng, N),
        )

    yield at_half(
        "scaffold count", count, lambda r: measure.scaffolds(population.take(r), half).count
    )
    yield at_half(
        "scaffold entropy", shannon, lambda r: measure.scaffolds(population.take(r), half).entropy
    )
    yield at_half(
        "unique share, Zipf", unique, lambda r: measure.unique_share(population.take(r), half), zipf
    )
    letters = np.array([f"t{i}" for i in range(size)])
    yield at_half(
        "distinct classes, Zipf",
        lambda r: float(len(np.unique(r))),
        lambda r: measure.distinct_classes(list(letters[r]), measure.exact(), half),
        zipf,
    )
    for q in (1, 2):
        yield at_half(
            f"Vendi q = {q}",
            lambda r, q=q: effective(r, q),
            lambda r, q=q: measure.vendi(kernel[np.ix_(r, r)], q, half),
        )

    def circles_of(rows, exact):
        method = "exact" if exact else "greedy"
        return measure.circles(population.take(rows), 0.75, len(rows), method=method).value

    few = draws // 10  # each draw packs circles anew
    for exact, n in ((False, N), (True, 40)):
        yield Case(
            f"#Circles {'exact' if exact else 'greedy'} at m = {n // 2}, n = {n}",
            lambda rng, n=n: draw(rng, n),
            lambda r, n=n, e=exact: measure.circles(
                population.take(r), 0.75, n // 2, method="exact" if e else "greedy"
            ),
            lambda n=n, e=exact: expected(lambda rng: circles_of(draw(rng, n // 2), e), few),
            SIZED,
            lambda r, rng, n=n, e=exact: bootstrap(
                lambda rows: circles_of(r[rows], e), n // 2, rng, n
            ),
        )


def text_cases(draws: int):
    rng = np.random.default_rng(6)
    words = 1 / np.arange(1, 201)
    words /= words.sum()
    population = [
        " ".join(f"w{i}" for i in rng.choice(200, rng.integers(4, 16), p=words))
        for _ in range(3000)
    ]
    half = N // 2

    def some(rng, n):
        return [population[i] for i in rng.integers(0, len(population), n)]

    def fresh(rng, n):
        """Texts of no finite population: self-BLEU jumps where one text is drawn twice."""
        length = rng.integers(4, 16, n)
        word = np.array([f"w{i}" for i in range(200)])[rng.choice(200, length.sum(), p=words)]
        return [" ".join(w) for w in np.split(word, np.cumsum(length)[:-1])]

    measures = {
        "distinct-1": lambda t, m=None: measure.distinct_n(t, 1, m),
        "distinct-2": lambda t, m=None: measure.distinct_n(t, 2, m),
        "EAD": lambda t, m=None: measure.ead(t, 1, m, vocabulary=200),
        "self-BLEU": lambda t, m=None: measure.self_bleu(t, 4, m),
    }
    for name, function in measures.items():
        source = fresh if name == "self-BLEU" else some
        yield Case(
            f"{name} at m = {half}",
            lambda rng, s=source: s(rng, N),
            lambda t, f=function: f(t, half),
            lambda f=function, s=source: expected(lambda rng: f(s(rng, half)).value, draws // 4),
            SIZED,
            lambda t, rng, f=function: bootstrap(
                lambda rows: f([t[i] for i in rows]).value, half, rng, N
            ),
        )


if __name__ == "__main__":
    main()
