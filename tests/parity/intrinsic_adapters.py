"""Adapters of shaping and intrinsic rewards."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rewardscape.rewards import RewardLayer, declare_fact, fact, potential
from rewardscape.rewards.exploration import Tables, returns_to_go
from rewardscape.rewards.intrinsic import RND, BonusScale, DiscountedSum, Distillation, RunningMeanStd
from rewardscape.rewards.novelty import decayed, episodic_novelty, min_max, never_give_up, state_entropy
from tests.parity.adapters import adapter

declare_fact("recorded_potential", (), "float", "-", "potential of a recorded state")
declare_fact("recorded_reward", (), "float", "-", "reward of a recorded transition before shaping")


@adapter("potential_shaping_imitation", "ShapedRewardNet.forward")
def _(input: dict[str, Any]) -> list[float]:
    """Base reward and potential are those of the recording: sum of the state plus the action, sum of squares of the state."""
    state, action, after = (np.array(input[name], float) for name in ("state", "action", "next_state"))
    ended = np.array(input["done"], bool)
    layer = RewardLayer(fact("recorded_reward") + potential(fact("recorded_potential"), gamma=input["gamma"]))
    base = state.sum(-1) + action.sum(-1)
    layer.reset({"recorded_potential": (state**2).sum(-1), "recorded_reward": base, "terminated": ended})
    facts = {"recorded_potential": (after**2).sum(-1), "recorded_reward": base, "terminated": ended}
    return layer.step(facts)[0].tolist()


# ------------------------------------------------------------------------------------------------------------------ ExploRS

PARTS = {"ExploB": "explore", "SelfRS": "exploit", "ExploRS": "both"}


def _explore(input: dict[str, Any], absorbing: bool) -> float:
    tables = Tables(1, 1, input["lmbd"], input["max"])
    tables.visits[0] = input["count"]
    return float(tables.explore(np.array([0]), np.array([absorbing]))[0])


@adapter("explors", "R_explore")
def _(input: dict[str, Any]) -> float:
    return _explore(input, False)


@adapter("explors", "R_explore_terminal")
def _(input: dict[str, Any]) -> float:
    return _explore(input, bool(input["terminal_state"]))


@adapter("explors", "step_sequence")
def _(input: dict[str, Any]) -> dict[str, list[float]]:
    """ "Orig" adds nothing. The last state is the absorbing one where the recorded chain has one."""
    phi, number, state = np.array(input["phi"], float), input["n_states"], input["start"]
    tables = Tables(number, phi.shape[1], input.get("lmbd", 1.0), input.get("max", 1.0), PARTS.get(input["teacher"], "both"))
    tables.phi = phi
    rewards = []
    for step in input["script"]:
        bonus = 0.0
        if input["teacher"] in PARTS:
            here, there = np.array([state]), np.array([step["next"]])
            absorbing = np.array([bool(input["terminal_state"]) and step["next"] == number - 1])
            bonus = float(tables.bonus(here, np.array([step["action"]]), there, absorbing)[0])
            tables.count(here, np.ones(1))
        rewards.append(step["reward"] + bonus)
        state = step["next"]
    return {"rewards": rewards, "counts": tables.visits.tolist()}


def _returns(input: dict[str, Any], episode: list[Any]) -> np.ndarray:
    return returns_to_go(np.array([input["reward"][s][a] for s, a, *_ in episode], float), input["gamma"])[0]


@adapter("explors", "original_return")
def _(input: dict[str, Any]) -> list[float]:
    return _returns(input, input["episode"]).tolist()


@adapter("explors", "update_SelfRS")
def _(input: dict[str, Any]) -> dict[str, Any]:
    tables = Tables(*np.shape(input["reward"]))
    tables.value = np.array(input["V0"], float)
    steps = [step for episode in input["buffer"] for step in episode]
    tables.shape(
        np.array([step[0] for step in steps]), np.array([step[1] for step in steps]), np.array([step[5] for step in steps], float),
        np.concatenate([_returns(input, episode) for episode in input["buffer"]]), None, input["eta_phi"], input["eta_critic"],
        input["clipping_epsilon"] if input["use_clipping"] else None,
    )  # fmt: skip
    return {"phi": tables.phi.tolist(), "V": tables.value.tolist()}


@adapter("explors", "update_sors")
def _(input: dict[str, Any]) -> list[list[float]]:
    tables = Tables(*np.shape(input["reward"]))
    tables.phi = np.full(tables.phi.shape, input["phi0_fill"], float)
    tables.phi[2, 0] = input["phi0_20"]
    episodes = [([s for s, *_ in e], [a for _, a, *_ in e], _returns(input, e)[0]) for e in input["buffer"]]
    tables.order(episodes, input["gamma"], input["eta"])
    return tables.phi.tolist()


# ---------------------------------------------------------------------------------------------------------------- RLeXplore


@adapter("rlexplore_rllte", "TorchRunningMeanStd")
def _(input: dict[str, Any]) -> list[list[float]]:
    running, found = RunningMeanStd(unbiased=True), []
    for batch in input["batches"]:
        running.update(np.array(batch, float))
        found.append([float(v) for v in (running.mean, running.var, running.std, running.count)])
    return found


@adapter("rlexplore_rllte", "RewardForwardFilter")
def _(input: dict[str, Any]) -> list[list[float]]:
    sums = DiscountedSum(input["gamma"])
    return [sums.update(np.array(step, float)).tolist() for step in input["sequence"]]


@adapter("rlexplore_rllte", "BaseReward.scale")
def _(input: dict[str, Any]) -> list[Any]:
    sums = DiscountedSum(input.get("gamma") or 0.0)  # there, the discounted sums themselves are paid
    scale, found = BonusScale("bonus" if input["norm"] == "rms" else "none", unbiased=True), []
    for updates, batch in enumerate(input["sequence"], 1):
        bonuses = np.array([sums.update(np.array(step, float)) for step in batch])
        scale.update(bonuses)
        scaled = min_max(bonuses) if input["norm"] == "minmax" else scale(bonuses)
        found.append((scaled * decayed(input.get("beta", 1.0), input.get("kappa", 0.0), updates)).tolist())
    return found


@adapter("rlexplore_rllte", "RND")
def _(input: dict[str, Any]) -> list[float]:
    """Both networks are linear maps that the recording names, ``a*x`` and ``x+b``: one layer each."""
    observations = torch.tensor(input["next_observations"], dtype=torch.float64)
    model = Distillation(observations.shape[-1], RND(), torch.device("cpu"))
    model.predictor, model.target = (_linear(input[name], observations.shape[-1]) for name in ("predictor", "target"))
    return model.errors(observations).tolist()


def _linear(text: str, width: int) -> list[torch.Tensor]:
    factor, _, offset = text.replace(" ", "").partition("x")
    slope = {"": 1.0, "-": -1.0}.get(factor) or float(factor.rstrip("*"))
    return [slope * torch.eye(width, dtype=torch.float64), torch.full((width,), float(offset or 0), dtype=torch.float64)]


@adapter("rlexplore_rllte", "RE3")
def _(input: dict[str, Any]) -> list[float]:
    places = input["observations"]
    return state_entropy(places, places, input["k"], input["average_entropy"]).tolist()


@adapter("rlexplore_rllte", "PseudoCounts")
def _(input: dict[str, Any]) -> list[float]:
    ended = np.isin(np.arange(len(input["observations"])), input.get("done", []))
    return episodic_novelty(input["observations"], ended, input["k"]).tolist()


@adapter("rlexplore_rllte", "NGU_combine")
def _(input: dict[str, Any]) -> list[float]:
    return never_give_up(input["episodic"], input["lifelong"], input["mrs"]).tolist()
