"""rewardscape: environments and rewards for studying what a reward does to an agent.

``import rewardscape`` registers the worlds with Gymnasium, as strings: nothing heavy is imported before a world is made.
"""

from gymnasium import register, registry

__version__ = "0.1.0"

WORLDS = {
    "rewardscape/GUIGrounding-v0": "rewardscape.envs.gui.grounding:GUIGrounding",
    "rewardscape/GUIScreens-v0": "rewardscape.envs.gui.screens:GUIScreens",
    "rewardscape/Maze-v0": "rewardscape.envs.navigation.maze:Maze",
    "rewardscape/MazeTeam-v0": "rewardscape.envs.navigation.team:MazeTeam",
    "rewardscape/MatrixGame-v0": "rewardscape.envs.games.matrix:MatrixGame",
}


def register_world(id: str, rules: str) -> None:
    """Register a compiled world under ``id``. ``rules``: ``"module:Class"``, the class a `rewardscape.envs.core.Rules`."""
    WORLDS[id] = rules
    register(
        id,
        entry_point="rewardscape.envs.core.single:make",
        vector_entry_point="rewardscape.envs.core.vector:make",
        kwargs={"rules": rules},
    )


def __getattr__(name: str):
    if name not in ("parallel_env", "aec_env"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rewardscape.envs.core import multi  # PettingZoo is imported when it is first used

    return getattr(multi, name)


for _id in [id for id in WORLDS if id not in registry]:
    register_world(_id, WORLDS[_id])
