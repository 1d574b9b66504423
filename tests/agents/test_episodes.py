import numpy as np
import pytest

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.episodes import Episodes, record
from rewardscape.agents.evaluate import evaluate

CORRIDOR = "rewardscape-tests/Corridor-v0"
GUI = "rewardscape/GUIGrounding-v0"
GAME = "rewardscape/MatrixGame-v0"


@pytest.fixture(scope="module")
def clicks():
    return record("random", GUI, "0.5*hit + gaussian_point", episodes=24, seed=3, settings={"action": "box"}, agent="random")


def test_a_recording_is_what_an_evaluation_sees():
    for actor in ("random", "expert"):
        played = evaluate(actor, CORRIDOR, "2*success - 0.1", episodes=32, seed=5, seeds="validation")
        kept = record(actor, CORRIDOR, "2*success - 0.1", episodes=32, seed=5)
        assert len(kept) == played["episodes"] == 32
        if actor == "expert":  # random agents differ in how many rows they draw for
            assert kept.final_objective.mean() == pytest.approx(played["objective"])
            assert kept.returns.mean() == pytest.approx(played["return"])
            assert kept.length.mean() == played["length"] and kept.success.mean() == played["success"]


def test_it_goes_to_a_file_and_back(clicks, tmp_path):
    clicks.save(tmp_path / "episodes.npz")
    back = Episodes.load(tmp_path / "episodes.npz")
    assert back.about == clicks.about and len(list(tmp_path.iterdir())) == 1
    assert np.array_equal(back.returns, clicks.returns) and np.array_equal(back.seed, clicks.seed)
    assert back.terms.keys() == {"hit", "gaussian_point"} and np.array_equal(back.terms["hit"], clicks.terms["hit"])
    assert back.facts.keys() == clicks.facts.keys() >= {"predicted_box", "target_box", "objective"}
    (tmp_path / "other.npz").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="other.npz holds no recorded episodes"):
        Episodes.load(tmp_path / "other.npz")


def test_it_is_judged_again_without_the_world(clicks):
    same = clicks.rescored("0.5*hit + gaussian_point")
    assert np.array_equal(same.rewards, clicks.rewards) and np.array_equal(same.terms["hit"], clicks.terms["hit"])
    fresh = record("random", GUI, "gui-g2", episodes=24, seed=3, settings={"action": "box"})
    other = clicks.rescored("gui-g2")
    assert np.allclose(other.rewards, fresh.rewards) and other.about.reward == "gui-g2"
    gain = clicks.rescored(None)
    assert np.allclose(gain.returns, clicks.final_objective)
    with pytest.raises(ValueError, match="does not report what this reward needs: answer_correct"):
        clicks.rescored("cosine_length")


def test_rewards_with_a_memory_are_judged_again_too():
    for reward in ("potential(-0.1*fact('corridor_left'), gamma=0.9)", "objective_gain - 0.1"):
        kept = record("random", CORRIDOR, reward, episodes=16)
        assert len(set(kept.length)) > 1, "episodes of different length, or this proves little"
        again = kept.rescored(reward)
        assert np.allclose(again.rewards[again.mask], kept.rewards[kept.mask])


def test_the_gap_is_high_where_the_reward_is_fooled(clicks):
    paid = clicks.rescored("box_area")
    fooled = np.argmax(paid.gap)
    assert paid.returns[fooled] > np.median(paid.returns) and paid.final_objective[fooled] <= np.median(paid.final_objective)
    assert abs(paid.gap).max() <= 1 and abs(clicks.rescored("hit").gap).max() < 1e-9


def test_some_of_it(clicks):
    some = clicks.select(clicks.length > 0)
    assert len(some) == 24
    few = clicks.select([3, 1])
    assert few.seed.tolist() == [clicks.seed[3], clicks.seed[1]] and np.array_equal(
        few.terms["hit"], clicks.terms["hit"][[3, 1]]
    )


def test_several_agents_are_recorded_and_judged_again():
    paid = record("random", GAME, "payoff_earned - 0.5", episodes=12, settings={"players": 3, "rounds": 5})
    assert paid.rewards.shape == paid.actions.shape == (12, 5, 3) and (paid.agents, paid.learner) == (3, None)
    assert np.allclose(paid.rewards, paid.facts["payoff"] - 0.5)
    assert np.allclose(paid.returns, paid.rewards.sum(1).mean(1)) and paid.gap.shape == (12,)
    shared = paid.rescored("team_mean(payoff_earned)")
    assert np.allclose(shared.rewards, paid.facts["payoff"].mean(-1, keepdims=True))
    assert np.allclose(shared.terms["payoff_earned"], paid.facts["payoff"])
    assert np.allclose(paid.rescored(None).returns, paid.final_objective)


def test_one_learner_among_others_has_its_own_column():
    settings = {"others": "defect", "learner": 1}
    paid = record("random", GAME, "inequity_averse(payoff_earned)", episodes=12, settings=settings)
    assert paid.rewards.shape == paid.actions.shape == (12, 16) and (paid.agents, paid.learner) == (2, 1)
    assert paid.facts["payoff"].shape == (12, 16, 2) and (paid.facts["action"][..., 0] == 1).all()
    again = paid.rescored("inequity_averse(payoff_earned)")
    assert np.array_equal(again.rewards, paid.rewards)
    assert np.array_equal(again.terms["payoff_earned"], paid.facts["payoff"][..., 1])
    assert np.allclose(paid.rescored("payoff_earned").rewards, paid.facts["payoff"][..., 1])
    with pytest.raises(ValueError, match="for worlds of several agents"):
        record("random", CORRIDOR, episodes=4).rescored("team_mean(success)")
