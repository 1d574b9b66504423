"""What agents with shared parameters learn to play is what game theory says of the reward they are paid."""

import pytest

from rewardscape.agents.runs import Config, train
from rewardscape.envs.games.equilibria import pure_nash
from rewardscape.envs.games.tables import payoff_table

COOPERATE, DEFECT = (0, 0), (1, 1)


def last_round(tmp_path, game, reward):
    """The share of episodes in which each cell was played last, and the mean objective."""
    settings = {"n_steps": 16, "batch_size": 512, "learning_rate": 3e-3}
    config = Config("MatrixGame-v0", reward, "ppo-device", 120_000, 3, 64, {"game": game}, settings, threads=1)
    episodes = train(config, tmp_path / "run", progress="none").episodes()
    cells = [tuple(int(a) for a in cell) for cell in episodes.actions[:, -1]]
    return {cell: cells.count(cell) / len(cells) for cell in set(cells)}, episodes.final_objective.mean()


@pytest.mark.parametrize(
    ("game", "equilibrium"),
    [("prisoners", DEFECT), ("public-goods", DEFECT), ("stag-hunt", COOPERATE), ("coordination", COOPERATE)],
)
def test_paid_for_themselves_they_reach_an_equilibrium(tmp_path, game, equilibrium):
    played, _ = last_round(tmp_path, game, "payoff_earned")
    assert equilibrium in pure_nash(payoff_table(game, 2))
    assert played[equilibrium] > 0.9


@pytest.mark.parametrize("game", ["prisoners", "public-goods", "chicken"])
def test_paid_the_team_mean_they_cooperate(tmp_path, game):
    played, objective = last_round(tmp_path, game, "team_mean(payoff_earned)")
    assert COOPERATE not in pure_nash(payoff_table(game, 2))  # for themselves they would not
    assert played[COOPERATE] > 0.85 and objective > 0.9
