"""What the pages of docs/ say of each family of worlds that its code does not: settings, observations, actions, objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rewardscape.envs.games.tables import GAMES
from rewardscape.envs.gui.common import ACTIONS, OBSERVATIONS
from rewardscape.envs.gui.vocabulary import ROLES, STATES
from rewardscape.envs.navigation import maze, team
from rewardscape.envs.navigation.furnish import GENERATORS


class Guide(NamedTuple):
    """Texts of a family of worlds.

    ``settings``: meaning and what is allowed, by name. ``observed`` and ``acted``: meanings by kind (the values of the settings
    ``observation_setting`` and ``action_setting``; "" where there is only one), or of observations by their entry.
    ``picture``: how far into the episode its picture is taken, 0 after the first step to 1 after the last.
    """

    settings: Mapping[str, tuple[str, str]]
    observed: Mapping[str, str]
    acted: Mapping[str, str]
    objective: str
    invalid: str
    observation_setting: str = ""
    observations: tuple[str, ...] = ("",)
    action_setting: str = ""
    example: str = ""  # settings of the example on a world's page
    picture: float = 1.0
    caption: str = ""
    below: str = ""  # the picture
    splits: str = "pages"  # what they part


GUI = Guide(
    settings={
        "observation": ("what the agent sees", f"one of {', '.join(OBSERVATIONS)}"),
        "action": ("what the agent does", f"one of {', '.join(ACTIONS)}"),
        "instructions": ("instructions an episode gives, one a step", "1 to 16"),
        "screen_size": ("width and height of the canvas in pixels", "48 to 2048 each"),
        "elements": ("rows of the element table", "4 to 1024"),
        "name_tokens": ("words kept of an element's name", "1 to 32"),
        "instruction_tokens": ("words kept of an instruction", "4 to 64"),
        "proposals": ("regions of the action `attend`", "1 to 16"),
        "difficulty": (
            "from large elements with different names to dense desktops with tiny icons and repeated names",
            "0 to 1",
        ),
        "screens": (
            "`embedded`, or the path of recorded screens of your own",
            "a folder, an archive, a `.csv`, a `.jsonl`",
        ),
        "split": ("which pages: `held-out` ones are never trained on", "one of train, held-out, all"),
    },
    observed={
        "boxes": "box of every element (x1, y1, x2, y2), the canvas scaled to [-1, 1]; 0 where padded",
        "roles": "role of every element: " + ", ".join(f"{i} {name}" for i, name in enumerate(ROLES) if name),
        "names": "the words of every element's name, as tokens: 1 + crc32(lower-case word) mod 4095; 0 pads",
        "states": "state of every element, a sum of " + ", ".join(f"{1 << i} {name}" for i, name in enumerate(STATES)),
        "instruction": "the words of the instruction, as tokens like those of names",
        "pixels": "the canvas as the agent sees it, RGB",
    },
    acted={
        "point": "where to click: x, y",
        "box": "two corners of a box, in any order: x1, y1, x2, y2; its centre is the click",
        "point+confidence": "where to click, and how sure the agent is: -1 not at all, 1 wholly",
        "attend": "corners of as many regions as the setting `proposals` says, then where to click",
    },
    objective="The share of the screen's instructions whose click lay in the target's box, edges included. "
    "Each step answers one instruction, hit or miss; the episode ends with the last.",
    invalid="An action that is not finite or out of range is no error: it gets a stated stand-in, counts as a miss, and "
    '`info["invalid_action"]` says so.',
    observation_setting="observation",
    observations=OBSERVATIONS,
    action_setting="action",
    example=', action="box"',
    picture=0.0,
    caption="an episode's first screen, answered by the expert",
    below="Target green, the expert's click red; the strip says instruction and outcome.",
)

_WHOLE = (
    "An action that is not one of these numbers is no error: the nearest of them is taken (of what is no number, the middle one), "
    'and `info["invalid_action"]` says so.'
)
_CELLS = {
    "generator": ("how the walls are laid", f"one of {', '.join(GENERATORS)}"),
    "size": ("columns and rows of the map, its wall included", "8 to 64"),
    "slip": ("probability that a move goes to the side instead", "0 to 1"),
    "actions": ("what the agent does", f"one of {', '.join(maze.ACTIONS)}"),
    "view": ("columns and rows that the agent sees", "an odd number, 3 to 15"),
    "time_limit": ("steps after which the episode is cut off; 0: by size, generator and task, see above", "0 to 65,000"),
}
_MOVES = {"turn": "0 turn left, 1 turn right, 2 go forward", "four-way": "go 0 north, 1 east, 2 south, 3 west"}

MAZE = Guide(
    settings={
        **_CELLS,
        "goals": ("goals to be reached, in any order", "1 to 4"),
        "keys": ("locked doors on the way, each with its key", "0 to 2; not in a u-trap"),
        "obstacles": ("things that move about, and are deadly", "0 to 8"),
        "lava": ("share of the floor that is deadly", "0 to 0.5"),
        "observation": ("what the agent sees", f"one of {', '.join(maze.OBSERVATIONS)}"),
        "mazes": ("0: a new maze in every episode; n: one of n fixed ones", "0 to 2^31"),
        "split": ("which of the fixed mazes: those of `held-out` are others", f"one of {', '.join(maze.SPLITS)}"),
    },
    observed={
        "view": "what lies ahead, the agent at the bottom centre looking up; four-way what lies around: kind, colour, direction of each cell, see above",
        "map": "all of the map, north up, in the same three channels",
        "pixels": "the view as a picture, RGB, 8 pixels a cell",
    },
    acted=_MOVES,
    objective="The share of the goals reached. The episode ends with the last goal, with lava, with an obstacle.",
    invalid=_WHOLE,
    observation_setting="observation",
    observations=maze.OBSERVATIONS,
    action_setting="actions",
    picture=0.6,
    caption="a maze, some steps into the expert's episode",
    below="The arrow is the agent, yellow what it sees, blue where it has been, the green ring the goal.",
    splits="mazes",
)

MAZE_TEAM = Guide(
    settings={
        **_CELLS,
        "agents": ("how many agents", "2 to 8"),
        "goals": ("one goal for all, or one for each", f"one of {', '.join(team.GOALS)}"),
    },
    observed={"": "for each agent what lies ahead of it, as the view of Maze-v0; other agents are kind 8"},
    acted=_MOVES,
    objective="The share of agents that have arrived. The episode ends when all have.",
    invalid=_WHOLE,
    action_setting="actions",
    picture=0.6,
    caption="a maze with two agents, some steps into the experts' episode",
    below="An arrow an agent, with its trail; the green ring is the goal.",
)

GAME = Guide(
    settings={
        "game": ("which table of payoffs", f"one of {', '.join(GAMES)}"),
        "players": ("how many players; more than 2 only where the game allows", "2 to 8"),
        "rounds": ("rounds of an episode, a step each", "1 to 10,000"),
        "memory": ("rounds back that the players see", "1 to 64"),
        "noise": ("probability that an action is replaced by a random one", "0 to 1"),
        "multiplier": ("of public-goods: what a gift is multiplied by before it is shared", "1 to 100"),
        "payoffs": ("a table of your own, in place of `game`", "shape [actions]*players + [players]"),
    },
    observed={"": "for each player what all did in the last rounds, itself first, one-hot; see above"},
    acted={"": "which row or column to play: 0 the first (to cooperate, where there is such a thing), the last to defect"},
    objective="Welfare of the rounds so far, from what all defecting brings to the most of the table, a share of all rounds; in "
    "constant-sum games evenness. What each player has of it is `agent_objective`.",
    invalid=_WHOLE,
    caption="a game at its end, played by the expert",
    below="A line a player: its actions, blue to cooperate and red to defect; below, what each has earned.",
)

GUIDES = {"GUIRules": GUI, "Maze": MAZE, "MazeTeam": MAZE_TEAM, "MatrixGame": GAME}


def guide_of(kind: type) -> Guide:
    """The texts of a `Rules` class. LookupError if its family has none."""
    for cls in kind.__mro__:
        if cls.__name__ in GUIDES:
            return GUIDES[cls.__name__]
    raise LookupError(f"{kind.__name__}: write its guide in scripts/world_texts.py")
