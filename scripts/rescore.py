"""``rewardscape rescore TARGET --reward R``: recorded episodes under another reward, without running the world.

A target is a run directory, an episodes.npz, or a world: then its shipped baseline. Says how far the two rewards agree, with
each other and with the objective, and on which episodes they disagree most.
"""

from __future__ import annotations

import argparse
import math
import pathlib
from typing import Any

import numpy as np

from rewardscape.agents.episodes import Episodes, ranks
from rewardscape.agents.statistics import correlation
from rewardscape.rewards import get_reward
from rewardscape.scripts.inspect import labels, portable, recording, reward_name, write_page

SHOWN = 10  # lines of the table of disagreements
DIGITS = 9  # sums that differ by less differ by rounding, and are ties


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape rescore", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", help="run directory, episodes.npz, or a world")
    parser.add_argument("--reward", required=True, help="preset, formula or YAML file; none: the gain of the objective")
    parser.add_argument("--out", type=pathlib.Path, help="write the rescored recording here (.npz)")
    parser.add_argument("--inspect", type=pathlib.Path, metavar="PAGE", help="page with both rewards as lanes (.html)")
    parser.add_argument("--episodes", type=int, default=40, help="on that page: those on which the two disagree most")
    options = parser.parse_args(argv)
    if options.episodes < 1:
        raise ValueError(f"--episodes={options.episodes}; allowed: an integer of at least 1")
    old = recording(options.target)
    new = old.rescored(None if options.reward == "none" else portable(options.reward))
    print(text(old, new))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        new.save(options.out)
        print(f"recording: {options.out}")
    if options.inspect is not None:
        which = disagreements(old, new)[: options.episodes]
        how = f"the {len(which)} whose ranks by the two returns differ most, in this order"
        write_page([old, new], labels([old, new], [options.target] * 2), which, how, options.inspect, sort="order")
        print(f"page: {options.inspect}")
    return 0


def compare(old: Episodes, new: Episodes) -> dict[str, Any]:
    """How far two rewards of the same episodes agree.

    ``step`` and ``episode``: Pearson and Spearman correlation of the rewards of steps and of the returns; ``old``, ``new``: of
    each return with the objective, and means. ``reversed``: share of the pairs of episodes that one return orders one way and
    the other the other way; ``tied``: of those that exactly one of them orders. A correlation is NaN if one side does not vary.
    """
    steps = [_tidy(side.rewards[side.mask]).ravel() for side in (old, new)]  # of all agents
    returns = [_tidy(side.returns) for side in (old, new)]
    objective = _tidy(old.final_objective)
    found: dict[str, Any] = {"step": _correlations(*steps), "episode": _correlations(*returns)}
    for name, of_steps, of_episodes in zip(("old", "new"), steps, returns, strict=True):
        found[name] = {"step_mean": float(of_steps.mean()), "return_mean": float(of_episodes.mean()),
                       "objective": _correlations(of_episodes, objective)}  # fmt: skip
    return found | _pairs(*returns)


def _tidy(values: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(values, float), DIGITS)


def _correlations(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Pearson's and Spearman's; NaN if one of them does not vary."""
    return correlation(a, b), correlation(ranks(a), ranks(b))


def _pairs(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    other_way = tied = 0
    for k in range(len(a) - 1):  # row by row: all pairs of ten thousand episodes do not fit into memory
        first, second = np.sign(a[k + 1 :] - a[k]), np.sign(b[k + 1 :] - b[k])
        other_way += int((first * second < 0).sum())
        tied += int(((first == 0) != (second == 0)).sum())
    pairs = len(a) * (len(a) - 1) / 2
    return {"reversed": other_way / pairs if pairs else math.nan, "tied": tied / pairs if pairs else math.nan}


def disagreements(old: Episodes, new: Episodes) -> list[int]:
    """Indices of all episodes, by how much their rank by the one return differs from that by the other, greatest first."""
    apart = np.abs(ranks(_tidy(old.returns)) - ranks(_tidy(new.returns)))
    return [int(k) for k in np.argsort(-apart, kind="stable")]


def text(old: Episodes, new: Episodes) -> str:
    """What `compare` found, and the episodes on which the two disagree most, as lines of text."""
    found = compare(old, new)
    about = old.about
    lines = [f"{about.env}: {len(old)} episodes, {int(old.mask.sum())} steps of {about.agent}"]
    lines += [f"  {name:<10}{_formula(side)}" for name, side in (("recorded", old), ("rescored", new))]
    lines += ["", f"{'':<38}{'recorded':>12}{'rescored':>12}"]
    rows = [
        ("mean reward of a step", [found[k]["step_mean"] for k in ("old", "new")]),
        ("mean return", [found[k]["return_mean"] for k in ("old", "new")]),
        ("return with objective, Pearson", [found[k]["objective"][0] for k in ("old", "new")]),
        ("return with objective, Spearman", [found[k]["objective"][1] for k in ("old", "new")]),
    ]
    lines += [f"{name:<38}{_number(a):>12}{_number(b):>12}" for name, (a, b) in rows]
    lines += ["", f"{'one reward with the other':<38}{'Pearson':>12}{'Spearman':>12}"]
    for name, level in (("steps", "step"), ("returns", "episode")):
        lines.append(f"{name:<38}{_number(found[level][0]):>12}{_number(found[level][1]):>12}")
    lines += [
        f"{'pairs of episodes ordered the other way':<50}{_share(found['reversed']):>12}",
        f"{'pairs that only one of the two orders':<50}{_share(found['tied']):>12}",
        "",
    ]
    placed = [ranks(_tidy(side.returns)) for side in (old, new)]
    apart = placed[1] - placed[0]
    if not apart.any():
        return "\n".join([*lines, "both put all episodes in the same order"])
    lines += [
        "the two disagree most on (rank: share of the episodes with a lower return)",
        f"{'episode':>8}{'seed':>22}{'objective':>11}{'recorded':>11}{'rescored':>11}{'rank':>8}{'rank':>8}{'apart':>8}",
    ]
    for k in (k for k in disagreements(old, new)[:SHOWN] if apart[k]):
        lines.append(
            f"{k + 1:>8}{int(old.seed[k]):>22}{old.final_objective[k]:>11.3f}{old.returns[k]:>11.3f}{new.returns[k]:>11.3f}"
            f"{placed[0][k]:>8.2f}{placed[1][k]:>8.2f}{apart[k]:>+8.2f}"
        )
    return "\n".join(lines)


def _formula(episodes: Episodes) -> str:
    layer = get_reward(episodes.about.reward)
    if layer is None:
        return "the gain of the objective"
    name, formula = reward_name(episodes.about.reward), str(layer.expression)
    return formula if name == formula else f"{name} = {formula}"


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _share(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{100 * value:.1f} %"
