"""Repeated matrix games of two to eight players: prisoner's dilemma, stag hunt, public goods and their like, or any table."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import gymnasium as gym
import numpy as np

from rewardscape.envs.core import Array, Rules, World, chance, integer, number, rule
from rewardscape.envs.games.equilibria import is_constant_sum, is_symmetric, welfare_optimum
from rewardscape.envs.games.tables import GAMES, payoff_table, read_table


class State(NamedTuple):
    history: Annotated[Array, "int8", "rounds", "agents"]  # what was played, noise included; -1: not yet
    earned: Annotated[Array, "float64", "agents"]
    defected: Annotated[Array, "bool", "agents"]  # has played the last action in this episode
    score: Annotated[Array, "float64"]  # sum over rounds of the share of the way to the optimum


class Facts(NamedTuple):
    payoff: Annotated[Array, "float32", "agents"]
    agent_objective: Annotated[Array, "float32", "agents"]


class Observation(NamedTuple):
    seen: Annotated[Array, "float32", "agents", "seen"]


class Settings(NamedTuple):
    players: int
    actions: int
    rounds: int
    memory: int
    noise: float
    numbered: bool  # agents see which of them they are
    constant_sum: bool
    floor: float  # welfare that counts 0
    optimum: float
    spread: float  # largest difference of two payoffs in one cell


class Shared(NamedTuple):
    """The payoff table, flat: player ``p`` gets ``payoffs[cell * players + p]``, cells in C order of the joint actions."""

    payoffs: Array
    least: Array  # of each player in any cell
    reach: Array  # most - least


@rule
def reset(w, i):
    s = w.state
    s.score[i] = 0.0
    for agent in range(w.settings.players):
        s.earned[i, agent] = 0.0
        s.defected[i, agent] = False
        w.facts.payoff[i, agent] = 0.0
        w.facts.agent_objective[i, agent] = 0.0
        for turn in range(w.settings.rounds):
            s.history[i, turn, agent] = -1


@rule
def step(w, i):
    s, c = w.state, w.settings
    turn = w.episode.step[i]
    cell = 0
    for agent in range(c.players):
        action = w.action[i, agent]
        if c.noise > 0 and chance(w, i, c.noise):
            action = integer(w, i, 0, c.actions)
        s.history[i, turn, agent] = action
        s.defected[i, agent] = s.defected[i, agent] or action == c.actions - 1
        cell = cell * c.actions + action
    played = turn + 1
    welfare = 0.0
    for agent in range(c.players):
        payoff = w.shared.payoffs[cell * c.players + agent]
        welfare += payoff
        s.earned[i, agent] += payoff
        w.facts.payoff[i, agent] = payoff
        gained = s.earned[i, agent] - played * w.shared.least[agent]
        if w.shared.reach[agent] > 0:
            w.facts.agent_objective[i, agent] = min(max(gained / (w.shared.reach[agent] * c.rounds), 0.0), 1.0)
    if c.constant_sum:
        most, least = s.earned[i, 0], s.earned[i, 0]
        for agent in range(1, c.players):
            most = max(most, s.earned[i, agent])
            least = min(least, s.earned[i, agent])
        s.score[i] = played - (most - least) / c.spread
    else:
        s.score[i] += min(max((welfare - c.floor) / (c.optimum - c.floor), 0.0), 1.0)
    w.episode.objective[i] = min(max(s.score[i] / c.rounds, 0.0), 1.0)
    if played >= c.rounds:
        w.episode.terminated[i] = True


@rule
def observe(w, i):
    s, c = w.state, w.settings
    width = c.players * c.actions + 1
    seen = w.observation.seen
    for agent in range(c.players):
        for k in range(seen.shape[2]):
            seen[i, agent, k] = 0.0
        for back in range(c.memory):
            turn = w.episode.step[i] - 1 - back
            if turn < 0:
                seen[i, agent, (back + 1) * width - 1] = 1.0
            else:
                for seat in range(c.players):
                    other = (agent + seat) % c.players
                    seen[i, agent, back * width + seat * c.actions + s.history[i, turn, other]] = 1.0
        if c.numbered:
            seen[i, agent, c.memory * width + agent] = 1.0


class MatrixGame(Rules):
    """Repeated matrix games: everyone acts at once, for ``rounds`` rounds, and is paid by a table.

    Settings: ``game``: prisoners, chicken, stag-hunt, battle-of-the-sexes, public-goods, rock-paper-scissors,
    matching-pennies, coordination (numbers and sources: `tables`); or ``payoffs``: a table of your own in its place, an array
    or nested lists of shape ``[actions]*players + [players]``; ``players`` (2 to 8; more than 2 only where the game allows);
    ``rounds`` an episode; ``memory``: how many rounds back the agents see; ``noise``: probability that an action is replaced
    by a random one; ``multiplier`` of public-goods.

    Action: a number, 0 the first action of the table ("cooperate" where there is such a thing), the last one is "defect".
    Observation of an agent, in [0, 1]: for each of the last ``memory`` rounds, the newest first, what it, the next player,
    the one after did, one-hot, and a flag "not yet played"; then, only in a game where it matters who is who, its own number,
    one-hot. Everyone sees itself first, so that players can share a policy.

    Objective: welfare (the sum of payoffs) of the rounds so far, each scaled so that 0 is the welfare if all defect and 1 the
    greatest of the table, clipped to [0, 1], divided by ``rounds``. Where all defecting is the optimum, 0 is the table's least
    welfare. In a constant-sum game, where no play is better for all, it is evenness: rounds played, less the
    difference between the richest and the poorest player in units of the table's largest, divided by ``rounds``: 1 if nobody
    was exploited. ``agent_objective``: the agent's own payoffs, each scaled to the range of its own payoffs in the table.

    Scripted players, for any number of players: ``cooperate``, ``defect``; ``tit_for_tat`` cooperates, then does what
    the other did (the action nearest to defection among several others); ``grim_trigger`` cooperates until anyone
    else defects, then defects; ``win_stay_lose_shift`` (Nowak and Sigmund, Nature 1993) cooperates, then repeats its
    action if that paid at least the mean of its payoffs in the table, else takes the next one.
    """

    State, Facts, Observation, Settings, Shared = State, Facts, Observation, Settings, Shared
    reset, step, observe = staticmethod(reset), staticmethod(step), staticmethod(observe)
    strategies = ("cooperate", "defect", "tit_for_tat", "grim_trigger", "win_stay_lose_shift")
    default_others = "tit_for_tat"

    def __init__(
        self,
        game: str = "prisoners",
        players: int = 2,
        rounds: int = 16,
        memory: int = 1,
        noise: float = 0.0,
        multiplier: float = 1.6,
        payoffs: Any = None,
    ):
        players = number("MatrixGame", "players", players, 2, 8, whole=True)
        rounds = number("MatrixGame", "rounds", rounds, 1, 10_000, whole=True)
        memory = number("MatrixGame", "memory", memory, 1, 64, whole=True)
        noise = number("MatrixGame", "noise", noise, 0, 1)
        self.payoffs = payoff_table(game, players, multiplier) if payoffs is None else read_table(payoffs, players)
        """The table, float64 ``[actions] * players + [players]``."""
        actions = self.payoffs.shape[0]
        self.game = game if payoffs is None else "table"
        self.action_names = GAMES[game].actions if payoffs is None else tuple(map(str, range(actions)))
        self.optimum, best = welfare_optimum(self.payoffs)
        welfare = self.payoffs.sum(-1)
        floor = float(welfare[(actions - 1,) * players])
        constant = is_constant_sum(self.payoffs)
        if floor >= best and not constant:
            floor = float(welfare.min())
        spread = float((self.payoffs.max(-1) - self.payoffs.min(-1)).max()) or 1.0
        numbered = not is_symmetric(self.payoffs)
        flat = self.payoffs.reshape(-1, players)
        self.settings = Settings(players, actions, rounds, memory, noise, numbered, constant, floor, best, spread)
        self.shared = Shared(flat.reshape(-1).copy(), flat.min(0), np.ptp(flat, axis=0))
        size = memory * (players * actions + 1) + numbered * players
        self.agents, self.extents = players, {"agents": players, "rounds": rounds, "seen": size}
        self.observation_space = gym.spaces.Box(0, 1, (players, size), np.float32)
        self.action_space = gym.spaces.Discrete(actions)

    def expert(self, world: World, row: int) -> np.ndarray:
        """The joint action ``[agent]`` that is best for all; in a constant-sum game the one that leaves payoffs most even."""
        if not self.settings.constant_sum:
            return np.array(self.optimum)
        after = self.payoffs + world.state.earned[row]
        gap = after.max(-1) - after.min(-1)
        return np.array(np.unravel_index(int(gap.argmin()), gap.shape))

    def act_as(self, strategy: str, world: World) -> np.ndarray:
        """What each agent would do as a player of ``strategy``: int64 ``[row, agent]``."""
        players, actions = self.settings.players, self.settings.actions
        played = np.asarray(world.episode.step)
        begun = (played > 0)[:, None]
        last = world.state.history[np.arange(len(played)), np.maximum(played - 1, 0)].astype(np.int64)
        myself = np.eye(players, dtype=bool)
        if strategy == "cooperate":
            return np.zeros_like(last)
        if strategy == "defect":
            return np.full_like(last, actions - 1)
        if strategy == "tit_for_tat":
            return np.where(begun, np.where(myself, -1, last[:, None, :]).max(-1), 0)
        if strategy == "grim_trigger":
            return np.where((~myself & world.state.defected[:, None, :]).any(-1), actions - 1, 0)
        if strategy == "win_stay_lose_shift":
            content = world.facts.payoff >= self.payoffs.reshape(-1, players).mean(0) - 1e-6
            return np.where(begun, np.where(content, last, (last + 1) % actions), 0)
        raise ValueError(f"MatrixGame has no player {strategy!r}; there are: {', '.join(self.strategies)}")

    def draw(self, world: World, row: int) -> np.ndarray:
        """A line a player: the actions so far as coloured cells; below, what each has earned, from the least to the most."""
        c, state = self.settings, world.state
        cell = int(np.clip(480 // c.rounds, 3, 24))
        shown = min(c.rounds, 640 // cell)
        turn = int(world.episode.step[row])
        first = max(turn - shown, 0)  # long games scroll
        width, left = shown * cell + 40, 28
        picture = np.full((c.players * 56 + 28, max(width, 160), 3), 250, np.uint8)
        for player in range(c.players):
            top, mark = 14 + player * 28, 14 + (c.players + player) * 28
            for y in (top, mark):
                picture[y + 4 : y + 20, 10:22] = SEATS[player]
            picture[top : top + 24, left : left + shown * cell] = 232
            for k, action in enumerate(state.history[row, first : first + shown, player]):
                if action >= 0:
                    picture[top : top + 24, left + k * cell : left + (k + 1) * cell - 1] = ACTIONS[_colour(action, c.actions)]
            reach = picture.shape[1] - left - 12
            picture[mark + 4 : mark + 20, left : left + reach] = 232
            low, high = min(float(self.payoffs.min()), 0.0), max(float(self.payoffs.max()), 0.0)
            scale = reach / ((high - low) * c.rounds or 1.0)
            zero = left + round(-low * c.rounds * scale)
            end = int(np.clip(zero + round(float(state.earned[row, player]) * scale), left, left + reach))
            picture[mark + 4 : mark + 20, min(zero, end) : max(zero, end)] = SEATS[player]
            picture[mark : mark + 24, zero : zero + 1] = 90
        return picture

    def describe(self, world: World, row: int) -> str:
        """The round, the last actions and payoffs, and what everyone has earned."""
        turn = int(world.episode.step[row])
        lines = [f"{self.game}: round {turn} of {self.settings.rounds}"]
        for player in range(self.settings.players):
            action = self.action_names[int(world.state.history[row, turn - 1, player])] if turn else "-"
            payoff, earned = world.facts.payoff[row, player], world.state.earned[row, player]
            lines.append(f"agent_{player}: {action}, {payoff:g} points, {earned:g} in all")
        return "\n".join(lines)


ACTIONS = np.array([[52, 120, 190], [214, 92, 56], [226, 176, 66], [98, 160, 92], [140, 106, 176], [120, 120, 124]], np.uint8)
SEATS = np.array(
    [[40, 44, 52], [112, 84, 160], [44, 140, 130], [190, 120, 40], [170, 70, 110], [90, 130, 60], [70, 110, 170], [130, 130, 130]],
    np.uint8,
)  # fmt: skip


def _colour(action: int, actions: int) -> int:
    """The first action is blue, the last one red, whatever stands between takes the other colours in turn."""
    if action == 0:
        return 0
    return 1 if action == actions - 1 else 2 + (action - 1) % (len(ACTIONS) - 2)
