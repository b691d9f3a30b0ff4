"""The command line: ``qdlaws fit LOG`` and its companions.

Every command takes one or more logs, prints something a person likes to read, and with --json
prints one JSON object and nothing else on stdout. Bad input is one line on stderr and exit status
2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qdlaws.errors import QdlawsError

if TYPE_CHECKING:
    from qdlaws.fit import LawFits
    from qdlaws.runlog import RunLog

__all__ = ["app", "main"]

app = typer.Typer(
    name="qdlaws",
    help="The laws of quality, diversity and entropy along an RL fine-tuning run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Logs = Annotated[
    list[Path], typer.Argument(metavar="LOG...", help="File or folder of any supported tool.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Level = Annotated[float, typer.Option(help="Level of the intervals.")]
Quality = Annotated[str | None, typer.Option(help="Column to take for quality.")]
Diversity = Annotated[str | None, typer.Option(help="Column to take for diversity.")]
Entropy = Annotated[str | None, typer.Option(help="Column to take for entropy.")]
Step = Annotated[str | None, typer.Option(help="Column to take for the step.")]
Series = Annotated[str, typer.Option(help="auto, train or eval.")]


def main() -> None:
    """The entry point: errors of ours become one line and exit status 2."""
    try:
        app()
    except QdlawsError as error:
        print(f"qdlaws: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output has left, e.g. `| head`
        sys.stderr.close()
        sys.exit(0)


@app.callback()
def _callback() -> None:
    """Read the log of any trainer, fit the three laws, say plainly when a law does not hold."""


@app.command("fit")
def fit_command(
    logs: Logs,
    json_: Json = False,
    level: Level = 0.95,
    quality: Quality = None,
    diversity: Diversity = None,
    entropy: Entropy = None,
    step: Step = None,
    series: Series = "auto",
    plot: Annotated[Path | None, typer.Option(help="Write the pictures to this file.")] = None,
    price: Annotated[
        float | None, typer.Option(help="Price of diversity: mark the operating point.")
    ] = None,
    regimes: Annotated[str, typer.Option(help="separate, shared or ignore marks.")] = "separate",
    classical: Annotated[
        bool, typer.Option(help="Set lmfit, the HAC line and residual tests beside ours.")
    ] = False,
    certificate: Annotated[
        bool, typer.Option(help="Check the intervals on runs simulated from each fit.")
    ] = True,
) -> None:
    """Fit R on D, R on H and H on D; print verdicts, intervals and their certificate.

    Example: qdlaws fit runs/grpo-3 --plot laws.png
    """
    columns = {"quality": quality, "diversity": diversity, "entropy": entropy, "step": step}
    results = []
    for path in logs:
        fits = _fit(_read(path, columns, series), level=level, regimes=regimes)
        results.append((fits, _certificates(fits) if certificate else {}))
    if plot is not None:
        _save_plots([fits for fits, _ in results], plot, price)
    if json_:
        _print_json([_fit_json(fits, certificates) for fits, certificates in results])
        return
    for fits, certificates in results:
        print(fits.summary(classical))
        if certificates:
            print("\ncertificate (simulated from each fit)")
            for name, text in certificates.items():
                print(f"  {name:<20} {text}")
        print()
    if plot is not None:
        print(f"pictures: {plot}")


def _fit_json(fits: LawFits, certificates: dict[str, Any]) -> dict[str, Any]:
    out = fits.to_dict()
    for kind, law in out["laws"].items():
        if law is not None:
            found = getattr(fits, kind)
            name = f"{found.y_name} on {found.x_name}"
            law["certificate"] = certificates[name].to_dict() if name in certificates else None
    return out


def _certificates(fits: LawFits) -> dict[str, Any]:
    from qdlaws.lawfit import LawFit

    return {
        f"{law.y_name} on {law.x_name}": law.certificate()
        for law in fits.laws()
        if isinstance(law, LawFit) and law.supported
    }


def _read(path: Path, columns: dict[str, str | None], series: str) -> RunLog:
    from qdlaws.readers import read

    named = {name: column for name, column in columns.items() if column is not None}
    return read(path, series=series, **named)  # type: ignore[arg-type]


def _fit(log: RunLog, **options: Any) -> LawFits:
    from qdlaws.fit import fit

    return fit(log, **options)


def _save_plots(all_fits: list[LawFits], path: Path, price: float | None) -> None:
    """One picture a run; several runs get numbered files."""
    import matplotlib

    matplotlib.use("Agg")
    for i, fits in enumerate(all_fits):
        name = path if len(all_fits) == 1 else path.with_stem(f"{path.stem}-{i + 1}")
        try:
            fits.plot(price=price).savefig(name)
        except (OSError, ValueError) as error:
            raise QdlawsError(f"cannot write {name}: {error}") from None


def _print_json(results: list[dict[str, Any]]) -> None:
    """One object: the result itself for one log, ``{"runs": [...]}`` for several."""
    whole = results[0] if len(results) == 1 else {"runs": results}
    print(json.dumps(whole, allow_nan=False, ensure_ascii=False))


if __name__ == "__main__":
    main()
