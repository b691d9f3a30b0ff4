"""Recipes beside the code that their authors released, on the same tensors.

    python benchmarks/fidelity.py FOLDER > benchmarks/results/fidelity.md
    python benchmarks/fidelity.py FOLDER --record tests/trainer/analysis/fixtures/released.json

FOLDER holds the released files as OWNER+NAME/path/in/the/repository, for example
``volcengine+verl/verl/trainer/ppo/core_algos.py``; what is not there is skipped and said so. Of a
file only the functions that are compared are run, by their names. Nothing of these files is part of
this repository: what is recorded for the tests are numbers.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import textwrap
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.algorithms import adjustment
from trainer.algorithms.advantage import group_standardised
from trainer.analysis.same_tensors import CASES, Batch, loss_and_gradient, random_batch
from trainer.types import Knobs

PPO = "verl/trainer/ppo/core_algos.py"
COMMITS = {
    "volcengine+verl": "b178a3c",
    "AndreHe02+rewarding-unlikely-release": "ca1cff0",
    "Jackory+RS-GRPO": "2f4103b",
    "AnamikaLochab+UCPO": "93ce506",
    "Xuekai-Zhu+FlowRL": "decbc57",
    "facebookresearch+darling": "c07a323",
    "seamoke+DPH-RL": "139a9b2",
    "RUCAIBox+Passk_Training": "c3ba575",
    "TianHongZXY+RLVR-Decomposed": "a5d4e7c",
}
"""Repository → the commit whose files were compared."""


def masked_sum(values: Tensor, mask: Tensor, axis: int | None = None) -> Tensor:
    kept = torch.where(mask.bool(), values, 0.0)
    return kept.sum() if axis is None else kept.sum(axis)


def masked_mean(values: Tensor, mask: Tensor, axis: int | None = None) -> Tensor:
    count = mask.sum() if axis is None else mask.sum(axis)
    return masked_sum(values, mask, axis) / count


@dataclass(frozen=True)
class Side:
    """The tensors as verl's functions take them."""

    batch: Batch
    logp: Tensor

    @property
    def mask(self) -> Tensor:
        return self.batch.mask.double()

    @property
    def old(self) -> Tensor:
        return torch.tensor(self.batch.old_logp, dtype=torch.float64)

    @property
    def ref(self) -> Tensor:
        return torch.tensor(self.batch.ref_logp, dtype=torch.float64)

    @property
    def index(self) -> Any:
        return np.array(self.batch.group)

    @property
    def score(self) -> Tensor:
        return torch.tensor(self.batch.score, dtype=torch.float64)

    def rewards(self, score: Tensor | None = None) -> Tensor:
        """Each score on the last token of its completion, (B, T)."""
        rewards = torch.zeros_like(self.mask)
        last = torch.tensor(self.batch.length) - 1
        rewards[torch.arange(len(last)), last] = self.score if score is None else score
        return rewards


class Released:
    """Functions of the released files, each run by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def function(self, repository: str, path: str, name: str, **given: Any) -> Any:
        """One function of a file, with the names that it reads besides torch and numpy."""
        file = self.folder / repository / path
        if not file.exists():
            raise FileNotFoundError(f"{repository}/{path}")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        (node,) = [
            n
            for n in ast.walk(tree)
            if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == name
        ][:1]
        node.decorator_list = []
        code = "from __future__ import annotations\n" + textwrap.dedent(ast.unparse(node))
        space: dict[str, Any] = {"torch": torch, "np": np, "defaultdict": defaultdict}
        space |= {"verl_F": SimpleNamespace(masked_sum=masked_sum, masked_mean=masked_mean)}
        space |= {"masked_mean": masked_mean, "Tuple": tuple, "List": list, "Dict": dict} | given
        exec(code, space)
        return space[name]

    def verl(self, name: str, **given: Any) -> Any:
        return self.function("volcengine+verl", PPO, name, **given)


class Actor(dict[str, Any]):
    """verl's options of an actor, by attribute and by key."""

    __getattr__ = dict.__getitem__


def policy_loss(
    released: Released, side: Side, advantages: Tensor, name: str = "vanilla", **options: Any
) -> Tensor:
    """A policy loss of verl."""
    reduce = options.pop("reduce", "token-mean")
    config = Actor(
        clip_ratio=0.2, clip_ratio_low=0.2, clip_ratio_high=0.2, clip_ratio_c=3.0,
        tau_pos=1.0, tau_neg=1.05, global_batch_info={},
        policy_loss=SimpleNamespace(kl_cov_ratio=0.2, ppo_kl_coef=1.0),
    )  # fmt: skip
    config.update(options)
    function = released.verl(
        f"compute_policy_loss_{name}",
        agg_loss=released.verl("agg_loss"),
        ActorConfig=Actor,
        AlgoConfig=SimpleNamespace,
    ) if name != "kl_cov" else released.verl(
        "compute_policy_loss_kl_cov", agg_loss=released.verl("agg_loss"), AlgoConfig=int
    )  # fmt: skip
    if name == "vanilla":
        function = released.verl(
            "compute_policy_loss_vanilla", agg_loss=released.verl("agg_loss"), AlgoConfig=int
        )
    loss: Tensor = function(
        side.old, side.logp, advantages, side.mask, loss_agg_mode=reduce, config=config
    )[0]
    return loss


def grpo_advantage(released: Released, side: Side, score: Tensor | None = None, std: bool = True):
    function = released.verl("compute_grpo_outcome_advantage")
    rewards = side.rewards(score)
    return function(rewards, side.mask, side.index, norm_adv_by_std_in_grpo=std)[0]


# ---------------------------------------------------------------------- the released side


def grpo(released: Released, side: Side) -> Tensor:
    return policy_loss(released, side, grpo_advantage(released, side))


def dapo(released: Released, side: Side) -> Tensor:
    return policy_loss(released, side, grpo_advantage(released, side), clip_ratio_high=0.28)


def dr_grpo(released: Released, side: Side) -> Tensor:
    advantages = grpo_advantage(released, side, std=False)
    loss = policy_loss(released, side, advantages, reduce="seq-mean-token-sum", clip_ratio_c=1e9)
    return loss / side.mask.shape[1]


def rloo(released: Released, side: Side) -> Tensor:
    function = released.verl("compute_rloo_outcome_advantage")
    return policy_loss(released, side, function(side.rewards(), side.mask, side.index)[0])


def gspo(released: Released, side: Side) -> Tensor:
    bounds = {"clip_ratio_low": 3e-4, "clip_ratio_high": 4e-4}
    return policy_loss(released, side, grpo_advantage(released, side), "gspo", **bounds)


def cispo(released: Released, side: Side) -> Tensor:
    bounds = {"clip_ratio_low": 10, "clip_ratio_high": 0.2}
    return policy_loss(released, side, grpo_advantage(released, side), "cispo", **bounds)


def sapo(released: Released, side: Side) -> Tensor:
    return policy_loss(released, side, grpo_advantage(released, side), "sapo")


def kl_cov(released: Released, side: Side) -> Tensor:
    return policy_loss(released, side, grpo_advantage(released, side), "kl_cov")


def plain_clip(side: Side, advantages: Tensor) -> Tensor:
    """PPO's clipped surrogate, mean over tokens: where a repository releases an advantage alone."""
    ratio = (side.logp - side.old).exp()
    loss = -torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    return masked_mean(loss, side.mask)


def grpo_unlikeliness(released: Released, side: Side) -> Tensor:
    function = released.function(
        "AndreHe02+rewarding-unlikely-release",
        "verl/trainer/ppo/ray_lean_trainer.py",
        "_compute_advantages",
    )
    trainer = SimpleNamespace(config=SimpleNamespace(lean={"rank_penalty": 0.25}))
    data = SimpleNamespace(
        batch={
            "rewards": side.score,
            "old_log_probs": side.old,
            "responses": side.mask,
            "attention_mask": side.mask,
        },
        non_tensor_batch={"uid": side.index},
    )
    return plain_clip(side, function(trainer, data).batch["advantages"])


def rs_grpo(released: Released, side: Side) -> Tensor:
    function = released.function(
        "Jackory+RS-GRPO", "codes/risk_sensitive_adv.py", "compute_rs_grpo_advantage",
        pass_at_1_scores={},
    )  # fmt: skip
    return plain_clip(side, function(side.rewards(), side.mask, side.index)[0])


def ucpo(released: Released, side: Side) -> Tensor:
    return _ucpo(released, side, "compute_dgrpo_advantage_outcome_invq_l", tau=0.2)


def differential_smoothing(released: Released, side: Side) -> Tensor:
    name = "compute_dgrpo_advantage_outcome_A_diff_smooth"
    return _ucpo(released, side, name, tau=0.1, alpha=0.1)


def _ucpo(released: Released, side: Side, name: str, **options: float) -> Tensor:
    def canonical(index: Any, batch_size: int, device: Any) -> Tensor:
        return torch.tensor(index)

    function = released.function("AnamikaLochab+UCPO", f"verl/{PPO}", name, _canon_index=canonical)
    advantages = function(side.rewards(), side.mask, side.old, side.index, **options)[0]
    return plain_clip(side, advantages)


def pass_at_k(released: Released, side: Side) -> Tensor:
    from scipy.special import comb

    place = ("RUCAIBox+Passk_Training", "code/passk_adv.py")
    function = released.function(*place, "calc_adv", comb=comb)
    score, index = np.array(side.batch.score), side.index
    advantages = np.zeros(len(score))
    for number in np.unique(index):
        advantages[index == number] = function(score[index == number], 2)
    return plain_clip(side, torch.tensor(advantages)[:, None] * side.mask)


def w_reinforce(released: Released, side: Side) -> Tensor:
    repository, rewards = "TianHongZXY+RLVR-Decomposed", side.rewards()
    function = released.function(repository, PPO, "compute_psr_nsr_outcome_advantage")
    advantages = function(rewards, rewards, side.mask, 1.0, "weighted", 0.1)[0]
    loss = released.function(repository, PPO, "compute_policy_loss")
    return loss(side.old, side.logp, advantages, side.mask, 0.2, rewards)[0]


def darling(released: Released, side: Side) -> Tensor:
    return _darling(released, side, correct=False)


def darling_correct_only(released: Released, side: Side) -> Tensor:
    return _darling(released, side, correct=True)


def _darling(released: Released, side: Side, correct: bool) -> Tensor:
    place = (
        "facebookresearch+darling",
        "verl/verl/utils/reward_score/partition_reward_vllm_serve_modernbert.py",
    )
    texts = [str(m) for m in side.batch.meaning]

    async def same(prompt: str, a: str, b: str, cfg: Any) -> bool:
        return a == b

    end = "_correct" if correct else ""
    given: dict[str, Any] = {"equivalence_check": same, "asyncio": asyncio}
    given |= {"SERVER_CFGS": [{}], "NUM_SERVERS": 1, "Optional": Any}
    one = released.function(*place, f"process_uid_partition{end}", **given)
    given[f"process_uid_partition{end}"] = one
    name = "partition_correct_async" if correct else "partition_async"
    given[name] = released.function(*place, name, **given)
    factor = released.function(*place, f"partition{end}", **given)(
        solution_str=texts,
        uid=[str(g) for g in side.batch.group],
        prompts=[""] * len(texts),
        correctness=[s > 0.5 for s in side.batch.score],
    )
    score = side.score * torch.tensor(factor, dtype=torch.float64)
    return policy_loss(released, side, grpo_advantage(released, side, score, std=False))


def flowrl(released: Released, side: Side) -> Tensor:
    function = released.function(
        "Xuekai-Zhu+FlowRL",
        "verl@FlowRL/verl/workers/actor/dp_actor.py",
        "compute_flowrl_objective",
    )
    advantages = grpo_advantage(released, side)
    rollouts = side.batch.rollouts()
    per_sample = group_standardised(rollouts.reward, rollouts.group, rollouts.count)
    target = adjustment.flow_target(rollouts, per_sample, Knobs(reward_scale=15.0))
    log_z = (15 * per_sample - target)[:, None]  # what a head would have to say
    answer = function(
        None, logpf=side.logp, logf_ref=side.ref, logpf_old=side.old, log_z=log_z,
        reward=advantages, response_mask=side.mask, clip_ratio=0.2,
    )  # fmt: skip
    loss: Tensor = answer[0]
    return loss


def dph_forward(released: Released, side: Side) -> Tensor:
    function = released.function("seamoke+DPH-RL", PPO, "kl_penalty")
    return masked_mean(function(side.ref, side.logp, "k3"), side.mask)


def dph_js(released: Released, side: Side) -> Tensor:
    function = released.function("seamoke+DPH-RL", PPO, "js_low_var")
    return masked_mean(function(side.logp, side.ref), side.mask)


def dph_alpha(released: Released, side: Side) -> Tensor:
    function = released.function("seamoke+DPH-RL", PPO, "alpha_divergence_f")
    return masked_mean(function(side.logp, side.ref, 0.2), side.mask)


def reverse_kl_k3(released: Released, side: Side) -> Tensor:
    function = released.function("seamoke+DPH-RL", PPO, "kl_penalty")
    return masked_mean(function(side.logp, side.ref, "low_var_kl"), side.mask)


SOURCES: dict[str, tuple[Callable[[Released, Side], Tensor], str, str]] = {
    "grpo": (grpo, "volcengine+verl", "the KL's default is the paper's; a lone sample has A = 0"),
    "dapo": (dapo, "volcengine+verl", "length penalty left out: it is of the reward"),
    "dr_grpo": (dr_grpo, "volcengine+verl", "without dual clipping, as in its own code"),
    "rloo": (rloo, "volcengine+verl", "our recipe is on policy and unclipped, KL in the reward"),
    "gspo": (gspo, "volcengine+verl", "verl adds 1e-8 to the number of tokens"),
    "cispo": (cispo, "volcengine+verl", "none"),
    "sapo": (sapo, "volcengine+verl", "verl adds 1e-8 to the number of tokens"),
    "kl_cov": (kl_cov, "volcengine+verl", "share .2 here, so that tokens are chosen"),
    "grpo_unlikeliness": (
        grpo_unlikeliness,
        "AndreHe02+rewarding-unlikely-release",
        "ranks are float32 there; ties of log π rank by row",
    ),
    "rs_grpo": (
        rs_grpo,
        "Jackory+RS-GRPO",
        "float32 there; the released function reads a name that it does not define",
    ),
    "ucpo": (
        ucpo,
        "AnamikaLochab+UCPO",
        "ε of the standard deviation 1e-8 there, 1e-6 here; floor of q relative to the likeliest",
    ),
    "differential_smoothing": (
        differential_smoothing,
        "AnamikaLochab+UCPO",
        "a third party's code, γ .1 for both; ε as in ucpo; it skips a lone right or wrong answer",
    ),
    "pass_at_k": (pass_at_k, "RUCAIBox+Passk_Training", "k > n gives 0 and no error"),
    "w_reinforce": (
        w_reinforce,
        "TianHongZXY+RLVR-Decomposed",
        "its configuration keeps an entropy bonus of .001, here 0",
    ),
    "darling": (darling, "facebookresearch+darling", "same meanings given; loss of verl"),
    "darling correct_only": (darling_correct_only, "facebookresearch+darling", "the same"),
    "flowrl": (flowrl, "Xuekai-Zhu+FlowRL", "log Z of the group given to both"),
    "dph_forward": (dph_forward, "seamoke+DPH-RL", "η weighs η/8 there; see the docstring"),
    "dph_js": (dph_js, "seamoke+DPH-RL", "none: twice the divergence in both"),
    "dph_alpha": (dph_alpha, "seamoke+DPH-RL", "none"),
    "reverse_kl k3": (reverse_kl_k3, "seamoke+DPH-RL", "the divergence alone"),
}
"""Case → the released pipeline, its repository, and what differs around the compared part."""


OTHERS = {
    "reinforce": ("the papers' formulas", "exact gradients: tests/trainer/algorithms/recipes"),
    "entropy_bonus": ("the papers' formulas", "the same"),
    "clip_cov": (
        "paper and PRIME-RL/Entropy-Mechanism-of-RL, read",
        "which tokens of the band are silenced is random in both: the band, its size and its pool "
        "are held by tests/trainer/algorithms/test_weighting.py",
    ),
    "psr": ("TianHongZXY/RLVR-Decomposed, as w_reinforce", "the same pieces with other signs"),
    "nsr": ("TianHongZXY/RLVR-Decomposed, as w_reinforce", "the same pieces with other signs"),
    "mara": (
        "the authors' algorithm box; no code was released",
        "exact optimum .500/1.000: benchmarks/results/systems.md; anchor within a prompt",
    ),
    "mara_forward": ("the authors' algorithm box; no code was released", "the same, Algorithm 2"),
    "reinvent": ("MolecularAI/REINVENT4 (4309467)", "row by row, below"),
    "reinvent_mara": (
        "algorithm box in REINVENT's loss; no code was released",
        "that a filtered molecule is not good is our reading",
    ),
    "reverse_kl": (
        "seamoke/DPH-RL (139a9b2), `k3` above",
        "default k2, a true reverse KL; the released script takes k3",
    ),
    "qae": ("abstract and a third party's code: provisional", "exact values in the tests"),
    "ips_grpo": (
        "abstract alone: provisional",
        "clips and baseline are GRPO's; at rest π ∝ r, exact in the tests",
    ),
    "outcome_exploration": ("abstract alone: provisional", "its constant must be given"),
}
"""Recipes without a row in the first table → what they rest on, and what holds them."""

REINVENT4 = (
    ("four filters, five penalties", "25 batches of 64 molecules at T = .4", "1e-9"),
    ("inception", "the 50 molecules that it holds after them, in order", "none"),
    (
        "scores",
        "120 molecules, 17 components with transforms",
        "2e-5 relative; 3e-2 where the single precision there rounds a part that is nearly 0",
    ),
    ("novelty by random network", "5 batches, novelty and learner after each", "1e-9"),
    ("loss (`dap`)", "(prior + σ·score − agent)² of random batches", "4e-15"),
)
"""What of REINVENT4 is held to numbers that the package gave, on what, and the largest difference."""


def print_others() -> None:
    """The recipes that have no row above, and the pieces of REINVENT4."""
    print("\n## Recipes without such a comparison\n")
    print("`differential_smoothing` is above and provisional too: the code is a third party's.\n")
    print("| recipe | rests on | what holds it, deviations |\n|---|---|---|")
    for recipe, (source, shown) in OTHERS.items():
        print(f"| {recipe} | {source} | {shown} |")
    print("\n## REINVENT4 (4309467, version 4.8.24)\n")
    print("Numbers that the package's own modules gave (`record_reinvent4.py`), held by the tests.")
    print("The networks of the novelty are linear functions there; ours have the architecture and")
    print("first weights of the reference, as in the package.\n")
    print("| piece | compared on | largest difference allowed |\n|---|---|---|")
    for row in REINVENT4:
        print(f"| {' | '.join(row)} |")


def released_side(released: Released, case: str, batch: Batch) -> tuple[float, Tensor]:
    """Loss and gradient of the released functions."""
    logp = torch.tensor(batch.logp, dtype=torch.float64).requires_grad_()
    loss = SOURCES[case][0](released, Side(batch, logp))
    (gradient,) = torch.autograd.grad(loss, logp)
    return float(loss.detach()), gradient


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--record", type=Path, help="also write the numbers for the tests")
    options = parser.parse_args()
    released, recorded = Released(options.folder), {}
    batches = [random_batch(seed) for seed in range(20)]
    print("# Recipes beside the code that their authors released\n")
    print("Loss and gradient (∂/∂ log π) on the same tensors, 20 batches of 10 completions of two")
    print(
        "prompts, half a nat off policy, float64. Differences are relative to the largest entry.\n"
    )
    print("| recipe | released code (commit) | loss | gradient | what differs around it |")
    print("|---|---|---|---|---|")
    skipped = []
    for case in CASES:
        _, repository, remark = SOURCES[case]
        where = f"{repository.replace('+', '/')} ({COMMITS[repository]})"
        try:
            pairs = [
                (released_side(released, case, b), loss_and_gradient(case, b)) for b in batches
            ]
        except FileNotFoundError as missing:
            skipped.append(f"{case} ({missing})")
            continue
        loss = max(abs(a[0] - b[0]) / max(abs(a[0]), 1e-9) for a, b in pairs)
        slope = max(float((a[1] - b[1]).abs().max() / a[1].abs().max()) for a, b in pairs)
        print(f"| {case} | {where} | {loss:.0e} | {slope:.0e} | {remark} |")
        value, gradient = pairs[0][0]
        recorded[case] = {"loss": value, "gradient": gradient.tolist()}
    if skipped:
        print(f"\nNot compared, the files were not there: {', '.join(skipped)}.")
    print_others()
    if options.record is not None:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        record = {"batch": batches[0].to_dict(), "released": recorded}
        options.record.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
