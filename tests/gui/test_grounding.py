import gymnasium as gym
import numpy as np
import pytest

from rewardscape.envs.gui.vocabulary import ROLES, tokens

ENV = "rewardscape/GUIGrounding-v0"


@pytest.fixture(scope="module")
def env():
    made = gym.make(ENV)
    yield made
    made.close()


def screens(env, number, first=0):
    for seed in range(first, first + number):
        observation, info = env.reset(seed=seed)
        yield env.unwrapped.world, observation, info


def play(env, seed, choose):
    _, info = env.reset(seed=seed)
    done, scores = False, []
    while not done:
        _, reward, terminated, truncated, info = env.step(choose(env))
        scores.append(reward)
        done = terminated or truncated
    return info["objective"], scores


def test_the_expert_hits_every_target(env):
    for seed in range(150):
        objective, rewards = play(env, seed, lambda e: e.unwrapped.expert_action())
        assert objective == 1 and rewards == [0.25] * 4


def test_random_clicks_rarely_do(env):
    env.action_space.seed(0)
    mean = np.mean([play(env, seed, lambda e: e.action_space.sample())[0] for seed in range(150)])
    assert mean < 0.1


def test_objective_counts_hits(env):
    """Hit, miss, hit, miss: half."""
    turn = iter(range(8))

    def alternate(e):
        expert = e.unwrapped.expert_action()
        return expert if next(turn) % 2 == 0 else -np.sign(expert + 1e-6).astype(np.float32)

    assert play(env, 5, alternate)[0] == 0.5


def test_elements_lie_on_the_screen_and_carry_names_and_roles(env):
    for world, observation, _ in screens(env, 40):
        count = int(world.facts.element_count[0])
        boxes, roles = observation["boxes"], observation["roles"]
        assert 1 <= count <= 64
        assert (roles[:count] > 0).all() and (roles[count:] == 0).all() and (roles < len(ROLES)).all()
        assert (boxes[:count, 2:] > boxes[:count, :2]).all() and (boxes[count:] == 0).all()
        assert (observation["names"][count:] == 0).all()
        shown = np.flatnonzero(observation["names"][:count].any(1))
        assert len(shown) > 0
        for index in shown[:5]:
            assert observation["names"][index].tolist() == tokens(env.unwrapped.rules.element_name(world, 0, index), 8)


def test_the_target_is_one_of_the_elements_but_is_not_marked(env):
    for world, _observation, _ in screens(env, 40):
        target = world.facts.target_box[0]
        assert (np.abs(world.facts.element_boxes[0] - target).max(1) < 1e-4).any()
    assert set(env.observation_space.spaces) == {"boxes", "roles", "names", "states", "instruction"}


def test_instruction_tokens_are_those_of_its_text(env):
    for _, observation, info in screens(env, 40):
        assert observation["instruction"].tolist() == tokens(info["instruction"], 16)


def test_an_instruction_names_one_element_only(env):
    """Elements with the same name and role as the target exist only where the instruction says a container or a rank."""
    ranks = ("first", "second", "third", "fourth", "fifth", "sixth", "last")
    for world, observation, info in screens(env, 200):
        count = int(world.facts.element_count[0])
        boxes, target = world.facts.element_boxes[0][:count], world.facts.target_box[0]
        at = int(np.abs(boxes - target).max(1).argmin())
        names = [env.unwrapped.rules.element_name(world, 0, i) for i in range(count)]
        twins = [i for i in range(count) if names[i] == names[at] and observation["roles"][i] == observation["roles"][at]]
        text = info["instruction"]
        assert names[at].lower() in text.lower(), text
        if len(twins) == 1:
            continue
        said_rank = [r for r in ranks if f" {r} " in f" {text} "]
        if said_rank:
            order = sorted(twins, key=lambda i: (boxes[i][1], boxes[i][0]))
            rank = ranks.index(said_rank[0])
            expected = order[-1] if said_rank[0] == "last" else order[rank]
            assert expected == at, (text, order, at)
        else:
            assert " in the " in text, f"{text}: {len(twins)} elements are called so"


def test_difficulty_makes_targets_smaller_and_names_repeat():
    share = {}
    for difficulty in (0.0, 1.0):
        env = gym.make(ENV, difficulty=difficulty)
        areas = []
        for world, _, _ in screens(env, 150):
            x1, y1, x2, y2 = world.facts.target_box[0]
            areas.append((x2 - x1) * (y2 - y1))
        share[difficulty] = np.median(areas)
    assert share[1.0] < 0.6 * share[0.0]


@pytest.mark.parametrize("action", ["box", "point+confidence", "attend"])
def test_every_kind_of_action(action):
    env = gym.make(ENV, action=action, reward="gui-g2")
    env.reset(seed=0)
    total = 0.0
    for _ in range(4):
        _, reward, terminated, _, info = env.step(env.unwrapped.expert_action())
        total += reward
        facts = env.unwrapped.facts
        if action == "box":
            assert np.allclose(facts["predicted_box"], facts["target_box"], atol=1e-3) and reward == pytest.approx(2, abs=1e-3)
        elif action == "point+confidence":
            assert facts["confidence"][0] == 1 and facts["confidence_given"][0]
        else:
            assert facts["proposal_count"][0] == 3 and np.allclose(facts["proposals"][0, 0], facts["target_box"][0], atol=1e-3)
    assert terminated and info["objective"] == 1 and total > 3.9


def test_a_box_inside_out_is_the_box_between_its_corners():
    env = gym.make(ENV, action="box")
    env.reset(seed=0)
    x1, y1, x2, y2 = env.unwrapped.expert_action()
    env.step(np.array([x2, y2, x1, y1], np.float32))
    facts = env.unwrapped.facts
    assert np.allclose(facts["predicted_box"], facts["target_box"], atol=1e-3) and facts["action_valid"][0]


def test_pixels_show_the_elements():
    env = gym.make(ENV, observation="both", screen_size=(160, 120))
    for world, observation, _ in screens(env, 20):
        pixels = observation["pixels"]
        assert pixels.shape == (120, 160, 3)
        changed = []
        for box in world.facts.element_boxes[0][: world.facts.element_count[0]]:
            x1, y1, x2, y2 = (int(v) for v in box)
            changed.append(pixels[y1:y2, x1:x2].reshape(-1, 3).std(0).max() > 0)
        assert np.mean(changed) > 0.9  # letters, an icon or an edge


def test_pixels_do_not_show_the_target():
    """The picture is the same whichever element is asked for."""
    env = gym.make(ENV, observation="pixels", screen_size=(96, 72))
    observation, _ = env.reset(seed=4)
    first = observation["pixels"]
    for _ in range(3):
        observation = env.step(env.action_space.sample())[0]
        assert np.array_equal(observation["pixels"], first)


def test_instructions_a_screen():
    env = gym.make(ENV, instructions=1)
    assert play(env, 0, lambda e: e.unwrapped.expert_action()) == (1.0, [1.0])
    env = gym.make(ENV, instructions=9)
    objective, rewards = play(env, 0, lambda e: e.unwrapped.expert_action())
    assert objective == pytest.approx(1) and len(rewards) == 9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"action": "swipe"}, "allowed: 'point', 'box', 'point\\+confidence', 'attend'"),
        ({"observation": "text"}, "allowed: 'elements', 'pixels', 'both'"),
        ({"screen_size": (10, 10)}, r"in \[48, 2048\]"),
        ({"screen_size": 64}, r"\(width, height\)"),
        ({"difficulty": 2}, r"in \[0, 1\]"),
        ({"instructions": 0}, r"in \[1, 16\]"),
        ({"elements": True}, "an integer"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        gym.make(ENV, **settings)


def test_text_rendering_and_pictures():
    env = gym.make(ENV, render_mode="ansi")
    env.reset(seed=1)
    env.step(env.unwrapped.expert_action())
    text = env.render()
    assert "instruction 1/4" in text and "clicked" in text
    env = gym.make(ENV, render_mode="rgb_array")
    env.reset(seed=1)
    before = env.render()
    env.step(env.unwrapped.expert_action())
    after = env.render()
    assert before.shape == after.shape and (before != after).any()
