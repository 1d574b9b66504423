"""What can happen in a step of a maze, as a number and in words."""

from __future__ import annotations

from functools import cache

from rewardscape.envs.navigation.grid import COMPASS

COLOURS = ("red", "blue")  # of keys and doors

# An event is ``kind + 16 * a + 256 * b``: a kind and two small numbers, see `caption`.
BEGAN, TURNED, MOVED, SLIPPED, BUMPED, LOCKED, TOOK, OPENED, REACHED, BURNED, RAN_INTO, WAS_HIT = range(12)


@cache
def caption(event: int) -> str:
    """An event in words."""
    kind, a, b = event % 16, event // 16 % 16, event // 256
    return {
        BEGAN: lambda: "began",
        TURNED: lambda: f"turned {('left', 'right')[a]}",
        MOVED: lambda: f"moved {COMPASS[a]}",
        SLIPPED: lambda: f"slipped {COMPASS[a]}",
        BUMPED: lambda: "bumped into a wall",
        LOCKED: lambda: f"bumped into the locked {COLOURS[a]} door",
        TOOK: lambda: f"took the {COLOURS[a]} key",
        OPENED: lambda: f"opened the {COLOURS[a]} door",
        REACHED: lambda: f"reached goal {a} of {b}",
        BURNED: lambda: "walked into lava",
        RAN_INTO: lambda: "ran into an obstacle",
        WAS_HIT: lambda: "was hit by an obstacle",
    }[kind]()
