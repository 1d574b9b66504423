"""Pictures of rewards for docs/: what each pays over a screen, by distance, by the size of a box, by confidence, by visits."""

from __future__ import annotations

import io
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import numpy as np

from rewardscape.rewards import Node, RewardLayer, as_expression


@dataclass
class Panel:
    """One diagram of a reward's picture: ``field`` ``[y, x]`` over the screen, or ``lines`` (x, y) by label."""

    title: str
    caption: str
    x: str
    y: str = "reward"
    field: np.ndarray | None = None
    lines: dict[str, tuple[np.ndarray, np.ndarray]] = dataclass_field(default_factory=dict)
    whole: bool = False  # x takes whole numbers


SCREEN = np.array([320.0, 240.0])
SMALL, MIDDLE, LARGE = np.array([16.0, 16.0]), np.array([64.0, 32.0]), np.array([96.0, 48.0])  # sides of targets
CENTRE, ASIDE = SCREEN / 2, np.array([120.0, 90.0])  # of targets
# regions beside the target, far from one another, no three on a line
ELSEWHERE = np.array([[42.0, 30], [62, 203], [133, 34], [241, 190], [259, 47], [270, 141], [150, 215]])


def plot(name: str) -> bytes | None:
    """What a preset pays, SVG; None where its facts are none that can be drawn."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = panels_of(as_expression(name))
    if not panels:
        return None
    style: Any = {
        "svg.hashsalt": "rewardscape", "svg.fonttype": "none", "font.size": 9, "axes.titlesize": 9.5, "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with plt.rc_context(style):
        figure, axes = plt.subplots(1, len(panels), figsize=(3.5 * len(panels), 2.8), squeeze=False)
        for axis, panel in zip(axes[0], panels, strict=True):
            axis.set(title=panel.title, xlabel=panel.x, ylabel=panel.y)
            if panel.field is not None:
                shown = axis.imshow(panel.field, extent=(0, SCREEN[0], SCREEN[1], 0), cmap="viridis", interpolation="nearest")
                figure.colorbar(shown, ax=axis, fraction=0.036, pad=0.03, label="reward")
                outline = plt.Rectangle(tuple(ASIDE - MIDDLE / 2), *MIDDLE, fill=False, edgecolor="white", linewidth=0.8)
                axis.add_patch(outline)
                continue
            for (label, (x, y)), dashes in zip(panel.lines.items(), ("-", "--", ":"), strict=False):
                axis.plot(x, y, dashes, label=label, linewidth=1.6, marker="o" if panel.whole else None, markersize=3.5)
            low, high = axis.get_ylim()
            axis.set_ylim(min(low, -0.05 * high), high + 0.1 * (high - low))
            if panel.whole:
                axis.locator_params(axis="x", integer=True)
            axis.grid(alpha=0.25)
            axis.legend(frameon=False, fontsize=8)
        figure.tight_layout()
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return stream.getvalue()


def panels_of(node: Node) -> list[Panel]:
    """Diagrams of what a reward pays, chosen by the facts it reads; none where there is nothing to draw."""
    needed = set(node.facts())
    every = needed | set(node.optional_facts())
    if "tool_call_count" in needed and needed <= set(_answers(np.zeros(1), 1.0)):
        return [_tool_panel(node)]
    if {name.removeprefix("previous_") for name in needed} <= set(_steps(np.ones(1))):
        ways = [_way_panel(node)] if needed & {"goal_distance", "goal_offset"} else []
        return ways + ([_visits_panel(node)] if "visit_count" in needed else [])
    if not needed & {"target_box", "element_boxes"} or not needed <= set(_clicks(CENTRE[None], LARGE)):
        return []
    panels = [_map_panel(node, every), _distance_panel(node, every)]
    if "confidence" in every:
        panels.append(_confidence_panel(node))
    elif "proposals" in every:
        panels.append(_proposals_panel(node))
    elif "predicted_box" in every:
        panels.append(_size_panel(node))
    return panels


def _pay(node: Node, facts: dict[str, Any]) -> np.ndarray:
    layer = RewardLayer(node)
    layer.reset(facts)
    return layer.step(facts)[0]


def _clicks(points: np.ndarray, target: np.ndarray, box: Any = 0.0, centre: np.ndarray = CENTRE) -> dict[str, Any]:
    """Facts of clicks ``[row, 2]`` with boxes of sides ``box`` around them, which are the only region proposed."""
    rows, half = len(points), np.broadcast_to(np.asarray(box, float), points.shape) / 2
    boxes = np.concatenate([points - half, points + half], 1)
    targets = np.tile(np.concatenate([centre - target / 2, centre + target / 2]), (rows, 1))
    yes, ones = np.ones(rows, bool), np.ones(rows, int)
    return {
        "predicted_point": points, "predicted_box": boxes, "box_given": yes, "confidence": np.ones(rows), "confidence_given": yes,
        "proposals": boxes[:, None], "proposal_count": ones, "target_box": targets, "element_boxes": targets[:, None],
        "element_count": ones, "screen_size": np.tile(SCREEN, (rows, 1)), "action_kind": ones, "parsed": yes, "format_valid": yes,
        "action_valid": yes, "terminated": yes, "truncated": ~yes,
    }  # fmt: skip


def _answers(calls: np.ndarray, right: float) -> dict[str, Any]:
    """Facts of answers, right or wrong, that took so many tool calls."""
    yes = np.ones(len(calls), bool)
    return {"answer_correct": np.full(len(calls), right), "tool_call_count": calls, "format_valid": yes, "terminated": yes}


def _steps(distance: np.ndarray, visits: Any = 1) -> dict[str, Any]:
    """Facts of steps that end so many cells from the goal, in a corridor, where one has been so often."""
    yes = np.ones(len(distance), bool)
    return {
        "goal_distance": distance, "goal_offset": np.stack([distance, 0 * distance], 1), "visit_count": visits * np.ones_like(distance),
        "objective": 0.0 * distance, "action_valid": yes, "terminated": ~yes, "truncated": ~yes,
    }  # fmt: skip


def _with_box(every: set[str]) -> str:
    return " a box of the target's size around" if every & {"predicted_box", "proposals"} else " a click on"


def _map_panel(node: Node, every: set[str]) -> Panel:
    y, x = np.mgrid[1.5 : SCREEN[1] : 3, 1.5 : SCREEN[0] : 3]
    box = MIDDLE if every & {"predicted_box", "proposals"} else 0.0
    values = _pay(node, _clicks(np.stack([x, y], -1).reshape(-1, 2), MIDDLE, box, ASIDE)).reshape(x.shape)
    caption = f"Over the screen: what{_with_box(every)} each place is paid (outlined: the target, 64x32 px)."
    return Panel("over the screen", caption, "x, px", "y, px", field=values)


def _distance_panel(node: Node, every: set[str]) -> Panel:
    apart = np.arange(0.0, 121.0)
    lines = {}
    for label, target in (("target 16x16 px", SMALL), ("target 96x48 px", LARGE)):
        points = CENTRE + np.stack([apart, 0 * apart], 1)
        lines[label] = (apart, _pay(node, _clicks(points, target, target if every & {"predicted_box", "proposals"} else 0.0)))
    caption = "By distance: the same, moved to the right from the centre of a small and of a large target."
    return Panel("by distance", caption, "right of the target's centre, px", lines=lines)


def _size_panel(node: Node) -> Panel:
    scale = np.arange(0.02, 4.01, 0.02)
    lines = {}
    for label, shift in (("centred", 0.0), ("a quarter of its width off", 0.25)):
        points = np.tile(CENTRE + np.array([shift * LARGE[0], 0.0]), (len(scale), 1))
        lines[label] = (scale, _pay(node, _clicks(points, LARGE, scale[:, None] * LARGE)))
    caption = "By the box's size: sides of the box as a multiple of the target's, 96x48 px."
    return Panel("by the box's size", caption, "side of the box / of the target", lines=lines)


def _confidence_panel(node: Node) -> Panel:
    stated = np.linspace(0, 1, 101)
    lines = {}
    for label, shift in (("at the centre", 0.0), ("a quarter of its width off", 0.25), ("a miss", 1.0)):
        points = np.tile(CENTRE + np.array([shift * LARGE[0], 0.0]), (len(stated), 1))
        lines[label] = (stated, _pay(node, {**_clicks(points, LARGE), "confidence": stated}))
    caption = "By confidence: three clicks, by the confidence stated (in the other diagrams it is 1)."
    return Panel("by confidence", caption, "stated confidence", lines=lines)


def _proposals_panel(node: Node) -> Panel:
    counts = np.arange(1, len(ELSEWHERE) + 2)
    half = np.tile(SMALL / 2, 1)
    lines: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for label in ("the target first", "the target last", "the target not"):
        facts = _clicks(np.tile(CENTRE, (len(counts), 1)), SMALL, SMALL)
        regions = np.zeros((len(counts), len(counts), 4))
        for row, count in enumerate(counts):
            others = ELSEWHERE if label != "the target not" else np.concatenate([ELSEWHERE, [[25.0, 120.0]]])
            places = list(others[: count - (label != "the target not")])
            if label != "the target not":
                places.insert(0 if label == "the target first" else len(places), CENTRE)
            regions[row, :count] = [np.concatenate([place - half, place + half]) for place in places]
        lines[label] = (counts, _pay(node, {**facts, "proposals": regions, "proposal_count": counts}))
    caption = (
        "By regions: several are proposed, of which one or none is the target, the screen's only element; the click is right."
    )
    return Panel("by regions proposed", caption, "regions proposed", lines=lines, whole=True)


def _tool_panel(node: Node) -> Panel:
    calls = np.arange(0, 9)
    lines = {
        label: (calls, _pay(node, _answers(calls, right))) for label, right in (("right answer", 1.0), ("wrong answer", 0.0))
    }
    caption = "What an answer in the form asked for is paid, by the tool calls it took: the plain sum, before any stage."
    return Panel("by tool calls", caption, "tool calls", lines=lines, whole=True)


def _way_panel(node: Node) -> Panel:
    left = np.arange(2.0, 21.0)
    lines = {}
    for label, moved in (("one cell nearer", -1), ("no move", 0), ("one cell away", 1)):
        layer = RewardLayer(node)
        layer.reset(_steps(left))
        lines[label] = (left, layer.step(_steps(left + moved))[0])
    caption = (
        "By distance: what a step in a straight corridor is paid that does not reach the goal, by the cells left before it."
    )
    return Panel("by distance", caption, "cells left before the step", lines=lines, whole=True)


def _visits_panel(node: Node) -> Panel:
    visits = np.arange(1.0, 21.0)
    lines = {"a place visited so often": (visits, _pay(node, _steps(np.full(len(visits), 9.0), visits)))}
    return Panel(
        "by visits",
        "By visits: what a step is paid by the visits to the place it leads to, itself included.",
        "visits in the episode",
        lines=lines,
        whole=True,
    )
