"""Runs recorded reference vectors against the public API."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

from tests.parity import intrinsic_adapters, stage_adapters  # noqa: F401
from tests.parity.adapters import ADAPTERS

VECTORS = pathlib.Path(__file__).parent / "vectors"
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def load(path: str | pathlib.Path) -> dict[str, Any]:
    """One file of vectors."""
    return json.loads(pathlib.Path(path).read_text())


def same(found: Any, expected: Any, rtol: float, atol: float) -> bool:
    """Equal within tolerance, through lists and dicts."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(k in found and same(found[k], v, rtol, atol) for k, v in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(same(f, e, rtol, atol) for f, e in zip(found, expected, strict=True))
    expected = _WORDS.get(expected, expected) if isinstance(expected, str) else expected
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        if isinstance(found, (str, type(None))):
            return False
        if math.isnan(expected) or math.isinf(expected):
            return math.isnan(found) if math.isnan(expected) else found == expected
        return math.isclose(found, expected, rel_tol=rtol, abs_tol=atol)
    return found == expected


def run(path: str | pathlib.Path) -> tuple[str, int, list[str]]:
    """(system, cases passed, a line for each that failed)."""
    vectors = load(path)
    passed, failures = 0, []
    for number, case in enumerate(vectors["cases"]):
        answer = ADAPTERS.get((vectors["system"], case["input"]["fn"]))
        if answer is None:
            failures.append(f"case {number}: no adapter for {case['input']['fn']}")
            continue
        try:
            found = answer(case["input"])
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if same(found, case["expected"], vectors["rtol"], vectors["atol"]):
            passed += 1
        else:
            failures.append(f"case {number}: expected {case['expected']}, found {found}: {case['input']}")
    return vectors["system"], passed, failures
