"""``rewardscape inspect TARGET...``: recorded episodes step by step on one page: screen, reward and its parts, objective.

A target is a run directory, an episodes.npz, or a world: then its shipped baseline. Several targets (or several --agent) are
lanes beside each other over the same episodes. The page opens offline in any browser; the arrow keys walk through it. Of several
agents it shows the mean and each one.
"""

from __future__ import annotations

import argparse
import base64
import io
import itertools
import json
import math
import pathlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from rewardscape.agents.baselines import shipped
from rewardscape.agents.episodes import Episodes, ranks, record
from rewardscape.envs.core.single import full_id
from rewardscape.envs.core.world import Rules
from rewardscape.rewards import RewardLayer, get_reward, list_presets
from rewardscape.scripts.options import add_world_settings, find_run, settings
from rewardscape.scripts.render import look, one_row

SORTS = ("gap", "return", "objective", "order")
PICTURES = 2400  # on one page, shared evenly by its episodes; of one that has more steps only every so many are drawn
NARROW, WIDE = 240, 640  # pixels: pictures are enlarged or shrunk to a width between these


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape inspect", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("targets", nargs="+", metavar="target", help="run directory, episodes.npz, or a world")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("inspect.html"), help="the page (.html)")
    parser.add_argument("--episodes", type=int, default=40, help="how many are shown step by step")
    parser.add_argument("--sort", default="gap", choices=SORTS, help="order of the list when the page opens")
    parser.add_argument(
        "--agent", nargs="+", default=["trained"], help="trained, random, expert, overlap ...; several: a lane each"
    )
    parser.add_argument("--reward", help="judge by this reward; default: the one of the recording")
    parser.add_argument("--seed", type=int, help="run number of the episodes: plays them anew; default: the run's own")
    add_world_settings(parser)
    options = parser.parse_args(argv)
    if options.episodes < 1:
        raise ValueError(f"--episodes={options.episodes}; allowed: an integer of at least 1")
    world = settings(options.settings)
    wanted = [(target, agent) for target in dict.fromkeys(options.targets) for agent in dict.fromkeys(options.agent)]
    lanes = pair([recording(target, agent, world, options.seed) for target, agent in wanted])
    if options.reward is not None:
        lanes = [lane.rescored(portable(options.reward)) for lane in lanes]
    which, how = choose(lanes, options.episodes)
    write_page(lanes, labels(lanes, [target for target, _ in wanted]), which, how, options.out, options.sort)
    print(f"page: {options.out} ({len(which)} of {len(lanes[0])} episodes, {options.out.stat().st_size / 1e6:.1f} MB)")
    return 0


# -------------------------------------------------------------------------------------------------------- what is looked at


def recording(target: str, agent: str = "trained", world: dict[str, Any] | None = None, seed: int | None = None) -> Episodes:
    """The recorded episodes of a run directory, an .npz or a world's shipped baseline.

    ``agent``, ``world`` (settings) and ``seed`` other than the run's own: played now. ValueError if there is nothing, or if
    these are asked of a file.
    """
    path = pathlib.Path(target)
    if path.is_file():
        if agent != "trained" or world or seed is not None:
            raise ValueError(f"{target} is a recording: --agent, --set and --seed are for runs and worlds")
        return Episodes.load(path)
    if agent != "trained" and not path.exists() and shipped(full_id(target)) is None:
        return _played(agent, full_id(target), None, seed or 0, world or {}, agent)
    run = find_run(target)
    if agent == "trained" and not world and seed is None:
        return run.episodes()
    config = run.config
    actor = run.load_policy() if agent == "trained" else agent
    known = {**config.env_settings, **(world or {})}
    return _played(actor, config.env, run.layer(), config.seed if seed is None else seed, known, agent)


def _played(actor: Any, env: str, reward: Any, seed: int, world: dict[str, Any], agent: str) -> Episodes:
    try:
        return record(actor, env, reward, seed=seed, settings=world, agent=agent)
    except (TypeError, LookupError) as error:
        if not isinstance(actor, str):
            raise
        raise ValueError(f"{agent} does not fit {env} ({error})") from None


def portable(reward: str) -> Any:
    """A reward that its recording can name anywhere: a file becomes its formula."""
    return reward if reward in list_presets() else get_reward(reward).expression  # type: ignore[union-attr]


def pair(lanes: Sequence[Episodes]) -> list[Episodes]:
    """The episodes that all recordings share, in the order of the first. ValueError if they are of different worlds, share no
    seed, or start differently under the same seed."""
    first = lanes[0]
    if len(names := sorted({lane.about.env for lane in lanes})) > 1:
        raise ValueError(f"lanes are of one world; these are of {', '.join(names)}")
    shared = [seed for seed in first.seed.tolist() if all(seed in lane.seed for lane in lanes)]
    if not shared:
        raise ValueError("the recordings share no episode: each run keeps those of its own seed; --seed 0 plays them anew")
    paired = []
    for lane in lanes:
        place = {seed: row for row, seed in enumerate(lane.seed.tolist())}
        paired.append(lane.select([place[seed] for seed in shared]))
    for lane in paired[1:]:
        for name, values in lane.start.items():
            other = paired[0].start.get(name, values)
            if values.shape == other.shape and not np.array_equal(values, other):
                raise ValueError(
                    f"the recordings have the same seeds but not the same episodes ({name} differs at the start): "
                    f"settings {paired[0].about.settings} and {lane.about.settings}"
                )
    return paired


def choose(lanes: Sequence[Episodes], count: int) -> tuple[list[int], str]:
    """``(indices, how they were chosen)`` of the episodes that tell most: half by the size of the gap (the largest of any lane),
    a quarter failures, the worst first, the rest spread evenly over the returns of what is left."""
    total = len(lanes[0])
    if total <= count:
        return list(range(total)), "all of them"
    gap = np.max([np.abs(lane.gap) for lane in lanes], 0)
    objective = np.min([lane.final_objective for lane in lanes], 0)
    failed = ~np.all([lane.success for lane in lanes], 0)
    wide = np.argsort(-gap, kind="stable")[: -(-count // 2)].tolist()
    worst = [int(k) for k in np.argsort(objective, kind="stable") if failed[k] and k not in wide][: count // 4]
    taken = {*wide, *worst}
    left = [int(k) for k in np.argsort(lanes[0].returns, kind="stable") if k not in taken]
    spread = np.linspace(0, len(left) - 1, count - len(taken)).round().astype(int)
    ordinary = [left[k] for k in spread]
    how = f"the {len(wide)} with the widest gap, {len(worst)} more failures, {len(ordinary)} spread over the other returns"
    return sorted([*wide, *worst, *ordinary]), how


def reward_name(reward: str | None) -> str:
    """What a reward is called: a preset by its name, else its formula, "objective" for none."""
    layer, presets = get_reward(reward), list_presets()
    if layer is None or reward in presets:
        return reward or "objective"
    formula = str(layer.expression)
    return next((name for name, preset in presets.items() if preset.reward == formula), formula)


def labels(lanes: Sequence[Episodes], targets: Sequence[str]) -> list[str]:
    """A name for each lane: the least of agent, reward and where they come from that tells them apart."""
    columns = [
        [lane.about.agent for lane in lanes],
        [reward_name(lane.about.reward) for lane in lanes],
        [pathlib.Path(target).name for target in targets],
    ]
    for size in (1, 2, 3):
        for some in itertools.combinations(columns, size):
            found = [", ".join(parts) for parts in zip(*some, strict=True)]
            if len(set(found)) == len(found):
                return found
    return [f"{agent} {k + 1}" for k, agent in enumerate(columns[0])]


# ------------------------------------------------------------------------------------------------------- what is to be shown


def contributions(episodes: Episodes) -> dict[str, np.ndarray]:
    """What each addend of the reward adds to it, weight included, shaped as the rewards, by name: their sum is the reward.

    0 where an addend does not apply and after the end. A reward that learns, and is no longer what it was, is shown whole.
    ValueError if the reward now pays otherwise than was recorded.
    """
    layer = get_reward(episodes.about.reward)
    if layer is None or layer.learns:
        return {"objective_gain" if layer is None else "reward": episodes.acted(episodes.rewards)}
    layer = RewardLayer(layer.expression, layer.on_error)
    layer.keep_parts = True
    found = {name: np.zeros(episodes.rewards.shape) for name in layer.addends}
    for t, _ in enumerate(episodes.judged(layer)):
        for name, (weight, _) in layer.addends.items():
            if weight:  # what is only measured may be anything
                value = episodes.own(layer.parts[name])
                found[name][:, t] = np.where(np.isnan(value), 0.0, weight * value)
    found = {name: episodes.acted(values) for name, values in found.items()}
    total = np.sum(list(found.values()), 0)
    if not np.allclose(total[episodes.mask], episodes.rewards[episodes.mask], atol=1e-6):
        raise ValueError(f"{episodes.about.reward} now pays otherwise than was recorded: judge it again, with rescore")
    return found


class Moment(NamedTuple):
    """What there is to see of one step: pictures (None: the world has none, or no field), and texts ("" likewise)."""

    picture: np.ndarray | None
    field: np.ndarray | None
    instruction: str
    description: str


def replay(episodes: Episodes, most: int = PICTURES) -> list[list[Moment | None]]:
    """The episodes played again, a moment each step; of longer ones than ``most`` only every so many steps and the last, None
    between.

    ValueError if what happens is not what was recorded, because the world has changed since.
    """
    about = episodes.about
    envs = one_row(about.env, about.reward, about.settings)
    rules = envs.rules
    drawn, told = type(rules).draw is not Rules.draw, type(rules).describe is not Rules.describe
    found: list[list[Moment | None]] = []
    for episode, length in enumerate(episodes.length.tolist()):
        _, info = envs.reset(seed=int(episodes.seed[episode]))
        moments: list[Moment | None] = []
        for t in range(length):
            instruction = str(info["instruction"][0]) if "instruction" in info else ""
            *_, info = envs.step(episodes.actions[episode, t][None])
            if abs(info["objective"][0] - episodes.objective[episode, t]) > 1e-6:
                seed = episodes.seed[episode]
                raise ValueError(f"{about.env} does not play seed {seed} as recorded: the world has changed since")
            if (length - 1 - t) % -(-length // most):
                moments.append(None)
                continue
            picture, field = look(envs) if drawn else (None, None)
            text = rules.describe(envs._stepper.host_world(), 0) if told else ""
            moments.append(Moment(picture, field, instruction, text))
        found.append(moments)
    envs.close()
    return found


# ------------------------------------------------------------------------------------------------------------------ the page


def write_page(
    lanes: Sequence[Episodes], names: Sequence[str], which: Sequence[int], how: str, out: pathlib.Path, sort: str = "gap"
) -> None:
    """One self-contained HTML page over paired recordings: ``which`` episodes step by step, all as dots.

    ``names``: of the lanes; ``how``: in words, how ``which`` were chosen; ``sort``: of SORTS.
    """
    images = Images()
    data = {
        "world": lanes[0].about.env, "total": len(lanes[0]), "chosen": how, "sort": sort, "which": [int(k) for k in which],
        "seeds": [str(seed) for seed in lanes[0].seed],
        "lanes": [_lane(lane, name, which, images) for lane, name in zip(lanes, names, strict=True)],
        "images": images.coded,
    }  # fmt: skip
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    template = (files("rewardscape.scripts") / "inspect_page.html").read_text(encoding="utf-8")
    head, tail = template.split("DATA", 1)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(head + text + tail, encoding="utf-8")


def _lane(lane: Episodes, name: str, which: Sequence[int], images: Images) -> dict[str, Any]:
    from rewardscape.agents.statistics import correlation

    layer = get_reward(lane.about.reward)
    few = lane.select(list(which))
    added = contributions(few)
    moments = replay(few, max(1, PICTURES // len(few)))
    addends = {"objective_gain": (1.0, None)} if layer is None else layer.addends
    if layer is not None and layer.learns:
        addends = {"reward": (1.0, layer.expression)}
    shown = []
    for k, length in enumerate(few.length.tolist()):
        entry = _judged(few, added, k, length, None)
        if few.rewards.ndim > 2:
            entry["agents"] = [_judged(few, added, k, length, agent) for agent in range(few.rewards.shape[2])]
        entry["objective"] = _plain(few.objective[k, :length])
        entry["caption"] = few.facts["caption"][k, :length].tolist() if "caption" in few.facts else None
        for part in ("picture", "field"):
            entry[part] = [None if m is None else images.add(getattr(m, part)) for m in moments[k]]
        for part in ("instruction", "description"):
            entry[part] = [None if m is None else getattr(m, part) for m in moments[k]]
        shown.append(entry)
    return {
        "name": name, "agent": lane.about.agent, "reward": reward_name(lane.about.reward),
        "agents": 0 if lane.rewards.ndim == 2 else lane.rewards.shape[2],
        "formula": "the gain of the objective" if layer is None else str(layer.expression),
        "settings": ", ".join(f"{n}={v}" for n, v in lane.about.settings.items()),
        "addends": [_addend(n, weight, node) for n, (weight, node) in addends.items()],
        "returns": _plain(lane.returns), "objectives": _plain(lane.final_objective), "gaps": _plain(lane.gap),
        "return_ranks": _plain(ranks(lane.returns)), "objective_ranks": _plain(ranks(lane.final_objective)),
        "success": lane.success.tolist(), "correlation": _plain(correlation(lane.returns, lane.final_objective)),
        "episodes": shown,
    }  # fmt: skip


def _judged(lane: Episodes, added: dict[str, np.ndarray], k: int, length: int, agent: int | None) -> dict[str, Any]:
    """What one episode's steps are worth to ``agent``, or None: to the only one, or on average to all."""
    everyone = lane.rewards.ndim > 2

    def of(values: np.ndarray) -> Any:
        steps = values[k, :length]
        if everyone and steps.ndim > 1:
            steps = steps[:, agent] if agent is not None else _mean(steps)
        return _plain(steps)

    valid = lane.facts.get("action_valid", np.ones(lane.rewards.shape, bool))[k, :length]
    seat = lane.learner if agent is None else agent
    invalid = ~(valid if seat is None or valid.ndim == 1 else valid[:, seat])
    actions = lane.actions[k, :length]
    found = {
        "rewards": of(lane.rewards), "actions": _plain(actions if agent is None else actions[:, agent]),
        "invalid": _plain(invalid.reshape(length, -1).any(1)),
        "added": {name: of(values) for name, values in added.items()},
        "terms": {name: of(values) for name, values in lane.terms.items()},
    }  # fmt: skip
    if agent is not None and "agent_objective" in lane.facts:
        found["score"] = of(lane.facts["agent_objective"])
    return found


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over agents ``[time, agent]`` of what applies; NaN where nothing does."""
    known = ~np.isnan(values)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(1) / np.maximum(count, 1), np.nan)


def _addend(name: str, weight: float, node: Any) -> dict[str, Any]:
    plain = node is None or node.recorded_as() is not None
    text = "gain of the objective" if node is None else str(node)
    return {"name": name, "label": name if plain else text, "text": text, "weight": weight, "plain": plain}


def _plain(values: Any) -> Any:
    """Numbers for JSON, with five digits; what is not finite becomes None."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, list):
        return [_plain(value) for value in values]
    if isinstance(values, float):
        return float(f"{values:.5g}") if math.isfinite(values) else None
    return values


class Images:
    """The pictures of a page, each kept once: ``coded``, base64 of WebP."""

    def __init__(self) -> None:
        self.coded: list[str] = []
        self._known: dict[bytes, int] = {}

    def add(self, picture: np.ndarray | None) -> int | None:
        """The index of a picture, uint8 ``[height, width, 3]``; None for none."""
        if picture is None:
            return None
        key = picture.tobytes() + bytes(str(picture.shape), "ascii")
        if key not in self._known:
            self._known[key] = len(self.coded)
            self.coded.append(base64.b64encode(_webp(picture)).decode())
        return self._known[key]


def _webp(picture: np.ndarray) -> bytes:
    try:
        from PIL import Image
    except ImportError:
        raise ModuleNotFoundError("pictures need Pillow: pip install 'rewardscape[report]'") from None
    image = Image.fromarray(picture)
    if image.width > WIDE:
        image = image.resize((WIDE, round(image.height * WIDE / image.width)), Image.Resampling.LANCZOS)
    times = -(-NARROW // image.width)
    image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    # what rules draw has few colours and is smaller without loss; photographs have many
    way: dict[str, Any] = {"lossless": True, "quality": 60} if image.getcolors(1 << 12) else {"quality": 55}
    stream = io.BytesIO()
    image.save(stream, "webp", method=4, **way)
    return stream.getvalue()
