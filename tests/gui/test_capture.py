import json
import zipfile

import pytest

from rewardscape.envs.gui.dataset import load_screens
from rewardscape.scripts.capture import Shot, _page_shots, main, shots, write_archive

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>T</title><style>body{margin:0} .veil{position:fixed;inset:60px 0 0 0;background:#8888} #low{position:absolute;top:5000px}
.box{height:40px;overflow:hidden;position:absolute;top:20px;left:150px}</style>
<button style="position:absolute;left:10px;top:10px;width:80px;height:30px">Save</button>
<button style="position:absolute;left:100px;top:10px;width:30px;height:30px" aria-label="Delete"><svg width=10 height=10></svg></button>
<label style="position:absolute;left:300px;top:10px"><input type="checkbox" checked> Remember me</label>
<div class="box"><button style="height:20px">Shown</button><br><br><button style="height:20px;margin-top:30px">Cut off</button></div>
<button style="position:absolute;left:10px;top:100px" >Covered</button><button id="low">Below</button><button hidden>Hidden</button>
<div class="veil"></div>"""


def test_a_page_of_ones_own(tmp_path, capsys):
    (tmp_path / "mine.html").write_text(PAGE)
    assert main([str(tmp_path), "--out", str(tmp_path / "out"), "--sizes", "desktop", "--themes", "light"]) == 0
    assert "1 screens with 4 targets" in capsys.readouterr().out
    (screen,) = load_screens(tmp_path / "out")
    found = {e.name: e for e in screen.elements if e.role in ("button", "checkbox")}
    assert set(found) == {"Save", "Delete", "Remember me", "Shown"}, (
        "what is covered, cut off, below or hidden cannot be clicked"
    )
    assert found["Save"].box == (10, 10, 90, 40) and found["Remember me"].states == ("checked",)
    assert {t.kind for t in screen.targets if "Delete" in t.instruction} == {"icon"}
    assert screen.size == (1280, 800) and screen.image.shape == (800, 1280, 3)


def test_our_pages_are_photographed_alike_each_time(repository, tmp_path):
    page = repository / "assets" / "pages" / "survey.html"
    for out in ("one", "two"):
        main([str(page), "--out", str(tmp_path / out), "--sizes", "phone"])
    assert (tmp_path / "one" / "survey.zip").read_bytes() == (tmp_path / "two" / "survey.zip").read_bytes()
    made = load_screens(tmp_path / "one")
    kept = {s.name: s for s in load_screens(repository / "assets" / "screens" / "survey.zip")}
    assert len(made) == 5 and all(s.split == "held-out" for s in made)
    assert len(kept) == 15


def test_miniwob_tasks(tmp_path, capsys, monkeypatch):
    pytest.importorskip("miniwob")
    import rewardscape.scripts.capture as capture

    plan = list(shots("miniwob", [], [], 1))
    assert len(plan) >= 125
    chosen = [
        entry for entry in plan if entry[0] in ("click-button", "login-user", "click-checkboxes", "click-link", "click-color")
    ]
    monkeypatch.setattr(capture, "shots", lambda *_: iter(chosen))
    assert main(["miniwob", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "click-color-0 has nothing to click on" in said.err  # coloured squares without names
    screens = load_screens(tmp_path)
    assert len(screens) == 4 and all(s.targets and s.size == (160, 210) for s in screens)
    assert all(s.image.std() > 5 for s in screens)


def test_themes_alternate_over_sizes_and_states(repository):
    found = _page_shots(repository / "assets" / "pages" / "mail.html", [(1, 1), (2, 2), (3, 3)], ["light", "dark"], 1)
    assert len(found) == 15 and len({s.url for s in found}) == 15
    for state in ("inbox", "compose"):
        assert {s.theme for s in found if f"-{state}-" in s.name} == {"light", "dark"}


def test_an_archive_is_the_same_bytes_for_the_same_screens(tmp_path):
    from rewardscape.scripts.capture import Found

    taken = [(Shot("a", "", (100, 100), "light"), b"picture", [Found((0, 0, 50, 20), "button", "Save", (), True)])]
    for name in ("one.zip", "two.zip"):
        assert write_archive(tmp_path / name, "p", taken) == (1, 1)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        (row,) = json.loads(archive.read("annotations.json"))
    assert row["bbox"] == [0, 0, 50, 20] and row["element"] == 0 and row["data_source"] == "p"


def test_nothing_to_capture_is_one_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="allowed: a URL, an HTML file, a folder of HTML files, or miniwob"):
        main([str(tmp_path / "nowhere"), "--out", str(tmp_path)])
    with pytest.raises(ValueError, match="--quality"):
        main(["x.html", "--out", str(tmp_path), "--quality", "0"])
