"""Answers: numbers from the sources, dispatch by kind of task, and the price of tool calls."""

import numpy as np
import pytest
import torch

from rewardscape.rewards import (
    bidirectional_similarity,
    exact_match,
    iou,
    numeric_tolerance,
    task_reward,
    token_set_f1,
    tool_efficiency,
)
from rewardscape.rewards.answers import normalize_answer
from rewardscape.rewards.reading import extract_answer, has_tool_form
from rewardscape.rewards.text import facts_from_answers, score, score_answers


@pytest.mark.parametrize(
    "answer, plain",
    [
        (r"\boxed{1,000}", "1000"), (r"\boxed{\boxed{3}}", "3"), (r"$\text{Red}$", "red"), ("**A**", "a"), (r"\[ x \]", "x"),
        (r"\( 4 \)", "4"), ("$$2$$", "2"), ("a, b", "a, b"), (12, "12"), ("", ""), (r"\boxed{a{b}c}", "a{b}c"),
    ],
)  # fmt: skip
def test_answers_are_undressed(answer, plain):
    assert normalize_answer(answer) == plain


def test_exact_match():
    assert exact_match.compute(r"\boxed{4}", "4") == 1 and exact_match.compute("5", "4") == 0
    assert exact_match.compute("b", ["A", "B"]) == 1 and exact_match.compute("b", []) == 0
    assert exact_match.compute(None, "4") == 0 and exact_match.compute("", "") == 0 and exact_match.compute("x", None) == 0


def test_token_set_f1():
    assert token_set_f1.compute("red shoes", "red running shoes") == pytest.approx(0.8)  # catalogue row 164
    assert token_set_f1.compute("settings app", "settings") == pytest.approx(2 / 3)  # catalogue row 266
    assert token_set_f1.compute("cat", "cats") == 0 and token_set_f1.compute("cat", "cats", variant="gui-r1") == 1
    assert token_set_f1.compute("[cat]", "dog", variant="gui-r1") == 0
    assert token_set_f1.compute("", "") == 0 and token_set_f1.compute(None, "a") == 0


def test_numeric_tolerance():
    said, asked = np.array([95.0, 94.9, 105, 0, 0.01, -95]), np.array([100.0, 100, 100, 0, 0, -100])
    assert numeric_tolerance.compute(said, asked).tolist() == [1, 0, 1, 1, 0, 1]
    assert numeric_tolerance.compute(said, asked, np.zeros(6, bool)).tolist() == [0] * 6
    assert numeric_tolerance.compute(said, asked, tolerance=0.0).tolist() == [0, 0, 0, 1, 0, 0]


A, B = np.array([[1.0, 0], [0.6, 0.8]]), np.array([[1.0, 0], [0, 1]])


def test_bmas_catalogue_row_12():
    two = np.array(2)
    assert bidirectional_similarity.compute(A, two, B, two) == pytest.approx(0.9)
    assert bidirectional_similarity.compute(B, two, A, two) == pytest.approx(0.9)
    assert bidirectional_similarity.compute(A, two, 7 * A, two) == pytest.approx(1)
    assert bidirectional_similarity.compute(A, two, -A[:1], np.array(1)) == pytest.approx(0.5 * (-0.8 - 0.6))
    assert bidirectional_similarity.compute(A, np.array(0), B, two) == 0
    assert bidirectional_similarity.compute(np.zeros((0, 2)), np.array(0), B, two) == 0
    assert bidirectional_similarity.compute(0 * A, two, B, two) == 0
    padded = np.concatenate([A, [[5.0, 5.0]]])
    assert bidirectional_similarity.compute(padded, two, B, two) == pytest.approx(0.9)
    tensors = [torch.from_numpy(np.asarray(part)) for part in (A, two, B, two)]
    assert bidirectional_similarity.compute(*tensors).item() == pytest.approx(0.9, abs=1e-12)


def test_mixed_r1_pays_each_kind_of_task_its_own_way():
    box, target = np.tile([110.0, 110, 190, 150], (5, 1)), np.tile([100.0, 100, 200, 140], (5, 1))
    value = task_reward.compute(
        box, target, None, np.array([0, 1, 2, 3, 9]), np.array([0, 1, 0, 0, 1.0]), np.full(5, 98.0), np.full(5, 100.0), None,
        np.tile(A, (5, 1, 1)), np.full(5, 2), np.tile(B, (5, 1, 1)), np.full(5, 2),
    )  # fmt: skip
    assert value.tolist() == pytest.approx([0.5, 1, 1, 0.9, 0])
    np.testing.assert_array_equal(task_reward.compute(box, target), iou.compute(box, target))
    assert task_reward.compute(box, target, None, np.arange(5)).tolist() == [0.5, 0, 0, 0, 0]


def test_mixed_r1_scores_text():
    completions = [
        "<answer>[110, 110, 190, 150]</answer>",
        "<answer>B</answer>",
        "<answer>1,020</answer>",
        "<answer>red shoe</answer>",
    ]
    rows = {"red": [1.0, 0], "shoe": [0.6, 0.8], "blue": [0.0, 1]}
    answers = facts_from_answers(
        completions, [None, "b", "1000", "red blue"], embed=lambda text: [rows.get(word, [0.0, 0.0]) for word in text.split()]
    )
    names = ("answer_correct", "answer_number", "reference_number", "answer_number_given", "answer_embeddings", "answer_length")
    more = {name: answers[name] for name in (*names, "reference_embeddings", "reference_length")}
    rewards, _ = score("mixed-r1", completions, [100, 100, 200, 140], task_kind=[0, 1, 2, 3], **more)
    assert rewards.tolist() == pytest.approx([0.5, 1, 1, 0.9])
    assert answers["answer_number_given"].tolist() == [False, False, True, False]


def test_hdpo_catalogue_row_195():
    correct, calls = np.array([1.0, 1, 1, 0]), np.array([0, 1, 3, 2])
    assert tool_efficiency.compute(correct, calls).tolist() == [1, 0.5, 0.25, 0]
    completions = ["<reason>r</reason><answer>4</answer>"] * 3 + [
        "<reason>r</reason><answer>5</answer>",
        "4",
        "<reason><answer>4</answer>",
    ]
    rewards, terms = score_answers("hdpo", completions, ["4"] * 6, tool_calls=[0, 1, 3, 2, 0, 2])
    assert terms["tool_efficiency"].tolist() == pytest.approx([1, 0.5, 0.25, 0, 0, 1 / 3])
    assert (rewards - terms["tool_efficiency"]).tolist() == pytest.approx([1, 1, 1, 0.1, 0, 0.9])


def test_judges_are_asked_only_where_there_is_something_to_judge():
    asked = []

    def judge(answer, reference):
        asked.append((answer, reference))
        return 0.5

    facts = facts_from_answers(
        ["<answer>x</answer>", "x", "<answer> </answer>", "<answer>y</answer>"], ["1", "2", "3", []], judge=judge
    )
    assert asked == [("x", "1")] and facts["answer_correct"].tolist() == [0.5, 0, 0, 0]
    with pytest.raises(ValueError, match="reference_answer has 1 rows for 2"):
        facts_from_answers(["a", "b"], ["1"])


def test_forms():
    assert extract_answer("<answer> x </answer><answer>y</answer>") == "x" and extract_answer("<answer>x") is None
    assert extract_answer(None) is None and not has_tool_form(None)
    assert has_tool_form("<reason>a</reason><tool_call>x</tool_call><reason>c</reason><answer>1</answer>")
    assert not has_tool_form("<reason>a</reason><tool_call>x<answer>1</answer>")


@pytest.mark.parametrize("piece", [r"\boxed{", "$", "**", r"\[", "1,", "{}", r"\boxed{a}"])
def test_long_answers_are_undressed_in_bounded_work(piece):
    assert len(normalize_answer(piece * (1_000_000 // len(piece)))) <= 5_000
