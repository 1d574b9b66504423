"""How training shows where it is: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from typing import Any


class Progress:
    """A context manager; `update` takes a row of metrics. ``mode``: "bar", "lines", "none" or "auto"."""

    def __init__(self, total: int, mode: str = "auto", every: float = 10.0):
        if mode not in ("auto", "bar", "lines", "none"):
            raise ValueError(f"progress={mode!r}; allowed: auto, bar, lines, none")
        self.total, self.every, self._last = total, every, 0.0
        self.mode = ("bar" if sys.stdout.isatty() else "lines") if mode == "auto" else mode
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self.mode == "bar":
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(BarColumn(24), "{task.percentage:>3.0f}%", TimeRemainingColumn(), TextColumn("{task.fields[line]}"))
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, line="")
        return self

    def update(self, row: dict[str, Any]) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=min(row["steps"], self.total), line=describe(row))
        elif self.mode == "lines":
            now = time.monotonic()
            if now - self._last >= self.every or row["steps"] >= self.total:
                self._last = now
                print(f"{row['steps']:>9}/{self.total}  {describe(row)}", flush=True)

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.stop()


def describe(row: dict[str, Any]) -> str:
    """A row of metrics in a line."""
    parts = [f"objective {row['objective']:.3f}", f"reward {row['reward']:.3f}"]
    parts += [f"{name} {value:.3f}" for name, value in row["terms"].items()]
    shares = {
        name: row["losses"][f"{name}_share"] for name in ("rules", "reward", "learner") if f"{name}_share" in row["losses"]
    }
    if shares:
        parts.append("(" + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) + ")")
    return "  ".join([*parts, f"{row['steps_per_second']:.0f} steps/s"])
