"""Bonuses that count: how often has this state been seen in the whole of training? Any fact is counted, hashed into a table."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from rewardscape.rewards.core.arrays import array_namespace, indicator, is_numpy, sum_by
from rewardscape.rewards.core.facts import FACTS, require_fact
from rewardscape.rewards.core.nodes import Context
from rewardscape.rewards.core.operations import operation
from rewardscape.rewards.intrinsic import Intrinsic, columns, steps_that_count
from rewardscape.rewards.navigation import CountForm, check_scale, count_form


def cells(facts: dict[str, Any], names: tuple[str, ...], size: int, width: float = 1.0) -> Any:
    """The cell of a table of ``size`` (a power of two) that the values of the facts ``names`` fall into: int64.

    Whole numbers as they are, others in bins of ``width``. The same values always fall into the same cell, different ones with a
    chance of 1 / ``size``; the same in NumPy and torch. Shape: the facts' leading axes.
    """
    parts = [columns(facts, name) for name in names]
    xp = array_namespace(*parts)
    whole = []
    for part in parts:
        binned = xp.floor(part / width) if str(part.dtype).rpartition(".")[2].startswith("float") else part
        whole.append(binned.astype(np.int64) if is_numpy(part) else binned.to(xp.int64))
    joined = xp.concat(whole, axis=-1) if len(whole) > 1 else whole[0]
    factors = _factors(joined.shape[-1])
    if xp is not np:
        factors = xp.asarray(factors, device=joined.device)
    with np.errstate(over="ignore"):  # wraps modulo 2**64
        key = joined @ factors if xp is np else (joined * factors).sum(-1)
        for shift in (32, 29):
            key = (key ^ (key >> shift)) * MIXER
    return (key ^ (key >> 32)) & (size - 1)


MIXER = -4658895280553007687  # odd; a multiplier of splitmix64


@functools.cache
def _factors(number: int) -> np.ndarray:
    """An odd 64-bit factor for each of ``number`` columns, always the same."""
    drawn = np.random.Generator(np.random.PCG64(0)).integers(-(2**63), 2**63 - 1, number, np.int64)
    return drawn | 1


class Counts:
    """A table of counts, float64 (whole numbers up to 2**53)."""

    def __init__(self, size: int, like: Any):
        xp = array_namespace(like)
        self.table: Any = np.zeros(size) if xp is np else xp.zeros(size, dtype=xp.float64, device=like.device)

    def add(self, keys: Any, weights: Any) -> None:
        """Count ``keys``, each ``weights`` times."""
        self.table = self.table + sum_by(weights, keys, len(self.table))

    def state_dict(self) -> dict[str, Any]:
        return {"table": as_array(self.table, self.table)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.table = as_array(state["table"], self.table)


def as_array(saved: Any, like: Any) -> Any:
    """A copy of ``saved`` where ``like`` lives: NumPy, or torch on its device."""
    if is_numpy(like):
        return np.array(saved.cpu() if hasattr(saved, "cpu") else saved)
    import torch

    return torch.as_tensor(saved).to(like.device, like.dtype, copy=True)


@dataclass(frozen=True)
class CountBonus(Intrinsic):
    """``beta`` times a falling function of the earlier visits to a state."""

    on: tuple[str, ...] = ("position",)
    beta: float = 1.0
    form: CountForm = "inverse_sqrt"
    scale: float = 1.0
    width: float = 1.0
    size: int = 65536
    label: str = "count_bonus"

    def own_facts(self) -> tuple[str, ...]:
        return ("action_valid", *self.on)

    def model(self, context: Context) -> Counts:
        return Counts(self.size, context.facts["action_valid"])

    def bonus(self, model: Counts, facts: dict[str, Any]) -> Any:
        return self.beta * count_form(model.table[cells(facts, self.on, self.size, self.width)], self.form, self.scale)

    def learn(self, model: Counts, batch: dict[str, Any]) -> float:
        keys = cells(batch, self.on, self.size, self.width)
        model.add(keys, indicator(steps_that_count(batch)))
        return float(indicator(model.table > 0).mean())


@operation
def count_bonus(
    on: Any = "position",
    beta: float = 1.0,
    form: CountForm = "inverse_sqrt",
    scale: float = 1.0,
    width: float = 1.0,
    size: int = 65536,
) -> CountBonus:
    """Bonus for states seldom seen in training: ``beta / sqrt(n)``, n the visits to the state so far with this one included.

    States are the values of the fact ``on``, or of several, hashed into a table of ``size`` cells (Tang et al., "#Exploration",
    NeurIPS 2017, arXiv:1611.04717; ``beta / sqrt(n)``: Strehl and Littman 2008); facts that are not whole numbers are counted
    in bins of ``width``. ``form`` and ``scale``: as of `episodic_count`. Counts grow when the layer updates, with the batch as
    in the paper: between updates the reward is a fixed function of the state, whatever the order of rows. Frozen in
    evaluation. Recorded as ``count_bonus``; its loss is the share of the table in use. ValueError for an unknown fact, a
    ``size`` that is no power of two, a ``scale`` or ``width`` not above 0.
    """
    names = checked_facts("count_bonus", on)
    check_scale("count_bonus", scale)
    check_table("count_bonus", size, width)
    if form not in ("inverse_sqrt", "inverse", "first"):
        raise ValueError(f"count_bonus: form={form!r}; allowed: 'inverse_sqrt', 'inverse', 'first'")
    return CountBonus(names, float(beta), form, float(scale), float(width), size)


def checked_facts(owner: str, on: Any) -> tuple[str, ...]:
    """``on`` as names of facts that can be hashed. ValueError for others."""
    names = (on,) if isinstance(on, str) else tuple(on)
    for name in names:
        require_fact(name, f"{owner}(on=...)")
        if FACTS[name.removeprefix("previous_")].dtype == "object":
            raise ValueError(f"{owner}: {name} is a Python object a row, not an array: nothing to count")
    if not names:
        raise ValueError(f"{owner}: on={on!r}; give a fact or several")
    return names


def check_table(owner: str, size: int, width: float) -> None:
    """ValueError unless ``size`` is a power of two and ``width`` above 0."""
    if isinstance(size, bool) or not isinstance(size, int) or size < 1 or size & (size - 1):
        raise ValueError(f"{owner}: size={size!r}; allowed: a power of two")
    if not width > 0:
        raise ValueError(f"{owner}: width={width!r}; allowed: above 0")
