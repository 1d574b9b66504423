"""The contract of a reward, run against any term or expression: also a stranger's. ``rewardscape check REWARD`` prints it."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from rewardscape.rewards.core.facts import FACTS
from rewardscape.rewards.core.formula import parse
from rewardscape.rewards.core.layer import RewardLayer
from rewardscape.rewards.core.nodes import Node, TermNode
from rewardscape.rewards.core.registry import as_expression, to_yaml
from rewardscape.rewards.core.terms import TERMS

EXTENT = 3  # of every trailing axis whose length a world chooses


def random_facts(names: Any, shape: tuple[int, ...], seed: int = 0, dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """Plausible values of facts with leading axes ``shape``, by what the vocabulary says of them: boxes have x1 <= x2, sizes are
    positive, shares lie in [0, 1], a distance is not negative. ValueError for facts that are Python objects."""
    rng = np.random.default_rng(seed)
    made: dict[str, np.ndarray] = {}
    for name in sorted({n.removeprefix("previous_") for n in names}):
        fact = FACTS[name]
        if fact.dtype == "object":
            raise ValueError(f"{name} is a Python object: nothing to draw")
        full = (*shape, *(e if isinstance(e, int) else EXTENT for e in fact.shape))
        if fact.dtype == "bool":
            made[name] = rng.random(full) < 0.7
        elif fact.dtype == "int":
            made[name] = rng.integers(0, EXTENT + 1, full)
        elif fact.unit == "px" and fact.shape and fact.shape[-1] == 4:
            corner, size = rng.uniform(0, 300, (*full[:-1], 2)), rng.uniform(1, 200, (*full[:-1], 2))
            made[name] = np.concatenate([corner, corner + size], -1).astype(dtype)
        elif fact.unit == "px":
            made[name] = (rng.uniform(0, 400, full) if name != "screen_size" else rng.uniform(300, 900, full)).astype(dtype)
        else:
            made[name] = rng.uniform(0, 1, full).astype(dtype)
    return made


def reward_checks(target: Any) -> dict[str, Callable[[], None]]:
    """Checks by name, each raising AssertionError with what was expected and what was found. ``target``: term, node, preset
    name, formula or YAML path."""
    expression: Node = as_expression(target)
    names = (*expression.facts(), *expression.optional_facts(), "terminated")
    terms = [TERMS[node.term] for node in expression.walk() if isinstance(node, TermNode)]
    checks: dict[str, Callable[[], None]] = {
        "every term is documented": lambda: _documented(terms),
        "the formula reads back": lambda: _round_trip(expression),
    }
    if any(made.rowwise or FACTS[n.removeprefix("previous_")].dtype == "object" for made in terms for n in made.facts_needed):
        return checks  # what they need is texts and calls, and only their own tests know good ones
    if any(FACTS[n.removeprefix("previous_")].dtype == "any" for n in expression.facts()):
        return checks

    joint = [node for node in expression.walk() if node.over_agents]
    weights = next((len(node.weights) for node in joint if hasattr(node, "weights")), EXTENT)
    agents = (weights,) if joint else ()  # rewards over agents have these as the last leading axis

    def value(facts: dict[str, Any]) -> Any:
        layer = RewardLayer(expression)
        layer.reset(facts)
        return layer.step(facts)[0]

    def finite() -> None:
        for kind, facts in _samples(names, agents).items():
            got = value(facts)
            assert np.isfinite(got).all(), f"{kind} facts give {got}"

    def bounded() -> None:
        for made in terms:
            if made.bounds is None:
                continue
            low, high = made.bounds
            node = made.as_node()
            for kind, facts in _samples((*node.facts(), *node.optional_facts(), "terminated")).items():
                layer = RewardLayer(node)
                layer.reset(facts)
                got = layer.step(facts)[0]
                assert (got >= low - 1e-9).all() and (got <= high + 1e-9).all(), (
                    f"{made.name} on {kind} facts: {got} not in [{low}, {high}]"
                )

    def axes() -> None:
        facts = random_facts(names, (2, 5, *agents))
        wide = value(facts)
        assert wide.shape == (2, 5, *agents), f"leading axes {(2, 5, *agents)} give shape {wide.shape}"
        for i in range(2):
            row = value({k: v[i] for k, v in facts.items()})
            assert np.allclose(row, wide[i], rtol=1e-12, atol=0), "[time, batch] differs from [batch]"
            for j in range(5):
                one = value({k: v[i, j : j + 1] for k, v in facts.items()})
                assert np.allclose(one, wide[i, j], rtol=1e-12, atol=0), "a batch of one differs"

    def permuted() -> None:
        facts, order = random_facts(names, (7, *agents)), np.random.default_rng(1).permutation(7)
        assert np.allclose(value({k: v[order] for k, v in facts.items()}), value(facts)[order], rtol=1e-12, atol=0), (
            "rows matter to each other"
        )

    def torch_too() -> None:
        import torch

        for dtype, rtol in ((np.float64, 1e-12), (np.float32, 1e-5)):
            facts = random_facts(names, (16, *agents), dtype=dtype)
            plain, tensor = value(facts), value({k: torch.from_numpy(v) for k, v in facts.items()})
            assert np.allclose(plain, tensor.numpy(), rtol=rtol, atol=rtol), f"{dtype.__name__}: NumPy {plain}, torch {tensor}"

    def pure() -> None:
        facts = random_facts(names, (6, *agents))
        kept = copy.deepcopy(facts)
        first, second = value(facts), value(facts)
        assert np.array_equal(first, second), "two calls differ"
        for name, array in facts.items():
            assert np.array_equal(array, kept[name]), f"{name} was changed"

    checks |= {"torch equals NumPy": torch_too} if importlib.util.find_spec("torch") else {}
    return checks | {
        "finite, also on degenerate facts": finite,
        "terms keep their stated bounds": bounded,
        "any leading axes": axes,
        "rows do not mix": permuted,
        "repeatable, and leaves its facts alone": pure,
    }


def _samples(names: Any, agents: tuple[int, ...] = ()) -> dict[str, dict[str, np.ndarray]]:
    drawn = random_facts(names, (64, *agents), seed=2)
    return {
        "random": drawn,
        "zero": {name: np.zeros_like(array) for name, array in drawn.items()},
        "equal": {name: np.ones_like(array) for name, array in drawn.items()},
        "huge": {
            name: array * 1e6 if array.dtype.kind == "f" and FACTS[name].unit == "px" else array
            for name, array in drawn.items()
        },
    }


def _documented(terms: list[Any]) -> None:
    for made in terms:
        assert made.doc.strip(), f"{made.name} has no docstring"


def _round_trip(expression: Node) -> None:
    assert parse(str(expression)) == expression, f"{expression} reads back as {parse(str(expression))}"
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "reward.yaml"
        path.write_text(to_yaml(expression))
        assert as_expression(path) == expression, "YAML reads back as something else"
