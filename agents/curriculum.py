"""Curricula: what changes about the task while an agent learns. Pure bookkeeping, no environments."""

from __future__ import annotations

import math
from typing import Any


class TurnLimit:
    """A limit on the turns of an episode that follows the agent down: after every ``every`` training iterations it becomes the
    mean of the mean and the greatest number of turns used since the last change, rounded up.

    ``L_max <- (mean + max) / 2``: the interaction annealing of WMAct, arXiv:2511.23476, whose limit begins at 30 turns and
    whose best ``every`` is 100. ValueError unless both are whole numbers of at least 1.
    """

    def __init__(self, initial: int = 30, every: int = 100):
        for name, value in (("initial", initial), ("every", every)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"TurnLimit: {name}={value!r}; allowed: an integer of at least 1")
        self.limit, self.every = initial, every
        self._clear()

    def _clear(self) -> None:
        self._iterations, self._episodes, self._turns, self._longest = 0, 0, 0, 0

    def update(self, episodes: int, turns: int, longest: int) -> int:
        """One training iteration, in which ``episodes`` ended after ``turns`` in all, ``longest`` at most: the limit from now on.

        A window in which no episode ended changes nothing.
        """
        self._iterations += 1
        self._episodes += episodes
        self._turns += turns
        self._longest = max(self._longest, longest)
        if self._iterations == self.every:
            if self._episodes:
                self.limit = max(1, math.ceil((self._turns / self._episodes + self._longest) / 2))
            self._clear()
        return self.limit

    def state_dict(self) -> dict[str, Any]:
        """All that `update` has made of it, to be saved with the agent."""
        return {name: value for name, value in vars(self).items() if name != "every"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Come back to a `state_dict`."""
        vars(self).update(state)
