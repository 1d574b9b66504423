"""What is known of a game before anyone plays it: equilibria, the best for all, symmetry.

Tables are ``[actions] * players + [players]``: the payoff of everyone in every cell. A cell is a joint action, a tuple with one
action a player. Amounts that differ by less than `NEAR` count as equal.
"""

from __future__ import annotations

import numpy as np

Cell = tuple[int, ...]
NEAR = 1e-9


def best_responses(payoffs: np.ndarray, player: int) -> np.ndarray:
    """Is ``player``'s action in a cell a best response to the others' there? bool ``[actions] * players``."""
    own = np.asarray(payoffs, float)[..., player]
    return own >= own.max(axis=player, keepdims=True) - NEAR


def pure_nash(payoffs: np.ndarray) -> list[Cell]:
    """The cells where nobody gains by deviating alone: Nash equilibria in pure strategies, in order."""
    payoffs = np.asarray(payoffs, float)
    stable = np.logical_and.reduce([best_responses(payoffs, player) for player in range(payoffs.shape[-1])])
    return [tuple(int(action) for action in cell) for cell in np.argwhere(stable)]


def welfare_optimum(payoffs: np.ndarray) -> tuple[Cell, float]:
    """The cell with the greatest sum of payoffs (the first of equals), and that sum."""
    total = np.asarray(payoffs, float).sum(-1)
    best = np.argwhere(total >= total.max() - NEAR)[0]
    return tuple(int(action) for action in best), float(total[tuple(best)])


def is_symmetric(payoffs: np.ndarray) -> bool:
    """Does it matter who is who? True if exchanging any two players exchanges their payoffs and changes nothing else."""
    payoffs = np.asarray(payoffs, float)
    order = np.arange(payoffs.shape[-1])
    for player in range(len(order) - 1):
        swapped = order.copy()
        swapped[[player, player + 1]] = player + 1, player
        if not np.allclose(payoffs.swapaxes(player, player + 1)[..., swapped], payoffs, rtol=0, atol=NEAR):
            return False
    return True


def is_constant_sum(payoffs: np.ndarray) -> bool:
    """Do all cells have the same sum of payoffs?"""
    total = np.asarray(payoffs, float).sum(-1)
    return bool(np.ptp(total) <= NEAR)
