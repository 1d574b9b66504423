"""Rewards as functions of language-model trainers: names, weights, sums, columns; and, where asked for, inside TRL and verl."""

import inspect
import json
import os

import numpy as np
import pytest

from rewardscape.rewards import RewardLayer, fact, gate, gaussian_point, hit, iou, minimum, scheduled, term, where_applicable
from rewardscape.rewards.ecosystem import trl_rewards, verl_compute_score
from rewardscape.rewards.text import score, score_answers
from rewardscape.scripts import check_ecosystem

TARGET, SCREEN = [100, 200, 180, 240], [1000, 500]
ANSWERS = ["[100, 200, 180, 240]", "[110, 205, 190, 245]", "[1, 2, 3, 4]", "no idea", ""]
ROWS = len(ANSWERS)
COLUMNS = {"target_box": [TARGET] * ROWS, "screen_size": [SCREEN] * ROWS}


def called(rewards, completions=ANSWERS, **columns):
    """Values of all functions ``[row, function]``, NaN for None: as TRL collects them."""
    columns = columns or COLUMNS
    extra = dict(trainer_state=object(), log_extra=None, log_metric=None)
    given = dict(prompts=["click"] * len(completions), completions=completions, completion_ids=[[1]] * len(completions))
    found = [function(**given, **columns, **extra) for function in rewards.functions]
    assert all(isinstance(values, list) and len(values) == len(completions) for values in found)
    assert all(value is None or type(value) is float for values in found for value in values)
    return np.array([[np.nan if value is None else value for value in values] for values in found]).T


def named(rewards):
    return [function.__name__ for function in rewards.functions]


def test_a_function_per_term():
    rewards = trl_rewards("gui-g2")
    assert named(rewards) == ["gaussian_point", "gaussian_coverage"] and rewards.weights == [1.0, 1.0]
    np.testing.assert_allclose(called(rewards)[:2], [[1, 1], [0.9394, 0.9845]], atol=1e-4)
    assert called(rewards)[3:].tolist() == [[0, 0], [0, 0]]
    parameters = inspect.signature(rewards.functions[0]).parameters
    assert list(parameters)[:3] == ["prompts", "completions", "completion_ids"]
    assert rewards.functions[0](["click"], ["[100, 200, 180, 240]"], target_box=[TARGET]) == [1.0]  # TRL of old passes no ids


SUMS = [
    "gui-g2", "gui-g2-code", "gui-g1", "se-gui", "infigui-g1", "hit", "iou", "hyperclick", "ssl", "ui-genie", "distance",
    0.5 * hit + 0.5 * gaussian_point(alpha=0.25) + gate(fact("parsed"), 0.0, -1.0),
    0.5 * (hit + iou) - 2.0 * hit + 0.25,
    minimum(hit, iou) * hit,
    where_applicable(fact("box_given"), iou) + 0.1 * hit,
    hit + where_applicable(fact("box_given"), hit) + hit,
    2.0 * iou + 0.0 * hit - 0.0 * gate(fact("parsed"), 1.0, -1.0),
]  # fmt: skip


@pytest.mark.parametrize("reward", SUMS, ids=str)
def test_the_trainers_weighted_sum_is_the_reward(reward):
    rewards = trl_rewards(reward, style="any")
    completions = [*ANSWERS, "(140, 220)"]
    columns = {name: [values[0]] * 6 for name, values in COLUMNS.items()}
    values = called(rewards, completions, **columns)
    expected, terms = score(reward, completions, TARGET, SCREEN)
    np.testing.assert_allclose(np.nansum(values * rewards.weights, 1), expected, rtol=1e-14)
    assert len(set(named(rewards))) == len(rewards.weights) == values.shape[1]
    assert all(name.isidentifier() for name in named(rewards))
    assert set(terms) <= set(named(rewards))


def test_the_weights_are_those_of_the_sum():
    rewards = trl_rewards(0.7 * hit - 0.3 * gaussian_point(alpha=0.25).named("near") + 0.0 * iou)
    assert named(rewards) == ["hit", "near", "iou"] and rewards.weights == [0.7, -0.3, 0.0]
    np.testing.assert_allclose(called(rewards)[:, 2], score("iou", ANSWERS, TARGET)[0])  # a metric


def test_an_addend_that_is_no_term_is_a_function_and_its_terms_are_metrics():
    rewards = trl_rewards("infigui-g1")
    assert named(rewards) == ["reward", "collinear", "format_reward", "adaptive_exploration"]
    assert rewards.weights == [1, 0, 0, 0]
    rewards = trl_rewards(2.0 * minimum(hit, iou) + hit + 1.0)
    assert named(rewards) == ["minimum_hit_iou", "hit", "addend_1_0", "iou"] and rewards.weights == [2, 1, 1, 0]


def test_none_where_a_term_does_not_apply():
    rewards = trl_rewards(where_applicable(fact("parsed"), hit) + 0.5 * iou, style="any")
    assert named(rewards) == ["hit", "iou"]
    values = called(rewards)
    assert values[:3, 0].tolist() == [1, 1, 0] and np.isnan(values[3:, 0]).all() and not np.isnan(values[:, 1]).any()


def test_rows_of_other_tasks_are_left_alone():
    for reward in ("gui-g2", "infigui-g1"):
        values = called(trl_rewards(reward), ANSWERS, target_box=[TARGET, None, TARGET, None, TARGET])
        assert np.isnan(values[[1, 3]]).all() and not np.isnan(values[[0, 2, 4]]).any()
    assert np.isnan(called(trl_rewards("gui-g2"), ANSWERS, target_box=[None] * ROWS)).all()


def test_conversations():
    box = "[100, 200, 180, 240]"
    conversations = [
        [{"role": "assistant", "content": box}],
        [{"role": "assistant", "content": "[1, 2, 3, 4]"}, {"role": "tool", "content": "[1, 2, 3, 4]"}, {"role": "assistant", "content": box}],
        [{"role": "assistant", "content": box}, {"role": "tool", "content": "[1, 2, 3, 4]"}],
        [{"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": box}]}],
        [{"role": "assistant", "content": None}],
        [{"role": "user", "content": box}],
        [],
        [None, {"role": "assistant"}],
    ]  # fmt: skip
    values = called(trl_rewards("hit", style="any"), conversations, target_box=[TARGET] * 8)
    assert values[:, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_columns_under_other_names_and_one_value_for_all():
    rewards = trl_rewards("distance", columns={"target_box": "bbox", "screen_size": (1000, 500)})
    values = called(rewards, ANSWERS, bbox=[str(TARGET)] * ROWS, target_box=["of no use"] * ROWS)
    np.testing.assert_allclose(values[:, 0], score("distance", ANSWERS, TARGET, SCREEN)[0])
    assert values[0, 0] == 1


def test_what_is_wrong_with_columns_is_told():
    with pytest.raises(ValueError, match=r"needs screen_size; the dataset has: prompts, target_box\. .*columns="):
        called(trl_rewards("distance"), ANSWERS, target_box=[TARGET] * ROWS)
    with pytest.raises(ValueError, match=r"needs target_box \(looked for as 'bbox'\); the dataset has: prompts, box"):
        called(trl_rewards("hit", columns={"target_box": "bbox"}), ANSWERS, box=[TARGET] * ROWS)
    with pytest.raises(ValueError, match=r"target_box of row 2 is '\[1, 2\]'; it takes 4 finite numbers"):
        called(trl_rewards("hit"), ANSWERS, target_box=[TARGET, TARGET, [1, 2], TARGET, TARGET])
    with pytest.raises(ValueError, match="target_box of row 0"):
        called(trl_rewards("hit"), ANSWERS, target_box=[[1, 2, 3, float("nan")]] * ROWS)
    with pytest.raises(ValueError, match="'target_box' has 2 rows for 5 completions"):
        called(trl_rewards("hit"), ANSWERS, target_box=[TARGET] * 2)
    for make in (trl_rewards, verl_compute_score):
        with pytest.raises(ValueError, match="unknown fact 'target_boxx'; did you mean target_box"):
            make("hit", columns={"target_boxx": "bbox"})
        with pytest.raises(ValueError, match="predicted_box is read from the completion"):
            make("hit", columns={"predicted_box": "bbox"})
        with pytest.raises(ValueError, match="allowed: 'any'"):
            make("hit", style="other")
        with pytest.raises(ValueError, match="a reward is needed"):
            make(None)
        with pytest.raises(ValueError, match="unknown reward 'gui-g3'; did you mean gui-g2"):
            make("gui-g3")


def test_actions_of_several_kinds():
    completions = [
        "<think>a</think><answer>[{'action': 'click', 'coordinate': [140, 220]}]</answer>",
        "<think>a</think><answer>[{'action': 'type', 'coordinate': [0, 0], 'input_text': 'x'}]</answer>",
        "no idea",
    ]
    boxes, kinds = [TARGET, None, TARGET], ["click", "type", "click"]
    for reward, style in (("ui-r1", "ui-r1"), ("gui-r1", "gui-r1"), ("btl-ui", "btl-ui")):
        rewards = trl_rewards(reward)
        expected, _ = score(reward, completions, boxes, SCREEN, style, reference_kind=kinds)
        values = called(rewards, completions, target_box=boxes, reference_kind=kinds, screen_size=[SCREEN] * 3)
        np.testing.assert_allclose(np.nansum(values * rewards.weights, 1), expected, rtol=1e-14)
        for row in range(3):
            truth = {"target_box": boxes[row], "reference_kind": kinds[row]}
            told = verl_compute_score(reward)("x", completions[row], truth, {"screen_size": SCREEN})
            assert told["score"] == pytest.approx(expected[row], rel=1e-14)
    assert score("ui-r1", completions, boxes, SCREEN, "ui-r1", reference_kind=kinds)[0].tolist() == [3, 3, 0]


def test_typed_text_is_compared():
    completions = ["<think>a</think><answer>[{'action': 'type', 'point': [0, 0], 'input_text': 'green tea'}]</answer>"] * 2
    asked = dict(reference_kind=["type"] * 2, reference_text=["green tea", "coffee"])
    values = called(trl_rewards("gui-r1"), completions, target_box=[None] * 2, **asked)
    expected, _ = score("gui-r1", completions, [None] * 2, style="gui-r1", **asked)
    np.testing.assert_allclose(values @ [0.8, 0.2], expected)
    assert expected[0] > expected[1]


def test_answers():
    completions = ["<answer>4</answer>", "<answer>5</answer>", "four"]
    rewards = trl_rewards("exact_match")
    assert called(rewards, completions, reference_answer=["4", ["6", "5"], "4"])[:, 0].tolist() == [1, 1, 0]
    assert np.isnan(called(rewards, completions, reference_answer=["4", None, "4"])[1, 0])
    compute_score = verl_compute_score("exact_match")
    assert [compute_score("math", text, "4")["score"] for text in completions] == [1, 0, 0]
    metis = "0.9*answer_accuracy() + 0.1*format_reward() + tool_efficiency()"
    columns = dict(solution=["4"] * 3, tool_call_count=[1, 0, 0])
    rewards = trl_rewards(metis, columns={"reference_answer": "solution"})
    assert rewards.weights == [0.9, 0.1, 1.0] and named(rewards) == ["answer_accuracy", "format_reward", "tool_efficiency"]
    expected, _ = score_answers(metis, completions, ["4"] * 3, tool_calls=[1, 0, 0])
    np.testing.assert_allclose(called(rewards, completions, **columns) @ rewards.weights, expected)
    assert expected.tolist() == [1.5, 0.1, 0]
    with pytest.raises(ValueError, match="needs reference_answer; the dataset has: prompts, solution"):
        called(trl_rewards("exact_match"), completions, solution=["4"] * 3)


def test_tasks_of_several_kinds():
    completions = ["[100, 200, 180, 240]", "<answer>Paris</answer>", "<answer>102</answer>"]
    columns = dict(target_box=[TARGET, None, None], task_kind=[0, 1, 2], reference_answer=[None, "paris", "100"])
    assert called(trl_rewards("mixed-r1"), completions, **columns)[:, 0].tolist() == [1, 1, 1]
    assert called(trl_rewards("mixed-r1"), completions[:1], target_box=[TARGET])[:, 0].tolist() == [1]


def test_detection():
    found = json.dumps([{"bbox_2d": TARGET, "label": "Save"}])
    completions = [f"<think>a</think><answer>```json\n{found}\n```</answer>"] * 2 + ["none"]
    columns = dict(element_boxes=[[TARGET], [TARGET, [0, 0, 9, 9]], [TARGET]], element_count=[1, 2, 1])
    rewards = trl_rewards("vlm-r1-detection")
    whole, half, none = called(rewards, completions, **columns)
    assert (whole[0], none[0]) == (1, 0) and 0.4 < half[0] < 0.6
    values = called(rewards, completions, **columns, element_labels=[["Open"], ["save", "open"], ["Save"]])
    assert values[0, 0] == 0 and values[1, 0] > 0


@term
def count_elements(element_boxes):
    """Boxes of any extent."""
    return ((element_boxes[..., 2:] - element_boxes[..., :2]) > 0).all(-1).sum(-1) * 1.0


def test_facts_of_open_extent_are_filled_up():
    boxes = [[TARGET], [TARGET, [0, 0, 1, 1], [2, 2, 3, 3]], [], "[[1, 2, 3, 4]]", [TARGET]]
    rewards = trl_rewards("hit() + 0*count_elements()")
    assert called(rewards, ANSWERS, target_box=[TARGET] * ROWS, element_boxes=boxes)[:, 1].tolist() == [1, 3, 0, 1, 1]
    with pytest.raises(ValueError, match="element_boxes of row 1 is .*; it takes elements x 4 finite numbers"):
        called(rewards, ANSWERS, target_box=[TARGET] * ROWS, element_boxes=[[TARGET], TARGET, [], [], []])


def test_nothing_a_model_writes_raises():
    completions = ["[" * 5000, "[NaN, 1, 1, 1]", "[1e400, 1, 2, 3]", '{"point": [Infinity, 1]}', None, 7, {"content": "[1, 2]"}]
    columns = {name: [values[0]] * len(completions) for name, values in COLUMNS.items()}
    for reward in ("gui-g2", "se-gui", "infigui-g1", "gui-g1", "hyperclick"):
        rewards = trl_rewards(reward)
        values = called(rewards, completions, **columns)
        paid = np.nansum(values * rewards.weights, 1)
        compute_score = verl_compute_score(reward)
        for completion, expected in zip(completions, paid, strict=True):
            assert expected == {"infigui-g1": -1}.get(reward, 0)
            assert compute_score("x", completion, TARGET, {"screen_size": SCREEN})["score"] == expected


def test_the_style_is_that_of_the_preset():
    prose, bare = "it is at (140, 220)", "[100, 200, 180, 240]"
    assert called(trl_rewards("gui-g2"), [prose, bare], target_box=[TARGET] * 2)[:, 0].tolist() == [0, 1]
    assert called(trl_rewards("gui-g2", style="any"), [prose, bare], target_box=[TARGET] * 2)[:, 0].tolist() == [1, 1]
    points = '<think>a button</think>[{"point_2d": [1, 2]}, {"point_2d": [140, 220]}]'
    values = called(trl_rewards("infigui-g1"), [points], target_box=[TARGET])
    assert values[0, 0] == pytest.approx(1 + 1 / np.sqrt(2 * 2))


def test_a_batch_is_judged_once_and_a_changed_one_again(monkeypatch):
    judged = []
    step = RewardLayer.step
    monkeypatch.setattr(RewardLayer, "step", lambda layer, facts: (judged.append(1), step(layer, facts))[1])
    rewards = trl_rewards("gui-g2")
    completions, columns = list(ANSWERS), {"target_box": [TARGET] * ROWS}
    called(rewards, completions, **columns)
    assert len(judged) == 1
    completions[0] = "no"  # the same list, refilled
    assert called(rewards, completions, **columns)[0].tolist() == [0, 0]
    columns["target_box"] = [[0, 0, 4, 8]] * ROWS
    values = called(rewards, completions, **columns)  # other references
    assert called(rewards, [], target_box=[]).size == 0
    assert len(judged) == 4
    expected = score("gui-g2", completions, [0, 0, 4, 8])[0]
    np.testing.assert_allclose(values.sum(1), expected)
    assert expected[2] > 0.5


def test_schedules_count_completions():
    rewards = trl_rewards(scheduled((0, 1.0), (10, 0.0)) * hit, style="any")
    first, second, third = (called(rewards)[0, 0] for _ in range(3))  # 5 rows a call
    assert (first, second, third) == (1.0, 0.5, 0.0)
    with pytest.raises(ValueError, match="verl does not tell a reward the step of training"):
        verl_compute_score(scheduled((0, 1.0), (10, 0.0)) * hit)


def test_stages_of_a_trainer_are_refused():
    layer = RewardLayer("hit()", advantage="group_relative")
    for make, trainer in ((trl_rewards, "TRL"), (verl_compute_score, "verl")):
        with pytest.raises(ValueError, match=f"advantage=group_relative.*{trainer} estimates advantages in its own way"):
            make(layer)
        make(layer.expression)


# ------------------------------------------------------------------------------------------------------------------- verl


@pytest.mark.parametrize(
    "ground_truth", [TARGET, tuple(TARGET), np.array(TARGET), json.dumps(TARGET), {"target_box": TARGET}, json.dumps({"target_box": TARGET})]
)  # fmt: skip
def test_verl_is_given_the_reward_and_its_terms(ground_truth):
    compute_score = verl_compute_score("se-gui", style="any")
    expected, terms = score("se-gui", ANSWERS, TARGET, SCREEN)
    for row, answer in enumerate(ANSWERS):
        told = compute_score("screens", answer, ground_truth, {"screen_size": SCREEN, "index": row}, reward_router_address=None)
        assert told == {"score": expected[row], **{name: values[row] for name, values in terms.items()}}
        assert all(type(value) is float for value in told.values())


def test_verl_gets_the_same_keys_for_every_sample():
    compute_score = verl_compute_score(where_applicable(fact("parsed"), hit) + 0.0 * iou)
    keyword = dict(data_source="screens", ground_truth=TARGET)
    assert compute_score(solution_str="(140, 220)", extra_info={"num_turns": None}, **keyword) == {
        "score": 1,
        "hit": 1,
        "iou": 0,
    }
    assert compute_score(solution_str="no idea", **keyword) == {"score": 0, "hit": 0, "iou": 0}


def test_verl_is_told_what_is_missing():
    with pytest.raises(ValueError, match="needs screen_size; ground_truth with extra_info has: index, target_box"):
        verl_compute_score("distance")("x", "[1, 2]", TARGET, {"index": 3, "screen_size": None})
    with pytest.raises(ValueError, match="needs target_box"):
        verl_compute_score("hit")("x", "[1, 2]", None)
    with pytest.raises(ValueError, match="target_box of row 0 is 'Paris'"):
        verl_compute_score("hit")("x", "[1, 2]", "Paris")
    renamed = verl_compute_score("distance", columns={"target_box": "bbox", "screen_size": SCREEN})
    assert renamed("x", "(140, 220)", "Paris", {"bbox": TARGET})["score"] == 1
    with pytest.raises(ValueError, match="under 'score'"):
        verl_compute_score(hit().named("score"))


# -------------------------------------------------------------------------------------------------------------- the libraries


def test_the_check_knows_its_libraries(tmp_path, monkeypatch, repository):
    with pytest.raises(ValueError, match="unknown library 'trll'; allowed: trl, verl"):
        check_ecosystem.main(["trll"])
    for library in check_ecosystem.LIBRARIES:
        assert (repository / "tests" / "ecosystem" / f"check_{library}.py").is_file()
    (tmp_path / "constraints.txt").write_text("torchdata==1\ntorch==2.0.0\n")
    assert check_ecosystem.torch_requirement(tmp_path) == "torch==2.0.0"
    monkeypatch.setattr(check_ecosystem, "__file__", str(tmp_path / "rewardscape" / "scripts" / "check_ecosystem.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="in a checkout"):
        check_ecosystem.checkout()


def test_a_failed_installation_and_a_failed_check_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REWARDSCAPE_ECOSYSTEM", str(tmp_path))
    ran = []

    def run(command, folder, verbose):
        ran.append(command)
        (tmp_path / "trl").mkdir(exist_ok=True)
        return len(ran) < 2, "no such host"

    monkeypatch.setattr(check_ecosystem, "run", run)
    assert check_ecosystem.main(["trl"]) == 1 and len(ran) == 2
    assert capsys.readouterr().out == "trl: could not be installed:\nno such host\n"
    assert check_ecosystem.torch_requirement(check_ecosystem.checkout()) in ran[1]
    ran.clear()
    monkeypatch.setattr(check_ecosystem, "run", lambda command, folder, verbose: (ran.append(command) or len(ran) < 4, "trl 0"))
    assert check_ecosystem.main(["trl"]) == 1 and len(ran) == 4 and "trl: FAILED" in capsys.readouterr().out
    ran.clear()
    monkeypatch.setattr(check_ecosystem, "run", lambda command, folder, verbose: (ran.append(command) or True, "x\ntrl 0: ok"))
    assert check_ecosystem.main(["trl"]) == 0 and len(ran) == 1  # installed already
    assert capsys.readouterr().out == "trl 0: ok\n"


@pytest.mark.ecosystem
@pytest.mark.parametrize("library", check_ecosystem.LIBRARIES)
def test_inside_the_library(library):
    ok, told = check_ecosystem.check(library, verbose=bool(os.environ.get("REWARDSCAPE_DEBUG")))
    assert ok, told
