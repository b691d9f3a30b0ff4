"""A GRPOTrainer of TRL that holds a floor on diversity.

    pip install "qdlaws[trl]"
    python examples/steer_trl.py --steps 40

The callback measures the completions that TRL trains on, writes a log that ``qdlaws`` reads, and
turns ``beta`` so that the diversity settles at the floor or above. With a hub model only its name
and the reward change.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from datasets import Dataset
from rdkit import Chem, RDLogger
from rdkit.Chem import QED
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

import qdlaws as qd
from qdlaws import measure
from qdlaws.integrations.trl import LawCallback

MODEL = "data/priors/molecules-60k"


def drug_likeness(completions: list[str], **rest: object) -> list[float]:
    """The reward: QED of the molecule, 0 where the text is none."""
    molecules = [Chem.MolFromSmiles(text) if text else None for text in completions]
    return [QED.qed(molecule) if molecule else 0.0 for molecule in molecules]


def diversity(completions: list[str], prompts: list[str]) -> float:
    """How different two of the molecules are, duplicates kept."""
    return measure.internal_diversity(completions).value


def make_trainer(
    out: Path, steps: int, goal: qd.Goal, longest: int = 72
) -> tuple[GRPOTrainer, LawCallback]:
    """TRL's trainer with the callback in it."""
    RDLogger.DisableLog("rdApp.*")
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    callback = LawCallback(goal, mode="steer", every=2, diversity=diversity)
    settings = {
        "per_device_train_batch_size": 32,
        "num_generations": 32,
        "max_completion_length": longest,
        "max_steps": steps,
        "learning_rate": 5e-4,
        "lr_scheduler_type": "constant",
        "logging_steps": max(steps // 4, 1),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        **LawCallback.settings(),  # what steering needs: beta above 0, unscaled rewards, …
    }
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=drug_likeness,
        args=GRPOConfig(output_dir=str(out), **settings),
        train_dataset=Dataset.from_dict({"prompt": ["C", "N", "O"] * 100}),
        processing_class=tokenizer,
        callbacks=[callback],
    )
    return trainer, callback


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("out/trl"))
    given = parser.parse_args()
    trainer, callback = make_trainer(given.out, given.steps, qd.Goal(min_diversity=0.8))
    trainer.train()
    print(callback.advice.summary() if callback.advice else "too few steps for advice")
    print(qd.read(given.out / "qdlaws").to_frame().tail(3).to_string())


if __name__ == "__main__":
    main()
