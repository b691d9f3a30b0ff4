"""How fast qdlaws.measure is, next to what people use, in the same run.

    python benchmarks/measure_speed.py [--quick]

Each row: the same numbers from both (checked), the best of three runs of each, in turn, by the
clock and in CPU time of this process, which does not see what else the machine is doing. The peers
use one core, so BLAS is held to one here as well; reading molecules uses all cores. Molecules are
those that rdkit's own wheel carries (NCI and WEHI sets). nltk, sacrebleu, rapidfuzz and
vendi_score are asked where they are installed. The last part measures the memory of 20,000
molecules in a process of its own, and the error of the O(n) approximations.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from qdlaws import measure
from qdlaws.measure.text.diversity import _myers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the sizes, two runs")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        peak_memory(options.memory)
        return
    share, runs = (5, 2) if options.quick else (1, 3)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'what':46} {'ours s':>8} {'peer s':>8} {'faster':>7} {'by CPU':>7}  peer")
    pairs(5000 // share, runs, options.quick)
    reading(12_000 // share, runs)
    texts(500 // share, runs)
    memory(20_000 // share)
    approximations(5000 // share)


def row(what: str, ours: Callable[[], float], peer: Callable[[], float], name: str, runs: int):
    """Time both in turn, print the best of each, check that they agree; the CPU speed-up."""
    wall, cpu, values = [math.inf] * 2, [math.inf] * 2, [0.0, 0.0]
    for _ in range(runs):
        for i, function in enumerate((ours, peer)):
            start, used = time.perf_counter(), time.process_time()
            values[i] = function()
            wall[i] = min(wall[i], time.perf_counter() - start)
            cpu[i] = min(cpu[i], time.process_time() - used)
    assert math.isclose(*values, rel_tol=1e-9), (what, values)
    faster = wall[1] / wall[0], cpu[1] / max(cpu[0], 1e-6)
    print(
        f"{what:46} {wall[0]:8.3f} {wall[1]:8.3f} {faster[0]:6.1f}× {faster[1]:6.1f}×  {name}",
        flush=True,
    )
    return faster[1]


def smiles(count: int) -> list[str]:
    from rdkit import RDConfig

    data = Path(RDConfig.RDDataDir)
    nci = [line.split()[0] for line in (data / "NCI" / "first_5K.smi").read_text().splitlines()]
    with open(data / "Pains" / "test_data" / "wehi_mols.csv") as file:
        wehi = [line[0] for line in csv.reader(file)]
    found = list(dict.fromkeys([*wehi, *nci]))
    while len(found) < count:  # 20,000: homologues of what there is
        found += [f"C{s}" for s in found]
    return found[:count]


def rdkit_prints(strings: list[str]):
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    with rdBase.BlockLogs():
        mols = [m for m in map(Chem.MolFromSmiles, strings) if m is not None]
    return [generator.GetFingerprint(m) for m in mols]


def pairs(count: int, runs: int, quick: bool) -> None:
    from rdkit.DataStructs import BulkTanimotoSimilarity

    prints = rdkit_prints(smiles(count))
    packed = measure.read_molecules(smiles(count)).fingerprints

    def loop() -> float:
        total = 0.0
        for i in range(1, len(prints)):
            total += sum(BulkTanimotoSimilarity(prints[i], prints[:i]))
        return total / math.comb(len(prints), 2)

    faster = row(
        f"internal diversity, {len(prints)} molecules",
        lambda: measure.tanimoto_mean(packed).value,
        loop,
        "rdkit BulkTanimotoSimilarity loop",
        runs,
    )
    if faster < 5 and not quick:
        raise SystemExit(
            f"internal diversity is {faster:.1f} × faster than rdkit; 5 × was promised"
        )


def reading(count: int, runs: int) -> None:
    from rdkit import Chem, DataStructs, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    strings = smiles(count)

    def one_by_one() -> float:
        generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
        canonical = []
        with rdBase.BlockLogs():
            for text in strings:
                mol = Chem.MolFromSmiles(text)
                if mol is not None:
                    canonical.append(Chem.MolToSmiles(mol))
                    DataStructs.BitVectToBinaryText(generator.GetFingerprint(mol))
        return float(len(canonical))

    row(
        f"parse, canonicalise, fingerprint {count} strings",
        lambda: float(len(measure.read_molecules(strings).canonical)),
        one_by_one,
        "rdkit, one core",
        runs,
    )


def make_texts(count: int) -> list[str]:
    rng = random.Random(0)
    words = [f"word{i}" for i in range(400)]
    weights = [1 / (i + 1) for i in range(400)]
    return [" ".join(rng.choices(words, weights, k=rng.randint(10, 40))) for _ in range(count)]


def peer(name: str):
    try:
        return import_module(name)
    except ImportError:
        print(f"{'':79}{name} is not installed")
        return None


def texts(count: int, runs: int) -> None:
    some = make_texts(count)
    split = [t.split() for t in some]
    bleu = peer("nltk.translate.bleu_score")
    if bleu is not None:
        smooth = bleu.SmoothingFunction().method1
        few = split[: count // 2]

        def nltk() -> float:
            scores = [
                bleu.sentence_bleu(few[:i] + few[i + 1 :], t, smoothing_function=smooth)
                for i, t in enumerate(few)
            ]
            return sum(scores) / len(scores)

        row(
            f"self-BLEU, {len(few)} texts",
            lambda: measure.self_bleu(some[: len(few)]).value,
            nltk,
            "nltk sentence_bleu loop",
            1,
        )
    sacrebleu = peer("sacrebleu")
    if sacrebleu is not None:
        judge = sacrebleu.BLEU(tokenize="none", effective_order=True)
        few = some[: count // 5]

        def loop() -> float:
            scores = [judge.sentence_score(t, few[:i] + few[i + 1 :]) for i, t in enumerate(few)]
            return sum(s.score for s in scores) / 100 / len(few)

        row(
            f"self-BLEU, {len(few)} texts",
            lambda: measure.self_bleu(few, smoothing="exp").value,
            loop,
            "sacrebleu sentence_score loop",
            1,
        )
    ngrams = peer("nltk.util")
    if ngrams is not None:
        many = make_texts(20 * count)

        def sets() -> float:
            values = []
            for n in (1, 2, 3, 4):
                grams = [g for t in many for g in ngrams.ngrams(t.split(), n)]
                values.append(len(set(grams)) / len(grams))
            return sum(values)

        def once() -> float:
            tokens = measure.tokenise(many)
            return sum(measure.distinct_n(tokens, n).value for n in (1, 2, 3, 4))

        row(f"distinct-1 … distinct-4, {len(many)} texts", once, sets, "nltk ngrams in sets", runs)
    levenshtein = peer("rapidfuzz.distance")
    if levenshtein is not None:
        distance = levenshtein.Levenshtein.distance
        few = some[: count // 2]

        def pairwise() -> float:
            values = [
                distance(a, b) / max(len(a), len(b)) for i, a in enumerate(few) for b in few[:i]
            ]
            return sum(values) / len(values)

        name = "rapidfuzz, pair by pair"
        row(
            f"edit distance, {len(few)} texts, with rapidfuzz",
            lambda: measure.edit_diversity(few).value,
            pairwise,
            name,
            runs,
        )

        def own() -> float:
            values = [_myers(few[i], few[:i]) for i in range(1, 40)]
            return float(sum(v.sum() for v in values))

        row(
            "edit distances, 40 texts, without rapidfuzz",
            own,
            lambda: float(sum(table(few[i], b) for i in range(1, 40) for b in few[:i])),
            "table in Python",
            1,
        )
    vendi = peer("vendi_score.vendi")
    if vendi is not None:
        x = np.random.default_rng(0).normal(size=(2 * count, 32))
        row(
            f"Vendi of embeddings ({2 * count}, 32)",
            lambda: measure.vendi_features(x).value,
            lambda: float(vendi.score_X(x)),
            "vendi_score",
            runs,
        )


def table(a: str, b: str) -> int:
    line = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(min(line[j] + 1, new[-1] + 1, line[j - 1] + (x != y)))
        line = new
    return line[-1]


def memory(count: int) -> None:
    command = [sys.executable, __file__, "--memory", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"\n{done.stdout.strip()}")


def peak_memory(count: int) -> None:
    """Print the peak memory of this process before and after the internal diversity."""
    import resource

    found = measure.read_molecules(smiles(count + count // 2))  # not every string is a molecule
    molecules = found.take(np.arange(min(count, len(found.canonical))))
    n = len(molecules.fingerprints)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    value = measure.internal_diversity(molecules)
    spent = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{n} molecules: {value} in {spent:.1f} s, peak memory of the process {peak:.0f} MiB "
        f"({before:.0f} before; an n × n matrix of float64 would take {8 * n * n / 2**20:.0f})"
    )
    if peak > 1024:
        raise SystemExit(f"peak memory {peak:.0f} MiB: less than 1024 was promised")


def approximations(count: int) -> None:
    molecules = measure.read_molecules(smiles(count))
    exact = measure.internal_diversity(molecules)
    print(f"\nO(n) approximations of {exact}")
    print(f"{'method':30} {'s':>7} {'value':>9} {'its se':>8} {'off by':>9}")
    for method in ("exact", "sampled", "isim"):
        start = time.perf_counter()
        found = measure.internal_diversity(molecules, method=method)
        spent = time.perf_counter() - start
        off = found.value - exact.value
        print(f"{method:30} {spent:7.3f} {found.value:9.5f} {found.se:8.5f} {off:9.5f}")


if __name__ == "__main__":
    main()
