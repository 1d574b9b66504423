"""Payoff tables of the literature's games: arrays ``[actions] * players + [players]``, the payoff of everyone in every cell.

Where a game has a good deed it is the first action ("cooperate") and the last one is "defect".
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from rewardscape.envs.core.world import choice, number


class Game(NamedTuple):
    """``payoffs``: the row player's payoff ``[own action][other's action]`` of a symmetric game of two, else both players'."""

    actions: tuple[str, ...]
    payoffs: Any
    source: str
    several: str = ""  # how it goes on for more than two players; "" if it does not


DEED = ("cooperate", "defect")
GAMES: dict[str, Game] = {
    "prisoners": Game(
        DEED, [[3, 0], [5, 1]], "Axelrod and Hamilton, Science 1981", "pairs"
    ),
    "chicken": Game(DEED, [[3, 1], [4, 0]], "Leibo et al., arXiv:1702.03037", "pairs"),
    "stag-hunt": Game(DEED, [[4, 0], [3, 1]], "Leibo et al., arXiv:1702.03037", "hunt"),
    "battle-of-the-sexes": Game(
        ("first", "second"), [[[2, 1], [0, 0]], [[0, 0], [1, 2]]], "Osborne and Rubinstein, A Course in Game Theory, 1994"
    ),
    "public-goods": Game(DEED, None, "Fehr and Gaechter, American Economic Review 2000", "fund"),
    "rock-paper-scissors": Game(("rock", "paper", "scissors"), [[0, -1, 1], [1, 0, -1], [-1, 1, 0]], "folklore"),
    "matching-pennies": Game(
        ("heads", "tails"), [[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]], "Osborne and Rubinstein, A Course in Game Theory, 1994"
    ),
    "coordination": Game(("first", "second"), [[2, 0], [0, 1]], "Osborne and Rubinstein, A Course in Game Theory, 1994"),
}  # fmt: skip
MOST_CELLS = 2**18  # 8 players with 4 actions have 2**16 cells


def payoff_table(game: str, players: int = 2, multiplier: float = 1.6) -> np.ndarray:
    """The table of a named game: float64 ``[actions] * players + [players]``.

    prisoners: 3 each for cooperation, 1 each for defection, 5 and 0 if one defects. chicken: 3, 0, 4 and 1; stag-hunt: 4, 1,
    3 and 0; battle-of-the-sexes: (2, 1) and (1, 2) if both do the same, else 0; rock-paper-scissors and matching-pennies: 1
    for the winner, -1 for the loser; coordination: 2 each if both do the first, 1 each if both do the second, else 0.
    public-goods: everyone has 1 and keeps it (defect) or gives it (cooperate); what is given is multiplied by
    ``multiplier`` and shared by all. For more than two players, prisoners and chicken pay the mean of the game with every
    other player; in the stag hunt a stag pays only if all hunt it, a hare the mean of the game with every other player.

    Sources: `GAMES`. ValueError for an unknown game, or more than two players in a game of two.
    """
    found = GAMES[choice("MatrixGame", "game", game, tuple(GAMES))]
    players = number("MatrixGame", "players", players, 2, 8, whole=True)
    multiplier = number("MatrixGame", "multiplier", multiplier, 1, 100)
    if players > 2 and not found.several:
        several = ", ".join(name for name, other in GAMES.items() if other.several)
        raise ValueError(f"MatrixGame: {game} is a game of 2 players, not {players}; for more: {several}, or payoffs=...")
    count = len(found.actions)
    table = np.zeros((count,) * players + (players,))
    by_player = np.moveaxis(table, -1, 0)
    pair = None if found.payoffs is None else np.array(found.payoffs, float)
    for cell in itertools.product(range(count), repeat=players):
        for player, own in enumerate(cell):
            others = [action for k, action in enumerate(cell) if k != player]
            if pair is None:
                pay = float(own == 1) + multiplier * cell.count(0) / players
            elif pair.ndim == 3:
                pay = pair[cell][player]
            elif found.several == "hunt" and own == 0:
                pay = pair[0, max(others)]
            else:
                pay = pair[own, others].mean()
            by_player[player][cell] = pay
    return table


def read_table(payoffs: Any, players: int) -> np.ndarray:
    """A table of the user's own: float64 ``[actions] * players + [players]``. ValueError naming its shape if it is not that."""
    wanted = f"payoffs is to be finite numbers of shape [actions]*{players} + [{players}] for players={players}, actions >= 2"
    try:
        table = np.array(payoffs, float)
    except (TypeError, ValueError):
        raise ValueError(f"MatrixGame: {wanted}; these do not form an array") from None
    shape = table.shape
    if len(shape) != players + 1 or shape[-1] != players or len(set(shape[:-1])) != 1 or shape[0] < 2:
        raise ValueError(f"MatrixGame: {wanted}; this has shape {list(shape)}")
    if not np.isfinite(table).all() or table[..., 0].size > MOST_CELLS:
        raise ValueError(f"MatrixGame: {wanted}, of at most {MOST_CELLS} cells")
    return table
