"""Recipes that reward diversity or hold on to the reference: DARLING, MARA, DPH-RL."""

from __future__ import annotations

from functools import partial
from typing import Literal

from trainer.algorithms import advantage, divergence, shaping, surrogate, weighting
from trainer.algorithms.objective import Recipe, Term
from trainer.algorithms.recipes.policy_gradient import clip
from trainer.types import Knobs, Plant, ReferencePlan

__all__ = ["darling", "dph_alpha", "dph_forward", "dph_js", "mara", "mara_forward", "reverse_kl"]


def darling(
    beta: float = 1e-3,
    floor: float = 0.1,
    fusion: Literal["multiply", "add", "correct_only"] = "multiply",
    quality: Literal["raw", "group_min", "sigmoid"] = "raw",
    closure: bool = True,
    threshold: float = 0.5,
    dual: float | None = None,
) -> Recipe:
    """DARLING: reward × diversity of meanings, centred without std, token mean.

    Which answers mean the same is ``task.equivalence``. The KL of 1e-3 is that of the released
    scripts for open questions; those for mathematics have none (``recipe.kl = 0``). ``fusion``,
    ``quality``, ``closure``, ``threshold``: :func:`trainer.algorithms.shaping.darling`; ``dual``:
    :func:`trainer.algorithms.surrogate.clipped`.

    Parameters
    ----------
    beta : strength of the KL to the reference, recipe.kl
    floor : least diversity that an answer is given
    fusion : how quality and diversity become one reward
    quality : the quality as it is, less the least of its prompt, or squashed
    closure : whether a chain of equivalent answers is one meaning
    threshold : score above which an answer counts as right
    dual : bound of the ratio where the advantage is negative (dual clipping, 3 in verl); None:
        none
    """
    fused = partial(
        shaping.darling,
        floor=floor,
        fusion=fusion,
        quality=quality,
        closure=closure,
        threshold=threshold,
    )
    signed = fusion != "add" and quality == "raw"
    # where diversity outweighs quality a weaker KL spreads the policy: H rises as it is loosened
    plant: Plant = "folded" if fusion == "add" or quality == "sigmoid" else "monotone"
    return Recipe(
        name="darling",
        paper="Li et al. 2025, arXiv 2509.02534",
        shape=(fused, shaping.scaled),
        advantage=advantage.centred,
        policy=clip(0.2, 0.2, dual),
        terms=(Term(divergence.forward, knob="kl"),),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl", "reward_scale"}),
        plant=plant,
        task_needs=frozenset({"nonnegative"}) if signed else frozenset(),
    )


def mara(beta: float = 0.03, threshold: float | None = 0.8, percentile: float = 90.0) -> Recipe:
    """MARA, Algorithm 1, reverse KL: flat on the good set where the KL would follow π_ref.

    The anchor is that of each prompt's group, where the paper's box has the batch's. ``threshold``
    is τ, .80 as in the paper's molecules. Where the range of the reward is not known
    pass None: τ is then the batch's ``percentile``, which moves with the policy, and with it the
    state never quite rests (plant ``unsettled``).

    Parameters
    ----------
    beta : strength of the KL to the reference, recipe.kl
    threshold : score from which an answer is good; None: the percentile
    percentile : of the batch's scores, where threshold is none
    """
    raised = partial(shaping.mara, threshold=threshold, percentile=percentile)
    return Recipe(
        name="mara",
        paper="arXiv 2510.20817, Algorithm 1",
        shape=(shaping.scaled, raised, shaping.kl_in_reward),
        advantage=advantage.leave_one_out,
        policy=surrogate.score_function,
        reduce=weighting.sequence_sum,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl", "reward_scale"}),
        plant="monotone",
        task_needs=frozenset({"kl"}),
        threshold=threshold,
    )


def mara_forward(
    beta: float = 0.03, threshold: float | None = 0.8, percentile: float = 90.0
) -> Recipe:
    """MARA under the forward KL, which must be Algorithm 2: Algorithm 1 over-corrects there.

    Parameters
    ----------
    beta : strength of the KL to the reference, recipe.kl
    threshold : score from which an answer is good; None: the percentile
    percentile : of the batch's scores, where threshold is none
    """
    moved = partial(shaping.mara_substituted, threshold=threshold, percentile=percentile)
    kl = Term(
        partial(divergence.forward, level="sequence"), knob="kl", reduce=weighting.sequence_sum
    )
    return Recipe(
        name="mara_forward",
        paper="arXiv 2510.20817, Algorithm 2",
        shape=(shaping.scaled, moved),
        advantage=advantage.leave_one_out,
        policy=surrogate.score_function,
        terms=(kl,),
        reduce=weighting.sequence_sum,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl", "reward_scale"}),
        plant="monotone",
        task_needs=frozenset({"kl"}),
        threshold=threshold,
    )


def _dph(
    name: str,
    terms: tuple[Term, ...],
    eta: float,
    plant: Plant,
    plan: ReferencePlan,
    dual: float | None,
) -> Recipe:
    """DPH-RL: no KL where the policy explores, η·D_f on stored samples where it was good."""
    return Recipe(
        name=name,
        paper="arXiv 2509.07430",
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        policy=clip(0.2, 0.28, dual),
        terms=terms,
        reduce=weighting.token_mean,
        presamples=plan,
        knobs=Knobs(kl=eta),
        live=frozenset({"kl"}),
        plant=plant,
        task_needs=frozenset({"many_prompts", "binary"}),
    )


def dph_forward(
    eta: float = 0.02,
    threshold: int = 6,
    attempts: int = 8,
    share: float = 0.125,
    dual: float | None = None,
) -> Recipe:
    """DPH-F: the forward KL on rehearsed prompts.

    η is the paper's: L_exp + η·(mean of D over the rehearsed rows). The released code takes one
    mean over 2,048 fresh and 256 rehearsed rows, so its η weighs η/8 here. Its scripts rehearse
    prompts that are solved in 4 of 4 ``attempts``; the paper says 6 or 7 of 8. ``share`` is the
    rehearsed rows for each fresh one.

    Parameters
    ----------
    eta : strength of the divergence on rehearsed samples, recipe.kl
    threshold : right attempts from which a prompt is rehearsed
    attempts : completions of each prompt before the first step
    share : rehearsed rows of a step for each fresh one
    dual : bound of the ratio where the advantage is negative (dual clipping, 3 in verl); None:
        none
    """
    terms = (Term(divergence.forward_stored, knob="kl", rows="stored"),)
    plan = ReferencePlan(attempts, threshold, share)
    return _dph("dph_forward", terms, eta, "monotone", plan, dual)


def dph_js(
    eta: float = 0.2,
    threshold: int = 6,
    definition: bool = False,
    attempts: int = 8,
    share: float = 0.125,
    dual: float | None = None,
) -> Recipe:
    """DPH-JS: the generator form (twice the JSD), or with ``definition`` its two halves.

    By definition, ½·KL(π‖M) is asked of the explored samples too: here always, at a tenth of the
    strength, and unbiased; in the released code on a tenth of the micro-batches, with a gradient
    that misses the change of the samples. That needs the reference online. The halves carry the
    definition's ½, which the released code leaves out: at equal η they pull half as much as it,
    and half as much as the generator form. The other options: :func:`dph_forward`.

    Parameters
    ----------
    eta : strength of the divergence on rehearsed samples, recipe.kl
    threshold : right attempts from which a prompt is rehearsed
    definition : the two halves of the definition instead of the generator form
    attempts : completions of each prompt before the first step
    share : rehearsed rows of a step for each fresh one
    dual : bound of the ratio where the advantage is negative (dual clipping, 3 in verl); None:
        none
    """
    terms: tuple[Term, ...] = (Term(divergence.js_stored, knob="kl", rows="stored"),)
    if definition:
        terms = (
            Term(divergence.js_reference_half, knob="kl", rows="stored"),
            Term(divergence.js_policy_half, knob="kl", scale=0.1),
        )
    return _dph("dph_js", terms, eta, "folded", ReferencePlan(attempts, threshold, share), dual)


def dph_alpha(
    eta: float = 0.02,
    alpha: float = 0.2,
    threshold: int = 6,
    attempts: int = 8,
    share: float = 0.125,
    dual: float | None = None,
) -> Recipe:
    """DPH with the α-divergence: 1 is the forward KL, 0 the reverse one; :func:`dph_forward`.

    Parameters
    ----------
    eta : strength of the divergence on rehearsed samples, recipe.kl
    alpha : of the divergence: towards 1 the forward KL, towards 0 the reverse one
    threshold : right attempts from which a prompt is rehearsed
    attempts : completions of each prompt before the first step
    share : rehearsed rows of a step for each fresh one
    dual : bound of the ratio where the advantage is negative (dual clipping, 3 in verl); None:
        none
    """
    loss = partial(divergence.alpha_stored, alpha=alpha)
    # as an action is lost it is pulled back like u^−α; the group's std pushes it like u^−½
    plant: Plant = "monotone" if alpha > 0.5 else "folded"
    terms = (Term(loss, knob="kl", rows="stored"),)
    return _dph("dph_alpha", terms, eta, plant, ReferencePlan(attempts, threshold, share), dual)


def reverse_kl(beta: float = 0.02, k3: bool = False, dual: float | None = None) -> Recipe:
    """The baseline of DPH-RL: GRPO with a true reverse-KL gradient (k2) in the loss.

    ``k3`` is the row that its authors ran: ``low_var_kl`` in the loss, whose gradient on the
    policy's samples is that of the *forward* KL, whatever its name.

    Parameters
    ----------
    beta : strength of the KL to the reference, recipe.kl
    k3 : the gradient of the forward KL, which the authors of DPH ran as this baseline
    dual : bound of the ratio where the advantage is negative (dual clipping, 3 in verl); None:
        none
    """
    return Recipe(
        name="reverse_kl",
        paper="the RKL baseline of arXiv 2509.07430",
        shape=(shaping.scaled,),
        advantage=advantage.group_standardised,
        policy=clip(0.2, 0.28, dual),
        terms=(Term(divergence.forward if k3 else divergence.reverse, knob="kl"),),
        reduce=weighting.token_mean,
        knobs=Knobs(kl=beta),
        live=frozenset({"kl"}),
        plant="monotone" if k3 else "folded",
    )
