"""``rewardscape/GUIScreens-v0``: click what the instruction names, on recorded screens."""

from __future__ import annotations

import hashlib
import pathlib
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import numpy as np

from rewardscape.envs.core import Array, LiveTexts, World, choice, integer, joined, rule
from rewardscape.envs.core.compile import cache_folder
from rewardscape.envs.gui.common import GUIRules, Task, answer, pay_attention
from rewardscape.envs.gui.dataset import SPLITS, Screen, Target, embedded, letterbox, load_screens, on_canvas
from rewardscape.envs.gui.vocabulary import INTERACTIVE, ROLE_ID, state_bits, tokens


class Chosen(NamedTuple):
    """Which screen an episode shows, and which of its targets it asks for."""

    screen: Annotated[Array, "int32"]
    target: Annotated[Array, "int32", "instructions"]


State = joined("State", __name__, Task, Chosen)


class Shared(NamedTuple):
    """The screens: S of them, T targets in all, E elements a screen at most."""

    size: Array  # float32 [S, 2]: width, height in pixels
    placing: Array  # float32 [S, 3]: zoom, left, top of the letter-boxed screen on the canvas
    count: Array  # int32 [S]: elements
    pixel_boxes: Array  # float32 [S, E, 4]: pixels of the screen
    boxes: Array  # float32 [S, E, 4]: canvas scaled to [-1, 1]
    roles: Array  # int32 [S, E]
    names: Array  # int32 [S, E, name tokens]
    states: Array  # int32 [S, E]
    first: Array  # int32 [S + 1]: the targets of screen s are first[s] to first[s + 1] - 1
    target_box: Array  # float32 [T, 4]: pixels of the screen
    instruction: Array  # int32 [T, instruction tokens]
    pictures: Array  # uint8 [S, height, width, 3], letter-boxed; [S, 0, 0, 3] where pixels are not observed


@rule
def choose(w, i):
    """Draw the episode's targets: different ones as long as the screen has more."""
    s = w.state
    first = w.shared.first[s.screen[i]]
    found = w.shared.first[s.screen[i] + 1] - first
    for k in range(w.settings.instructions):
        for _ in range(64):
            t = first + integer(w, i, 0, found)
            taken = False
            for j in range(k):
                taken = taken or s.target[i, j] == t
            if not taken or k >= found:
                break
        s.target[i, k] = t
        for j in range(4):
            s.target_box[i, k, j] = w.shared.target_box[t, j]


@rule
def reset(w, i):
    """One of the screens, with its element table and picture."""
    s, f, o, shared = w.state, w.facts, w.observation, w.shared
    n = integer(w, i, 0, shared.size.shape[0])
    s.screen[i] = n
    choose(w, i)
    s.current[i] = 0
    s.hits[i] = 0
    s.zoom[i] = shared.placing[n, 0]
    s.offset[i, 0] = shared.placing[n, 1]
    s.offset[i, 1] = shared.placing[n, 2]
    f.screen_size[i, 0] = shared.size[n, 0]
    f.screen_size[i, 1] = shared.size[n, 1]
    f.element_count[i] = shared.count[n]
    for e in range(shared.roles.shape[1]):
        for j in range(4):
            f.element_boxes[i, e, j] = shared.pixel_boxes[n, e, j]
            o.boxes[i, e, j] = shared.boxes[n, e, j]
        o.roles[i, e] = shared.roles[n, e]
        o.states[i, e] = shared.states[n, e]
        for j in range(shared.names.shape[2]):
            o.names[i, e, j] = shared.names[n, e, j]
    if w.settings.pixels:
        for y in range(w.settings.height):
            for x in range(w.settings.width):
                for c in range(3):
                    o.pixels[i, y, x, c] = shared.pictures[n, y, x, c]
    pay_attention(w, i, True)


@rule
def step(w, i):
    """The agent answers an instruction."""
    answer(w, i)


@rule
def observe(w, i):
    """Token ids of the current instruction."""
    t = w.state.target[i, w.state.current[i]]
    for j in range(w.shared.instruction.shape[1]):
        w.observation.instruction[i, j] = w.shared.instruction[t, j]


class GUIScreens(GUIRules):
    """Click what the instruction names, on recorded screens with the element table their accessibility tree gave.

    Settings: ``screens``: "embedded" (real web pages in Chromium, see ``rewardscape capture``) or the path of a folder or
    archive in ScreenSpot's form, of a screen_annotation ``.csv`` or of ScreenSpot annotations ``.jsonl``; ``split``: "train",
    "held-out" (whole pages never trained on) or "all"; and those of GUIGrounding but ``difficulty``. Screens of any size are
    letter-boxed into the canvas of ``screen_size`` and boxes mapped with them. Where a screen has more than ``elements``,
    targets and other interactive elements are kept first, and only targets in the table are asked for.
    """

    State = State
    Shared = Shared
    reset = staticmethod(reset)
    step = staticmethod(step)
    observe = staticmethod(observe)
    picture_width = 800
    without = ("difficulty",)  # settings of GUIRules that have no meaning here

    def __init__(self, screens: str | pathlib.Path = "embedded", split: str = "train", **settings: Any):
        if set(self.without) & set(settings):
            raise TypeError("GUIScreens has no setting 'difficulty': its screens are as recorded")
        super().__init__(**settings)
        choice("GUIScreens", "split", split, SPLITS)
        path = embedded() if screens == "embedded" else pathlib.Path(screens)
        found = [s for s in _loaded(path, _stamp(path)) if s.targets and split in ("all", s.split)]
        if not found:
            raise ValueError(f"GUIScreens: no screens with targets in split {split!r} of {path}")
        if self.settings.tables and not any(s.elements for s in found):
            raise ValueError(f"GUIScreens: {path} has no element tables; allowed: observation='pixels'")
        self.recorded = found
        self.kept = [_keep(s, self.extents["elements"]) for s in found]
        asked = [self._askable(screen, set(kept)) for screen, kept in zip(found, self.kept, strict=True)]
        self.targets = [target for targets in asked for target in targets]
        self.first = np.cumsum([0, *map(len, asked)]).astype(np.int32)
        self.shared = self._tabulate()

    def _askable(self, screen: Screen, kept: set[int]) -> list[Target]:
        """The targets an agent can find in what it observes: where it sees a table, those whose element is in it."""
        if not self.settings.tables or not screen.elements:
            return screen.targets
        return [target for target in screen.targets if target.element in kept or target.element < 0]

    def _tabulate(self) -> Any:
        e, canvas = self.extents, (self.settings.width, self.settings.height)
        number, elements = len(self.recorded), e["elements"]
        boxes = np.zeros((number, elements, 4), np.float32)
        scaled = np.zeros_like(boxes)
        roles, states = np.zeros((number, elements), np.int32), np.zeros((number, elements), np.int32)
        names = np.zeros((number, elements, e["name_tokens"]), np.int32)
        read = lru_cache(maxsize=None)(tokens)
        placing = np.array([letterbox(s.size, canvas) for s in self.recorded], np.float32)
        for n, (screen, kept) in enumerate(zip(self.recorded, self.kept, strict=True)):
            if not kept:
                continue
            table = [screen.elements[index] for index in kept]
            boxes[n, : len(kept)] = [element.box for element in table]
            on = boxes[n, : len(kept)] * placing[n, 0] + np.tile(placing[n, 1:], 2)
            scaled[n, : len(kept)] = np.clip(2 * on / np.array(canvas * 2, np.float32) - 1, -1, 1)
            roles[n, : len(kept)] = [ROLE_ID[element.role] for element in table]
            states[n, : len(kept)] = [state_bits(element.states) for element in table]
            names[n, : len(kept)] = [read(element.name, e["name_tokens"]) for element in table]
        return Shared(
            size=np.array([s.size for s in self.recorded], np.float32),
            placing=placing,
            count=np.array([len(kept) for kept in self.kept], np.int32),
            pixel_boxes=boxes,
            boxes=scaled,
            roles=roles,
            names=names,
            states=states,
            first=self.first,
            target_box=np.array([target.box for target in self.targets], np.float32),
            instruction=np.array([read(t.instruction, e["instruction_tokens"]) for t in self.targets], np.int32),
            pictures=self._pictures(canvas) if self.settings.pixels else np.zeros((number, 0, 0, 3), np.uint8),
        )

    def _pictures(self, canvas: tuple[int, int]) -> np.ndarray:
        """All screens on canvases. Decoding takes seconds, so the result is kept in the cache folder and mapped from there."""
        digest = hashlib.blake2b(repr(canvas).encode(), digest_size=12)
        for screen in self.recorded:
            digest.update(f"{screen.name} {screen.size} {screen.elements if screen.read is None else ''}".encode())
            digest.update(b"" if screen.read is None else screen.read())
        path = cache_folder() / "pictures" / f"{digest.hexdigest()}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures = np.stack([on_canvas(screen.image, canvas) for screen in self.recorded])
            draft = path.with_suffix(f".{hashlib.blake2b(pictures[:1].tobytes()).hexdigest()[:8]}.npy")
            np.save(draft, pictures)
            draft.replace(path)
        return np.load(path, mmap_mode="r")

    def instruction(self, world: World, row: int, index: int) -> str:
        return self.targets[world.state.target[row, index]].instruction

    def element_name(self, world: World, row: int, index: int) -> str:
        n = world.state.screen[row]
        return self.recorded[n].elements[self.kept[n][index]].name

    def info(self, world: World, row: int) -> dict[str, Any]:
        screen = self.recorded[world.state.screen[row]]
        return super().info(world, row) | {"screen": screen.name, "page": screen.page}

    def texts(self, world: World) -> dict[str, Any]:
        s = world.state
        return {
            "instruction": LiveTexts(lambda chosen, k: self.targets[chosen[k]].instruction, s.target, s.current),
            "screen": LiveTexts(lambda n: self.recorded[n].name, s.screen),
            "page": LiveTexts(lambda n: self.recorded[n].page, s.screen),
        }

    def screen(self, world: World, row: int, scale: int = 1) -> np.ndarray:
        image = self.recorded[world.state.screen[row]].image  # the original: sharper than what the agent sees
        return on_canvas(image, (self.settings.width * scale, self.settings.height * scale))


def _keep(screen: Screen, most: int) -> list[int]:
    """Indices of the elements that go into a table of ``most``, in the tree's order."""
    asked = {target.element for target in screen.targets}

    def unimportance(index: int) -> int:
        return 0 if index in asked else 1 if screen.elements[index].role in INTERACTIVE else 2

    return sorted(sorted(range(len(screen.elements)), key=unimportance)[:most])


def _stamp(path: pathlib.Path) -> tuple:
    """What changes when the files do."""
    if not path.exists():
        return ()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files)


@lru_cache(maxsize=4)
def _loaded(path: pathlib.Path, stamp: tuple) -> list[Screen]:
    return load_screens(path)
