"""What the GUI worlds share: observation, actions, facts, how a click is judged, pictures.

An episode shows one screen and gives ``instructions`` instructions, one after the other; each step answers one, hit or
miss. The objective is the share of the screen's instructions whose click lay in the target's box.

Coordinates: the *canvas* is what the agent sees, `screen_size` pixels, actions and observed boxes being scaled to [-1, 1] on
it. Facts are in pixels of the *screen*: ``screen = (canvas - offset) / zoom``, per row (the same in generated screens).
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import gymnasium as gym
import numpy as np

from rewardscape.envs.core import Array, LiveTexts, Rules, World, choice, number, rule
from rewardscape.envs.gui.picture import caption, cross, enlarge, outline, warm
from rewardscape.envs.gui.vocabulary import ROLES, STATES, VOCABULARY

POINT, BOX, CONFIDENCE, ATTEND = 0, 1, 2, 3
ACTIONS = ("point", "box", "point+confidence", "attend")
OBSERVATIONS = ("elements", "pixels", "both")


class Settings(NamedTuple):
    """Numbers every GUI rule may read."""

    width: int
    height: int
    elements: int
    instructions: int
    action: int  # index into ACTIONS
    proposals: int
    tables: bool  # the element table is observed
    pixels: bool  # the picture is observed
    difficulty: float


class Facts(NamedTuple):
    """See the fact vocabulary; pixels of the screen."""

    predicted_point: Annotated[Array, "float32", 2]
    predicted_box: Annotated[Array, "float32", 4]
    box_given: Annotated[Array, "bool"]
    confidence: Annotated[Array, "float32"]
    confidence_given: Annotated[Array, "bool"]
    proposals: Annotated[Array, "float32", "proposals", 4]
    proposal_count: Annotated[Array, "int32"]
    target_box: Annotated[Array, "float32", 4]
    element_boxes: Annotated[Array, "float32", "elements", 4]
    element_count: Annotated[Array, "int32"]
    screen_size: Annotated[Array, "float32", 2]
    action_kind: Annotated[Array, "int32"]
    parsed: Annotated[Array, "bool"]
    format_valid: Annotated[Array, "bool"]
    instruction_index: Annotated[Array, "int32"]


class Observation(NamedTuple):
    """What the agent may see; which of it, the setting ``observation`` says."""

    boxes: Annotated[Array, "float32", "elements", 4]  # (x1, y1, x2, y2), canvas scaled to [-1, 1]; 0 where padded
    roles: Annotated[Array, "int32", "elements"]  # index into ROLES; 0 where padded
    names: Annotated[Array, "int32", "elements", "name_tokens"]
    states: Annotated[Array, "int32", "elements"]  # bits of STATES
    instruction: Annotated[Array, "int32", "instruction_tokens"]
    pixels: Annotated[Array, "uint8", "pixel_height", "pixel_width", 3]


class Task(NamedTuple):
    """Part of every GUI world's state: the instructions of the episode's screen."""

    target_box: Annotated[Array, "float32", "instructions", 4]  # pixels of the screen
    current: Annotated[Array, "int32"]  # instruction to be answered next
    hits: Annotated[Array, "int32"]
    zoom: Annotated[Array, "float32"]
    offset: Annotated[Array, "float32", 2]
    click: Annotated[Array, "float32", 4]  # last predicted box, canvas pixels: for pictures
    clicked: Annotated[Array, "bool"]


@rule
def pay_attention(w, i, first):
    """Facts about the instruction to be answered next; ``first``: at a reset, when nothing has been predicted."""
    s, f = w.state, w.facts
    k = s.current[i]
    for j in range(4):
        f.target_box[i, j] = s.target_box[i, k, j]
    f.instruction_index[i] = k
    if first:
        for j in range(4):
            f.predicted_box[i, j] = 0
            s.click[i, j] = 0
        f.predicted_point[i, 0] = 0
        f.predicted_point[i, 1] = 0
        f.proposal_count[i] = 0
        f.action_kind[i] = 0
        f.parsed[i] = False
        f.format_valid[i] = False
        f.box_given[i] = False
        f.confidence[i] = 1
        f.confidence_given[i] = False
        s.clicked[i] = False


@rule
def answer(w, i):
    """Judge the action of row ``i`` as the answer to its current instruction, and move on to the next."""
    s, f, c = w.state, w.facts, w.settings
    pay_attention(w, i, False)
    a = w.action[i]
    half_width = c.width / 2
    half_height = c.height / 2
    first = 4 * c.proposals if c.action == ATTEND else 0
    x1 = (a[first] + 1) * half_width
    y1 = (a[first + 1] + 1) * half_height
    x2 = x1
    y2 = y1
    if c.action == BOX:
        x2 = (a[2] + 1) * half_width
        y2 = (a[3] + 1) * half_height
        x1, x2 = min(x1, x2), max(x1, x2)  # the box between the two corners, in whatever order they come
        y1, y2 = min(y1, y2), max(y1, y2)
    valid = w.action_valid[i]
    zoom = s.zoom[i]
    left = s.offset[i, 0]
    top = s.offset[i, 1]
    s.click[i, 0] = x1
    s.click[i, 1] = y1
    s.click[i, 2] = x2
    s.click[i, 3] = y2
    s.clicked[i] = valid
    f.predicted_box[i, 0] = (x1 - left) / zoom
    f.predicted_box[i, 1] = (y1 - top) / zoom
    f.predicted_box[i, 2] = (x2 - left) / zoom
    f.predicted_box[i, 3] = (y2 - top) / zoom
    f.predicted_point[i, 0] = (f.predicted_box[i, 0] + f.predicted_box[i, 2]) / 2
    f.predicted_point[i, 1] = (f.predicted_box[i, 1] + f.predicted_box[i, 3]) / 2
    f.box_given[i] = c.action == BOX
    f.confidence_given[i] = c.action == CONFIDENCE
    f.confidence[i] = (a[2] + 1) / 2 if c.action == CONFIDENCE else 1.0
    if c.action == ATTEND:
        f.proposal_count[i] = c.proposals
        for p in range(c.proposals):
            u1 = (a[4 * p] + 1) * half_width
            v1 = (a[4 * p + 1] + 1) * half_height
            u2 = (a[4 * p + 2] + 1) * half_width
            v2 = (a[4 * p + 3] + 1) * half_height
            f.proposals[i, p, 0] = (min(u1, u2) - left) / zoom
            f.proposals[i, p, 1] = (min(v1, v2) - top) / zoom
            f.proposals[i, p, 2] = (max(u1, u2) - left) / zoom
            f.proposals[i, p, 3] = (max(v1, v2) - top) / zoom
    f.parsed[i] = valid
    f.format_valid[i] = valid
    f.action_kind[i] = 1 if valid else 0
    x = f.predicted_point[i, 0]
    y = f.predicted_point[i, 1]
    inside = f.target_box[i, 0] <= x <= f.target_box[i, 2] and f.target_box[i, 1] <= y <= f.target_box[i, 3]
    if valid and inside:
        s.hits[i] += 1
        w.episode.objective[i] = s.hits[i] / c.instructions
    if s.current[i] + 1 >= c.instructions:
        w.episode.terminated[i] = True
    else:
        s.current[i] += 1


class GUIRules(Rules):
    """Settings, spaces and pictures of a GUI world. ``state`` has the fields of `Task`."""

    Facts = Facts
    Observation = Observation
    Settings = Settings
    picture_width = 480  # of what `draw` gives, at least

    def __init__(
        self,
        observation: str = "elements",
        action: str = "point",
        instructions: int = 4,
        screen_size: tuple[int, int] = (320, 240),
        elements: int = 64,
        name_tokens: int = 8,
        instruction_tokens: int = 16,
        proposals: int = 3,
        difficulty: float = 0.5,
    ):
        world = type(self).__name__
        kind = ACTIONS.index(choice(world, "action", action, ACTIONS))
        choice(world, "observation", observation, OBSERVATIONS)
        try:
            width, height = (number(world, "screen_size", v, 48, 2048, whole=True) for v in screen_size)
        except TypeError:
            raise ValueError(f"{world}: screen_size={screen_size!r} is to be (width, height)") from None
        self.extents = {
            "elements": number(world, "elements", elements, 4, 1024, whole=True),
            "name_tokens": number(world, "name_tokens", name_tokens, 1, 32, whole=True),
            "instruction_tokens": number(world, "instruction_tokens", instruction_tokens, 4, 64, whole=True),
            "instructions": number(world, "instructions", instructions, 1, 16, whole=True),
            "proposals": number(world, "proposals", proposals, 1, 16, whole=True) if kind == ATTEND else 0,
            "pixel_height": height if observation != "elements" else 0,
            "pixel_width": width if observation != "elements" else 0,
        }
        self.settings = Settings(
            width, height, elements, instructions, kind, self.extents["proposals"],
            observation != "pixels", observation != "elements", number(world, "difficulty", difficulty, 0, 1),
        )  # fmt: skip
        parts = (2, 4, 3, 4 * self.extents["proposals"] + 2)[kind]
        self.action_space = gym.spaces.Box(-1.0, 1.0, (parts,), np.float32)
        e, box = self.extents, gym.spaces.Box
        table: dict[str, gym.Space] = {
            "boxes": box(-1.0, 1.0, (elements, 4), np.float32),
            "roles": box(0, len(ROLES) - 1, (elements,), np.int32),
            "names": box(0, VOCABULARY - 1, (elements, e["name_tokens"]), np.int32),
            "states": box(0, 2 ** len(STATES) - 1, (elements,), np.int32),
        }
        spaces: dict[str, gym.Space] = {**table} if observation != "pixels" else {}
        spaces["instruction"] = box(0, VOCABULARY - 1, (e["instruction_tokens"],), np.int32)
        if observation != "elements":
            spaces["pixels"] = box(0, 255, (height, width, 3), np.uint8)
        self.observation_space = gym.spaces.Dict(spaces)
        self.observation_keys = tuple(self.observation_space.spaces)

    def instruction(self, world: World, row: int, index: int) -> str:
        """Text of instruction ``index`` of a row."""
        raise AttributeError(f"{type(self).__name__} has no instructions")

    def element_name(self, world: World, row: int, index: int) -> str:
        """Name of an element of a row's screen."""
        raise AttributeError(f"{type(self).__name__} names no elements")

    def info(self, world: World, row: int) -> dict[str, Any]:
        return {"instruction": self.instruction(world, row, world.state.current[row])}

    def expert(self, world: World, row: int) -> np.ndarray:
        """The centre of the current target (or the target's box), as an action. "attend": first the target, then elsewhere."""
        s, size = world.state, np.array([self.settings.width, self.settings.height] * 2, np.float32)
        box = np.clip(2 * self.on_canvas(world, row, s.target_box[row, s.current[row]]) / size - 1, -1, 1)  # rounding
        centre = (box[:2] + box[2:]) / 2
        kind = self.settings.action
        if kind == BOX:
            return box.astype(np.float32)
        if kind == CONFIDENCE:
            return np.append(centre, 1).astype(np.float32)
        if kind == ATTEND:
            turns = (
                2 * np.pi * np.arange(1, self.settings.proposals) / self.settings.proposals
            )  # on a circle: no three in a row
            others = [0.9 * np.tile([np.cos(t), np.sin(t)], 2) + [-0.02, -0.02, 0.02, 0.02] for t in turns]
            return np.concatenate([box, *others, centre]).astype(np.float32)
        return centre.astype(np.float32)

    def on_canvas(self, world: World, row: int, box: np.ndarray) -> np.ndarray:
        """A box of the screen in pixels of the canvas."""
        return box * world.state.zoom[row] + np.tile(world.state.offset[row], 2)

    def screen(self, world: World, row: int, scale: int = 1) -> np.ndarray:
        """The canvas of a row, uint8 ``[height * scale, width * scale, 3]``."""
        return enlarge(world.observation.pixels[row], scale)

    def draw(self, world: World, row: int, field: np.ndarray | None = None) -> np.ndarray:
        """The screen, enlarged, with target (green), last click (red) and a strip that says instruction and outcome.

        ``field``: numbers in [0, 1] over the screen, ``[y, x]``, laid over it as heat.
        """
        s, f = world.state, world.facts
        size = (self.settings.width, self.settings.height)
        scale = max(1, -(-self.picture_width // size[0]))
        picture = warm(self.screen(world, row, scale), field)
        shown = f.instruction_index[row]
        outline(picture, self.on_canvas(world, row, f.target_box[row]) * scale, (40, 170, 70))
        strip = self.instruction(world, row, shown)
        if s.clicked[row]:
            outline(picture, s.click[row] * scale, (214, 50, 40))
            cross(picture, (s.click[row, :2] + s.click[row, 2:]) / 2 * scale, (214, 50, 40))
            x, y = f.predicted_point[row]
            x1, y1, x2, y2 = f.target_box[row]
            strip += "   hit" if x1 <= x <= x2 and y1 <= y <= y2 else "   miss"
        return caption(picture, strip)

    def describe(self, world: World, row: int) -> str:
        """Instruction, outcome so far and the element table as text."""
        o, done = world.facts, world.facts.instruction_index[row]
        lines = [f'instruction {done + 1}/{self.settings.instructions}: "{self.instruction(world, row, done)}"']
        lines.append(f"objective {world.episode.objective[row]:.2f}")
        if o.parsed[row]:
            lines.append("clicked ({:.0f}, {:.0f})".format(*o.predicted_point[row]))
        for index in range(o.element_count[row]):
            x1, y1, x2, y2 = o.element_boxes[row, index]
            role = ROLES[world.observation.roles[row, index]]
            lines.append(f"  [{x1:4.0f},{y1:4.0f},{x2:4.0f},{y2:4.0f}] {role} {self.element_name(world, row, index)!r}")
        return "\n".join(lines)


__all__ = [
    "ACTIONS",
    "ATTEND",
    "BOX",
    "CONFIDENCE",
    "OBSERVATIONS",
    "POINT",
    "GUIRules",
    "LiveTexts",
    "Task",
    "answer",
    "pay_attention",
]
