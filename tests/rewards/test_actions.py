"""Actions of several kinds: numbers from the papers' code, kinds told apart, and texts that must not hurt."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardscape  # noqa: F401
from rewardscape.rewards import action_correct, action_match, blink, dast, get_reward
from rewardscape.rewards.actions import BARE_POINT, CLICK, LONG_PRESS, NOTHING, kind_number, swipe_direction
from rewardscape.rewards.text import facts_from_completions, parse_click, resized_screen, score

TARGET = [100.0, 200.0, 180.0, 240.0]


def ui_r1(action):
    return f"<think>t</think><answer>[{action}]</answer>"


def btl_ui(boxes, entry):
    looked = json.dumps([{"bbox_2d": box} for box in boxes])
    return f"<blink>```json\n{looked}\n```</blink> <think>t</think>\n<link>```json\n{json.dumps([entry])}\n```</link>"


def tap(x, y, name="Tap"):
    return {"Plan": "p", "Action": {"function": name, "point_2d": [x, y]}}


def test_kinds_have_numbers_of_their_own():
    names = ["scroll", "type", "open_app", "navigate_back", "Scroll", "click ", "é", "x" * 1000]
    numbers = [kind_number(name) for name in names]
    assert len(set(numbers)) == len(names) and min(numbers) > BARE_POINT and max(numbers) < 2**48
    assert numbers == [kind_number(name) for name in names]
    assert [float(n) for n in numbers] == numbers and kind_number("") == NOTHING


def test_ui_r1_pays_kind_place_and_form():
    completions = [
        ui_r1("{'action': 'click', 'coordinate': [120, 220]}"),
        ui_r1("{'action': 'click', 'coordinate': [90, 220]}"),
        ui_r1("{'action': 'click'}"),
        ui_r1("{'action': 'scroll'}"),
        "<answer>[{'action': 'click', 'coordinate': [120, 220]}]</answer>",
        "nothing",
    ]
    rewards, terms = score("ui-r1", completions, TARGET, style="ui-r1", reference_kind="click")
    assert rewards.tolist() == [3, 2, 2, 1, 2, 0]
    assert terms["action_match"].tolist() == [1, 1, 1, 0, 1, 0] and terms["action_correct"].tolist() == [1, 0, 0, 0, 1, 0]
    rewards, _ = score("ui-r1", completions, None, style="ui-r1", reference_kind="scroll")
    assert rewards.tolist() == [1, 1, 1, 3, 0, 0]
    assert score("ui-r1", completions, TARGET, style="ui-r1")[0].tolist() == [3, 2, 2, 1, 2, 0]  # without a kind: a click


def test_scaled_coordinates_are_cut_to_whole_pixels():
    completion = ui_r1("{'action': 'click', 'coordinate': [61, 100]}")
    facts = facts_from_completions([completion], TARGET, style="ui-r1", scale=(2.99, 2.0))
    assert facts["predicted_point"].tolist() == [[182, 200]]
    assert score("hit", [completion], TARGET, style="ui-r1", scale=2.0)[0].tolist() == [1]


@pytest.mark.parametrize("library", [np.asarray, torch.tensor], ids=["NumPy", "torch"])
def test_dast_shortens_what_is_easy(library):
    shaped = dast(library([3.0, 3, 2, 0]), library([10.0, 20, 30, 40]), 4)
    # p = 2/4, budget = 0.5 * 15 + 0.5 * 40 = 27.5
    assert shaped.tolist() == pytest.approx([3 + 0.5 * 17.5 / 27.5 + 0.5, 3 + 0.5 * 7.5 / 27.5 + 0.5, 1.9, -0.1])
    alone = dast(library([3.0, 3, 2, 0, 0, 0, 0, 0]), library([10.0, 20, 30, 40, 0, 0, 0, 0]), 4)
    assert alone[:4].tolist() == shaped.tolist() and alone[4:].tolist() == pytest.approx([-0.1] * 4)  # no length: no division


def test_dast_refuses_broken_groups():
    with pytest.raises(ValueError, match="whole groups of 3"):
        dast([3, 2], [1, 1], 3)
    with pytest.raises(ValueError, match="lengths"):
        dast([3, 2], [1, 1, 1], 1)


def gui_r1(action, x, y, said="no input text"):
    return ui_r1(str({"action": action, "point": [x, y], "input_text": said}))


def test_gui_r1_mixes_places_texts_and_kinds():
    completions = [
        gui_r1("click", 239, 100), gui_r1("click", 240, 100), gui_r1("click", 100, 100), gui_r1("click", 101, 100),
        gui_r1("type", 1, 1, "hello"), gui_r1("type", 1, 1, "bye"), gui_r1("press_back", 1, 1), gui_r1("LONG_PRESS", 1, 1),
    ]  # fmt: skip
    rewards, terms = score(
        "gui-r1",
        completions,
        [None, None, [100, 90, 110, 110], [100, 90, 110, 110], None, None, None, None],
        style="gui-r1",
        reference_kind=["click"] * 4 + ["type"] * 2 + ["Press_Back", "long_press"],
        reference_text=["no input text"] * 4 + ["hello world", "hello world", "", ""],
        reference_point=[100, 100],
    )
    assert terms["action_correct"].tolist() == [1, 0, 0, 1, 1, 0, 1, 1]  # within 140 px, strictly in the box, F1 2/3 and 0
    np.testing.assert_allclose(rewards, 0.8 * terms["action_correct"] + 0.2)


@pytest.mark.parametrize(
    "answer, valid",
    [
        ("[{'action': 'click', 'point': [1, 2], 'input_text': ''}]", True),
        ("[]", True),
        ("{'action': 'click', 'point': [1, 2], 'input_text': ''}", False),
        ("[{'action': 'click', 'point': [1.5, 2], 'input_text': ''}]", False),
        ("[{'action': 'click', 'point': [1], 'input_text': ''}]", False),
        ("[{'action': 'click', 'input_text': ''}]", False),
        ("[{'action': 'scroll', 'point': [1, 2], 'input_text': 'sideways'}]", False),
        ("[{'action': 'type', 'point': [1, 2], 'input_text': 'no input text'}]", False),
        ("[{'action': 'type', 'point': [1, 2], 'input_text': str(1)}]", False),
        ("__import__('os').abort()", False),
        ("[" * 5000, False),
        ("-" * 9000 + "1", False),
    ],
)
def test_gui_r1_reads_its_answer_without_running_it(answer, valid):
    assert parse_click(f"<think>t</think> <answer>{answer}</answer>", "gui-r1").format_valid == valid


def test_the_point_is_the_last_in_the_braces_of_its_line():
    def point(answer):
        return parse_click(f"<answer>{answer}</answer>", "gui-r1")

    assert point("{'a': [1, 2], 'b': [3, 4]}").point == (3, 4)
    assert point("[5, 6] {'a': [1, 2]}\n{'b': [3, 4]}").point == (1, 2)
    assert not point("'a': [1, 2]").placed and not point("{'a': [1, 2]").placed and not point("{'a': [1.5, 2]}").placed
    assert point("{'a': [1, 2]\n }").point == (1, 2)


def test_btl_ui_catalogue_row_164():
    target = np.array([110.0, 100, 210, 140])
    boxes = np.array([[100.0, 100, 200, 140], [100, 100, 200, 140]])
    assert blink.compute(boxes, np.array(1), target) == 1  # IoU 0.8182
    assert blink.compute(boxes, np.array(2), target) == 0  # the same region twice
    assert blink.compute(boxes, np.array(0), target) == 0
    assert blink.compute(boxes, np.array(2), target, np.array(False)) == 1
    assert blink.compute(np.zeros((3, 0, 4)), np.zeros(3, int), target).tolist() == [0, 0, 0]


def test_btl_ui_scores_text():
    target, screen = [100, 200, 180, 240], (1000, 1000)
    completions = [
        btl_ui([[100, 200, 180, 240]], tap(140, 220)),
        btl_ui([[100, 200, 180, 240], [100, 200, 180, 241]], tap(140, 220)),
        btl_ui([], tap(100, 220)),
        btl_ui([[1, 2, 3]], tap(140, 220, "LongPress")),
        "no",
    ]
    rewards, terms = score("btl-ui", completions, target, screen, "btl-ui", reference_kind="Tap", reference_point=(140, 220))
    assert terms["blink"].tolist() == [1, 0, 0, 0, 0] and terms["link"].tolist() == [1, 1, 0, 0, 0]
    assert rewards.tolist() == [3, 2, 1, 1, 0]


@pytest.mark.parametrize(
    "said, asked, right",
    [
        ({"function": "Type", "text": "red shoes"}, {"function": "Type", "text": "red running shoes"}, 1),
        ({"function": "Type", "text": "blue"}, {"function": "Type", "text": "red shoes"}, 0),
        ({"function": "Type", "text": 5}, {"function": "Type", "text": "5"}, 0),
        ({"function": "Swipe", "direction": "up"}, {"function": "Swipe", "direction": "up"}, 1),
        ({"function": "Swipe", "direction": "up"}, {"function": "Swipe", "direction": "down"}, 0),
        ({"function": "Swipe"}, {"function": "Swipe"}, 0),
        ({"function": "Home"}, {"function": "Home"}, 1),
        ({"function": "Home", "x": 1}, {"function": "Home"}, 0),
        ({"function": "Home"}, {"function": "Back"}, 0),
        ({"function": "Dance"}, {"function": "Dance"}, 0),
        ({"function": ["Tap"]}, {"function": "Tap", "point_2d": [140, 220]}, 0),
        ({"function": "Tap", "point_2d": [140]}, {"function": "Tap", "point_2d": [140, 220]}, 0),
        ({"function": "LongPress", "point_2d": [140, 220]}, {"function": "LongPress", "point_2d": [140, 220]}, 1),
        ({"function": "LongPress", "point_2d": [140, 220]}, {"function": "Tap", "point_2d": [140, 220]}, 0),
    ],
)
def test_links_are_judged_by_their_kind(said, asked, right):
    reference = parse_click(btl_ui([], {"Plan": "p", "Action": asked}), "btl-ui")
    rewards, _ = score(
        action_correct(strict=True, reach=0.14), [btl_ui([], {"Plan": "p", "Action": said})], TARGET, (1008, 504), "btl-ui",
        reference_kind=reference.kind, reference_text=reference.text, reference_point=reference.point,
    )  # fmt: skip
    assert rewards.tolist() == [right]


def test_a_click_in_the_box_but_far_from_the_reference_is_no_link():
    link = action_correct(strict=True, reach=0.14)
    completions = [btl_ui([], tap(148, 500)), btl_ui([], tap(152, 500)), btl_ui([], {"point_2d": [900, 500]})]
    rewards, _ = score(
        link, completions, [0, 0, 1000, 1000], (1000, 1000), "btl-ui", reference_kind="Tap", reference_point=(10, 500)
    )
    assert rewards.tolist() == [1, 0, 1]  # 0.138, 0.142, and a bare point, of which only the box is asked


def test_kinds_decide_before_places():
    inside, kinds = np.array([140.0, 220]), np.array([NOTHING, CLICK, 2, LONG_PRESS, BARE_POINT, 77])
    points, boxes = np.tile(inside, (6, 1)), np.tile(TARGET, (6, 1))
    assert action_correct.compute(kinds, points, boxes).tolist() == [0, 1, 0, 0, 1, 0]
    assert action_correct.compute(kinds, points, boxes, kinds).tolist() == [0, 1, 1, 1, 1, 1]
    assert action_correct.compute(kinds, points + 1000, boxes, kinds).tolist() == [0, 0, 1, 0, 0, 1]
    assert action_match.compute(kinds, kinds).tolist() == [0, 1, 1, 1, 1, 1]
    assert action_match.compute(kinds, kinds[::-1].copy()).tolist() == [0] * 6
    torches = (torch.from_numpy(a) for a in (kinds, points, boxes, kinds))
    assert action_correct.compute(*torches).tolist() == [0, 1, 1, 1, 1, 1]


def test_an_action_without_a_place_stands_outside_every_screen():
    facts = facts_from_completions([ui_r1("{'action': 'scroll'}"), ui_r1("{'action': 'click'}")], [0, 0, 10, 10], style="ui-r1")
    assert facts["parsed"].tolist() == [True, False]
    layer = get_reward("hit")
    layer.reset(facts)
    assert layer.step(facts)[0].tolist() == [0, 0]


def test_swipe_directions():
    assert [swipe_direction((0, 0), end) for end in ((5, 1), (-5, 1), (1, -5), (3, 3), (0, 0))] == [
        "right",
        "left",
        "up",
        "down",
        "",
    ]


def test_pictures_are_resized_to_whole_patches():
    assert resized_screen(1008, 504) == (1008, 504) and resized_screen(1000, 500) == (1008, 504)
    width, height = resized_screen(4000, 2000, max_pixels=1_000_000)
    assert (
        width % 28 == height % 28 == 0 and 0.9e6 < width * height <= 1_000_000 and width / height == pytest.approx(2, rel=0.03)
    )
    assert resized_screen(10, 10) == (56, 56) and min(resized_screen(1, 100_000)) >= 28


def test_vlm_r1_lists_boxes():
    listed = '```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "Cat"}, {"bbox_2d": "x"}, {"bbox_2d": [5, 6, 7, 8]}]\n```'
    facts = facts_from_completions([f"<think>t</think><answer>{listed}</answer>", "[1,2,3,4]"], None, style="vlm-r1")
    assert facts["proposals"][0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]] and facts["proposal_count"].tolist() == [2, 0]
    assert facts["proposal_labels"][0, 0] == kind_number("cat") and facts["parsed"].tolist() == [True, False]


def test_references_are_checked():
    with pytest.raises(ValueError, match="reference_kind has 2 rows for 1 completions"):
        score("ui-r1", ["x"], TARGET, style="ui-r1", reference_kind=["click", "type"])
    with pytest.raises(ValueError, match="unknown fact 'reference_pont'"):
        score("ui-r1", ["x"], TARGET, reference_pont=[1, 2])
    with pytest.raises(ValueError, match="reference_point has shape"):
        score("ui-r1", ["x"], TARGET, reference_point=[[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="target_box has 2 rows"):
        score("ui-r1", ["x"], [None, TARGET])


_pieces = st.sampled_from([
    "<think>", "</think>", "<answer>", "</answer>", "<blink>", "</blink>", "<link>", "</link>", "```json\n", "\n```", "[", "]", "{", "}",
    "'action': 'click'", "'action': 'type'", "'input_text': 'a'", "[140, 220]", "[1, 2, 3, 4]", '"bbox_2d": ', '"point_2d": ',
    '"Action": ', '"function": "Tap"', ",", ":", "'", '"', "9" * 400, "NaN", "null", "\\x", " ", "\n",
])  # fmt: skip


@pytest.mark.parametrize(
    "style, preset, most", [("ui-r1", "ui-r1", 3), ("gui-r1", "gui-r1", 1), ("btl-ui", "btl-ui", 3), ("vlm-r1", "vlm-r1", 2)]
)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(_pieces, max_size=40).map("".join))
def test_no_text_raises_or_pays_what_is_not_finite(style, preset, most, completion):
    rewards, _ = score(preset, [completion, ""], TARGET, (1000, 500), style, reference_text="a")
    assert np.isfinite(rewards).all() and 0 <= rewards[0] <= most and rewards[1] == 0


@pytest.mark.parametrize("style", ["ui-r1", "gui-r1", "btl-ui", "vlm-r1"])
@pytest.mark.parametrize(
    "piece", ["<answer>", "{[1, 2]", "</think> <answer>", "'action': 'a", "[{", "'input_text': '", "<link>```json\n", " "]
)
def test_a_megabyte_is_read_in_bounded_work(style, piece):
    ends = ("<answer>", "</answer>") if style != "btl-ui" else ("<link>```json\n", "\n```</link>")
    for length in (19_000, 1_000_000):  # all of it is read, and the end of it
        completion = ends[0] + piece * (length // len(piece)) + ends[1]
        facts = facts_from_completions([completion] * 3, TARGET, style=style)  # quadratic work would take minutes
        assert np.isfinite(facts["predicted_box"]).all()


@pytest.mark.parametrize(
    "preset, action, full",
    [
        ("ui-r1", "box", 3),
        ("ui-r1-e", "box", 3),
        ("gui-r1", "box", 1),
        ("vlm-r1", "box", 2),
        ("mixed-r1", "box", 1),
        ("ui-r1", "point", 3),
    ],
)
def test_the_presets_pay_a_worlds_expert_in_full(preset, action, full):
    env = gym.make("rewardscape/GUIGrounding-v0", reward=preset, action=action)
    env.reset(seed=0)
    paid = [env.step(env.unwrapped.expert_action())[1] for _ in range(4)]
    assert paid == pytest.approx([full] * 4, abs=0.1)  # the expert's box is in float32


@pytest.mark.parametrize("preset", ["btl-ui", "vlm-r1-detection"])
def test_presets_over_regions_attach_to_worlds_that_attend(preset):
    env = gym.make("rewardscape/GUIGrounding-v0", reward=preset, action="attend")
    env.reset(seed=0)
    _, reward, _, _, info = env.step(env.unwrapped.expert_action())
    assert 1 <= reward <= 3 and info["reward_terms"]["format_reward"] == 1
