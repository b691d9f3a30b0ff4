"""``qdtrain pretrain``: one flag for each field of PretrainOptions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["pretrain"]


def _flag(help: str) -> Any:
    """An option whose default is that of PretrainOptions."""
    return typer.Option(help=help, show_default=False)


def pretrain(
    out: Annotated[Path, _flag("The folder to write; an unfinished one is gone on with.")],
    smiles: Annotated[Path | None, _flag("A file of molecules: .smi, .csv, .gz.")] = None,
    task: Annotated[str | None, _flag("A task whose corpus is learned: arithmetic, …")] = None,
    size: Annotated[str | None, _flag("60k, 250k, 1m, or width-layers-heads-inner.")] = None,
    representation: Annotated[str | None, _flag("smiles or selfies.")] = None,
    examples: Annotated[int | None, _flag("Pairs asked of the task's corpus.")] = None,
    recombine: Annotated[float | None, _flag("New molecules of fragments, per real one.")] = None,
    randomise: Annotated[float | None, _flag("Share also spelled from a random atom.")] = None,
    longest: Annotated[int | None, _flag("Tokens; longer examples are left out.")] = None,
    fewest: Annotated[int | None, _flag("Molecules that a symbol must be in.")] = None,
    held_out: Annotated[float | None, _flag("Share kept for the held-out loss.")] = None,
    epochs: Annotated[float | None, _flag("Of the first training.")] = None,
    learning_rate: Annotated[float | None, _flag("Of the first training.")] = None,
    weight_decay: Annotated[float | None, _flag("Of all training.")] = None,
    batch_tokens: Annotated[int | None, _flag("Tokens of a batch.")] = None,
    rounds: Annotated[int | None, _flag("Rounds of sampling and keeping the valid.")] = None,
    round_samples: Annotated[int | None, _flag("Samples of a round.")] = None,
    round_epochs: Annotated[float | None, _flag("Epochs of a round.")] = None,
    round_learning_rate: Annotated[float | None, _flag("Of a round.")] = None,
    polish: Annotated[int | None, _flag("Steps of RLOO on validity at the end.")] = None,
    polish_samples: Annotated[int | None, _flag("Samples of such a step.")] = None,
    polish_learning_rate: Annotated[float | None, _flag("Of such a step.")] = None,
    polish_beta: Annotated[float | None, _flag("KL strength of such a step.")] = None,
    valid: Annotated[float | None, _flag("Share of valid samples that is enough.")] = None,
    unique: Annotated[float | None, _flag("Share of unique samples that is enough.")] = None,
    novel: Annotated[float | None, _flag("Share of novel samples that is enough.")] = None,
    samples: Annotated[int | None, _flag("Fresh samples of each measurement.")] = None,
    completion_only: Annotated[bool | None, _flag("Learn the completion, not the prompt.")] = None,
    seed: Annotated[int | None, _flag("Same seed and threads, same weights.")] = None,
    threads: Annotated[int | None, _flag("Processor threads.")] = None,
) -> None:
    """Make a prior: a small model trained on molecules or on a task's corpus, in rounds."""
    from trainer.pretrain import Display, PretrainOptions
    from trainer.pretrain import pretrain as make

    given = {name: value for name, value in locals().items() if value is not None}
    asked = {k: given[k] for k in PretrainOptions.__dataclass_fields__ if k in given}
    folder = make(PretrainOptions(**asked), Display())
    typer.echo(f"{folder}: {folder / 'README.md'} says how good it is")
