import json
import math
import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import tests.worlds.corridor
import tests.worlds.drift
import tests.worlds.pair  # noqa: F401
from rewardscape.agents.actor_critic import Actions, ActorCritic
from rewardscape.agents.evaluate import evaluate
from rewardscape.agents.ppo import Clock, DeviceLearner, Rollout
from rewardscape.agents.runs import Config, Run, read_config, train

CORRIDOR, DRIFT, PAIR = (f"rewardscape-tests/{name}-v0" for name in ("Corridor", "Drift", "Pair"))


def config(env, reward=None, steps=16_384, n_envs=64, credit=None, advantage=None, seed=0, **settings):
    settings = {"n_steps": 16, "batch_size": 512, "learning_rate": 3e-3} | settings
    return Config(env, reward, "ppo-device", steps, seed, n_envs, algorithm_settings=settings, threads=1, checkpoint_every=4,
                  credit=credit, advantage=advantage)  # fmt: skip


def learned(tmp_path, *arguments, **settings):
    run = train(config(*arguments, **settings), tmp_path / "run", progress="none")
    return evaluate(run.load_policy(), arguments[0], episodes=200)["objective"]


@pytest.mark.parametrize("memory", [0, 16])
def test_it_learns_whole_numbers(tmp_path, memory):
    assert evaluate("random", CORRIDOR, episodes=200)["objective"] < 0.8
    assert learned(tmp_path, CORRIDOR, memory=memory) > 0.98


def test_it_learns_continuous_actions(tmp_path):
    random = evaluate("random", DRIFT, episodes=200)["objective"]
    assert learned(tmp_path, DRIFT, steps=60_000) > 0.85 > random + 0.2


@pytest.mark.parametrize("critic", ["independent", "central"])
def test_agents_share_what_they_learn(tmp_path, critic):
    assert evaluate("random", PAIR, episodes=200)["objective"] < 0.6
    assert learned(tmp_path, PAIR, steps=30_000, critic=critic, normalize_observation=True) > 0.95


@pytest.mark.parametrize(
    "stages",
    [
        {"credit": "reward_to_go(gamma=0.99)"},
        {"advantage": "leave_one_out", "credit": "none", "gamma": 1.0, "group_size": 8},
        {"advantage": "decoupled", "group_size": 8},
    ],
)
def test_it_uses_a_rewards_stages(tmp_path, stages):
    assert learned(tmp_path, CORRIDOR, "2*success - 0.1", steps=40_000, n_steps=20, **stages) > 0.95


def test_episodes_that_are_not_played_on_count_as_ended():
    learner = DeviceLearner(config(CORRIDOR, "success", n_envs=8, n_steps=2, advantage="group_relative", group_size=4))
    for _ in range(2):
        learner._play(Clock(learner.rows.device))
        log = learner.rows.episode_log()
        assert log["episodes"] == 8 and 1 <= log["length"] <= 2 and log["objective"] < 1  # some begin a step from the end


def test_actions_are_the_distributions_they_claim():
    space = gym.spaces.MultiDiscrete([3, 2, 4], start=[0, 5, -1])
    actions = Actions(space)
    torch.manual_seed(0)
    numbers = torch.randn(1, 9).expand(40_000, 9)
    drawn = actions.draw(numbers, torch.zeros(0), actions.noise(40_000, device=numbers.device))
    assert all(space.contains(a.astype(np.int64)) for a in actions.for_world(drawn[:50]).numpy())
    parts = [torch.distributions.Categorical(logits=p) for p in numbers[0].split([3, 2, 4])]
    for k, part in enumerate(parts):
        assert torch.allclose(torch.bincount(drawn[:, k], minlength=len(part.probs)) / 40_000, part.probs, atol=0.01)
    log_prob, entropy = actions.judge(numbers[:50], torch.zeros(0), drawn[:50])
    assert torch.allclose(log_prob, sum(p.log_prob(drawn[:50, k]) for k, p in enumerate(parts)), atol=1e-6)
    assert torch.allclose(entropy, sum(p.entropy() for p in parts).expand(50), atol=1e-6)

    box = gym.spaces.Box(np.array([-1, 0], np.float32), np.array([3, 10], np.float32))
    actions, log_std = Actions(box), torch.tensor([-0.5, 0.3])
    numbers = torch.randn(7, 2)
    drawn = actions.draw(numbers, log_std, actions.noise(7, device=numbers.device))
    normal = torch.distributions.Normal(numbers, log_std.exp())
    log_prob, entropy = actions.judge(numbers, log_std, drawn)
    assert torch.allclose(log_prob, normal.log_prob(drawn).sum(-1), atol=1e-5)
    assert torch.allclose(entropy, normal.entropy().sum(-1), atol=1e-5)
    assert torch.allclose(actions.for_world(torch.tensor([[0.0, 0], [5, -5]])), torch.tensor([[1.0, 5], [3, 0]]))
    both = Actions(gym.spaces.MultiBinary(3))
    assert both.for_world(both.draw(torch.tensor([[-9.0, 9, 9, -9, 0, 30]]), torch.zeros(0), None)).tolist() == [[1, 0, 1]]
    with pytest.raises(ValueError, match="bounded Box, Discrete"):
        Actions(gym.spaces.Box(-np.inf, np.inf, (2,)))


def test_advantages_are_those_of_the_definition():
    learner = DeviceLearner(config(CORRIDOR, n_envs=6, gamma=0.9, gae_lambda=0.7, n_steps=40))
    g = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(40, 6, generator=g), torch.randn(41, 6, generator=g)
    ends, cuts = (torch.rand(40, 6, generator=g) < 0.1 for _ in range(2))
    rollout = Rollout(None, *[torch.zeros(0)] * 2, values[:40], *[torch.zeros(0)] * 3)
    found, returns = learner._estimate(rollout, rewards, ends, cuts, values[40])
    for row in range(6):
        for t in range(40):
            total, weight = 0.0, 1.0
            for k in range(t, 40):  # until the episode ends, by its rules or cut off
                after = 0.0 if ends[k, row] else values[k + 1, row].item()
                total += weight * (rewards[k, row].item() + 0.9 * after - values[k, row].item())
                weight *= 0.9 * 0.7
                if ends[k, row] or cuts[k, row]:
                    break
            assert math.isclose(total, found[t, row].item(), abs_tol=1e-4)
    assert torch.allclose(returns, found + values[:40])


def test_the_steps_of_resets_teach_nothing():
    learner = DeviceLearner(config(CORRIDOR, n_envs=32, n_steps=40))
    rollout, channels, returns = learner._play(Clock(learner.rows.device))
    assert 0 < (~rollout.acted).sum() < rollout.acted.numel() / 4
    after_end = torch.zeros(32, dtype=torch.bool)
    for t in range(40):  # a reset follows every end, and an episode begins after it
        assert (rollout.starts[t] == (after_end if t else torch.ones(32, dtype=torch.bool))).all()
        after_end = ~rollout.acted[t]
    before = {name: value.clone() for name, value in learner.policy.state_dict().items()}
    torch.manual_seed(3)
    learner._learn(rollout, channels, returns)
    first = {name: value.clone() for name, value in learner.policy.state_dict().items()}
    learner.policy.load_state_dict(before)
    learner.optimizer = torch.optim.Adam([learner.weights], lr=3e-3, eps=1e-5, fused=True)
    junk = torch.where(rollout.acted, 0.0, 1e3)
    channels[0].values.add_(junk)
    torch.manual_seed(3)
    learner._learn(rollout, channels, returns + junk)
    assert all(torch.equal(first[name], value) for name, value in learner.policy.state_dict().items())


def test_a_memory_unrolled_is_the_memory_stepped():
    torch.manual_seed(0)
    policy = ActorCritic(gym.spaces.Box(0, 1, (5,), np.float32), gym.spaces.Discrete(3), memory=8)
    observations, starts = torch.rand(12, 4, 5), torch.rand(12, 4) < 0.2
    memory = first = torch.randn(4, 8)
    stepped = []
    for t in range(12):
        numbers, values, memory = policy(observations[t], memory, starts[t])
        stepped.append((numbers, values))
    numbers, values = policy.unroll(observations, first, starts)
    assert torch.allclose(numbers, torch.stack([s[0] for s in stepped]), atol=1e-6)
    assert torch.allclose(values, torch.stack([s[1] for s in stepped]), atol=1e-6)
    alone, _, _ = policy(observations[3], torch.zeros(4, 8), torch.zeros(4, dtype=torch.bool))
    fresh, _, _ = policy(observations[3], torch.randn(4, 8), torch.ones(4, dtype=torch.bool))
    assert torch.equal(alone, fresh)


def test_a_central_critic_sees_the_others_and_an_actor_does_not():
    torch.manual_seed(0)
    policy = ActorCritic(gym.spaces.Box(0, 1, (5,), np.float32), gym.spaces.Discrete(3), agents=3, critic="central")
    seen = torch.rand(2, 3, 5)
    changed = seen.clone()
    changed[:, 2] = 0
    (numbers, values), (others, worth) = policy.heads(policy.features(seen)), policy.heads(policy.features(changed))
    assert torch.equal(numbers[:, :2], others[:, :2]) and not torch.isclose(values[:, 0], worth[:, 0]).any()
    turned = policy.heads(policy.features(torch.roll(seen, 1, 1)))[1]
    assert torch.allclose(
        torch.roll(values, 1, 1), turned, atol=1e-6
    )  # agents are told apart by where they sit round the table


def test_normalised_observations_have_mean_0_and_deviation_1():
    policy = ActorCritic(gym.spaces.Box(-100, 100, (3,), np.float32), gym.spaces.Discrete(2), normalize=True)
    rng = np.random.default_rng(0)
    parts = [rng.normal([5, -20, 0.1], [1, 30, 0.01], (n, 3)) for n in (10, 500, 3000)]
    for part in parts:
        seen = torch.as_tensor(part)
        policy.observe(torch.tensor(float(len(part)), dtype=torch.float64), seen.mean(0), (seen**2).mean(0))
    every = np.concatenate(parts)
    assert np.allclose(policy.mean, every.mean(0)) and np.allclose(policy.square - policy.mean**2, every.var(0), atol=1e-9)


class Watch(TorchDispatchMode):
    """Notes every operation that would wait for a device."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero, torch.ops.aten.masked_select,
                                       torch.ops.aten._unique2):  # fmt: skip
            self.waits.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("settings", [{}, {"memory": 4}])
def test_nothing_is_copied_to_the_host_inside_an_update(settings):
    learner = DeviceLearner(config(CORRIDOR, **settings))
    learner.update()
    learner.optimizer.step = lambda: None  # torch keeps Adam's count of steps on the host, wherever the weights are
    with Watch() as watch:
        learner._learn(*learner._play(Clock(learner.rows.device)))
    assert watch.waits == []


@pytest.mark.parametrize(
    "settings", [{"memory": 8}, {"advantage": "leave_one_out", "credit": "none", "gamma": 1.0, "group_size": 8}]
)
def test_it_repeats_and_resumes_bit_for_bit(tmp_path, settings):
    made = config(CORRIDOR, "2*success - 0.1", steps=8192, **settings)
    whole = train(made, tmp_path / "whole", progress="none")
    again = train(read_config(whole.folder / "config.yaml"), tmp_path / "again", progress="none")
    weights = [torch.load(run.folder / "policy.pt") for run in (whole, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    sorted((again.folder / "checkpoints").iterdir())[-1].unlink()  # as if killed after the one before
    (again.folder / "policy.pt").unlink()
    resumed = train(made, again.folder, resume=True, progress="none")
    weights[1] = torch.load(resumed.folder / "policy.pt")
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    logs = [
        [{k: v for k, v in row.items() if "second" not in k and k != "losses"} for row in run.metrics()]
        for run in (whole, resumed)
    ]
    assert json.dumps(logs[0]) == json.dumps(logs[1])


def test_two_processes_learn_one_policy(tmp_path):
    code = (
        "import sys, torch, tests.worlds.corridor\n"
        "from rewardscape.agents import runs, ppo\n"
        "kept = ppo.DeviceLearner.update\n"
        "def update(self):\n"
        "    losses = kept(self)\n"
        "    self.updates = getattr(self, 'updates', 0) + 1\n"
        "    torch.save({'policy': self.policy.state_dict(), 'seeds': self.rows.stepper.episode['seed'].view(torch.int64).clone()},\n"
        f"               {str(tmp_path)!r} + f'/{{self.rank}}.pt')\n"
        "    return losses\n"
        "ppo.DeviceLearner.update = update\n"
        "settings = {'n_steps': 16, 'batch_size': 512, 'learning_rate': 3e-3}\n"
        f"runs.train(runs.Config({CORRIDOR!r}, '2*success - 0.1', 'ppo-device', 16384, n_envs=32, threads=1,\n"
        f"           algorithm_settings=settings), {str(tmp_path / 'run')!r}, progress='none')\n"
    )
    (tmp_path / "job.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--rdzv-backend", "c10d",
               "--rdzv-endpoint", "localhost:0", str(tmp_path / "job.py")]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first["policy"][name], value) for name, value in second["policy"].items())
    assert not set(first["seeds"].tolist()) & set(second["seeds"].tolist())
    run = Run(tmp_path / "run")
    assert run.metrics()[-1]["steps"] == 16_384
    assert evaluate(run.load_policy(), CORRIDOR, episodes=200)["objective"] > 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_step": 3}, r"unknown \['n_step'\]; allowed: anneal, batch_size"),
        ({"critic": "shared"}, "critic='shared'; allowed: independent, central"),
        ({"precision": "float16"}, "precision='float16'; allowed: float32, bfloat16"),
        ({"n_steps": 0}, "n_steps=0; allowed: an integer of at least 1"),
        ({"device": "tpu"}, "device='tpu'; allowed: cpu, cuda"),
        ({"group_size": 4}, "group_size=4: rows play the same episode for a reward with an advantage stage"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        DeviceLearner(config(CORRIDOR, **settings))


def test_what_it_cannot_learn_is_refused():
    with pytest.raises(ValueError, match="no pointing policy for GUI worlds: algo='ppo'"):
        DeviceLearner(config("rewardscape/GUIScreens-v0"))
    with pytest.raises(ValueError, match=r"shapes with gamma=0\.9, the learner discounts with gamma=0\.99"):
        DeviceLearner(config(CORRIDOR, "success + potential(fact('objective'), gamma=0.9)"))


def test_the_limit_on_turns_follows_the_agent_down(tmp_path):
    made = config(CORRIDOR, steps=20_480, turn_limit=12, turn_limit_every=5)
    run = train(made, tmp_path / "run", progress="none")
    limits = [row["losses"]["turn_limit"] for row in run.metrics()]
    assert limits[3] == 12 and limits[-1] < 12 and sorted(limits, reverse=True) == limits
    assert run.metrics()[-1]["objective"] > 0.9  # it comes down no faster than the agent learns


@pytest.mark.parametrize("settings", [{}, {"memory": 4}, {"n_steps": 20, "advantage": "decoupled", "group_size": 8}])
def test_several_cores_learn_what_one_does(settings):
    after = []
    kept = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(1)
            torch.manual_seed(5)
            learner = DeviceLearner(config(CORRIDOR, "2*success - 0.1", **settings))
            played = learner._play(Clock(learner.rows.device))
            torch.set_num_threads(threads)
            after.append((learner.weights.detach(), learner._learn(*played)))
    finally:
        torch.set_num_threads(kept)
    assert torch.allclose(after[0][0], after[1][0], atol=2e-5)
    for name in ("entropy", "value_loss", "policy_loss", "clip_fraction", "approx_kl", "grad_norm"):
        assert math.isclose(after[0][1].get(name, 0), after[1][1].get(name, 0), rel_tol=1e-3, abs_tol=1e-6), name


def test_a_mean_over_no_steps_is_0():
    learner = DeviceLearner(config(CORRIDOR, n_envs=4))
    rollout, channels, returns = learner._play(Clock(learner.rows.device))
    rollout.acted.fill_(False)
    before = learner.weights.detach().clone()
    losses = learner._learn(rollout, [c._replace(mask=torch.zeros_like(c.mask)) for c in channels], returns)
    assert losses["value_loss"] == losses["policy_loss"] == 0 and torch.equal(before, learner.weights)


def test_both_towers_in_one_product_are_the_towers():
    torch.manual_seed(0)
    policy = ActorCritic(gym.spaces.Box(-1, 1, (5,), np.float32), gym.spaces.MultiDiscrete([3, 4]))
    features = torch.randn(6, 5)
    numbers, values = policy.heads(features)
    assert torch.allclose(numbers, policy.actor(features), atol=1e-6)
    assert torch.allclose(values, policy.value(features)[:, 0], atol=1e-6)
