"""Terms for games: what the rules of the game pay."""

from __future__ import annotations

from rewardscape.rewards.core.terms import term


@term
def payoff_earned(payoff):
    """The agent's own payoff in this step, in points: the selfish reward of a game. Shape ``[...]``."""
    return payoff
