"""verl's own loader and reward managers with our ``compute_score``, on the CPU: no model, no Ray, nothing downloaded.

Run by ``scripts/check_ecosystem.py`` with an environment that has verl. Its last line says what was seen.
"""

import asyncio
import importlib.metadata
import pathlib
import tempfile

import numpy as np
import torch
import verl
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.workers.reward_manager.naive import NaiveRewardManager

from rewardscape.rewards.text import score

TARGET, SCREEN = [100.0, 200.0, 180.0, 240.0], [1000.0, 500.0]
ANSWERS = ["[100, 200, 180, 240]", "[110, 205, 190, 245]", "[1, 2, 3, 4]", "no idea"]
PROMPT = "click Save: "
POINTS = [
    '<think>a button</think>[{"point_2d": [1, 2]}, {"point_2d": [140, 220]}]',
    '<think>a button</think>[{"point_2d": [140, 220]}]',
    '<think>a line</think>[{"point_2d": [1, 1]}, {"point_2d": [2, 2]}, {"point_2d": [3, 3]}]',
    "no idea",
]
WIDTH = 96  # tokens of a padded response


def save_tokenizer_of_bytes(folder):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(["<pad>", "<eos>", *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>").save_pretrained(folder)


def batch_of(answers, tokenizer):
    """Answers as verl's rollout leaves them: prompts padded on the left, responses on the right."""
    prompt = [0, 0, *tokenizer.encode(PROMPT)]
    responses = [tokenizer.encode(answer) for answer in answers]
    padded = [tokens + [0] * (WIDTH - len(tokens)) for tokens in responses]
    mask = [[0, 0] + [1] * (len(prompt) - 2) + [1] * len(tokens) + [0] * (WIDTH - len(tokens)) for tokens in responses]
    truths = [TARGET, str(TARGET), {"target_box": TARGET}, np.array(TARGET)]
    return DataProto.from_dict(
        tensors={
            "prompts": torch.tensor([prompt] * len(answers)),
            "responses": torch.tensor(padded),
            "attention_mask": torch.tensor(mask),
        },
        non_tensors={
            "data_source": np.array(["screens"] * len(answers), object),
            "reward_model": np.array([{"style": "rule", "ground_truth": truth} for truth in truths], object),
            "extra_info": np.array([{"index": row, "screen_size": SCREEN} for row in range(len(answers))], object),
        },
    )


def config_of(path, tokenizer):
    """verl's own reward configuration with our file in it."""
    shipped = OmegaConf.load(pathlib.Path(verl.__file__).parent / "trainer" / "config" / "reward" / "reward.yaml")
    shipped.custom_reward_function.path = str(path)
    model = {"path": str(tokenizer), "tokenizer_path": None}
    return OmegaConf.create({"reward": shipped, "actor_rollout_ref": {"model": model}})


async def judged(config, data):
    """What a worker of verl's reward loop says of a batch, and the rewards it places at the ends of the responses."""
    worker = RewardLoopWorker(config)
    results = await worker.compute_score_batch(data)
    return results, worker.reward_manager.assemble_rm_scores(data, [result["reward_score"] for result in results])


def check(preset, answers, expected, folder):
    (folder / "my_reward.py").write_text(
        f"from rewardscape.rewards.ecosystem import verl_compute_score\n\ncompute_score = verl_compute_score({preset!r})\n"
    )
    config, tokenizer = config_of(folder / "my_reward.py", folder), AutoTokenizer.from_pretrained(folder)
    data = batch_of(answers, tokenizer)
    style = preset if preset != "hit" else "any"
    ours, terms = score(preset, answers, TARGET, SCREEN, style)
    np.testing.assert_allclose(ours, expected, atol=1e-4)

    results, placed = asyncio.run(judged(config, data))
    np.testing.assert_allclose([result["reward_score"] for result in results], ours, atol=1e-12)
    for row, result in enumerate(results):
        assert result["reward_extra_info"].keys() == {"score", *terms}, result
        for name, values in terms.items():
            np.testing.assert_allclose(result["reward_extra_info"][name], values[row], atol=1e-12)
    ends = data.batch["attention_mask"][:, data.batch["prompts"].shape[1] :].sum(1) - 1
    np.testing.assert_allclose(placed[torch.arange(len(answers)), ends], ours, atol=1e-6)
    np.testing.assert_allclose(placed.sum(), ours.sum(), atol=1e-5)

    older = NaiveRewardManager(tokenizer, 0, compute_score=get_custom_reward_fn(config))(data, return_dict=True)
    np.testing.assert_allclose(older["reward_tensor"].sum(-1), ours, atol=1e-6)
    assert older["reward_extra_info"].keys() == {"score", *terms}
    print(preset, [round(float(value), 4) for value in ours], sorted(terms))


def main():
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer_of_bytes(folder)
        check("hit", ANSWERS, [1, 1, 0, 0], pathlib.Path(folder))
        check("gui-g2", ANSWERS, [2, 1.9239, 0, 0], pathlib.Path(folder))
        check("infigui-g1", POINTS, [1.5, 2, -1, -1], pathlib.Path(folder))
    version = importlib.metadata.version("verl")
    print(
        f"verl {version}: ok: hit, gui-g2 and infigui-g1 by path and name, through a reward loop worker and both naive managers"
    )


if __name__ == "__main__":
    main()
