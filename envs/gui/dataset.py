"""Recorded screens: what a folder, an archive or another project's annotations say, as `Screen` objects.

ScreenSpot's form: images beside ``*.json`` files, each a list of ``{"img_filename", "instruction", "bbox": [x, y, width,
height] in pixels, "data_type": "text" | "icon", "data_source"}``. Beyond it, `rewardscape capture` writes in each row
``"split"`` and ``"element"`` (index of the target in the element table), and a file ``elements.json``:
``{img_filename: {"size": [width, height], "elements": [{"box": [x1, y1, x2, y2], "role", "name", "state": [...]}]}}``.
A folder may hold sub-folders or ``.zip`` archives of that form, one a page or application.
"""

from __future__ import annotations

import csv
import io
import json
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rewardscape.envs.gui.instructions import instruct
from rewardscape.envs.gui.vocabulary import INTERACTIVE, ROLE_ID, ROLES, role_id

SPLITS = ("train", "held-out", "all")
IMAGES = (".webp", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Element:
    """One entry of an accessibility tree. ``box``: x1, y1, x2, y2 in pixels of the screen; ``role``: one of ROLES."""

    box: tuple[float, float, float, float]
    role: str
    name: str
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """An instruction and the box it means. ``kind``: "text" or "icon"; ``element``: its place in the table, or -1."""

    instruction: str
    box: tuple[float, float, float, float]
    kind: str = "text"
    element: int = -1


@dataclass
class Screen:
    """One screen. ``page``: the page, application or source it comes from; ``read``: gives the image file, None if there is none."""

    name: str
    page: str
    size: tuple[int, int]
    targets: list[Target]
    elements: list[Element] = field(default_factory=list)
    split: str = "train"
    read: Callable[[], bytes] | None = None

    @property
    def image(self) -> np.ndarray:
        """The picture, uint8 ``[height, width, 3]``, decoded anew; drawn from the element table where none was recorded."""
        if self.read is None:
            return draw_elements(self.size, self.elements)
        return decode(self.read(), self.name)


def decode(data: bytes, name: str) -> np.ndarray:
    """An image file as uint8 ``[height, width, 3]``. ValueError naming it if it is damaged."""
    import pygame

    try:
        surface = pygame.image.load(io.BytesIO(data), name)
    except pygame.error as error:
        raise ValueError(f"{name}: not a readable image ({error})") from None
    return np.ascontiguousarray(pygame.surfarray.array3d(surface).swapaxes(0, 1))


# ---------------------------------------------------------------------------------------------------- folders and archives


def load_screens(path: str | pathlib.Path) -> list[Screen]:
    """Screens at ``path``: a folder or archive in the form above, a screen_annotation ``.csv``, a ScreenSpot ``.jsonl``.

    Raises FileNotFoundError if there is nothing, ValueError naming the file (and the entry) that is damaged.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no screens at {path}")
    if path.suffix == ".csv":
        return load_screen_annotation(path)
    if path.suffix == ".jsonl":
        return load_screenspot_annotations(path)
    screens: list[Screen] = []
    for folder in sorted(_folders(path), key=lambda f: f.label):
        screens += _load_folder(folder)
    if not screens:
        raise ValueError(f"{path}: no screens in ScreenSpot's form: there is no .json file with annotations")
    return screens


class _Folder:
    """Files of a folder or of an archive, read alike."""

    def __init__(self, path: pathlib.Path):
        self.path, self.label = path, str(path)
        if path.is_dir():
            self.names = sorted(p.name for p in path.iterdir() if p.is_file())
        else:
            try:
                with zipfile.ZipFile(path) as archive:
                    self.names = sorted(archive.namelist())
            except (zipfile.BadZipFile, OSError) as error:
                raise ValueError(f"{path}: not a readable archive ({error})") from None

    def read(self, name: str) -> bytes:
        if self.path.is_dir():
            return (self.path / name).read_bytes()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
            raise ValueError(f"{self.path}: {name} cannot be read ({error})") from None

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.read(name))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{self.label}: {name} is not valid JSON ({error})") from None


def _folders(path: pathlib.Path) -> Iterator[_Folder]:
    if path.is_file():
        yield _Folder(path)
        return
    yield _Folder(path)
    for child in sorted(path.iterdir()):
        if child.suffix == ".zip" or (child.is_dir() and any(child.glob("*.json"))):
            yield _Folder(child)


def _load_folder(folder: _Folder) -> list[Screen]:
    tables = folder.json("elements.json") if "elements.json" in folder.names else {}
    images = {name for name in folder.names if name.lower().endswith(IMAGES)}
    grouped: dict[str, list[dict]] = {}
    for name in folder.names:
        if not name.endswith(".json") or name == "elements.json":
            continue
        rows = folder.json(name)
        if not isinstance(rows, list):
            raise ValueError(f"{folder.label}: {name} is to hold a list of annotations, not {type(rows).__name__}")
        for number, row in enumerate(rows):
            where = f"{folder.label}: {name}, entry {number}"
            if not isinstance(row, dict) or not isinstance(row.get("img_filename"), str):
                raise ValueError(f"{where}: needs 'img_filename'")
            if row["img_filename"] not in images:
                raise ValueError(f"{where}: the image {row['img_filename']} is missing")
            grouped.setdefault(row["img_filename"], []).append(row | {"where": where})
    return [_make_screen(folder, image, rows, tables.get(image)) for image, rows in grouped.items()]


def _make_screen(folder: _Folder, image: str, rows: list[dict], table: Any) -> Screen:
    def read() -> bytes:
        return folder.read(image)

    where = f"{folder.label}: elements.json, {image}"
    elements: list[Element] = []
    if table is None:
        height, width = decode(read(), f"{folder.label}: {image}").shape[:2]
    else:
        try:
            width, height, *more = (*(int(v) for v in table["size"]), 0, 0)
            if len(more) != 2 or min(width, height) < 1:
                raise TypeError(f"size {table['size']}")
            for entry in table["elements"]:
                box = _numbers(entry["box"], where)
                role = entry["role"] if entry["role"] in ROLE_ID else ROLES[role_id(entry["role"])]
                elements.append(Element(box, role, str(entry["name"]), tuple(entry.get("state", ()))))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{where}: each needs 'size' and 'elements' with 'box', 'role', 'name' ({error!r})") from None
    targets = []
    for row in rows:
        if not isinstance(row.get("instruction"), str) or "bbox" not in row:
            raise ValueError(f"{row['where']}: needs 'instruction' and 'bbox'")
        x, y, w, h = _numbers(row["bbox"], row["where"])
        element = row.get("element", -1)
        targets.append(Target(row["instruction"], (x, y, x + w, y + h), str(row.get("data_type", "text")), int(element)))
    page = str(rows[0].get("data_source", folder.path.stem))
    return Screen(image, page, (width, height), targets, elements, str(rows[0].get("split", "train")), read)


def _numbers(box: Any, where: str) -> tuple[float, float, float, float]:
    try:
        x, y, u, v = (float(number) for number in box)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: a box is four numbers, not {box!r}") from None
    if not np.isfinite([x, y, u, v]).all():
        raise ValueError(f"{where}: a box is four finite numbers, not {box!r}")
    return x, y, u, v


def embedded() -> pathlib.Path:
    """The folder of the screens that travel with the package: one archive a page, made by ``rewardscape capture``."""
    from importlib.resources import files

    return pathlib.Path(str(files("rewardscape.assets") / "screens"))


# ------------------------------------------------------------------------------------------------- other projects' layouts

_ELEMENT = re.compile(r"^([A-Z_]+)(?:\s(.*?))??\s(-?\d+)\s(-?\d+)\s(-?\d+)\s(-?\d+)$", re.DOTALL)


def load_screen_annotation(path: str | pathlib.Path, size: tuple[int, int] = (400, 800)) -> list[Screen]:
    """Android layouts of google-research-datasets/screen_annotation (CC BY 4.0): a CSV of screen_id and screen_annotation.

    There are no pixels: boxes on the 0..999 grid are scaled to ``size``, pictures are drawn from the layout, instructions
    made from it. Every tenth screen (by the digits of its id) is held out. ValueError naming the line that is damaged.
    """
    screens = []
    csv.field_size_limit(2**24)
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"screen_id", "screen_annotation"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path}: needs the columns screen_id and screen_annotation, has {reader.fieldnames}")
        for row in reader:
            where = f"{path}: line {reader.line_num}"
            elements = [
                Element(_android_box(numbers, size), ROLES[role_id(kind)], name)
                for kind, name, numbers in parse_screen_annotation(row["screen_annotation"] or "", where)
            ]
            targets = [
                Target(text, elements[index].box, kind, index)
                for index, text, kind in instruct(elements, size, (*INTERACTIVE, "image"))
            ]
            digits = int("0" + re.sub(r"\D", "", row["screen_id"]))
            split = "held-out" if digits % 10 == 0 else "train"
            if targets:
                screens.append(Screen(row["screen_id"], "android", size, targets, elements, split))
    return screens


def parse_screen_annotation(text: str, where: str = "screen_annotation") -> list[tuple[str, str, tuple[int, int, int, int]]]:
    """``[(kind, text, (x0, x1, y0, y1))]`` of a nested layout, parents before children. Texts may end in digits or brackets."""
    found: list[tuple[str, str, tuple[int, int, int, int]]] = []
    # an element ends where four numbers are followed by a comma, a bracket or the end
    for piece in re.findall(r"(.*?\s-?\d+\s-?\d+\s-?\d+\s-?\d+)(?:\s*\)*\s*(?:,\s*|\(\s*(?=[A-Z_]+\s)|$))", text, re.DOTALL):
        match = _ELEMENT.match(piece.strip().lstrip("(, "))
        if match is None:
            raise ValueError(f"{where}: not an element: {piece[:60]!r}")
        kind, name, *numbers = match.groups()
        x0, x1, y0, y1 = (int(number) for number in numbers)
        found.append((kind, name or "", (x0, x1, y0, y1)))
    return found


def _android_box(numbers: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    x0, x1, y0, y1 = numbers
    width, height = size
    return x0 * width / 999, y0 * height / 999, x1 * width / 999, y1 * height / 999


def load_screenspot_annotations(path: str | pathlib.Path, images: str | pathlib.Path | None = None) -> list[Screen]:
    """ScreenSpot v1 as one JSON object a line with ``image``, ``instruction``, ``bbox`` (x, y, width, height in pixels).

    ``images``: folder of the pictures. Without it a screen's size is the extent of its boxes, and there is no picture: enough
    to judge answers given as text, not to look. All screens are held out: this is a benchmark. ValueError naming the line.
    """
    grouped: dict[str, list[tuple[Target, str]]] = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}: line {number}"
            try:
                row = json.loads(line)
                name, instruction, bbox = row["image"], row["instruction"], row["bbox"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"{where}: needs a JSON object with image, instruction and bbox ({error!r})") from None
            x, y, w, h = _numbers(bbox, where)
            target = Target(str(instruction), (x, y, x + w, y + h), str(row.get("data_type", "text")))
            grouped.setdefault(name, []).append((target, str(row.get("data_source", "screenspot"))))
    screens = []
    for name, entries in grouped.items():
        targets = [target for target, _ in entries]
        read = None
        if images is None:
            size = tuple(int(np.ceil(max(t.box[axis] for t in targets))) for axis in (2, 3))
        else:
            file_path = pathlib.Path(images) / name
            if not file_path.is_file():
                raise ValueError(f"{path}: the image {file_path} is missing")
            read = file_path.read_bytes
            size = decode(read(), str(file_path)).shape[1::-1]
        screens.append(Screen(name, entries[0][1], (int(size[0]), int(size[1])), targets, [], "held-out", read))
    return screens


# ------------------------------------------------------------------------------------------------------- pictures and boxes

_FILLS = {
    "button": (58, 110, 190),
    "image": (176, 190, 204),
    "toolbar": (228, 232, 238),
    "navigation": (228, 232, 238),
    "textbox": (255, 255, 255),
}


def draw_elements(size: tuple[int, int], elements: list[Element]) -> np.ndarray:
    """A plain picture of a layout: a box per element, its name in it. uint8 ``[height, width, 3]``."""
    import pygame

    pygame.font.init()
    surface = pygame.Surface(size)
    surface.fill((246, 247, 249))
    for element in elements:
        x1, y1, x2, y2 = (round(v) for v in element.box)
        area = pygame.Rect(x1, y1, max(x2 - x1, 1), max(y2 - y1, 1))
        fill = _FILLS.get(element.role)
        if fill is not None:
            pygame.draw.rect(surface, fill, area)
        if element.role not in ("text", "heading", "image"):
            pygame.draw.rect(surface, (150, 158, 168), area, 1)
        if element.name and element.role not in ("listitem", "card", "toolbar", "list", "navigation", "window"):
            text = element.name if element.role != "image" else element.name.split()[0]
            font = pygame.font.Font(None, int(np.clip((y2 - y1) * 0.8, 11, 26)))
            ink = (255, 255, 255) if element.role == "button" else (32, 36, 42)
            letters = font.render(text.replace("\0", ""), True, ink)
            surface.blit(
                letters,
                (x1 + 2, y1 + max((y2 - y1 - letters.get_height()) // 2, 0)),
                (0, 0, max(x2 - x1 - 2, 1), max(y2 - y1, 8)),
            )
    return np.ascontiguousarray(pygame.surfarray.array3d(surface).swapaxes(0, 1))


def letterbox(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[float, float, float]:
    """``(zoom, left, top)``: a screen of ``size`` fitted into ``canvas``, centred: ``canvas = screen * zoom + (left, top)``."""
    zoom = min(canvas[0] / size[0], canvas[1] / size[1])
    return zoom, (canvas[0] - size[0] * zoom) / 2, (canvas[1] - size[1] * zoom) / 2


def on_canvas(image: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """``image`` letter-boxed on black, uint8 ``[canvas height, canvas width, 3]``."""
    import pygame

    height, width = image.shape[:2]
    zoom, left, top = letterbox((width, height), canvas)
    shown = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    surface = pygame.surfarray.make_surface(image.swapaxes(0, 1))
    scaled = pygame.transform.smoothscale(surface, shown) if shown != (width, height) else surface
    board = pygame.Surface(canvas)
    board.blit(scaled, (round(left), round(top)))
    return np.ascontiguousarray(pygame.surfarray.array3d(board).swapaxes(0, 1))
