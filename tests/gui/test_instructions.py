import itertools
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from rewardscape.envs.gui.dataset import embedded, load_screens
from rewardscape.envs.gui.instructions import CONTAINERS, ORDINALS, instruct

SIZE = (400, 300)


def element(role, name, x, y, w=40, h=20, **more):
    return SimpleNamespace(box=(x, y, x + w, y + h), role=role, name=name, **more)


def texts(elements):
    return {index: text.split(" ", 1)[1] if not text.startswith(("type into", "switch to", "choose from")) else text.split(" ", 2)[2]
            for index, text, _ in instruct(elements, SIZE)}  # fmt: skip


def test_a_name_that_is_alone_needs_nothing_more():
    assert texts([element("button", "Save", 0, 0), element("link", "Save", 0, 50)]) == {
        0: "the Save button",
        1: "the Save link",
    }


def test_twins_are_told_apart_by_container_or_rank():
    dialog = element("dialog", "Export", 100, 100, 200, 150)
    found = texts([element("button", "Close", 10, 10), dialog, element("button", "Close", 250, 110)])
    assert found == {0: "the first Close button", 2: "the Close button in the Export dialog"}


def test_a_container_that_holds_both_tells_nothing():
    card = element("card", "Prices", 0, 0, 300, 200)
    found = texts([card, element("button", "Edit", 10, 10), element("button", "Edit", 10, 60)])
    assert found == {1: "the first Edit button", 2: "the second Edit button"}


def test_ranks_follow_rows_even_where_they_are_a_little_uneven():
    found = texts([element("button", "Go", 200, 12), element("button", "Go", 10, 15), element("button", "Go", 10, 100)])
    assert found == {1: "the first Go button", 0: "the second Go button", 2: "the third Go button"}


def test_what_cannot_be_asked_for_is_left_out():
    assert (
        texts(
            [
                element("button", "", 0, 0),
                element("heading", "Title", 0, 40),
                element("button", "Off", 390, 0),
                element("button", "Thin", 0, 80, 40, 3),
            ]
        )
        == {}
    )


def test_icons_are_marked():
    found = instruct(
        [element("button", "Bin", 0, 0, visible_text=False), element("button", "Bag", 0, 50, visible_text=True)], SIZE
    )
    assert [kind for _, _, kind in found] == ["icon", "text"]


def meant(elements, text):
    """All elements an instruction could mean, by reading it afresh."""
    nouns = {"textbox": "field", "combobox": "drop-down", "menuitem": "menu entry", "image": "icon"}
    fits = []
    said = text[text.index(" the ") :].lower()
    for index, e in enumerate(elements):
        phrase = f"{' '.join(e.name.split())} {nouns.get(e.role, e.role)}"
        for tail in (
            "",
            *(
                f" in the {' '.join(c.name.split())} {'entry' if c.role == 'listitem' else c.role}"
                for c in elements
                if c.role in CONTAINERS and inside(e, c)
            ),
        ):
            for head in ("the ", *(f"the {o} " for o in ORDINALS)):
                if said == (" " + head + phrase + tail).lower():
                    fits.append((index, head.split()[1] if head != "the " else None))
    return fits


def inside(e, c):
    return e is not c and c.box[0] <= e.box[0] and c.box[1] <= e.box[1] and e.box[2] <= c.box[2] and e.box[3] <= c.box[3]


names = st.sampled_from(["Save", "Close", "Next", "Edit item", "in", "second"])
places = st.tuples(st.integers(0, 300), st.integers(0, 250), st.integers(6, 90), st.integers(6, 45))
things = st.builds(
    lambda r, n, p: element(r, n, *p), st.sampled_from(["button", "link", "dialog", "card", "textbox"]), names, places
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(things, max_size=9))
def test_instructions_on_a_screen_differ(elements):
    found = instruct(elements, SIZE)
    wordings = {}
    for index, text, _ in found:
        phrase = text[text.index(" the ") :].lower()
        assert wordings.setdefault(phrase, index) == index, f"{phrase!r} names two elements"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(things, max_size=9))
def test_an_instruction_without_rank_fits_one_element(elements):
    for index, text, _ in instruct(elements, SIZE):
        fits = meant(elements, text)
        assert index in {i for i, _ in fits}, text
        if not any(f" the {o} " in text for o in ORDINALS):
            assert {i for i, rank in fits if rank is None} == {index}, text


def test_embedded_instructions_are_different_on_every_screen():
    screens = load_screens(embedded())
    for screen in screens:
        phrases = [t.instruction[t.instruction.index(" the ") :].lower() for t in screen.targets]
        assert len(set(phrases)) == len(phrases), screen.name
        for one, other in itertools.combinations(screen.targets, 2):
            assert one.element != other.element
