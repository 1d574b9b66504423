"""What the episodes of training came to, for the log."""

from __future__ import annotations

from typing import Any

import numpy as np


class EpisodeMeans:
    """Means over rows, each of which counts alike: by its episodes that ended since the last time; where none did, by those before;
    and at first, by what its first episode came to so far.

    A mean over all episodes that ended would begin with the short ones, since rows begin together, and these are often the
    successful: an agent that has learned nothing would seem perfect until the others run out of time.
    """

    NAMES = ("objective", "success", "return", "length")

    def __init__(self, rows: int):
        self.last = np.full((len(self.NAMES), rows), np.nan)

    def take(self, sums: Any, episodes: Any, so_far: Any) -> dict[str, float]:
        """The means, by `NAMES`: ``sums`` ``[name, row]`` over the ``episodes`` ``[row]`` that ended, and what others are at,
        ``so_far`` ``[name, row]``."""
        self.last = np.where(episodes > 0, sums / np.maximum(episodes, 1), self.last)
        means = np.where(np.isnan(self.last), so_far, self.last).mean(1)
        return dict(zip(self.NAMES, means.tolist(), strict=True))
