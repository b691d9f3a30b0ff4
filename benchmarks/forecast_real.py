"""How good are forecasts of real runs? Scored beside the usual ones with calibrated intervals.

    python benchmarks/forecast_real.py FOLDER [--learn]

FOLDER holds one CSV a run with the columns step and R, named SOURCE_….csv; runs of one source are
listed in SOURCES. Runs are cut at 25 % and 50 % of their rows and the mean of the last tenth is
forecast. Every method gives a distribution: qdlaws its own, the others their point with the errors
that they made on the other sources, in units of the scatter of the prefix (conformal). Scores are in
standard deviations of the run, means over sources: CRPS, 80 % interval score (width plus ten times
what is missed), share inside; the median error is over runs. ``--learn`` also chooses one of drift,
trust, recency and width anew with the source of each run left out, the others as they are.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import qdlaws as qd
from qdlaws.forecasting.baselines import BASELINES
from qdlaws.forecasting.column import bounds
from qdlaws.forecasting.prior import DEFAULT_PRIOR
from qdlaws.forecasting.stacking import mixture_quantiles, stacking_weights

SOURCES = {  # first words of a name -> repository, where these are not the same
    "reinvent4_dasa": "photochem",
    "reinvent4_photoswitch": "photochem",
    "reinvent2re": "reinvent2re",
    "grpo_math": "grpo_math",
}
FRACTIONS = (0.25, 0.5)
P = np.concatenate([[0.001], np.arange(0.005, 1, 0.005), [0.999]])
GRID = {
    "drift": (0.5, 0.75, 1.0),
    "trust": (0.3, 0.5, 1.0),
    "recency": (0.2, 0.35, 0.5),
    "width": (0.7, 0.8, 0.9),
}
CHOSEN = (0.75, 0.5, 0.35, 0.8)
"""The settings of the built-in prior, in the order of ``GRID``."""

CHOICES = [
    (*CHOSEN[:i], value, *CHOSEN[i + 1 :])
    for i, values in enumerate(GRID.values())
    for value in values
    if value != CHOSEN[i]
] + [CHOSEN]
"""The settings with at most one of them changed: all 81 take hours, and hardly differ."""

FULL_TRUST = (0.655, 0.270, 0.072)


@dataclass(frozen=True, eq=False)
class Case:
    """One run cut at one fraction."""

    name: str
    source: str
    fraction: float
    prefix: qd.RunLog
    target: float
    readings: int
    end: float
    sd: float
    law: bool

    @property
    def y(self) -> np.ndarray:
        return np.asarray(self.prefix.quality)


def source_of(name: str) -> str:
    """The repository that a run comes from."""
    for start, source in SOURCES.items():
        if name.startswith(start):
            return source
    return "_".join(name.split("_")[:2])


def cases(folder: Path) -> list[Case]:
    """Every run at every fraction; a law run is one whose law the whole run supports."""
    out = []
    for path in sorted(folder.glob("*.csv")):
        frame = pd.read_csv(path).dropna(subset=["R"]).drop_duplicates("step", keep="last")
        frame = frame.sort_values("step").reset_index(drop=True)
        n, sd = len(frame), float(frame["R"].std(ddof=0))
        if n < 12 or not sd > 0:
            continue
        names = {"quality": "R"} | {
            k: v for k, v in (("entropy", "H"), ("diversity", "D")) if v in frame
        }
        log = qd.RunLog.from_frame(frame, step="step", **names)
        tail = max(n // 10, 1)
        end, target = float(log.quality[-tail:].mean()), float(log.step[-tail:].mean())
        law = _supported(log)
        for fraction in FRACTIONS:
            prefix = log.take(slice(0, int(n * fraction)))
            if len(prefix) >= 5 and np.ptp(prefix.quality) > 0:
                row = (path.stem, source_of(path.stem), fraction, prefix, target, tail, end, sd)
                out.append(Case(*row, law))
    return out


def _supported(log: qd.RunLog) -> bool:
    try:
        fits = qd.fit(log)
    except qd.QdlawsError:
        return False
    return any(law is not None and law.supported for law in (fits.rd, fits.rh))


def ours(case: Case, prior: qd.ForecastPrior = DEFAULT_PRIOR) -> np.ndarray:
    """The quantiles P of the forecast of qdlaws."""
    log = qd.RunLog.from_arrays(case.prefix.step, quality=case.y)
    c = qd.clock(log, "quality", prior=prior)
    return c.quantiles(np.array([case.target]), np.append(P, 0.5), case.readings)[0, :-1]


def log_trend(case: Case) -> float:
    """Last value plus half the least-squares slope in log step of the last half."""
    s = case.prefix.step - case.prefix.step[0] + float(np.median(np.diff(case.prefix.step)))
    half = slice(len(s) // 2, None)
    slope = np.polyfit(np.log(s[half]), case.y[half], 1)[0]
    end = case.target - case.prefix.step[0] + s[0]
    return float(case.y[-1] + 0.5 * slope * np.log(end / s[-1]))


def statsmodels_forecast(kind: str) -> Callable[[Case], float]:
    """The point forecast of exponential smoothing with a damped trend, or of the theta method."""

    def point(case: Case) -> float:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel
        from statsmodels.tsa.forecasting.theta import ThetaModel

        y = case.y[-150:]
        gap = float(np.median(np.diff(case.prefix.step)))
        ahead = max(round((case.target - case.prefix.step[-1]) / gap), 1)
        try:
            if kind == "theta":
                return float(ThetaModel(y, period=1).fit().forecast(ahead).iloc[-1])
            model = ETSModel(y, trend="add", damped_trend=True)
            return float(np.asarray(model.fit(disp=False).forecast(ahead))[-1])
        except (ValueError, np.linalg.LinAlgError, ZeroDivisionError):
            return float(y[-1])

    return point


def holt(case: Case) -> float:
    s = case.prefix.step - case.prefix.step[0]
    return float(BASELINES["damped Holt"](s, case.y, case.target - case.prefix.step[0]))


def last_tenth(case: Case) -> float:
    return float(case.y[-max(len(case.y) // 10, 1) :].mean())


PEERS: dict[str, Callable[[Case], float]] = {
    "last value": lambda case: float(case.y[-1]),
    "mean of the last tenth": last_tenth,
    "last value + half the log trend": log_trend,
    "damped Holt": holt,
    "ETS with damped trend": statsmodels_forecast("ets"),
    "theta method": statsmodels_forecast("theta"),
}


def conformal(data: list[Case], points: np.ndarray) -> list[np.ndarray]:
    """Quantiles around the points by the errors on other sources, every source weighing alike."""
    scale = np.array([c.y.std() for c in data])
    error = (np.array([c.end for c in data]) - points) / scale
    out = []
    for case, point, size in zip(data, points, scale, strict=True):
        others = [
            (error[i], other.source)
            for i, other in enumerate(data)
            if other.fraction == case.fraction and other.source != case.source
        ]
        count = pd.Series([s for _, s in others]).value_counts()
        values = np.array([e for e, _ in others])
        weight = np.array([1 / count[s] for _, s in others])
        order = np.argsort(values)
        level = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
        q = point + size * np.interp(P, level, values[order])
        out.append(np.clip(q, *bounds("quality", case.y)))
    return out


def scores(data: list[Case], quantiles: list[np.ndarray]) -> pd.DataFrame:
    """CRPS, interval score, error and coverage of every case."""
    rows = []
    for case, q in zip(data, quantiles, strict=True):
        low, mid, high = np.interp([0.1, 0.5, 0.9], P, q)
        miss = max(low - case.end, 0) + max(case.end - high, 0)
        rows.append(
            {
                "source": case.source,
                "fraction": case.fraction,
                "law": case.law,
                "error": abs(mid - case.end) / case.sd,
                "crps": 2 * np.mean(((case.end < q) - P) * (q - case.end)) / case.sd,
                "is80": (high - low + 10 * miss) / case.sd,
                "inside": float(low <= case.end <= high),
            }
        )
    return pd.DataFrame(rows)


def line(name: str, table: pd.DataFrame, reference: pd.DataFrame | None) -> str:
    cells = [name]
    for fraction in FRACTIONS:
        part = table[table["fraction"] == fraction]
        mean = part.groupby("source")[["crps", "is80", "inside"]].mean().mean()
        cells += [
            f"{part['error'].median():.2f}",
            f"{mean['crps']:.3f}",
            f"{mean['is80']:.2f}",
            f"{mean['inside']:.2f}",
            "–" if reference is None else paired(part, reference.loc[part.index]),
        ]
    return "| " + " | ".join(cells) + " |"


def paired(part: pd.DataFrame, reference: pd.DataFrame) -> str:
    """95 % bootstrap interval over sources of the difference in CRPS to the reference."""
    gap = (part["crps"] - reference["crps"]).groupby(part["source"]).mean().to_numpy()
    rng = np.random.default_rng(0)
    means = gap[rng.integers(0, len(gap), (4000, len(gap)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{gap.mean():+.2f} [{low:+.2f}, {high:+.2f}]"


def by_settings(case: Case) -> dict[tuple[float, ...], np.ndarray]:
    """The quantiles P of the forecast under each of ``CHOICES``.

    The bank is filtered once for each drift. Trust and recency change its weights only, and the
    width stretches the quantiles about their median.
    """
    out = {}
    log = qd.RunLog.from_arrays(case.prefix.step, quality=case.y)
    for drift in GRID["drift"]:
        c = qd.clock(log, "quality", prior=replace(DEFAULT_PRIOR, drift=drift))
        mean, variance = c.member_forecasts(np.array([case.target]), case.readings)
        choices = [key for key in CHOICES if key[0] == drift]
        for trust, recency in dict.fromkeys(key[1:3] for key in choices):
            share = trust * np.array(FULL_TRUST)
            weight = stacking_weights(DEFAULT_PRIOR.log_weight, c.rolling, share, recency)
            q = mixture_quantiles(mean, variance, weight, np.append(P, 0.5))[0]
            for key in choices:
                if key[1:3] == (trust, recency):
                    stretched = q[-1] + key[3] * (q[:-1] - q[-1])
                    out[key] = np.clip(stretched, *c.bounds)
    return out


def left_out(data: list[Case]) -> list[np.ndarray]:
    """Forecasts whose drift, trust, recency and width were chosen on the other sources."""
    quantiles = [by_settings(case) for case in data]
    tables = {key: scores(data, [q[key] for q in quantiles]) for key in quantiles[0]}
    chosen = {}
    for source in sorted({c.source for c in data}):

        def loss(key: tuple[float, ...], source: str = source) -> float:
            rest = tables[key]
            rest = rest[rest["source"] != source]
            mean = rest.groupby(["fraction", "source"])[["crps", "is80"]].mean().mean()
            return float(mean["crps"] + mean["is80"] / 7)  # about alike in size

        chosen[source] = min(tables, key=loss)
    print("chosen without each source (drift, trust, recency, width):", chosen, "\n")
    return [q[chosen[case.source]] for case, q in zip(data, quantiles, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--learn", action="store_true", help="choose the settings anew")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    data = cases(args.folder)
    sources = len({c.source for c in data})
    print(f"# Forecasts of {len({c.name for c in data})} real runs of {sources} sources\n")
    methods = {"**qdlaws**": scores(data, [ours(case) for case in data])}
    if args.learn:
        methods["qdlaws, settings chosen on other sources"] = scores(data, left_out(data))
    for name, point in PEERS.items():
        points = np.array([point(case) for case in data])
        methods[name + ", conformal"] = scores(data, conformal(data, points))
    reference = methods["**qdlaws**"]
    for title, rows in (
        ("All runs", slice(None)),
        ("Runs without a supported law", ~reference["law"]),
    ):
        print(f"### {title}\n")
        heads = [
            f"{f:.0%}: {h}"
            for f in FRACTIONS
            for h in ("median error", "CRPS", "IS80", "inside", "CRPS less that of qdlaws")
        ]
        print("| | " + " | ".join(heads) + " |\n" + "|---" * (len(heads) + 1) + "|")
        for name, table in methods.items():
            base = None if table is reference else reference.loc[rows]
            print(line(name, table.loc[rows], base))
        print()


if __name__ == "__main__":
    main()
