"""The algebra of expressions and the layer: masks, weights, memory, errors, text form."""

import math
from typing import ClassVar

import numpy as np
import pytest

from rewardscape.rewards import (
    RewardError,
    RewardLayer,
    as_expression,
    clip,
    declare_fact,
    distance,
    fact,
    gate,
    gaussian_coverage,
    gaussian_point,
    get_reward,
    hit,
    iou,
    lexicographic,
    list_presets,
    maximum,
    mean_applicable,
    minimum,
    objective_gain,
    parse,
    potential,
    product,
    read_yaml,
    scheduled,
    term,
    to_yaml,
    where_applicable,
)


@term
def broken(terminated):
    """Raises."""
    raise RuntimeError("boom")


@term
def reciprocal(confidence):
    """1 / confidence: not finite at 0."""
    with np.errstate(divide="ignore"):
        return 1.0 / confidence


@term
def stated(confidence, confidence_given):
    """The confidence, where one was stated."""
    return where_applicable(confidence_given, confidence)


@term(rowwise=True)
def shouting(completion):
    """Share of capital letters; fails on an empty answer."""
    return sum(c.isupper() for c in completion) / len(completion)


def facts(rows=3, **more):
    boxes = np.array([[100.0, 100, 200, 140]]).repeat(rows, 0)
    found = {
        "predicted_box": boxes + np.array([10.0, 10, -10, 10]),
        "predicted_point": np.array([[150.0, 130]]).repeat(rows, 0),
        "target_box": boxes,
        "screen_size": np.array([[1000.0, 500]]).repeat(rows, 0),
        "parsed": np.ones(rows, bool),
        "confidence": np.linspace(0.2, 1, rows),
        "confidence_given": np.arange(rows) % 2 == 0,
        "terminated": np.zeros(rows, bool),
        "objective": np.zeros(rows),
    }
    return found | more


def pay(expression, given=None, **options):
    layer = RewardLayer(expression, **options)
    given = facts() if given is None else given
    layer.reset(given)
    return layer.step(given)


class TestAlgebra:
    def test_arithmetic(self):
        reward, terms = pay(2 * hit + 0.5 - distance / 4)
        np.testing.assert_allclose(reward, 2 * terms["hit"] + 0.5 - terms["distance"] / 4)
        assert pay(-hit)[0].tolist() == [-1, -1, -1]

    def test_a_number_alone_is_paid_to_every_row(self):
        assert pay(0 * hit + 3)[0].tolist() == [3, 3, 3]

    def test_operations(self):
        confidence = fact("confidence")
        values = facts()["confidence"]
        for node, expected in [
            (minimum(confidence, 0.5), np.minimum(values, 0.5)),
            (maximum(confidence, 0.5, 0.7), np.maximum(values, 0.7)),
            (clip(2 * confidence, 0.5, 1), np.clip(2 * values, 0.5, 1)),
            (product(confidence, confidence, 2), 2 * values**2),
            (gate(fact("confidence_given"), confidence, -1.0), [values[0], -1, values[2]]),
            (lexicographic(hit, confidence), 1 + 0.01 * values),
        ]:
            np.testing.assert_allclose(pay(node)[0], expected, err_msg=str(node))

    def test_the_gate_shields_from_what_is_not_chosen(self):
        given = facts(confidence=np.array([0.0, 0.5, 1.0]))
        reward, terms = pay(gate(fact("confidence"), reciprocal, -1.0), given)
        assert reward.tolist() == [-1, 2, 1] and math.isinf(terms["reciprocal"][0])

    def test_lexicographic_keeps_the_order_of_importance(self):
        better = lexicographic(fact("objective"), fact("confidence"))
        low = pay(better, facts(objective=np.full(3, 0.4), confidence=np.ones(3)))[0]
        high = pay(better, facts(objective=np.full(3, 0.42), confidence=np.zeros(3)))[0]
        assert (high > low).all()


class TestApplicability:
    def test_in_a_sum_what_does_not_apply_counts_nothing(self):
        reward, terms = pay(hit + stated)
        np.testing.assert_allclose(reward, [1.2, 1, 2])
        assert math.isnan(terms["stated"][1])

    def test_mean_applicable_renormalises(self):
        np.testing.assert_allclose(pay(mean_applicable(hit, stated, weights=(1, 3)))[0], [(1 + 0.6) / 4, 1, 1])

    def test_other_operations_skip_it(self):
        np.testing.assert_allclose(pay(minimum(stated, 5))[0], [0.2, 5, 1])
        np.testing.assert_allclose(pay(product(stated, 2 * hit))[0], [0.4, 2, 2])

    def test_nothing_applies(self):
        assert pay(stated.as_node(), facts(confidence_given=np.zeros(3, bool)))[0].tolist() == [0, 0, 0]

    def test_as_a_node_it_shields_from_nan(self):
        given = facts(confidence=np.array([0.0, 0.5, 1.0]))
        reward, terms = pay(hit + where_applicable(fact("confidence"), reciprocal), given)
        assert reward.tolist() == [1, 3, 2] and math.isnan(terms["reciprocal"][0])


class TestMetrics:
    def test_a_weight_of_zero_never_poisons_the_sum(self):
        given = facts(confidence=np.zeros(3))
        reward, terms = pay(hit + 0 * reciprocal + 0 * broken, given)
        assert reward.tolist() == [1, 1, 1]
        assert np.isinf(terms["reciprocal"]).all() and np.isnan(terms["broken"]).all()

    def test_also_when_a_schedule_reaches_zero(self):
        given = facts(confidence=np.zeros(3))
        assert pay(hit + scheduled((0, 0.0), (10, 1.0)) * reciprocal, given)[0].tolist() == [1, 1, 1]


class TestErrors:
    def test_a_reward_that_is_not_finite_names_row_and_term(self):
        with pytest.raises(RewardError, match=r"row 1 .*reciprocal"):
            pay(hit + reciprocal, facts(confidence=np.array([1.0, 0.0, 1.0])))

    def test_a_term_that_raises_is_named(self):
        with pytest.raises(RewardError, match=r"term broken: RuntimeError: boom"):
            pay(hit + broken)

    def test_a_rowwise_term_names_the_row(self):
        with pytest.raises(RewardError, match=r"row 1, term shouting: ZeroDivisionError"):
            pay(shouting, facts(completion=["Ab", "", "AB"]))

    def test_skip_row(self):
        layer = RewardLayer(hit + shouting, on_error="skip_row")
        reward, terms = layer.step(facts(completion=["Ab", "", "AB"]))
        assert reward.tolist() == [1.5, 1, 2] and math.isnan(terms["shouting"][1]) and layer.errors == 1
        given = facts(confidence=np.array([1.0, 0.0, 0.5]))
        layer = RewardLayer(hit + reciprocal, on_error="skip_row")
        assert layer.step(given)[0].tolist() == [2, 1, 3] and layer.errors == 1

    def test_the_missing_fact_is_named(self):
        with pytest.raises(ValueError, match=r"Maze does not report .*target_box \(for hit"):
            RewardLayer(hit).attach(["predicted_point", "terminated"], world="Maze")

    def test_unknown_fact_at_decoration(self):
        with pytest.raises(ValueError, match="unknown fact 'target_bocks'; did you mean target_box"):

            @term
            def nonsense(target_bocks):
                """-"""

    def test_unknown_names(self):
        with pytest.raises(ValueError, match="did you mean gui-g2"):
            get_reward("gui-g22")
        with pytest.raises(ValueError, match="unknown term 'hitt'; did you mean hit"):
            parse("0.5*hitt()")
        with pytest.raises(ValueError, match="no setting 'alfa'; it has: alpha, variant"):
            gaussian_point(alfa=1.0)
        with pytest.raises(ValueError, match="allowed: 'paper', 'code'"):
            gaussian_point(variant="draft")

    def test_two_uses_of_one_name(self):
        mixed = gaussian_point(alpha=0.5) + gaussian_point(alpha=0.25)
        with pytest.raises(ValueError, match=r"two different uses of the name 'gaussian_point'.*\.named"):
            RewardLayer(mixed)
        RewardLayer(gaussian_point(alpha=0.5) + gaussian_point(alpha=0.25).named("narrow"))

    def test_the_same_name_in_two_modules(self):
        with pytest.raises(ValueError, match="two terms are named 'hit'"):

            @term
            def hit(terminated):
                """-"""

    @pytest.mark.parametrize(
        "text", ["hit(", "__import__('os')", "hit.compute", "hit if 1 else iou", "'hit'", "hit()()", "1/0*hit"]
    )
    def test_text_that_is_no_expression(self, text):
        with pytest.raises(ValueError, match="."):
            parse(text)


class TestMemory:
    def test_previous_facts(self):
        layer = RewardLayer(objective_gain)
        layer.reset(facts(objective=np.zeros(3)))
        assert layer.step(facts(objective=np.array([0, 0.5, 1])))[0].tolist() == [0, 0.5, 1]
        layer.reset(facts(objective=np.zeros(3)), np.array([True, False, False]))
        assert layer.step(facts(objective=np.array([0.5, 0.5, 1])))[0].tolist() == [0.5, 0, 0]

    def test_rows_that_did_not_act_are_paid_nothing(self):
        layer = RewardLayer(hit)
        reward, terms = layer.step(facts(), np.array([True, False, True]))
        assert reward.tolist() == [1, 0, 1] and math.isnan(terms["hit"][1])

    def test_potential(self):
        layer = RewardLayer(potential(fact("objective"), gamma=0.9))
        layer.reset(facts(objective=np.full(3, 0.5)))
        ended = facts(objective=np.ones(3), terminated=np.array([False, True, False]))
        np.testing.assert_allclose(layer.step(ended)[0], [0.4, -0.5, 0.4])
        np.testing.assert_allclose(layer.step(facts(objective=np.ones(3)))[0], [-0.1, -0.1, -0.1])
        assert layer.shaping_gammas == (0.9,)

    def test_potential_telescopes(self):
        """Discounted shaping sums to -Phi(s0) over any episode that terminates (Ng, Harada and Russell, 1999)."""
        layer, gamma, phi = RewardLayer(potential(fact("objective"), gamma=0.8)), 0.8, [0.3, 0.9, 0.1, 0.6]
        layer.reset(facts(1, objective=np.array([phi[0]])))
        total = 0.0
        for t, value in enumerate(phi[1:]):
            ends = np.array([t == len(phi) - 2])
            total += gamma**t * layer.step(facts(1, objective=np.array([value]), terminated=ends))[0][0]
        assert total == pytest.approx(-phi[0])

    def test_schedule(self):
        weight = scheduled((0, 1.0), (6, 0.0))
        layer = RewardLayer(weight * hit)
        layer.reset(facts())
        assert [layer.step(facts())[0][0] for _ in range(4)] == [1, 0.5, 0, 0]
        layer.load_state_dict({**layer.state_dict(), "steps": 3})
        layer.freeze()
        assert [layer.step(facts())[0][0] for _ in range(2)] == [0.5, 0.5]
        assert scheduled((10, 1.0), (20, 0.0), kind="cosine").weight(15) == pytest.approx(0.5)
        assert scheduled((10, 1.0), (20, 0.0), kind="step").weight(19) == 1
        with pytest.raises(ValueError, match="increasing"):
            scheduled((5, 1.0), (5, 0.0))

    def test_state_comes_back(self):
        layer = RewardLayer(objective_gain + potential(fact("confidence"), gamma=1.0))
        layer.reset(facts())
        state = layer.get_state()
        first = layer.step(facts(objective=np.ones(3)))[0]
        layer.set_state(state)
        np.testing.assert_array_equal(layer.step(facts(objective=np.ones(3)))[0], first)

    def test_a_state_of_another_reward_is_refused(self):
        with pytest.raises(ValueError, match="of the reward"):
            RewardLayer(hit).load_state_dict(RewardLayer(iou).state_dict())


class TestText:
    nodes: ClassVar = [
        0.5 * gaussian_point(alpha=0.25) + gaussian_coverage,
        hit - 2 * iou(inclusive=True),
        -(hit + 0.5) * 3,
        gate(fact("parsed"), hit.as_node().on(target_box="predicted_box").named("own"), -1.0),
        lexicographic(hit, minimum(iou, 0.5), clip(distance, 0.0, 0.5)),
        mean_applicable(hit, where_applicable(fact("parsed"), iou), weights=(1, 2)),
        scheduled((0, 1.0), (100, 0.25), kind="cosine") * (hit + iou) + potential(distance, gamma=0.99).named("nearer"),
        product(hit, iou) * 0.5,
    ]

    @pytest.mark.parametrize("node", nodes, ids=str)
    def test_round_trips(self, node, tmp_path):
        again = parse(str(node))
        assert again == node and hash(again) == hash(node) and str(again) == str(node)
        to_yaml(node, tmp_path / "mine.yaml", title="Mine")
        assert as_expression(tmp_path / "mine.yaml") == node == get_reward(str(tmp_path / "mine.yaml")).expression

    def test_every_preset_reads(self):
        for name, preset in list_presets().items():
            assert str(as_expression(name)) == preset.reward and preset.source, name

    def test_a_broken_file_is_named(self, tmp_path):
        for text in ("a: [", "expression: hit", "reward: hit\nweight: 2", "reward: hitt"):
            path = tmp_path / "bad.yaml"
            path.write_text(text)
            with pytest.raises(ValueError, match=r"bad\.yaml"):
                read_yaml(path)


def test_same_use_twice_is_computed_once():
    calls = []

    @term
    def counted(terminated):
        """Counts its calls."""
        calls.append(1)
        return terminated * 1.0

    pay(counted + counted * 2 + gate(counted, counted, 0))
    assert len(calls) == 1


def test_vocabulary_grows_but_does_not_change():
    declare_fact("altitude", (), "float", "m", "height above ground")
    declare_fact("altitude", (), "float", "m", "height above ground")
    with pytest.raises(ValueError, match="declared already"):
        declare_fact("altitude", (), "float", "feet", "height above sea")


def test_a_plugin_brings_its_terms(monkeypatch):
    from rewardscape.rewards.core import registry

    class Entry:
        name = "mine"

        @staticmethod
        def load():
            return lambda: registry.register_preset("plugged", hit * 2, source="here")

    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [Entry] * (group == "rewardscape.plugins"))
    registry.load_plugins.cache_clear()
    assert pay(as_expression("plugged"))[0].tolist() == [2, 2, 2]


class TestTorch:
    @pytest.mark.parametrize("text", ["gui-g2", "hit", "iou", "distance", "gui-g2-code", *map(str, TestText.nodes[:-2])])
    @pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
    def test_equals_numpy(self, text, dtype, tolerance):
        torch = pytest.importorskip("torch")
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 400, (50, 2, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(1, 99, (50, 2, 2))], -1)
        given = facts(
            50, predicted_box=boxes[:, 0], target_box=boxes[:, 1] * 0.2 + boxes[:, 0] * 0.8, format_valid=np.ones(50, bool)
        )
        given["predicted_point"] = boxes[:, 0, :2] + 10
        given = {k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in given.items()}
        tensors = {k: torch.from_numpy(v) for k, v in given.items()}
        mine, theirs = RewardLayer(as_expression(text)), RewardLayer(as_expression(text))
        if "code" in text and dtype == "float32":
            tolerance = 2e-3  # a value may round to the other side
        np.testing.assert_allclose(theirs.step(tensors)[0].numpy(), mine.step(given)[0], atol=tolerance)
