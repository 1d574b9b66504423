import warnings

import numpy as np
import pytest

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.episodes import Episodes, record
from rewardscape.scripts.rescore import compare, disagreements, main, text

CORRIDOR = "rewardscape-tests/Corridor-v0"


@pytest.fixture(scope="module")
def walks():
    return record("random", CORRIDOR, "objective_gain - 0.1", episodes=48, agent="random")


def with_returns(walks, *returns):
    """Recordings of one step an episode that pay these."""
    made = []
    for values in returns:
        lane = walks.select(slice(len(values)))
        lane.length = np.ones(len(values), int)
        lane.rewards = np.zeros_like(lane.rewards)
        lane.rewards[:, 0] = values
        made.append(lane)
    return made


def test_numbers_of_a_comparison(walks):
    found = compare(*with_returns(walks, [1, 2, 3, 4], [1, 3, 2, 4]))
    assert found["episode"] == pytest.approx((0.8, 0.8)) and found["step"] == pytest.approx((0.8, 0.8))
    assert found["reversed"] == pytest.approx(1 / 6) and found["tied"] == 0
    assert found["old"]["return_mean"] == found["new"]["step_mean"] == 2.5
    curved = compare(*with_returns(walks, [1, 2, 3, 4], [1, 10, 100, 1000]))
    assert curved["episode"][1] == pytest.approx(1) and 0.7 < curved["episode"][0] < 0.9 and curved["reversed"] == 0
    tied = compare(*with_returns(walks, [1, 2, 3], [5, 5, 6]))
    assert tied["tied"] == pytest.approx(1 / 3) and tied["reversed"] == 0
    assert compare(*with_returns(walks, [1, 2, 3], [3, 2, 1]))["reversed"] == 1


def test_a_reward_agrees_with_itself_and_its_opposite_never(walks):
    same = compare(walks, walks.rescored("objective_gain - 0.1"))
    assert (
        same["episode"] == pytest.approx((1, 1))
        and same["step"] == pytest.approx((1, 1))
        and same["reversed"] == same["tied"] == 0
    )
    opposite = compare(walks, walks.rescored("0.1 - objective_gain"))
    assert opposite["episode"] == pytest.approx((-1, -1)) and opposite["tied"] == 0 and opposite["reversed"] > 0.5
    assert "both put all episodes in the same order" in text(walks, walks.rescored("2*objective_gain - 0.2"))


def test_correlation_with_the_objective(walks):
    found = compare(walks, walks.rescored(None))
    assert found["new"]["objective"] == pytest.approx((1, 1)) and found["new"]["return_mean"] == walks.final_objective.mean()
    assert found["old"]["objective"][0] == pytest.approx(np.corrcoef(walks.returns, walks.final_objective)[0, 1])


def test_constant_rewards_have_no_correlation(walks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = walks.rescored("0.0*success")
        found = compare(walks, constant)
        assert np.isnan([*found["episode"], *found["step"], *found["new"]["objective"]]).all() and found["reversed"] == 0
        assert text(walks, constant).count("undefined") == 6
        assert "undefined" in text(walks.select([0]), constant.select([0])), "one episode has no pairs"


def test_rounding_orders_nothing(walks):
    old, new = with_returns(walks, [0.1 + 0.2, 0.3, 1.0], [0.3, 0.1 + 0.2, 1.0])
    assert compare(old, new)["reversed"] == compare(old, new)["tied"] == 0


def test_the_disagreements_come_first(walks):
    old, new = with_returns(walks, [1, 2, 3, 4, 5], [5, 2, 3, 4, 1])
    assert disagreements(old, new)[:2] == [0, 4]
    table = text(old, new).split("lower return)\n")[1].splitlines()
    assert [int(line.split()[0]) for line in table[1:]] == [1, 5], "those they agree on are left out"
    assert table[1].split()[1] == str(walks.seed[0]) and table[1].split()[-1] == "+0.80"


def test_the_command(walks, tmp_path, capsys):
    walks.save(tmp_path / "walks.npz")
    (tmp_path / "mine.yaml").write_text("reward: success - 0.02*fact('corridor_left')")
    arguments = [str(tmp_path / "walks.npz"), "--reward", str(tmp_path / "mine.yaml")]
    assert (
        main([*arguments, "--out", str(tmp_path / "new" / "r.npz"), "--inspect", str(tmp_path / "p.html"), "--episodes", "5"])
        == 0
    )
    said = capsys.readouterr().out
    assert "48 episodes" in said and "recorded  objective_gain() - 0.1" in said
    assert "rescored  success() - 0.02*fact('corridor_left')" in said and "Spearman" in said
    kept = Episodes.load(tmp_path / "new" / "r.npz")
    assert kept.about.reward == "success() - 0.02*fact('corridor_left')", "the formula, not a path"
    assert np.allclose(kept.returns, walks.rescored("success - 0.02*fact('corridor_left')").returns)
    assert np.array_equal(kept.seed, walks.seed)
    page = (tmp_path / "p.html").read_text()
    assert '"name":"objective_gain() - 0.1"' in page and "the 5 whose ranks by the two returns differ most" in page


def test_what_cannot_be_judged_is_one_error(walks, tmp_path):
    walks.save(tmp_path / "walks.npz")
    with pytest.raises(ValueError, match="this recording does not report what this reward needs: predicted_point"):
        main([str(tmp_path / "walks.npz"), "--reward", "hit"])
    with pytest.raises(ValueError, match="is not a run directory"):
        main([str(tmp_path), "--reward", "success"])
    with pytest.raises(ValueError, match="--episodes=0"):
        main([str(tmp_path / "walks.npz"), "--reward", "success", "--episodes", "0"])
