"""The making of a prior: maximum likelihood, then rounds on the model's accepted samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qdlaws.errors import BadData
from trainer.pretrain.datasets import Corpus, load_corpus, molecule_pairs, text_rows
from trainer.pretrain.display import Display, Silent
from trainer.pretrain.evaluation import (
    CorpusHashes,
    measure_answers,
    measure_molecules,
    reaches_targets,
)
from trainer.pretrain.maximum_likelihood import maximize_likelihood, mean_loss
from trainer.pretrain.model import build_model, round_to_half, sample_texts
from trainer.pretrain.model_card import write_prior
from trainer.pretrain.options import Pair, PretrainOptions
from trainer.pretrain.resume_state import PhaseStore, State
from trainer.pretrain.validity_rl import train_validity
from trainer.tasks.molecules.smiles import canonical, decoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from qdlaws.measure import Estimate

__all__ = ["pretrain"]

TARGETS = ("valid", "unique", "novel")
FINAL = 1000
"""The round in the keys of the samples that the figures of the model card are taken from."""


def pretrain(options: PretrainOptions, display: Display | Silent | None = None) -> Path:
    """The folder of a new prior: weights, tokenizer and card, as ``from_pretrained`` reads them.

    1. Maximum likelihood on the corpus. 2. For molecules up to ``rounds`` times, unless the targets
    already hold: sample at temperature 1, keep the valid molecules that are new, and train on with
    the real molecules and all that were kept so far (rejection-sampling fine-tuning; Yuan et al.
    2023). Recombined molecules are left out here.
    3. Still for molecules, unless the targets hold by now: a short RLOO on validity alone.
    4. Weights rounded to fp16, fresh samples measured, folder written.

    Every phase is stored beside the folder until the end, so a stopped training goes on with the
    same command; with the same seed and threads it gives the same weights either way.

    Parameters
    ----------
    options : the corpus, the size of the model and the phases
    display : shows the progress; nothing is shown for None

    Returns
    -------
    Path
        ``options.out``, which a run names as its ``policy.model``.

    Raises
    ------
    BadData
        In one line, for a folder that exists, or an unfinished one begun with other options.
    NotEnoughData
        For a corpus of which no example can be used.
    """
    display = Silent() if display is None else display
    out = Path(options.out)
    if out.exists():
        raise BadData(f"{out} exists already: a new folder was needed")
    with display, _threads(options.threads):
        store = PhaseStore.open(out, options)
        data = load_corpus(options)
        tokenizer = data.tokenizer(options.molecules)
        display.corpus(data.sizes)
        state = State(build_model(options, tokenizer))
        for number in range(1 + (options.rounds if options.molecules else 0)):
            if not store.restore(number, state):
                _phase(number, state, data, tokenizer, options, display)
                store.store(number, state)
            display.measured(number, state.measures[-1])
            if options.molecules and _is_good_enough(state, options):
                break
        last = 1 + options.rounds
        if options.molecules and options.polish and not _is_good_enough(state, options):
            if not store.restore(last, state):
                _train_validity(last, state, data, tokenizer, options, display)
                store.store(last, state)
            display.measured(last, state.measures[-1])
        round_to_half(state.model)
        corpus = _corpus_hashes(data, state, options)
        measures = _measure(state.model, tokenizer, corpus, options, FINAL)
        display.measured(None, measures)
        write_prior(
            out, state.model, tokenizer, corpus, options, data.sizes, state.measures, measures
        )
        store.remove()
    return out


def _is_good_enough(state: State, options: PretrainOptions) -> bool:
    return reaches_targets(state.measures[-1], asdict(options), TARGETS)


def _train_validity(
    number: int,
    state: State,
    data: Corpus,
    tokenizer: PreTrainedTokenizerFast,
    options: PretrainOptions,
    display: Display | Silent,
) -> None:
    """The model conditioned on validity, see :mod:`trainer.pretrain.validity_rl`."""
    decode = decoder(options.representation)
    display.phase("validity RL (share valid)")
    train_validity(
        state.model,
        tokenizer,
        lambda texts: [one is not None for one in canonical(list(map(decode, texts)))],
        steps=options.polish,
        batch=options.polish_samples,
        limit=options.limit,
        seed=options.seed,
        learning_rate=options.polish_learning_rate,
        beta=options.polish_beta,
        on_step=display.advance,
    )
    measures: dict[str, Any] = {"examples": 0, "polished": options.polish}
    held = text_rows(data.held_out, tokenizer, completion_only=options.completion_only)
    measures["held_out_loss"] = mean_loss(state.model, held, options.batch_tokens)
    measures |= _measure(
        state.model, tokenizer, _corpus_hashes(data, state, options), options, number
    )
    state.measures.append(measures)


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
        corpus = _corpus_hashes(data, state, options)
        state.accepted += _accepted(state.model, tokenizer, corpus, options, number)
    pairs = [*data.real, *(state.accepted if number else data.augmented)]
    rows = text_rows(pairs, tokenizer, completion_only=options.completion_only)
    display.phase(f"round {number}: training" if number else "training")
    loss = maximize_likelihood(
        state.model,
        rows,
        epochs=options.round_epochs if number else options.epochs,
        peak=options.round_learning_rate if number else options.learning_rate,
        budget=options.batch_tokens,
        seed=(options.seed, number),
        weight_decay=options.weight_decay,
        on_step=display.advance,
    )
    held = text_rows(data.held_out, tokenizer, completion_only=options.completion_only)
    measures: dict[str, Any] = {"examples": len(rows), "own": len(state.accepted), "loss": loss}
    measures["held_out_loss"] = mean_loss(state.model, held, options.batch_tokens)
    measures |= _measure(
        state.model, tokenizer, _corpus_hashes(data, state, options), options, number
    )
    state.measures.append(measures)


def _accepted(
    model: Any, tokenizer: Any, corpus: CorpusHashes, options: PretrainOptions, number: int
) -> list[Pair]:
    """The model's own new molecules, each once, in their canonical spelling."""
    prompts = [""] * options.round_samples
    texts = sample_texts(
        model, tokenizer, prompts, key=(options.seed, number, 1), limit=options.limit
    )
    smiles = canonical(list(map(decoder(options.representation), texts)))
    distinct = list(dict.fromkeys(text for text in smiles if text is not None))
    fresh = [t for t, old in zip(distinct, corpus.contains(distinct), strict=True) if not old]
    return molecule_pairs(fresh, options)


def _measure(
    model: Any, tokenizer: Any, corpus: CorpusHashes, options: PretrainOptions, number: int
) -> dict[str, Estimate]:
    """The measures of the model on fresh samples."""
    key = (options.seed, number, 2)
    limit = 2 * options.limit if options.molecules else options.limit
    if options.molecules:
        texts = sample_texts(model, tokenizer, [""] * options.samples, key=key, limit=limit)
        return measure_molecules(list(map(decoder(options.representation), texts)), corpus)
    if options.task is None:
        return {}
    from trainer.tasks.capabilities import close
    from trainer.tasks.task_process import open_task

    task = open_task(options.task)
    try:
        questions = task.prompts("eval")
        prompts = [questions[row % len(questions)] for row in range(options.samples)]
        texts = sample_texts(model, tokenizer, [p.text for p in prompts], key=key, limit=limit)
        return measure_answers(task, texts, prompts)
    finally:
        close(task)


def _corpus_hashes(data: Corpus, state: State, options: PretrainOptions) -> CorpusHashes:
    """The hashes of every example that was trained on so far."""
    return CorpusHashes.of(_canonical([*data.real, *data.augmented, *state.accepted], options))


def _canonical(pairs: Sequence[Pair], options: PretrainOptions) -> list[str]:
    """The texts by which novelty is decided: canonical SMILES, or prompt and completion."""
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
