"""pretrain(options) -> folder: maximum likelihood, then rounds on one's own valid samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qdlaws.errors import BadData
from trainer.pretrain.datasets import Corpus, corpus, spelled, text_rows
from trainer.pretrain.display import Display, Silent
from trainer.pretrain.evaluation import Seen, holds, measure_answers, measure_molecules
from trainer.pretrain.maximum_likelihood import fit, mean_loss
from trainer.pretrain.model import build_model, rounded
from trainer.pretrain.model_card import write_prior
from trainer.pretrain.options import Pair, PretrainOptions
from trainer.pretrain.resume_state import State, Work
from trainer.pretrain.sample import draw
from trainer.pretrain.validity_rl import polish
from trainer.tasks.molecules.smiles import canonical, decoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from qdlaws.measure import Estimate

__all__ = ["pretrain"]

TARGETS = ("valid", "unique", "novel")
FINAL = 1000
"""The number in the keys of the samples that the card's figures are measured on."""


def pretrain(options: PretrainOptions, display: Display | Silent | None = None) -> Path:
    """The folder of a new prior: weights, tokenizer and card, as ``from_pretrained`` reads them.

    1. Maximum likelihood on the corpus. 2. For molecules up to ``rounds`` times, unless the targets
    already hold: sample at temperature 1, keep the valid molecules that are new, and train on with
    the real molecules and all that were kept so far (fine-tuning on one's own accepted samples;
    Yuan et al. 2023, RFT). Recombined molecules are left out here: what is kept is what the model
    can spell.
    3. Still for molecules, unless the targets hold by now: a short RLOO on validity alone.
    4. Weights rounded to fp16, fresh samples measured, folder written.

    Every phase is stored beside the folder until the end, so a stopped training goes on with the
    same command; with the same seed and threads it gives the same weights either way.
    """
    display = Silent() if display is None else display
    out = Path(options.out)
    if out.exists():
        raise BadData(f"{out} exists already: a new folder was needed")
    with display, _threads(options.threads):
        work = Work.begin(out, options)
        data = corpus(options)
        tokenizer = data.tokenizer(options.molecules)
        display.corpus(data.sizes)
        state = State(build_model(options, tokenizer))
        for number in range(1 + (options.rounds if options.molecules else 0)):
            if not work.restore(number, state):
                _phase(number, state, data, tokenizer, options, display)
                work.store(number, state)
            display.measured(number, state.found[-1])
            if options.molecules and _holds(state, options):
                break
        last = 1 + options.rounds
        if options.molecules and options.polish and not _holds(state, options):
            if not work.restore(last, state):
                _polish(last, state, data, tokenizer, options, display)
                work.store(last, state)
            display.measured(last, state.found[-1])
        rounded(state.model)
        seen = _seen(data, state, options)
        found = _measure(state.model, tokenizer, seen, options, FINAL)
        display.measured(None, found)
        write_prior(out, state.model, tokenizer, seen, options, data.sizes, state.found, found)
        work.remove()
    return out


def _holds(state: State, options: PretrainOptions) -> bool:
    return holds(state.found[-1], asdict(options), TARGETS)


def _polish(
    number: int,
    state: State,
    data: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    options: PretrainOptions,
    display: Display | Silent,
) -> None:
    """The model conditioned on validity, see :mod:`trainer.pretrain.validity_rl`."""
    decode = decoder(options.representation)
    display.phase("polishing (share valid)")
    polish(
        state.model,
        tokenizer,
        lambda texts: [one is not None for one in canonical(list(map(decode, texts)))],
        steps=options.polish,
        batch=options.polish_samples,
        limit=options.limit,
        seed=options.seed,
        learning_rate=options.polish_learning_rate,
        beta=options.polish_beta,
        tell=display.tell,
    )
    found: dict[str, Any] = {"examples": 0, "polished": options.polish}
    held = text_rows(data.out, tokenizer, completion_only=options.completion_only)
    found["held_out_loss"] = mean_loss(state.model, held, options.batch_tokens)
    found |= _measure(state.model, tokenizer, _seen(data, state, options), options, number)
    state.found.append(found)


def _phase(
    number: int,
    state: State,
    data: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    options: PretrainOptions,
    display: Display | Silent,
) -> None:
    """One training: the first on the corpus, the later ones with the model's own samples added."""
    if number:
        display.phase(f"round {number}: sampling")
        known = _seen(data, state, options)
        state.own += _accepted(state.model, tokenizer, known, options, number)
    pairs = [*data.real, *(state.own if number else data.made)]
    rows = text_rows(pairs, tokenizer, completion_only=options.completion_only)
    display.phase(f"round {number}: training" if number else "training")
    loss = fit(
        state.model,
        rows,
        epochs=options.round_epochs if number else options.epochs,
        peak=options.round_learning_rate if number else options.learning_rate,
        budget=options.batch_tokens,
        seed=(options.seed, number),
        weight_decay=options.weight_decay,
        tell=display.tell,
    )
    held = text_rows(data.out, tokenizer, completion_only=options.completion_only)
    found: dict[str, Any] = {"examples": len(rows), "own": len(state.own), "loss": loss}
    found["held_out_loss"] = mean_loss(state.model, held, options.batch_tokens)
    found |= _measure(state.model, tokenizer, _seen(data, state, options), options, number)
    state.found.append(found)


def _accepted(
    model: Any, tokenizer: Any, seen: Seen, options: PretrainOptions, number: int
) -> list[Pair]:
    """The model's own new molecules, each once, in their canonical spelling."""
    prompts = [""] * options.round_samples
    texts = draw(model, tokenizer, prompts, key=(options.seed, number, 1), limit=options.limit)
    smiles = canonical(list(map(decoder(options.representation), texts)))
    distinct = list(dict.fromkeys(text for text in smiles if text is not None))
    fresh = [t for t, old in zip(distinct, seen.holds(distinct), strict=True) if not old]
    return spelled(fresh, options)


def _measure(
    model: Any, tokenizer: Any, seen: Seen, options: PretrainOptions, number: int
) -> dict[str, Estimate]:
    """The measures of the module ``measured`` on fresh samples."""
    key = (options.seed, number, 2)
    limit = 2 * options.limit if options.molecules else options.limit
    if options.molecules:
        texts = draw(model, tokenizer, [""] * options.samples, key=key, limit=limit)
        return measure_molecules(list(map(decoder(options.representation), texts)), seen)
    if options.task is None:
        return {}
    from trainer.tasks import make_task

    task = make_task(options.task)
    try:
        asked = task.prompts("eval")
        prompts = [asked[number % len(asked)] for number in range(options.samples)]
        texts = draw(model, tokenizer, [p.text for p in prompts], key=key, limit=limit)
        return measure_answers(task, texts, prompts)
    finally:
        task.close()


def _seen(data: Corpus, state: State, options: PretrainOptions) -> Seen:
    """All that was trained on so far."""
    return Seen.of(_canonical([*data.real, *data.made, *state.own], options))


def _canonical(pairs: Sequence[Pair], options: PretrainOptions) -> list[str]:
    """What novelty is judged by: canonical SMILES, or prompt and completion of texts."""
    if not options.molecules:
        return ["\0".join(pair) for pair in pairs]
    decode = decoder(options.representation)
    smiles = canonical([decode(text) for _, text in pairs])
    return [text for text in smiles if text is not None]


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
