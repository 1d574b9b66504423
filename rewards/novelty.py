"""Novelty of a state among others, by distances of embeddings: functions without a memory of their own.

Embeddings are ``[n, dims]``, NumPy. Where to get them is up to the caller: a random network, an inverse model, the state itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def state_entropy(embeddings: Any, memory: Any, k: int = 5, average: bool = False) -> np.ndarray:
    """RE3's bonus: ``log(1 + distance to the k-th neighbour in the memory)``, the nearest left out, being the state itself.

    ``average``: the mean of it over the k nearest, the state itself among them. ``[n]``. Seo et al., arXiv:2102.09430, eq. 4;
    which neighbours count as in RLeXplore (arXiv:2405.19548). ValueError if the memory has too few entries.
    """
    embeddings, memory = np.asarray(embeddings, float), np.asarray(memory, float)
    if not 1 <= k + (not average) <= len(memory):
        raise ValueError(f"state_entropy: k={k} among {len(memory)} entries of the memory")
    apart = np.sqrt(((embeddings[:, None] - memory[None]) ** 2).sum(-1))
    near = np.log1p(np.sort(apart, axis=1)[:, : k + 1])
    return near[:, :k].mean(1) if average else near[:, k]


def episodic_novelty(
    embeddings: Any, ended: Any = None, k: int = 10, mean_distance: float = 1.0, cluster: float = 0.008,
    epsilon: float = 1e-4, c: float = 1e-3, most_similar: float = 8.0,
) -> np.ndarray:  # fmt: skip
    """Pseudo-count bonus of Never Give Up for the steps of one row: ``[n]``, from embeddings in the order of time.

    ``1 / (sqrt(sum_i K(x, x_i)) + c)`` over the k nearest of the episode so far, ``K = epsilon / (max(d² / mean_distance -
    cluster, 0) + epsilon)``; 0 at the first step of an episode and where the root with c is above ``most_similar``.
    ``ended`` (bool ``[n]``): the episode ends with this step (default: none does). ``mean_distance``: running mean of squared
    distances. Badia et al., arXiv:2002.06038, eq. 2 and Algorithm 1.
    """
    embeddings = np.asarray(embeddings, float)
    ended = np.zeros(len(embeddings), bool) if ended is None else np.asarray(ended, bool)
    bonus, first = np.zeros(len(embeddings)), 0
    for now, place in enumerate(embeddings):
        if now > first:
            squared = np.sort(((embeddings[first:now] - place) ** 2).sum(-1))[:k]
            kernel = epsilon / (np.maximum(squared / mean_distance - cluster, 0.0) + epsilon)
            similar = np.sqrt(kernel.sum()) + c
            bonus[now] = 0.0 if similar > most_similar else 1.0 / similar
        if ended[now]:
            first = now + 1
    return bonus


def never_give_up(episodic: Any, lifelong: Any, most: float = 5.0) -> Any:
    """``r_episodic * min(max(1 + r_lifelong, 1), most)``: how RLeXplore joins the two novelties of Never Give Up.

    The paper has the life-long factor alpha itself in place of ``1 + r_lifelong`` (arXiv:2002.06038, eq. 1).
    """
    return np.asarray(episodic) * np.clip(1.0 + np.asarray(lifelong, float), 1.0, most)


def min_max(values: Any) -> np.ndarray:
    """Values brought to [0, 1] by the least and greatest of the batch; NaN where all are equal."""
    values = np.asarray(values, float)
    with np.errstate(invalid="ignore"):
        return (values - values.min()) / (values.max() - values.min())


def decayed(beta: float, kappa: float, updates: int) -> float:
    """The weight of a bonus after ``updates``: ``beta * (1 - kappa) ** updates`` (RLeXplore)."""
    return beta * (1.0 - kappa) ** updates
