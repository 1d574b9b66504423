"""Pictures and texts of mazes, and the tiles that observations of pixels are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from rewardscape.envs.core import World, rule
from rewardscape.envs.gui.picture import caption as with_caption
from rewardscape.envs.navigation.events import caption
from rewardscape.envs.navigation.grid import AGENT, COMPASS, DOOR, KEY, dx, dy

Colour = tuple[int, int, int]
Place = tuple[int, int]  # column, row
PAPER: Colour = (250, 250, 248)
STONE: Colour = (74, 80, 94)
LINE: Colour = (228, 229, 230)
TRAIL: Colour = (190, 208, 240)
SIGHT: Colour = (255, 236, 170)
GREEN: Colour = (46, 160, 90)
ORANGE: Colour = (238, 110, 40)
VIOLET: Colour = (134, 70, 180)
INK: Colour = (30, 60, 140)
COLOURS: tuple[Colour, ...] = ((208, 48, 56), (36, 108, 214))  # of key and door 1 and 2
TEAM: tuple[Colour, ...] = (
    (30, 90, 200), (208, 60, 60), (40, 150, 80), (214, 140, 20), (130, 70, 180), (20, 150, 160), (190, 60, 140), (110, 110, 110),
)  # fmt: skip

_SYMBOLS = {
    "goal": ["........", "........", "..####..", ".######.", ".######.", "..####..", "........", "........"],
    "key": ["........", ".###....", ".#.#....", ".######.", ".###.##.", "........", "........", "........"],
    "door": ["########", "#......#", "#......#", "#......#", "#...##.#", "#......#", "#......#", "########"],
    "lava": ["########", "#.####.#", "########", "###.####", "########", "#.####.#", "########", "####.###"],
    "ball": ["........", "..####..", ".######.", ".######.", ".######.", ".######.", "..####..", "........"],
    "arrow": ["........", "...##...", "...##...", "..####..", "..####..", ".######.", ".##..##.", "........"],
    "body": ["........", "..####..", ".######.", ".##..##.", ".##..##.", ".######.", "..####..", "........"],
}
_FIRST_AGENT = 12


def _tile(symbol: str, colour: Colour, held: int = 0) -> np.ndarray:
    mask = np.array([[letter == "#" for letter in line] for line in _SYMBOLS[symbol]])
    tile = np.where(mask[..., None], np.array(colour), np.array(PAPER))
    for k, corner in enumerate((slice(0, 2), slice(6, 8))):  # keys held, in the lower corners
        if held >> k & 1:
            tile[6:8, corner] = COLOURS[k]
    return tile


def _tiles() -> np.ndarray:
    """uint8 ``[tile, 8, 8, 3]``; see `tile_of`."""
    flat = [np.full((8, 8, 3), colour) for colour in ((0, 0, 0), STONE, PAPER)]
    things = [
        _tile("goal", GREEN),
        *(_tile("key", colour) for colour in COLOURS),
        *(_tile("door", colour) for colour in COLOURS),
    ]
    things += [_tile("lava", ORANGE), _tile("ball", VIOLET), _tile("body", TEAM[1]), flat[2]]
    agents = [_tile(symbol, INK, held) for symbol in ("arrow", "body") for held in range(4)]
    return np.array([*flat, *things, *agents], np.uint8)


TILES = _tiles()


@rule
def tile_of(kind, colour, turn):
    """Index of the tile that shows a cell of a view: channels 0 and 1; ``turn``: the agent looks up."""
    if kind == AGENT:
        return _FIRST_AGENT + colour + (0 if turn else 4)
    if kind < KEY:
        return np.int64(kind)
    if kind == KEY:
        return np.int64(KEY + colour - 1)
    if kind == DOOR:
        return np.int64(KEY + 2 + colour - 1)
    return np.int64(kind) + 2


# ---------------------------------------------------------------------------------------------------------------- drawing


class Canvas:
    """A map of ``size`` x ``size`` cells, drawn four times as large as it is shown."""

    def __init__(self, size: int):
        import pygame

        self.cell = max(8, 448 // size)
        self.size, self._pen, self._unit = size, pygame.draw, 4 * self.cell
        self.surface = pygame.Surface((size * self._unit, size * self._unit))
        self.surface.fill(PAPER)

    def box(self, x: int, y: int, colour: Colour, inset: float = 0.0, radius: float = 0.0, width: float = 0.0) -> None:
        """A rectangle in cell (x, y); ``inset``, corner ``radius`` and line ``width`` (0: filled) in cells."""
        u, side = self._unit, round((1 - 2 * inset) * self._unit)
        place = (round((x + inset) * u), round((y + inset) * u), side, side)
        self._pen.rect(self.surface, colour, place, round(width * u), border_radius=round(radius * u))

    def disc(self, x: float, y: float, colour: Colour, radius: float, width: float = 0.0) -> None:
        """A circle in cell (x, y)."""
        u = self._unit
        self._pen.circle(self.surface, colour, ((x + 0.5) * u, (y + 0.5) * u), radius * u, round(width * u))

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: Colour, width: float) -> None:
        """A line from the middle of a cell to that of another."""
        u = self._unit
        start, end = ((x1 + 0.5) * u, (y1 + 0.5) * u), ((x2 + 0.5) * u, (y2 + 0.5) * u)
        self._pen.line(self.surface, colour, start, end, max(1, round(width * u)))

    def shade(self, left: int, top: int, extent: int, colour: Colour) -> None:
        """Tint a square of the map, where it is not wall."""
        import pygame

        u = self._unit
        veil = pygame.Surface((extent * u, extent * u))
        veil.fill(colour)
        self.surface.blit(veil, (left * u, top * u), special_flags=pygame.BLEND_MULT)

    def arrow(self, at: Place, direction: int, colour: Colour) -> None:
        """The agent, looking in ``direction``."""
        x, y = at
        u, ahead = self._unit, np.array([dx(direction), dy(direction)])
        side = np.array([-ahead[1], ahead[0]])
        middle = np.array([x + 0.5, y + 0.5])
        shape = [0.40 * ahead, -0.34 * ahead + 0.32 * side, -0.16 * ahead, -0.34 * ahead - 0.32 * side]
        self._pen.polygon(self.surface, colour, [tuple((middle + p) * u) for p in shape])

    def grid(self) -> None:
        """Thin lines between cells."""
        for k in range(1, self.size):
            self.line(k - 0.5, -0.5, k - 0.5, self.size - 0.5, LINE, 0.03)
            self.line(-0.5, k - 0.5, self.size - 0.5, k - 0.5, LINE, 0.03)

    def picture(self) -> np.ndarray:
        """uint8 ``[size * cell, size * cell, 3]``."""
        import pygame

        small = pygame.transform.smoothscale(self.surface, (self.size * self.cell, self.size * self.cell))
        return np.ascontiguousarray(pygame.surfarray.array3d(small).swapaxes(0, 1))


def _place(place: np.ndarray) -> Place:
    return int(place[0]), int(place[1])


def _bit(words: np.ndarray, x: int, y: int) -> bool:
    return bool((int(words[y]) >> x) & 1)


def draw_ground(canvas: Canvas, world: World, row: int) -> None:
    """Floor and lava."""
    canvas.grid()
    for y in range(canvas.size):
        for x in range(canvas.size):
            if world.settings.lava > 0 and _bit(world.state.lava[row], x, y):
                canvas.box(x, y, ORANGE)
                for across, down in ((-0.2, -0.15), (0.15, 0.2)):
                    canvas.disc(x + across, y + down, (255, 205, 120), 0.1)


def draw_trail(canvas: Canvas, visits: np.ndarray, colour: Colour) -> None:
    """Where one has been: cells with ``visits`` (``[cell]``), and the lines between neighbours."""
    size = canvas.size
    been = visits.reshape(size, size) > 0
    for y, x in np.argwhere(been):
        canvas.disc(x, y, colour, 0.13)
        if x + 1 < size and been[y, x + 1]:
            canvas.line(x, y, x + 1, y, colour, 0.12)
        if y + 1 < size and been[y + 1, x]:
            canvas.line(x, y, x, y + 1, colour, 0.12)


def draw_walls(canvas: Canvas, world: World, row: int) -> None:
    """Walls."""
    for y in range(canvas.size):
        for x in range(canvas.size):
            if _bit(world.state.walls[row], x, y):
                canvas.box(x, y, STONE)


def draw_goal(canvas: Canvas, at: Place, colour: Colour, done: bool) -> None:
    """A goal: a target, or only its ring once it was reached."""
    canvas.disc(*at, colour, 0.38, 0.08)
    if not done:
        canvas.disc(*at, colour, 0.22)


def view_of(c: Any, x: int, y: int, direction: int) -> tuple[int, int, int]:
    """(left, top, extent) of what an agent at (x, y) sees."""
    half = c.sight // 2
    ahead = half if c.turn else 0
    return x - half + ahead * dx(direction), y - half + ahead * dy(direction), c.sight


def draw_maze(world: World, row: int) -> np.ndarray:
    """A row of Maze-v0 with what the agent has done: uint8 ``[height, width, 3]``."""
    s, f, c, e = world.state, world.facts, world.settings, world.episode
    x, y, direction = int(f.position[row, 0]), int(f.position[row, 1]), int(s.direction[row])
    canvas = Canvas(c.size)
    draw_ground(canvas, world, row)
    if c.observation != 1:  # the whole map is seen anyway
        canvas.shade(*view_of(c, x, y, direction), SIGHT)
    visits = s.visits[row].copy()
    visits[x + c.size * y] = f.visit_count[row]
    draw_trail(canvas, visits, TRAIL)
    draw_walls(canvas, world, row)
    goals = s.goals.shape[1]
    for g in range(goals):
        draw_goal(canvas, _place(s.goals[row, g]), GREEN, bool(int(s.reached[row]) >> g & 1))
    for k in range(c.keys):
        draw_door(canvas, _place(s.doors[row, k]), COLOURS[k], bool(int(s.opened[row]) >> k & 1))
        if not int(s.held[row]) >> k & 1:
            draw_key(canvas, _place(s.keys[row, k]), COLOURS[k])
    for u, v in s.obstacles[row]:
        if u >= 0:
            canvas.disc(u, v, VIOLET, 0.36)
            canvas.disc(u - 0.1, v - 0.1, (190, 150, 220), 0.1)
    canvas.arrow((x, y), direction, INK)
    for k in range(c.keys):
        if int(s.held[row]) >> k & 1:
            canvas.disc(x - 0.3 + 0.6 * k, y + 0.36, COLOURS[k], 0.12)
    done = bin(int(s.reached[row])).count("1")
    text = f"{done} of {goals} goals, step {int(e.step[row])} of {c.time_limit}: {caption(int(s.event[row]))}"
    return with_caption(canvas.picture(), text, 20)


def draw_door(canvas: Canvas, at: Place, colour: Colour, opened: bool) -> None:
    """A door, or its frame once it is open."""
    x, y = at
    if opened:
        canvas.box(x, y, colour, 0.02, 0.12, 0.05)
        return
    canvas.box(x, y, colour, 0.02, 0.12)
    canvas.box(x, y, PAPER, 0.16, 0.06)
    canvas.disc(x + 0.2, y, colour, 0.08)


def draw_key(canvas: Canvas, at: Place, colour: Colour) -> None:
    """A key."""
    x, y = at
    canvas.disc(x - 0.2, y, colour, 0.18, 0.08)
    canvas.line(x - 0.04, y, x + 0.36, y, colour, 0.09)
    for tooth in (0.2, 0.34):
        canvas.line(x + tooth, y, x + tooth, y + 0.16, colour, 0.09)


# ------------------------------------------------------------------------------------------------------------------ texts


def text_map(world: World, row: int, things: dict[Place, str]) -> str:
    """The map as lines of letters, ``things`` on it by place."""
    c, s = world.settings, world.state
    lines = []
    for y in range(c.size):
        line = ""
        for x in range(c.size):
            ground = "#" if _bit(s.walls[row], x, y) else "~" if c.lava > 0 and _bit(s.lava[row], x, y) else "."
            line += things.get((x, y), ground)
        lines.append(line)
    return "\n".join(lines)


def describe_maze(world: World, row: int) -> str:
    """A row of Maze-v0 as text: the map (``^>v<`` the agent, ``G`` goal, ``a`` key of door ``A``, ``o`` obstacle, ``~`` lava)."""
    s, f, e, c = world.state, world.facts, world.episode, world.settings
    things: dict[Place, str] = {}
    for g in range(s.goals.shape[1]):
        if not int(s.reached[row]) >> g & 1:
            things[_place(s.goals[row, g])] = "G"
    for k in range(c.keys):
        if not int(s.opened[row]) >> k & 1:
            things[_place(s.doors[row, k])] = "AB"[k]
        if not int(s.held[row]) >> k & 1:
            things[_place(s.keys[row, k])] = "ab"[k]
    for place in s.obstacles[row]:
        things[_place(place)] = "o"
    direction = int(s.direction[row])
    things[_place(f.position[row])] = "^>v<"[direction]
    head = f"step {int(e.step[row])} of {c.time_limit}, objective {e.objective[row]:.2f}: {caption(int(s.event[row]))}"
    return f"{head}\n{text_map(world, row, things)}\nfacing {COMPASS[direction]}, {f.goal_distance[row]:.0f} moves to go"


def draw_team(world: World, row: int) -> np.ndarray:
    """A row of MazeTeam-v0: every agent and, if it has one of its own, its goal in one colour: uint8 ``[height, width, 3]``."""
    s, f, c, e = world.state, world.facts, world.settings, world.episode
    agents = s.direction.shape[1]
    canvas = Canvas(c.size)
    draw_ground(canvas, world, row)
    for a in range(agents):
        visits = s.visits[row, a].copy()
        x, y = _place(f.position[row, a])
        visits[x + c.size * y] = 1
        draw_trail(canvas, visits, tuple((2 * 255 + v) // 3 for v in TEAM[a]))  # type: ignore[arg-type]
    draw_walls(canvas, world, row)
    for g in range(s.goals.shape[1]):
        done = bool(s.arrived[row, g] if c.own else s.arrived[row].all())
        draw_goal(canvas, _place(s.goals[row, g]), TEAM[g] if c.own else GREEN, done)
    for a in range(agents):
        if not s.arrived[row, a]:
            canvas.arrow(_place(f.position[row, a]), int(s.direction[row, a]), TEAM[a])
    text = f"{int(s.arrived[row].sum())} of {agents} agents have arrived, step {int(e.step[row])} of {c.time_limit}"
    return with_caption(canvas.picture(), text, 20)


def describe_team(world: World, row: int) -> str:
    """A row of MazeTeam-v0 as text: agents by number, ``G`` a goal for all, ``a`` the goal of agent 0, and so on."""
    s, f, e = world.state, world.facts, world.episode
    things: dict[Place, str] = {}
    for g in range(s.goals.shape[1]):
        things[_place(s.goals[row, g])] = "abcdefgh"[g] if world.settings.own else "G"
    for a in range(s.direction.shape[1]):
        if not s.arrived[row, a]:
            things[_place(f.position[row, a])] = str(a)
    head = f"step {int(e.step[row])} of {world.settings.time_limit}, objective {e.objective[row]:.2f}"
    return f"{head}\n{text_map(world, row, things)}"
