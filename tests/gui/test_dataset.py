import csv
import io
import json
import os
import pathlib
import re
import zipfile

import gymnasium as gym
import numpy as np
import pygame
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rewardscape.envs.gui.dataset import (
    decode,
    embedded,
    letterbox,
    load_screen_annotation,
    load_screens,
    load_screenspot_annotations,
    on_canvas,
    parse_screen_annotation,
)

ENV = "rewardscape/GUIScreens-v0"
DATA = pathlib.Path(os.environ.get("REWARDSCAPE_TEST_DATA", "/nonexistent"))  # other people's files, never in the repository


def picture(width, height):
    surface = pygame.Surface((width, height))
    surface.fill((200, 210, 220))
    stream = io.BytesIO()
    pygame.image.save(surface, stream, "x.png")
    return stream.getvalue()


def write_folder(folder, size=(300, 200), elements=True, **row):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.png").write_bytes(picture(*size))
    annotation = {
        "img_filename": "a.png",
        "instruction": "click the Save button",
        "bbox": [30, 40, 60, 20],
        "data_type": "text",
        "data_source": "mine",
    }
    (folder / "screens.json").write_text(json.dumps([annotation | row]))
    if elements:
        table = {
            "a.png": {
                "size": list(size),
                "elements": [{"box": [30, 40, 90, 60], "role": "button", "name": "Save", "state": ["focused"]}],
            }
        }
        (folder / "elements.json").write_text(json.dumps(table))
    return folder


def test_screenspot_form_without_element_tables(tmp_path):
    (screen,) = load_screens(write_folder(tmp_path / "s", elements=False))
    assert screen.size == (300, 200) and screen.elements == [] and screen.page == "mine"
    assert screen.targets[0].box == (30, 40, 90, 60)
    with pytest.raises(ValueError, match="no element tables; allowed: observation='pixels'"):
        gym.make(ENV, screens=tmp_path / "s")
    env = gym.make(ENV, screens=tmp_path / "s", observation="pixels", instructions=2)
    env.reset(seed=0)
    assert env.step(env.unwrapped.expert_action())[1] == 0.5


def test_archives_and_folders_read_alike(tmp_path):
    folder = write_folder(tmp_path / "one" / "s")
    with zipfile.ZipFile(tmp_path / "one" / "t.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    first, second = load_screens(tmp_path / "one")
    assert first.elements == second.elements and first.targets == second.targets
    assert np.array_equal(first.image, second.image) and first.elements[0].states == ("focused",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "screens.json").write_text("[{"), r"screens.json is not valid JSON"),
        (lambda f: (f / "screens.json").write_text('{"a": 1}'), "is to hold a list of annotations, not dict"),
        (lambda f: (f / "a.png").unlink(), "entry 0: the image a.png is missing"),
        (lambda f: write_folder(f, bbox=[1, 2, 3]), "entry 0: a box is four numbers"),
        (lambda f: write_folder(f, bbox=[1, 2, 3, "x"]), "a box is four numbers"),
        (lambda f: write_folder(f, bbox=[1, 2, 3, float("nan")]), "four finite numbers"),
        (lambda f: write_folder(f, instruction=None), "entry 0: needs 'instruction'"),
        (lambda f: (f / "elements.json").write_text('{"a.png": {"size": [3]}}'), "elements.json, a.png"),
        (lambda f: (f / "elements.json").write_bytes(b"\xff\xfe\x00"), "elements.json is not valid JSON"),
        (lambda f: [(f / n).unlink() for n in ("screens.json", "elements.json")], "no screens in ScreenSpot's form"),
    ],
)
def test_a_damaged_folder_is_one_error_that_names_the_file(tmp_path, damage, message):
    folder = write_folder(tmp_path / "s")
    damage(folder)
    with pytest.raises(ValueError, match=message) as caught:
        gym.make(ENV, screens=folder)
    assert str(folder) in str(caught.value)


def test_a_damaged_picture_or_archive_is_named(tmp_path):
    folder = write_folder(tmp_path / "s")
    (folder / "a.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match="a.png: not a readable image"):
        gym.make(ENV, screens=folder, observation="pixels")
    (tmp_path / "b.zip").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="b.zip: not a readable archive"):
        load_screens(tmp_path / "b.zip")
    with pytest.raises(FileNotFoundError, match="no screens at"):
        load_screens(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="x: not a readable image"):
        decode(b"", "x")


sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@hypothesis_settings(max_examples=200, deadline=None, derandomize=True)
@given(sizes, st.tuples(st.integers(48, 2048), st.integers(48, 2048)))
def test_a_letterboxed_screen_fits_and_touches(size, canvas):
    zoom, left, top = letterbox(size, canvas)
    assert left >= -1e-6 and top >= -1e-6
    assert left + size[0] * zoom <= canvas[0] + 1e-6 and top + size[1] * zoom <= canvas[1] + 1e-6
    assert min(left, top) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [(300, 200), (120, 900), (1920, 1080), (60, 500)])
def test_boxes_are_mapped_with_the_picture(tmp_path, size):
    """The facts are exactly those of the file; what the agent sees of a box is where the picture shows it."""
    bbox = [size[0] // 3, size[1] // 4, max(size[0] // 5, 1), size[1] // 6]
    folder = write_folder(tmp_path / "s", size, elements=False, bbox=bbox)
    surface = pygame.Surface(size)
    surface.fill((0, 0, 255), pygame.Rect(0, 0, *size))
    surface.fill((255, 0, 0), pygame.Rect(*bbox))
    pygame.image.save(surface, str(folder / "a.png"))
    env = gym.make(ENV, screens=folder, observation="pixels", screen_size=(320, 240), instructions=1)
    observation, _ = env.reset(seed=0)
    x, y, w, h = bbox
    assert env.unwrapped.facts["target_box"][0].tolist() == [x, y, x + w, y + h]
    assert env.unwrapped.facts["screen_size"][0].tolist() == list(size)
    u, v = (env.unwrapped.expert_action() + 1) / 2 * [320, 240]
    seen = observation["pixels"][int(v), int(u)].astype(int)
    assert seen[0] > seen[2], "the middle of the target is not where its colour is"
    assert env.step(env.unwrapped.expert_action())[1] == 1


def test_a_click_beside_the_picture_is_a_miss(tmp_path):
    folder = write_folder(tmp_path / "s", (100, 400))
    env = gym.make(ENV, screens=folder, reward="hit", instructions=1)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.array([-1, 0], np.float32))
    assert reward == 0 and info["objective"] == 0 and not info["invalid_action"]
    assert env.unwrapped.facts["predicted_point"][0, 0] < 0


def test_on_canvas_keeps_proportions():
    image = np.zeros((10, 40, 3), np.uint8) + np.array([250, 10, 10], np.uint8)
    canvas = on_canvas(image, (80, 80))
    red = canvas[..., 0] > 200
    assert canvas.shape == (80, 80, 3) and red[30:50].all() and not red[:28].any() and not red[52:].any()


NESTED = "TOOLBAR 0 999 31 109 (TEXT Page 1 of 12 171 352 54 84, PICTOGRAM three bars 0 132 30 109), LIST_ITEM 10 990 200 300 (BUTTON OK (now) 20 80 210 290), IMAGE 5 6 7 8"


def test_screen_annotation_texts_may_end_in_digits_or_brackets():
    assert parse_screen_annotation(NESTED) == [
        ("TOOLBAR", "", (0, 999, 31, 109)),
        ("TEXT", "Page 1 of 12", (171, 352, 54, 84)),
        ("PICTOGRAM", "three bars", (0, 132, 30, 109)),
        ("LIST_ITEM", "", (10, 990, 200, 300)),
        ("BUTTON", "OK (now)", (20, 80, 210, 290)),
        ("IMAGE", "", (5, 6, 7, 8)),
    ]


def test_screen_annotation_screens_are_drawn_and_played(tmp_path):
    path = tmp_path / "layouts.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["screen_id", "screen_annotation"])
        writer.writerow(["123", NESTED])
    (screen,) = load_screen_annotation(path)
    assert screen.split == "train" and [t.instruction.split(" ", 1)[1] for t in screen.targets] == [
        "the three bars icon",
        "the OK (now) button",
    ]
    assert screen.image.shape == (800, 400, 3) and screen.image.std() > 5
    env = gym.make(ENV, screens=path)
    env.reset(seed=0)
    for _ in range(4):
        info = env.step(env.unwrapped.expert_action())[4]
    assert info["objective"] == 1
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="needs the columns screen_id and screen_annotation"):
        load_screens(path)


def test_screenspot_annotations(tmp_path):
    path = tmp_path / "spot.jsonl"
    row = {"bbox": [910, 78, 44, 34], "instruction": "close", "data_type": "icon", "data_source": "windows", "image": "pc.png"}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"instruction": "save", "bbox": [10, 20, 30, 40]}) + "\n")
    (screen,) = load_screenspot_annotations(path)
    assert [t.box for t in screen.targets] == [(910, 78, 954, 112), (10, 20, 40, 60)] and screen.size == (954, 112)
    (tmp_path / "pc.png").write_bytes(picture(960, 540))
    (screen,) = load_screenspot_annotations(path, images=tmp_path)
    assert screen.size == (960, 540) and screen.image.shape == (540, 960, 3)
    path.write_text('{"image": "x"}\n')
    with pytest.raises(ValueError, match="line 1: needs a JSON object"):
        load_screenspot_annotations(path)


@pytest.mark.skipif(not DATA.exists(), reason="REWARDSCAPE_TEST_DATA names no folder")
def test_other_peoples_files():
    with (DATA / "sa_valid.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2311
    kinds = r"(?:^|[,(]\s*)(?:PICTOGRAM|TEXT|LIST_ITEM|BUTTON|IMAGE|LABEL|TOOLBAR|NAVIGATION_BAR|TEXT_INPUT|CHECKBOX|RADIO_BUTTON|SWITCH|PAGER_INDICATOR|MAP|KEYBOARD)\s"
    for row in rows:
        found = parse_screen_annotation(row["screen_annotation"])
        assert abs(len(found) - len(re.findall(kinds, row["screen_annotation"]))) <= 1
        assert all(0 <= x0 <= x1 <= 999 and 0 <= y0 <= y1 <= 999 for _, _, (x0, x1, y0, y1) in found)
    screens = load_screenspot_annotations(DATA / "screenspot_v1_annotations_uground.jsonl")
    assert sum(len(s.targets) for s in screens) == 1272


def test_the_embedded_screens_are_what_is_claimed():
    screens = load_screens(embedded())
    pages = {s.page: s.split for s in screens}
    assert len(screens) >= 300 and sum(len(s.targets) for s in screens) >= 3000
    assert len(pages) >= 25 and sum(split == "held-out" for split in pages.values()) >= 6
    assert {s.size for s in screens} == {(1280, 800), (820, 1180), (390, 844)}
    assert {s.name.rsplit("-", 1)[1] for s in screens} == {"light.webp", "dark.webp"}
    archives = list(embedded().glob("*.zip"))
    assert len(archives) == len(pages) and sum(a.stat().st_size for a in archives) <= 15 * 2**20
    for screen in screens:
        width, height = screen.size
        for target in screen.targets:
            x1, y1, x2, y2 = target.box
            assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
            assert max(abs(a - b) for a, b in zip(screen.elements[target.element].box, target.box, strict=True)) < 0.11
