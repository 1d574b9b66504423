"""``rewardscape render RUN|ENV --out FILE``: episodes as a picture (.png), an animation (.gif) or a film (.mp4).

In GUI worlds every frame shows screen, target (green), click or box (red), and as heat what the reward would have paid for a
click anywhere on the screen.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.agents.baselines import shipped
from rewardscape.scripts.options import add_world_settings, find_run, settings

SUFFIXES = (".png", ".gif", ".mp4")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape render", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", help="a run directory, or a world: then its shipped baseline, or the expert")
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("episode.png"), help="file ending in .png, .gif or .mp4"
    )
    parser.add_argument("--agent", default="trained", help="trained (default), random or expert")
    parser.add_argument("--reward", help="whose field is drawn; default: the one it was trained under")
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fps", type=float, default=1.0)
    parser.add_argument("--no-field", action="store_true", help="do not draw the reward field")
    add_world_settings(parser)
    options = parser.parse_args(argv)
    if options.out.suffix not in SUFFIXES:
        raise ValueError(f"--out {options.out}: the file is to end in {', '.join(SUFFIXES)}")
    if options.agent not in ("trained", "random", "expert"):
        raise ValueError(f"--agent {options.agent}; allowed: trained, random, expert")
    env, reward, world, policy = resolve(options.target, options.agent)
    pictures = list(
        frames(env, options.reward or reward, {**world, **settings(options.settings)}, policy or options.agent,
               options.episodes, options.seed, field=not options.no_field)
    )  # fmt: skip
    save(pictures, options.out, options.fps)
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
    """Pictures, uint8 ``[height, width, 3]``: one a step. ``agent``: an SB3 policy, "random" or "expert"."""
    from rewardscape.envs.core.random import base_seed
    from rewardscape.envs.gui.field import reward_field

    made = gym.make(env, reward=reward, render_mode="rgb_array", **world)
    made.action_space.seed(seed)
    inner: Any = made.unwrapped
    for episode in range(episodes):
        observation, _ = made.reset(seed=base_seed(seed, "test") if episode == 0 else None)
        done = False
        while not done:
            if agent == "random":
                action = made.action_space.sample()
            elif agent == "expert":
                action = inner.expert_action()
            else:
                action = agent.predict(observation, deterministic=True)[0]
            observation, _, terminated, truncated, _ = made.step(action)
            done = terminated or truncated
            heat = reward_field(inner) if field else None
            yield made.render() if heat is None else inner.rules.draw(inner.world, 0, heat)  # type: ignore[misc]
    made.close()


def save(pictures: list[np.ndarray], path: pathlib.Path, fps: float = 1.0, columns: int = 4) -> None:
    """Write pictures: a .png holds them side by side, a .gif or .mp4 one after the other."""
    try:
        import imageio.v3 as iio
    except ImportError:
        raise ModuleNotFoundError("pictures need imageio: pip install 'rewardscape[report]'") from None
    path.parent.mkdir(parents=True, exist_ok=True)
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
