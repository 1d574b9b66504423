"""``rewardscape render RUN|ENV --out FILE``: episodes as a picture (.png), an animation (.gif) or a film (.mp4).

A frame shows the world after a step. In GUI worlds: screen, target (green), click or box (red), and as heat what the reward would
have paid for a click anywhere on the screen. In worlds of several agents all are played by the policy, the expert or at random;
--set others=PLAYER leaves it one of them.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from rewardscape.agents.baselines import shipped
from rewardscape.agents.evaluate import as_actor, baselines_of, make_rows, own_draws
from rewardscape.envs.core.random import base_seed
from rewardscape.envs.gui.field import reward_field
from rewardscape.scripts.options import add_world_settings, find_run, settings

SUFFIXES = (".png", ".gif", ".mp4")
SHOWN = 24  # pictures in a .png


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape render", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", help="a run directory, or a world: then its shipped baseline, or the expert")
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("episode.png"), help="file ending in .png, .gif or .mp4"
    )
    parser.add_argument("--agent", default="trained", help="trained (default), random, expert or another baseline")
    parser.add_argument("--reward", help="whose field is drawn; default: the one it was trained under")
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fps", type=float, help="default: 1 for episodes of few steps, up to 12 for long ones")
    parser.add_argument("--no-field", action="store_true", help="do not draw the reward field")
    add_world_settings(parser)
    options = parser.parse_args(argv)
    if options.out.suffix not in SUFFIXES:
        raise ValueError(f"--out {options.out}: the file is to end in {', '.join(SUFFIXES)}")
    if options.episodes < 1 or (options.fps is not None and not 0 < options.fps <= 100):
        raise ValueError("--episodes is at least 1, --fps above 0 and at most 100")
    env, reward, world, policy = resolve(options.target, options.agent)
    world = {**world, **settings(options.settings)}
    if policy is None and options.agent not in (allowed := baselines_of(env, world)):
        raise ValueError(f"--agent {options.agent}; allowed: trained, {', '.join(allowed)}")
    pictures = list(
        frames(env, options.reward or reward, world, policy or options.agent, options.episodes, options.seed,
               field=not options.no_field)
    )  # fmt: skip
    save(pictures, options.out, options.fps or min(max(len(pictures) / options.episodes / 8, 1.0), 12.0))
    print(f"{len(pictures)} frames in {options.out}")
    return 0


def resolve(target: str, agent: str) -> tuple[str, str | None, dict[str, Any], Any]:
    """``(world, reward, settings, policy or None)`` of a run directory or a world's id."""
    from rewardscape.envs.core.single import full_id

    if not pathlib.Path(target).exists() and (agent != "trained" or shipped(full_id(target)) is None):
        if agent == "trained":
            raise ValueError(f"no trained baseline of {full_id(target)} is shipped; pass a run, or --agent expert")
        return full_id(target), None, {}, None
    run = find_run(target)
    return run.config.env, run.config.reward, dict(run.config.env_settings), run.load_policy() if agent == "trained" else None


def frames(
    env: str, reward: Any, world: dict[str, Any], agent: Any, episodes: int = 1, seed: int = 0, field: bool = True
) -> Iterator[np.ndarray]:
    """Pictures, uint8 ``[height, width, 3]``: one a step. ``agent``: a policy, or a name of BASELINES; see `evaluate`."""
    envs = one_row(env, reward, world)
    act = as_actor(agent, envs, seed, world, env)
    steps = 0
    for episode in range(episodes):
        observation, _ = envs.reset(seed=base_seed(seed, "test") if episode == 0 else None)
        done = False
        while not done:
            with own_draws(seed + steps):  # not around the pictures: who takes them may draw numbers too
                action = act(observation)
            steps += 1
            observation, _, terminated, truncated, _ = envs.step(action)
            done = bool(terminated[0] or truncated[0])
            picture, heat = look(envs, field)
            yield picture if heat is None else heat
        if hasattr(act, "ended"):
            act.ended(np.ones(1, bool))
    envs.close()


def one_row(env: str, reward: Any, world: dict[str, Any]) -> Any:
    """A vector of one row: policies, experts and worlds of several agents act in it as in any other."""
    return make_rows(env, reward, world, 1)


def look(envs: Any, field: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    """The row of `one_row` as a picture, and with the reward's field over it (None: it has none, or ``field`` is False)."""
    world = envs._stepper.host_world()
    row = SimpleNamespace(reward_layer=envs.reward_layer, facts=envs.facts, world=world, rules=envs.rules)
    heat = reward_field(row) if field else None
    return envs.rules.draw(world, 0), None if heat is None else envs.rules.draw(world, 0, heat)


def save(pictures: list[np.ndarray], path: pathlib.Path, fps: float = 1.0, columns: int = 4) -> None:
    """Write pictures: a .gif or .mp4 holds them one after the other, a .png side by side (of more than SHOWN, some spread evenly)."""
    try:
        import imageio.v3 as iio
    except ImportError:
        raise ModuleNotFoundError("pictures need imageio: pip install 'rewardscape[report]'") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png" and len(pictures) > SHOWN:
        pictures = [pictures[k] for k in np.linspace(0, len(pictures) - 1, SHOWN).round().astype(int)]
    height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    even = [np.pad(p, ((0, height - p.shape[0] + height % 2), (0, width - p.shape[1] + width % 2), (0, 0))) for p in pictures]
    if path.suffix == ".png":
        columns = min(columns, len(even))
        blank = np.full_like(even[0], 255)
        even += [blank] * (-len(even) % columns)
        rows = [np.concatenate(even[i : i + columns], 1) for i in range(0, len(even), columns)]
        iio.imwrite(path, np.concatenate(rows, 0))
    elif path.suffix == ".gif":
        iio.imwrite(path, np.stack(even), duration=1000 / fps, loop=0)
    else:
        shown = np.repeat(np.stack(even), max(round(24 / fps), 1), 0)
        iio.imwrite(path, shown, fps=24, codec="libx264", macro_block_size=2)
