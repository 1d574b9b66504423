"""Where trained agents are: run directories, and the baselines that travel with the package."""

from __future__ import annotations

import pathlib
from importlib.resources import files

from rewardscape.envs.core.single import full_id


def shipped(env: str) -> pathlib.Path | None:
    """The run directory of the trained baseline of an environment id that travels with the package, or None."""
    folder = pathlib.Path(str(files("rewardscape.assets") / "baselines" / env.split("/")[-1]))
    return folder if (folder / "config.yaml").is_file() else None


def run_folder(target: str) -> pathlib.Path:
    """The run directory at a path, or of the shipped baseline of an environment id. ValueError if there is neither."""
    path = pathlib.Path(target)
    if (path / "config.yaml").is_file():
        return path
    if path.exists():
        raise ValueError(f"{target} is not a run directory: it has no config.yaml")
    folder = shipped(full_id(target))
    if folder is None:
        raise ValueError(f"no trained baseline of {full_id(target)} is shipped: train one and pass its run directory")
    return folder
