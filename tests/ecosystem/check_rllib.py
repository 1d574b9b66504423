"""An iteration of RLlib's PPO on every world: what it samples is what we play, and the objective arrives in its results.

Run by ``scripts/check_ecosystem.py`` with an environment that has RLlib, in a folder outside the checkout. Its last line says
what was seen.
"""

import os
import pathlib
import shutil
import sys
import tempfile

import gymnasium as gym
import numpy as np
import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

import rewardscape
from rewardscape.agents.rllib import ObjectiveCallback, flat_observations, register_worlds
from rewardscape.rewards import fact, hit, iou

SEED, ROWS, LIMIT = 7, 2, 16
REWARDS = {  # of a world without an entry: None, the increment of its objective
    "rewardscape/GUIGrounding-v0": ["gui-g2", 0.5 * hit - 2.0 * iou],
    "rewardscape/GUIScreens-v0": ["gui-g1", "distance"],
    "rewardscape/Maze-v0": ["closeness", "shaping-geodesic"],
    "rewardscape/MazeTeam-v0": [None, 1.0 * fact("goal_reached") - 0.01],
    "rewardscape/MatrixGame-v0": [None, 1.0 * fact("payoff")],
}
OTHER_FACES = [
    ("rewardscape/GUIGrounding-v0", {"observation": "pixels", "screen_size": [96, 72], "action": "box", "reward": "iou"}),
    ("rewardscape/Maze-v0", {"observation": "pixels", "reward": "step-cost"}),
    ("rewardscape/MatrixGame-v0", {"players": 3, "game": "public-goods", "memory": 2, "reward": 1.0 * fact("payoff")}),
    ("rewardscape/MatrixGame-v0", {"others": "grim_trigger", "learner": 1, "reward": 1.0 * fact("payoff")}),
]


class Recorder(ObjectiveCallback):
    """Keeps what stands in RLlib's episodes, by agent (None: the only one), and which actions reached the rules."""

    steps: dict = {}  # noqa: RUF012  row -> [(action, {agent: (place in observations, reward, info)})]
    last: list = []  # noqa: RUF012  infos of every episode's end
    observations: dict = {}  # noqa: RUF012  (an agent's episode, time) -> what the network is given

    def on_episode_step(self, *, episode, env, env_index, **_):
        face = env.envs[env_index].unwrapped
        face = getattr(face, "par_env", face)
        action = face.facts["action"][0].copy()
        if getattr(face, "_others", None) is not None:
            action = action[face._others.learner]
        seen = {
            agent: ((part.id_, part.t), part.get_rewards(-1), part.get_infos(-1)) for agent, part in by_agent(episode).items()
        }
        self.steps.setdefault(env_index, []).append((action, seen))

    def on_episode_end(self, *, episode, **passed):
        super().on_episode_end(episode=episode, **passed)
        self.last.append({agent: part.get_infos(-1) for agent, part in by_agent(episode).items()})

    def on_sample_end(self, *, samples, **_):
        for part in (part for episode in samples for part in by_agent(episode).values()):
            for k, observation in enumerate(part.get_observations()):
                self.observations[part.id_, part.t_started + k] = observation


def by_agent(episode):
    return getattr(episode, "agent_episodes", None) or {None: episode}


def train(id, settings, callback, workers=0, several=False):
    """The results of the env runners in one iteration of PPO, which changes weights."""
    config = (
        PPOConfig()
        .environment(id, env_config=settings)
        .env_runners(num_env_runners=workers, num_envs_per_env_runner=ROWS, env_to_module_connector=flat_observations)
        .training(train_batch_size_per_learner=4 * LIMIT, minibatch_size=2 * LIMIT, num_epochs=1)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[16]))
        .callbacks(callback)
        .debugging(seed=SEED, log_level="ERROR")
    )
    if several:
        config.multi_agent(policies={"shared"}, policy_mapping_fn=lambda agent, episode, **_: "shared")
    algo = config.build_algo()
    try:
        before = algo.get_weights()
        results = algo.train()["env_runners"]
        after = algo.get_weights()
    finally:
        algo.stop()
    moved = [not np.array_equal(old, after[module][name]) for module in before for name, old in before[module].items()]
    assert any(moved), f"{id}: the iteration changed no weight"
    return results


def scaled(space, value):
    """An observation as one vector, each number scaled by its bounds, in the order of keys."""
    if isinstance(space, gym.spaces.Dict):
        return np.concatenate([scaled(space[key], value[key]) for key in sorted(space.spaces)])
    low, high = space.low.astype(float), space.high.astype(float)
    return ((value - low) / (high - low)).ravel()


def check(id, settings):
    """One iteration on ``id``, and the same actions played here: the number of steps that agree."""
    settings = {"max_episode_steps": LIMIT, **settings}
    several = gym.make(id, **settings).unwrapped.rules.agents is not None and "learner" not in settings
    Recorder.steps, Recorder.last, Recorder.observations = {}, [], {}
    results = train(id, settings, Recorder, several=several)
    assert len(Recorder.steps) == ROWS and len(Recorder.last) >= ROWS, (id, len(Recorder.steps), len(Recorder.last))
    reported(id, results, Recorder.last)
    for row, steps in Recorder.steps.items():
        env = rewardscape.parallel_env(id, **settings) if several else gym.make(id, **settings)
        env.reset(seed=SEED + row)
        for number, (action, seen) in enumerate(steps):
            played = dict(zip(env.possible_agents, action, strict=True)) if several else action
            out = env.step(played)
            ended = not env.agents if several else out[2] or out[3]
            observations, rewards, _, _, infos = out if several else [{None: part} for part in out]
            where = f"{id}, row {row}, step {number}"
            for agent, reward in rewards.items():
                place, paid, told = seen[agent]
                space = env.observation_space(agent) if several else env.observation_space
                given, ours = Recorder.observations[place], scaled(space, observations[agent])
                np.testing.assert_allclose(given, ours, atol=1e-6, err_msg=where)
                assert paid == reward and np.isfinite(reward), (where, agent, paid, reward)
                assert told["objective"] == infos[agent]["objective"], (where, agent)
                assert told["reward_terms"] == infos[agent]["reward_terms"], (where, agent)
            if ended:
                env.reset()
    count = sum(map(len, Recorder.steps.values()))
    print(f"{id}: {count} steps, {len(Recorder.last)} episodes ended, objective {results['objective']:.3f}", flush=True)
    return count


def reported(id, results, last):
    """The results hold the means of what the episodes' last infos say."""
    means = {name: np.mean([float(next(iter(infos.values()))[name]) for infos in last]) for name in ("objective", "success")}
    for agent, info in last[0].items():
        if "agent_objective" in info:
            means[("agent_objective", agent)] = np.mean([infos[agent]["agent_objective"] for infos in last])
    for name, mean in means.items():
        found = results[name] if isinstance(name, str) else results[name[0]]
        found = found[name[1]] if isinstance(found, dict) else found
        assert abs(found - mean) < 1e-6, (id, name, found, mean)


def main():
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(__file__).parents[1] / "worlds" / "pair.py"
        shutil.copy(source, pathlib.Path(folder) / "world_of_mine.py")
        sys.path.append(folder)
        os.environ["PYTHONPATH"] = folder  # of Ray's workers
        import world_of_mine  # noqa: F401

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
        worlds = [id for id in register_worlds() if id.startswith("rewardscape/")]
        swaps = [(id, {"reward": reward}) for id in worlds for reward in REWARDS.get(id, [None])]
        steps = sum(check(id, settings) for id, settings in swaps + OTHER_FACES)
        mine = {"reward": 2.0 * fact("pair_payoff") + 1.0}
        results = train("rewardscape-tests/Pair-v0", mine, ObjectiveCallback, workers=1, several=True)
        assert 0 < results["objective"] <= 1, results
        ray.shutdown()
    print(
        f"rllib {ray.__version__}: ok: PPO on {len(worlds)} worlds and one of a user's in a worker; {steps} steps played again are equal"
    )


if __name__ == "__main__":
    main()
