"""Counter-based randomness: every draw is a hash of (episode key, counter), so a row's episode never depends on its neighbours.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) with
Stafford's mix 13 as its finaliser: draw ``n`` of key ``k`` is ``mix(k + (n + 1) * GOLDEN)``, the n-th output of a SplitMix64
seeded with ``k``. Everything is uint64 and every literal is wrapped, because Numba turns ``uint64 + 1`` into a signed number
and plain Python would widen it.

Rules draw with `uniform`, `integer` and `chance`, which advance the row's own counter. Nothing here, and no rule, touches
``random`` or ``numpy.random``.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from rewardscape.envs.core.compile import rule

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = (np.uint64(s) for s in (30, 27, 31, 11, 32))
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)
_TO_UNIT = 2.0**-53

SPLITS = ("train", "validation", "test")


@rule
def mix(x):
    """Stafford's mix 13 of a uint64: a bijection whose output bits each depend on every input bit."""
    x = np.uint64(x)
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return x ^ (x >> _S31)


@rule
def draw(key, counter):
    """Draw number ``counter`` (from 0) of ``key``: 64 random bits as uint64."""
    return mix(np.uint64(key) + (np.uint64(counter) + _ONE) * GOLDEN)


@rule
def episode_key(seed, index):
    """Key of episode ``index`` (from 0) of a row seeded ``seed``: uint64."""
    return mix(draw(seed, index))


@rule
def bits(w, i):
    """Next 64 random bits of row ``i``: uint64. Advances the row's counter."""
    value = draw(w.episode.key[i], w.episode.counter[i])
    w.episode.counter[i] += _ONE
    return value


@rule
def uniform(w, i):
    """Next uniform number of row ``i`` in [0, 1), a multiple of 2**-53."""
    return np.float64(bits(w, i) >> _S11) * _TO_UNIT


@rule
def integer(w, i, low, high):
    """Next uniform integer of row ``i`` in ``low .. high - 1`` (int64; ``high - low`` at most 2**31; ``low`` if empty).

    Multiply-shift of 32 bits: the bias is below ``(high - low) / 2**32``.
    """
    if high <= low:
        return np.int64(low)
    span = np.uint64(high - low)
    return np.int64(low) + np.int64(((bits(w, i) & _LOW) * span) >> _S32)


@rule
def chance(w, i, probability):
    """True with the given probability."""
    return uniform(w, i) < probability


def base_seed(run: int, split: str = "train") -> int:
    """63-bit base seed of run ``run``'s ``split``: runs and hold-outs made from different bases share no episode.

    Raises ValueError for a split other than train, validation, test.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; allowed: {', '.join(SPLITS)}")
    digest = hashlib.blake2b(f"rewardscape/{int(run)}/{split}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def as_seed(seed: Any) -> np.uint64:
    """``seed`` as uint64. Raises ValueError unless it is an integer in [0, 2**64)."""
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= int(seed) < 2**64:
        raise ValueError(f"a seed is an integer in [0, 2**64), not {seed!r}")
    return np.uint64(seed)
