"""Two GRPO steps of TRL under GUI-G², on the CPU, with a tiny random model and a tokenizer of bytes: nothing is downloaded.

Run by ``scripts/check_ecosystem.py`` with an environment that has TRL. Its last line says what was seen.
"""

import tempfile

import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from rewardscape.rewards.ecosystem import trl_rewards
from rewardscape.rewards.text import score

TARGET, SCREEN = [100.0, 200.0, 180.0, 240.0], [1000.0, 500.0]
ANSWERS = ["[100, 200, 180, 240]", "[110, 205, 190, 245]", "[1, 2, 3, 4]", "no idea"]
CHAT = (
    "{% for message in messages %}{{ message['role'] }}\n{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant\n{% endif %}"
)


def tokenizer_of_bytes():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    made.chat_template = CHAT
    return made


class Scripted(Qwen2ForCausalLM):
    """A random model that says the answers in turn instead of drawing: random bytes would never be a box."""

    tokenizer = None

    def generate(self, inputs=None, attention_mask=None, **settings):
        prompts = settings.pop("input_ids", inputs)
        end, pad = self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        said = [[*self.tokenizer.encode(ANSWERS[row % len(ANSWERS)]), end] for row in range(len(prompts))]
        longest = max(map(len, said))
        tail = torch.tensor([tokens + [pad] * (longest - len(tokens)) for tokens in said], device=prompts.device)
        return torch.cat([prompts, tail], 1)


def train(prompt, preset, kind=Scripted):
    """The logs of two steps, and the rewards and terms that `score` gives to the completions of each."""
    torch.manual_seed(0)
    tokenizer = tokenizer_of_bytes()
    size = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)
    ids = dict(bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model = kind(Qwen2Config(vocab_size=len(tokenizer), max_position_embeddings=256, **size, **ids))
    model.tokenizer = tokenizer
    rewards = trl_rewards(preset, columns={"target_box": "bbox", "screen_size": SCREEN})
    seen = []

    def listen(completions, **columns):  # what TRL hands to reward functions
        seen.append([c if isinstance(c, str) else c[-1]["content"] for c in completions])
        return [None] * len(completions)

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, max_steps=2, per_device_train_batch_size=4, num_generations=4, max_completion_length=32,
            logging_steps=1, report_to=[], save_strategy="no", use_cpu=True, bf16=False, learning_rate=1e-2, seed=0,
            disable_tqdm=True, reward_weights=[*rewards.weights, 0.0],
        )  # fmt: skip
        dataset = Dataset.from_list([{"prompt": prompt, "bbox": TARGET}] * 8)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        trainer = GRPOTrainer(
            model, reward_funcs=[*rewards.functions, listen], args=config, train_dataset=dataset, processing_class=tokenizer
        )
        trainer.train()
    if kind is Scripted:  # whose rewards differ within a group
        moved = any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
        assert moved, "two steps changed no weight"
        assert sorted(seen[0]) == sorted(ANSWERS), seen
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == len(seen) == 2, (len(logs), len(seen))
    return logs, [score(preset, texts, TARGET, SCREEN, "gui-g2" if preset == "gui-g2" else "any") for texts in seen]


def agree(logs, expected, names):
    """What TRL logged is what `score` says of the same completions."""
    for log, (ours, terms) in zip(logs, expected, strict=True):
        for name in names:
            assert abs(log[f"rewards/{name}/mean"] - terms[name].mean()) < 1e-6, (name, log, terms)
        assert abs(log["reward"] - ours.mean()) < 1e-6, (log, ours)
        assert abs(log["reward_std"] - ours.std(ddof=1)) < 1e-5, (log, ours)
        print({key: value for key, value in log.items() if key.startswith("reward")})


def main():
    conversation = [{"role": "user", "content": "click Save"}]
    for prompt in ("click Save: ", conversation):
        for preset, names in (
            ("gui-g2", ("gaussian_point", "gaussian_coverage")),
            ("0.5*hit() - 2*box_area() + 0*iou()", ("hit", "box_area", "iou")),
        ):
            agree(*train(prompt, preset), names)
    agree(*train(conversation, "gui-g2", Qwen2ForCausalLM), ("gaussian_point", "gaussian_coverage"))  # noise earns 0
    print(f"trl {trl.__version__}: ok: GRPO steps under gui-g2 and a weighted sum, texts and messages; logged rewards are ours")


if __name__ == "__main__":
    main()
