"""What a person sees in a terminal: the progress of a run, a plan, an evaluation, a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from trainer.runs import Run
    from trainer.training.plan import Plan

__all__ = ["Display", "print_evaluation", "print_plan", "print_sweep", "sweep_row"]


FEW_PROMPTS = 8
"""With fewer prompts a standard error over prompts is itself uncertain by a quarter and more."""
FAILED_SHARE = 0.1
"""The share of failed scores from which a person is told in words."""


class Display:
    """A bar with time left, and a line for every evaluation: R, D, H, KL, knobs."""

    def __init__(self, steps: int, stream: IO[str]) -> None:
        self._console = Console(file=stream, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
            console=self._console,
        )
        self._task = self._bar.add_task("training", total=steps or None, now="")

    def __enter__(self) -> Display:
        return self  # the bar begins with the first row: a run that is refused shows nothing

    def __exit__(self, *error: Any) -> None:
        self._bar.stop()

    def __call__(self, row: dict[str, Any]) -> None:
        """One row of metrics, or the words of a plan."""
        self._bar.start()
        if row["phase"] == "plan":
            self._console.print(row["words"], soft_wrap=True)
        if row["phase"] == "eval":
            self._console.print(evaluation_line(row), soft_wrap=True)
        if row["phase"] == "train":
            now = f"reward {_n(row.get('reward'))}"
            failed, drawn = row.get("failed") or 0, row.get("rollouts") or 0
            if drawn and failed / drawn > FAILED_SHARE:
                now += f" [red]{failed / drawn:.0%} of the scores failed[/red]"
            self._bar.update(self._task, completed=row["step"], now=now)


def evaluation_line(row: Mapping[str, Any]) -> str:
    """``step 120  R .854 ± .006  D .776 ± .003  H .300  KL 14.2  kl 0.025``."""
    parts = [f"step {row['step']:>5}"]
    for short, name in (("R", "quality"), ("D", "diversity"), ("H", "entropy"), ("KL", "kl")):
        error = row.get(f"{name}_se")
        parts.append(f"{short} {_n(row.get(name))}" + (f" ± {error:.2g}" if error else ""))
    idle = {"kl_coef": 0.0, "reward_scale": 1.0, "entropy_coef": 0.0}
    for short, name in (("kl", "kl_coef"), ("scale", "reward_scale"), ("bonus", "entropy_coef")):
        if row.get(name) not in (None, idle[name]):
            parts.append(f"[dim]{short} {row[name]:.3g}[/dim]")
    prompts = row.get("n_prompts")
    if prompts and 1 < prompts < FEW_PROMPTS:
        parts.append(f"[yellow]± of only {prompts} prompts[/yellow]")
    failed, drawn = row.get("n_failed") or 0, row.get("n_samples") or 0
    if drawn and failed / drawn > FAILED_SHARE:
        parts.append(f"[red]{failed / drawn:.0%} of the scores failed[/red]")
    if row.get("unique_share") is not None and row["unique_share"] < 0.5:
        parts.append(f"[yellow]unique {row['unique_share']:.2f}[/yellow]")
    return "  ".join(parts)


def print_plan(plan: Plan) -> None:
    """The table of a plan, its start and its notes."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    rows = plan.table[plan.table["quality"].notna()]
    of_runs = ("run_quality", "run_diversity") if "run_quality" in rows else ()
    bound = " bound" if of_runs else ""
    headings = [*(("R", "D") if of_runs else ()), f"R{bound}", f"D{bound}", "H", "KL"]
    for heading in ("kl", *headings, "samples"):
        table.add_column(heading, justify="right", no_wrap=True)
    figures = ("quality", "diversity", "entropy", "kl")
    told, beside = (of_runs, figures) if of_runs else (figures[:2], figures[2:])  # with their ±
    shown = rows.iloc[:: max(1, len(rows) // 14)]
    for row in shown.to_dict("records"):
        table.add_row(
            "prior" if row["ratio"] == 0 else f"{row['kl_coef']:.3g}",
            *(_pm(row[name], row[f"{name}_se"]) for name in told),
            *(_pm(row[name], None) for name in beside),
            f"{row['effective_samples']:.0f}",
        )
    console = Console(highlight=False)
    console.print(table)
    if plan.start_kl == plan.start_kl:
        falls = ""
        if plan.gain == plan.gain:
            falls = f"; there D falls by {plan.gain:.3f} per unit of log(reward_scale/kl)"
        console.print(
            f"start at kl = {plan.start_kl:.3g}{falls}; "
            f"one evaluation tells D to ± {plan.noise:.3f}"
        )
    for note in plan.notes:
        console.print(f"· {note}", soft_wrap=True)


def print_evaluation(row: Mapping[str, Any]) -> None:
    """Every number with its error and its meaning."""
    from trainer.training.metrics import describe

    table = Table(box=box.SIMPLE)
    for column in ("", "value", "± se", "meaning"):
        table.add_column(column, justify="left" if column in ("", "meaning") else "right")
    for name, value in row.items():
        if isinstance(value, (int, float)) and not name.endswith(("_se", "_m")):
            error, size = row.get(f"{name}_se"), row.get(f"{name}_m")
            words = describe(name)
            words += f" (m = {size})" if size is not None else ""
            kind = row.get(f"{name}_kind")
            words += f" [dim]{kind}[/dim]" if kind else ""
            table.add_row(name, f"{value:.5g}", "" if error is None else f"{error:.2g}", words)
    Console(highlight=False).print(table)


def sweep_row(run: Run) -> dict[str, Any]:
    """One run of a sweep as JSON values."""
    last = dict(run.last or {})
    names = ("step", "quality", "diversity", "entropy", "kl")
    figures = {name: last.get(name) for name in names}
    return {
        "folder": str(run.folder),
        "settings": list(run.settings),
        **figures,
        "error": run.error or None,
    }


def print_sweep(runs: Sequence[Run]) -> None:
    """The ends of the runs of a sweep."""
    table = Table(box=box.SIMPLE)
    for column in ("run", "step", "R", "D", "H", "KL"):
        table.add_column(column, justify="left" if column == "run" else "right")
    for run in runs:
        last = run.last or {}
        cells = [
            _pm(last.get(n), last.get(f"{n}_se")) for n in ("quality", "diversity", "entropy", "kl")
        ]
        table.add_row(run.folder.name, str(last.get("step", run.error or "?")), *cells)
    Console(highlight=False).print(table)


def _n(value: Any) -> str:
    return "?" if value is None or value != value else f"{value:.4g}"


def _pm(value: Any, error: Any) -> str:
    if value is None or value != value:
        return "?"
    return f"{value:.3f}" + (f"±{error:.3f}" if error is not None and error == error else "")
