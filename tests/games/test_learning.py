"""What agents with shared parameters learn to play is what game theory says of the reward they are paid."""

import pytest

from rewardscape.agents.runs import Config, train
from rewardscape.envs.games.equilibria import pure_nash
from rewardscape.envs.games.tables import payoff_table

COOPERATE, DEFECT = (0, 0), (1, 1)


def last_round(tmp_path, game, reward, **more):
    """The share of episodes in which each cell was played last, and the mean objective."""
    settings = {"n_steps": 16, "batch_size": 512, "learning_rate": 3e-3} | more
    config = Config("MatrixGame-v0", reward, "ppo-device", 120_000, 3, 64, {"game": game}, settings, threads=1)
    episodes = train(config, tmp_path / "run", progress="none").episodes()
    cells = [tuple(int(a) for a in cell) for cell in episodes.actions[:, -1]]
    return {cell: cells.count(cell) / len(cells) for cell in set(cells)}, episodes.final_objective.mean()


@pytest.mark.parametrize(
    ("game", "equilibrium"),
    [("prisoners", DEFECT), ("public-goods", DEFECT), ("stag-hunt", DEFECT), ("coordination", COOPERATE)],
)
def test_paid_for_themselves_they_reach_an_equilibrium(tmp_path, game, equilibrium):
    """Of the single round, so they look no further (gamma 0): with foresight and memory cooperation can be an equilibrium of the
    repeated game, and some seeds find it. Of the stag hunt's two equilibria they reach the one that risks less."""
    played, _ = last_round(tmp_path, game, "payoff_earned", gamma=0.0)
    assert equilibrium in pure_nash(payoff_table(game, 2))
    assert played.get(equilibrium, 0) > 0.9


@pytest.mark.parametrize("game", ["prisoners", "public-goods", "chicken"])
def test_paid_the_team_mean_they_cooperate(tmp_path, game):
    played, objective = last_round(tmp_path, game, "team_mean(payoff_earned)")
    assert COOPERATE not in pure_nash(payoff_table(game, 2))  # for themselves they would not
    assert played.get(COOPERATE, 0) > 0.85 and objective > 0.9
