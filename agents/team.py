"""Shares of a batch, each worked on by a core of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


class Team:
    """``threads`` threads, this one among them. Inside ``with team:`` torch works on one core in each of them.

    torch's own threads meet after every operation, and the operations of small networks are over before they have met: working
    on whole shares of a batch wastes less.
    """

    def __init__(self, threads: int):
        self.threads = threads
        self._others = (
            ThreadPoolExecutor(threads - 1, initializer=torch.set_num_threads, initargs=(1,)) if threads > 1 else None
        )

    def __enter__(self) -> Team:
        self._before = torch.get_num_threads()
        if self._others is not None:
            torch.set_num_threads(1)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._others is not None:
            torch.set_num_threads(self._before)

    def map(self, function: Callable[[Any], Any], shares: Sequence[Any]) -> list[Any]:
        """``function`` of every share, in their order."""
        first, *others = shares
        if self._others is None or not others:
            return [function(share) for share in shares]
        found = [self._others.submit(function, share) for share in others]
        return [function(first), *(one.result() for one in found)]
