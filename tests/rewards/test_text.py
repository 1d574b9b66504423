"""Completions: what is read, what is not, and that nothing a model writes can hurt."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardscape.rewards import get_reward
from rewardscape.rewards.text import facts_from_completions, parse_click, score

TARGET = (100, 200, 180, 240)


@pytest.mark.parametrize(
    "completion, point, box_given, format_valid",
    [
        ("[100, 200, 180, 240]", (140, 220), True, True),
        ("the button is at [100,200,180,240].", (140, 220), True, False),
        ("(140, 220)", (140, 220), False, True),
        ('{"action": "click", "coordinate": [140, 220]}', (140, 220), False, True),
        ('```json\n[{"point_2d": [140, 220], "label": "x"}]\n```', (140, 220), False, True),
        ('<think>maybe [1,2,3,4]</think><answer>{"bbox_2d": [100, 200, 180, 240]}</answer>', (140, 220), True, True),
        ('{"x": 140, "y": 220.5}', (140, 220.5), False, True),
        ('I click {"arguments": {"point": [140, 220]}} now', (140, 220), False, False),
    ],
)
def test_what_is_read(completion, point, box_given, format_valid):
    click = parse_click(completion)
    assert click.point == point and click.box_given == box_given and click.format_valid == format_valid


def test_a_stated_confidence_is_read_and_clipped():
    assert parse_click('{"point": [1, 2], "confidence": 0.7}').confidence == 0.7
    assert parse_click('{"point": [1, 2], "confidence": 7}').confidence == 1.0
    assert parse_click('{"point": [1, 2]}').confidence is None


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "click it",
        "[1,2,3]",
        "[a,b]",
        '{"point": "here"}',
        "[NaN, 1]",
        '{"point": [Infinity, 1]}',
        "[1e400, 1]",
        None,
        "[" * 5000,
    ],
)
def test_what_is_not(completion):
    assert parse_click(completion) is None


def test_presets_score_text():
    rewards, terms = score("gui-g2", ["[100,200,180,240]", "[110,205,190,245]", "nothing", "[140, 220]"], TARGET)
    np.testing.assert_allclose(rewards, [2, 0.939 + 0.984, 0, 1], atol=1e-3)
    assert set(terms) == {"gaussian_point", "gaussian_coverage"}
    assert score("hit", ['{"point": [140, 220]}', "(99, 220)"], TARGET)[0].tolist() == [1, 0]


def test_missing_facts_are_told():
    with pytest.raises(ValueError, match="a completion does not report"):
        score("objective_gain", ["[1,2]"], TARGET)
    with pytest.raises(ValueError, match="allowed: 'any', 'gui-g2'"):
        parse_click("[1,2]", style="other")


_pieces = st.sampled_from([*list('[]{}(),."-0123456789 \n'), "bbox_2d", "point", "<answer>", "```json", "null", "NaN", "1e999"])


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.one_of(_pieces.flatmap(st.just), st.text(max_size=4)), max_size=60).map("".join))
def test_no_text_raises_or_pays_what_is_not_finite(completion):
    for style in ("any", "gui-g2"):
        rewards, _ = score("gui-g2", [completion, "[100,200,180,240]"], TARGET, style=style)
        assert np.isfinite(rewards).all() and 0 <= rewards[0] <= 2 and rewards[1] == pytest.approx(2)


@pytest.mark.parametrize("piece", ["[1,", "{", "[[", '{"a":', " ", "9", "[1, 2, 3, ", "<answer>", "-", "(1,"])
def test_a_megabyte_is_read_in_bounded_work(piece):
    completion = piece * (1_000_000 // len(piece))
    facts = facts_from_completions([completion, "[140, 220]"], TARGET)  # quadratic work would never end
    assert facts["parsed"].tolist()[1] and np.isfinite(facts["predicted_box"]).all()


def test_layers_are_fresh():
    assert get_reward("hit") is not get_reward("hit")
