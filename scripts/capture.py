"""``rewardscape capture SOURCE --out FOLDER``: screens of web pages, photographed in real Chromium.

SOURCE is a URL, an HTML file, a folder of HTML files, or ``miniwob`` (the tasks of the PyPI package of that name). Every page
becomes one archive in ScreenSpot's form with an element table: boxes, roles, names and states from the accessibility tree.
A page may say what there is to photograph: ``<meta name="states" content="inbox,compose">`` are opened as
``?state=...&fill=...&theme=...`` and awaited until ``<html data-ready="1">``; ``<meta name="split" content="held-out">``.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import pathlib
import re
import shutil
import sys
import urllib.parse
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rewardscape.envs.gui.instructions import instruct
from rewardscape.envs.gui.vocabulary import INTERACTIVE, ROLES, STATES, role_id

SIZES = {"desktop": (1280, 800), "tablet": (820, 1180), "phone": (390, 844)}
THEMES = ("light", "dark")
MINIWOB_SIZE = (160, 210)  # of the task area
_CHROMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_META = re.compile(r"""<meta\s+name=["'](states|split)["']\s+content=["']([^"']*)["']""", re.IGNORECASE)
# contents of these are said by their name already
_LEAVES = {
    "button",
    "link",
    "heading",
    "tab",
    "menuitem",
    "option",
    "checkbox",
    "radio",
    "switch",
    "text",
    "textbox",
    "combobox",
    "slider",
}


@dataclass(frozen=True)
class Found:
    """An element as the browser gives it."""

    box: tuple[float, float, float, float]
    role: str
    name: str
    states: tuple[str, ...]
    visible_text: bool


@dataclass(frozen=True)
class Shot:
    """One picture to take."""

    name: str
    url: str
    size: tuple[int, int]
    theme: str
    split: str = "train"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape capture", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="URL, HTML file, folder of HTML files, or miniwob")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the archives")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--themes", nargs="+", default=list(THEMES), choices=list(THEMES))
    parser.add_argument("--fills", type=int, default=1, help="data fills per state and size (pages that know ?fill=)")
    parser.add_argument("--quality", type=int, default=60, help="of the WebP images, 1 to 100")
    parser.add_argument("--chromium", help="path of the browser; default: Debian's or the one found")
    options = parser.parse_args(argv)
    if not 1 <= options.quality <= 100 or options.fills < 1:
        raise ValueError("--quality is to be in 1 to 100, --fills at least 1")
    plan = list(shots(options.source, [SIZES[size] for size in options.sizes], options.themes, options.fills))
    options.out.mkdir(parents=True, exist_ok=True)
    screens = targets = size = 0
    with Camera(options.chromium, options.quality) as camera:
        for page, pictures in plan:
            archive = options.out / f"{page}.zip"
            taken = [(shot, *camera.take(shot)) for shot in pictures]
            kept = write_archive(archive, page, taken)
            written = archive.stat().st_size if kept[0] else 0
            screens, targets, size = screens + kept[0], targets + kept[1], size + written
            print(f"{page:<24}{kept[0]:>4} screens {kept[1]:>5} targets {written / 1024:>7.0f} KiB", flush=True)
    print(f"{screens} screens with {targets} targets, {size / 2**20:.1f} MiB in {options.out}")
    return 0


# --------------------------------------------------------------------------------------------------------- what to capture


def shots(source: str, sizes: list[tuple[int, int]], themes: list[str], fills: int) -> Iterator[tuple[str, list[Shot]]]:
    """``(page, pictures to take of it)``. Themes alternate, so every state is seen in all of them across sizes and fills."""
    if source == "miniwob":
        yield from _miniwob_shots(fills)
        return
    if re.match(r"^(https?|file)://", source):
        name = (
            re.sub(r"\W+", "-", urllib.parse.urlsplit(source).netloc + urllib.parse.urlsplit(source).path).strip("-") or "page"
        )
        yield name, [Shot(f"{name}-{w}x{h}-{t}", source, (w, h), t) for w, h in sizes for t in themes]
        return
    path = pathlib.Path(source)
    files = sorted(path.glob("*.html")) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise FileNotFoundError(f"no HTML at {source}; allowed: a URL, an HTML file, a folder of HTML files, or miniwob")
    for file in files:
        yield file.stem, _page_shots(file, sizes, themes, fills)


def _page_shots(file: pathlib.Path, sizes: list[tuple[int, int]], themes: list[str], fills: int) -> list[Shot]:
    said = {name.lower(): content for name, content in _META.findall(file.read_text(encoding="utf-8"))}
    states = [state.strip() for state in said.get("states", "").split(",") if state.strip()]
    split, url = said.get("split", "train"), file.resolve().as_uri()
    if not states:
        return [Shot(f"{file.stem}-{w}x{h}-{t}", url, (w, h), t, split) for w, h in sizes for t in themes]
    found = []
    for number, (fill, state, (w, h)) in enumerate((f, s, size) for f in range(fills) for s in states for size in sizes):
        theme = themes[(number + number // len(sizes) + fill) % len(themes)]
        query = urllib.parse.urlencode({"state": state, "fill": number, "theme": theme})
        found.append(Shot(f"{file.stem}-{state}-{number}-{w}x{h}-{theme}", f"{url}?{query}", (w, h), theme, split))
    return found


def _miniwob_shots(fills: int) -> Iterator[tuple[str, list[Shot]]]:
    try:
        import importlib.util

        spec = importlib.util.find_spec("miniwob")
        assert spec is not None and spec.submodule_search_locations
    except (ImportError, AssertionError):
        raise ModuleNotFoundError("capture miniwob needs the package: pip install miniwob") from None
    folder = pathlib.Path(next(iter(spec.submodule_search_locations))) / "html" / "miniwob"
    for file in sorted(folder.glob("*.html")):
        yield file.stem, [Shot(f"{file.stem}-{k}", f"{file.as_uri()}#seed={k}", MINIWOB_SIZE, "light") for k in range(fills)]


# -------------------------------------------------------------------------------------------------------------- the camera


def find_chromium() -> str:
    """Path of a Chromium or Chrome. FileNotFoundError if there is none."""
    for name in (os.environ.get("REWARDSCAPE_CHROMIUM", ""), *_CHROMES):
        if name and (path := shutil.which(name)):
            return path
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    if pathlib.Path(mac).exists():
        return mac
    raise FileNotFoundError("no Chromium found: install it (apt-get install chromium) or pass --chromium PATH")


class Camera:
    """A headless Chromium that takes pictures and reads accessibility trees. A context manager."""

    def __init__(self, chromium: str | None = None, quality: int = 60):
        self.executable, self.quality = chromium or find_chromium(), quality

    def __enter__(self) -> Camera:
        try:
            from playwright.sync_api import sync_playwright
        except ImportError:
            raise ModuleNotFoundError("capture needs Playwright: pip install 'rewardscape[browser]'") from None
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=self.executable,
            args=["--no-sandbox", "--force-device-scale-factor=1", "--disable-lcd-text", "--font-render-hinting=none"],
        )
        return self

    def __exit__(self, *error: Any) -> None:
        self._browser.close()
        self._playwright.stop()

    def take(self, shot: Shot) -> tuple[bytes, list[Found]]:
        """The picture (WebP) and the elements of one page."""
        width, height = shot.size
        look: Any = {"color_scheme": shot.theme, "reduced_motion": "reduce"}
        page = self._browser.new_page(viewport={"width": width, "height": height}, **look)
        try:
            seed = re.search(r"#seed=(\d+)$", shot.url)
            page.goto(shot.url.split("#seed=")[0], wait_until="load")
            if seed is not None:  # a MiniWoB task starts when told
                page.evaluate("s => { Math.seedrandom(s); core.startEpisodeReal(); }", f"seed{seed[1]}")
            elif "state=" in shot.url and "theme=" in shot.url:
                page.wait_for_selector("html[data-ready='1']", state="attached", timeout=10_000)
            else:
                page.wait_for_load_state("networkidle")
            session = page.context.new_cdp_session(page)
            elements = read_elements(session, width, height)
            picture = session.send("Page.captureScreenshot", {"format": "webp", "quality": self.quality})
            return base64.b64decode(picture["data"]), elements
        finally:
            page.close()


def read_elements(session: Any, width: int, height: int) -> list[Found]:
    """Visible elements of the page behind a CDP session, in the tree's order, clipped to ``width`` x ``height``."""
    session.send("Accessibility.enable")
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    snapshot = session.send("DOMSnapshot.captureSnapshot", {"computedStyles": ["overflow-x", "position", "visibility"]})
    document = snapshot["documents"][0]
    tree, layout = document["nodes"], document["layout"]
    backend, parents = tree["backendNodeId"], tree["parentIndex"]
    place = {identity: index for index, identity in enumerate(backend)}
    bounds = dict(zip(layout["nodeIndex"], layout["bounds"], strict=True))
    styles = {  # of a text node: none
        index: [snapshot["strings"][v] for v in values] or ["visible", "static", "visible"]
        for index, values in zip(layout["nodeIndex"], layout["styles"], strict=True)
    }
    scroll_x, scroll_y = document.get("scrollOffsetX", 0), document.get("scrollOffsetY", 0)

    def clipped(index: int) -> tuple[float, float, float, float]:
        """The part of a node's box that its scrolling ancestors and the window leave to be seen."""
        x, y, w, h = bounds[index]
        box = [max(x - scroll_x, 0), max(y - scroll_y, 0), min(x - scroll_x + w, width), min(y - scroll_y + h, height)]
        fixed = styles[index][1] == "fixed"
        parent = parents[index]
        while parent >= 0 and not fixed:
            if parent in bounds:
                if styles[parent][0] not in ("visible", ""):
                    u, v, uw, vh = bounds[parent]
                    box = [
                        max(box[0], u - scroll_x),
                        max(box[1], v - scroll_y),
                        min(box[2], u - scroll_x + uw),
                        min(box[3], v - scroll_y + vh),
                    ]
                fixed = styles[parent][1] == "fixed"
            parent = parents[parent]
        return box[0], box[1], box[2], box[3]

    def hit(index: int, box: tuple[float, float, float, float]) -> bool:
        """Does a click on the middle reach the node, something in it, or something it is in (a label)?"""
        x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
        try:
            reached = place.get(
                session.send("DOM.getNodeForLocation", {"x": x, "y": y, "includeUserAgentShadowDOM": False})["backendNodeId"],
                -1,
            )
        except Exception:  # nothing is there
            return False
        return _within(parents, reached, index) or _labels(snapshot, tree, reached, index, parents)

    by_id = {node["nodeId"]: node for node in nodes}
    found: list[Found] = []
    known: list[int] = []  # interactive nodes
    for node in nodes:
        index = place.get(node.get("backendDOMNodeId", -1), -1)
        role = _role(node)
        if node.get("ignored") or not role or index not in bounds or styles[index][2] == "hidden":
            continue
        if role == "text" and _inside_leaf(node, by_id):
            continue
        name = " ".join(str(node.get("name", {}).get("value", "")).split())
        if (
            not name
            and role not in INTERACTIVE
            and role not in ("dialog", "card", "list", "menu", "toolbar", "navigation", "image")
        ):
            continue
        box = clipped(index)
        if min(box[2] - box[0], box[3] - box[1]) < 4 or (role in INTERACTIVE and not hit(index, box)):
            continue
        found.append(Found(_rounded(box), role, name, _states(node), _has_text(node, by_id)))
        if role in INTERACTIVE:
            known.append(index)
    # what listens to clicks without saying so in the accessibility tree: old pages' spans and images, called buttons here
    for index in tree.get("isClickable", {}).get("index", ()):
        if index not in bounds or any(_within(parents, index, k) or _within(parents, k, index) for k in known):
            continue
        box, name = clipped(index), _text_below(snapshot, tree, index)
        small = (box[2] - box[0]) * (box[3] - box[1]) < 0.2 * width * height
        if name and small and min(box[2] - box[0], box[3] - box[1]) >= 4 and hit(index, box):
            found.append(Found(_rounded(box), "button", name, (), True))
            known.append(index)
    return found


def _rounded(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(v, 1) for v in box)
    return x1, y1, x2, y2


def _text_below(snapshot: dict, tree: dict, index: int) -> str:
    """The letters in a node, as one line."""
    strings, parents = snapshot["strings"], tree["parentIndex"]
    parts = [
        strings[value]
        for node, (kind, value) in enumerate(zip(tree["nodeType"], tree["nodeValue"], strict=True))
        if kind == 3 and value >= 0 and _within(parents, node, index)
    ]
    return " ".join(" ".join(parts).split())


def _role(node: dict) -> str:
    raw = str(node.get("role", {}).get("value", ""))
    if raw in (
        "generic",
        "none",
        "InlineTextBox",
        "LineBreak",
        "LabelText",
        "ListMarker",
        "MenuListPopup",
        "RootWebArea",
        "main",
        "Legend",
        "paragraph",
    ):
        return ""
    role = ROLES[role_id(raw)]
    return "" if role == "other" else role


def _states(node: dict) -> tuple[str, ...]:
    found = []
    for entry in node.get("properties", ()):
        name, value = entry["name"], entry["value"].get("value")
        if name in STATES and value not in (False, "false", None, "", "undefined"):
            found.append(name)
    return tuple(sorted(found))


def _inside_leaf(node: dict, by_id: dict[str, dict]) -> bool:
    parent = by_id.get(node.get("parentId", ""))
    while parent is not None:
        if _role(parent) in _LEAVES and not parent.get("ignored"):
            return True
        parent = by_id.get(parent.get("parentId", ""))
    return False


def _has_text(node: dict, by_id: dict[str, dict]) -> bool:
    """Does the element show letters? Form fields count as text: their label stands beside them."""
    if _role(node) not in ("button", "link", "tab", "menuitem", "option"):
        return True
    queue = list(node.get("childIds", ()))
    while queue:
        child = by_id.get(queue.pop())
        if child is not None:
            if str(child.get("role", {}).get("value")) == "StaticText" and any(
                c.isalnum() for c in child.get("name", {}).get("value", "")
            ):
                return True
            queue += child.get("childIds", ())
    return False


def _within(parents: list[int], index: int, ancestor: int) -> bool:
    while index >= 0:
        if index == ancestor:
            return True
        index = parents[index]
    return False


def _labels(snapshot: dict, tree: dict, reached: int, index: int, parents: list[int]) -> bool:
    """Is ``reached`` in a <label> that holds ``index``?"""
    while reached >= 0:
        if snapshot["strings"][tree["nodeName"][reached]] == "LABEL":
            return _within(parents, index, reached)
        reached = parents[reached]
    return False


# -------------------------------------------------------------------------------------------------------------- the archive


def write_archive(path: pathlib.Path, page: str, taken: list[tuple[Shot, bytes, list[Found]]]) -> tuple[int, int]:
    """Write the screens that have targets, if any; ``(screens, targets)``. The same input gives the same bytes."""
    annotations, tables, files = [], {}, {}
    for shot, picture, elements in taken:
        targets = instruct(elements, shot.size)
        if not targets:
            print(f"note: {shot.name} has nothing to click on: left out", file=sys.stderr)
            continue
        name = f"{shot.name}.webp"
        files[name] = picture
        tables[name] = {
            "size": list(shot.size),
            "elements": [{"box": list(e.box), "role": e.role, "name": e.name, "state": list(e.states)} for e in elements],
        }
        for index, instruction, kind in targets:
            x1, y1, x2, y2 = elements[index].box
            annotations.append(
                {
                    "img_filename": name, "instruction": instruction, "bbox": [x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)],
                    "data_type": kind, "data_source": page, "split": shot.split, "element": index,
                }
            )  # fmt: skip
    if not tables:
        return 0, 0
    texts = {"annotations.json": annotations, "elements.json": tables}
    files |= {name: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() for name, value in texts.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".webp") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    path.write_bytes(stream.getvalue())
    return len(tables), len(annotations)
