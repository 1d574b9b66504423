"""rewardscape: environments and rewards for studying what a reward does to an agent.

``import rewardscape`` registers the worlds with Gymnasium, as strings: nothing heavy is imported before a world is made.
"""

from gymnasium import register, registry

__version__ = "0.1.0"

WORLDS = {
    "rewardscape/GUIGrounding-v0": "rewardscape.envs.gui.grounding:GUIGrounding",
    "rewardscape/GUIScreens-v0": "rewardscape.envs.gui.screens:GUIScreens",
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


for _id, _rules in list(WORLDS.items()):
    if _id not in registry:
        register_world(_id, _rules)
