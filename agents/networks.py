"""Networks for GUI worlds: extractors for element tables and for pixels with an instruction, and a pointing policy. Which network fits
a world, `network_for` says.

An extractor scores *places*: the elements of the table, or the cells of the picture. The policy draws a place and clicks near
its middle: a mixture of Gaussians with one component a place. So learning is learning where to look, and an extractor's
features are laid out for it (`Places`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import gymnasium as gym
import torch
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from rewardscape.agents.cells import Cells
from rewardscape.envs.gui.vocabulary import ROLES, STATES, VOCABULARY


class Places(NamedTuple):
    """What an extractor says: ``scores`` ``[batch, place]``, ``boxes`` ``[batch, place, 4]`` in [-1, 1], ``context``.

    SB3 hands features on as one flat vector: `flat` and `unflat` go between the two.
    """

    scores: torch.Tensor
    boxes: torch.Tensor
    context: torch.Tensor

    def flat(self) -> torch.Tensor:
        return torch.cat([self.scores, self.boxes.flatten(1), self.context], 1)

    @staticmethod
    def unflat(features: torch.Tensor, places: int) -> Places:
        scores, boxes, context = features.split([places, 4 * places, features.shape[1] - 5 * places], 1)
        return Places(scores, boxes.unflatten(1, (places, 4)), context)


class ElementTable(BaseFeaturesExtractor):
    """Attention of the instruction over the element table.

    For every element: how much of its name the instruction says and how much of the instruction it covers (by token ids, so
    words never trained on match too), the same for the containers it lies in, its rank among elements of the same name, role,
    state, box; together with an embedding of the instruction they go through a small network to a score. Context: the attention's
    pooled element features, its peak, and the instruction's embedding.
    """

    def __init__(self, observation_space: gym.spaces.Dict, width: int = 48, embedding: int = 16):
        self.places = observation_space["roles"].shape[0]  # type: ignore[index]
        self.context = width + 1 + embedding
        super().__init__(observation_space, 5 * self.places + self.context)
        self.words = nn.EmbeddingBag(VOCABULARY, embedding, mode="mean", padding_idx=0)
        self.roles = nn.Embedding(len(ROLES), embedding)
        self.bits: torch.Tensor
        self.register_buffer("bits", 2 ** torch.arange(len(STATES)), persistent=False)
        nn.init.normal_(self.words.weight, std=0.3)
        self.element = nn.Linear(6 + 6 + len(STATES) + 2 * embedding, width)
        self.query = nn.Linear(embedding, width)
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        nn.init.zeros_(self.score.weight)  # at first every element is as good as any other

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        boxes, roles = observations["boxes"], observations["roles"].long()
        names, instruction = observations["names"].long(), observations["instruction"].long()
        present = roles > 0
        with torch.no_grad():
            facts = compare(boxes, roles, names, instruction)
            sizes = boxes[..., 2:] - boxes[..., :2]
            states = (observations["states"].long().unsqueeze(-1) & self.bits).ne(0).float()
            plain = torch.cat([boxes, sizes, facts, states], -1)
        query = self.words(instruction)
        role = self.roles(roles)
        wanted = role * query.unsqueeze(1)  # roles meet the words that call for them
        inner = torch.relu(self.element(torch.cat([plain, role, wanted], -1)) + self.query(query).unsqueeze(1))
        inner = torch.relu(self.hidden(inner))
        scores = self.score(inner).squeeze(-1).masked_fill(~present, -1e4)
        attention = torch.softmax(scores, -1)
        pooled = torch.einsum("be,bef->bf", attention, inner)
        return Places(scores, boxes, torch.cat([pooled, attention.amax(-1, keepdim=True), query], -1)).flat()


def compare(boxes: torch.Tensor, roles: torch.Tensor, names: torch.Tensor, instruction: torch.Tensor) -> torch.Tensor:
    """What words and boxes say about every element, float ``[batch, element, 6]``: share of its name said in the instruction;
    is all of it said; share of the instruction it says; is it in a container whose whole name is said; its rank among, and
    the number of, elements of the same name and role, in reading order and in units of 5."""
    batch, elements, length = names.shape
    spoken = torch.zeros(batch, VOCABULARY, dtype=torch.bool, device=names.device).scatter_(1, instruction, True)
    spoken[:, 0] = False  # padding
    said = spoken.gather(1, names.flatten(1)).view(batch, elements, length).sum(-1)
    share = said / (names > 0).sum(-1).clamp(min=1)
    covered = said / (instruction > 0).sum(-1, keepdim=True).clamp(min=1)
    whole = share == 1
    weights = torch.arange(1, length + 1, device=names.device) * 4099 + 7
    key = ((names * weights).sum(-1) * len(ROLES) + roles).int()
    same = key.unsqueeze(1) == key.unsqueeze(2)
    order = torch.round(boxes[..., 1] * 100) * 1000 + boxes[..., 0]  # rows from the top, then from the left
    rank = (same & (order.unsqueeze(1) < order.unsqueeze(2))).sum(-1, dtype=torch.int16)
    twins = same.sum(-1, dtype=torch.int16) - 1
    x1, y1, x2, y2 = boxes.unbind(-1)
    # a container whose name is not said is put where nothing can lie in it
    u1, v1 = torch.where(whole, x1, 2.0), torch.where(whole, y1, 2.0)
    inside = (u1.unsqueeze(1) <= x1.unsqueeze(2)) & (v1.unsqueeze(1) <= y1.unsqueeze(2))
    inside &= (x2.unsqueeze(1) >= x2.unsqueeze(2)) & (y2.unsqueeze(1) >= y2.unsqueeze(2))
    held = (inside & ~same).any(-1)
    return torch.stack([share, whole.float(), covered, held.float(), rank.clamp(max=5) / 5, twins.clamp(max=5) / 5], -1)


class PixelsAndInstruction(BaseFeaturesExtractor):
    """A small convolutional network whose channels the instruction scales and shifts (FiLM); places are cells of the picture.

    Where the observation also has an element table ("both"), the places are its elements, scored by `ElementTable`, and what
    the picture shows in the middle of each adds to the score.
    """

    def __init__(self, observation_space: gym.spaces.Dict, width: int = 32, embedding: int = 32):
        height, wide, _ = sorted(observation_space["pixels"].shape or (), key=lambda n: n == 3)
        self.cells = (-(-height // 8), -(-wide // 8))
        table = ElementTable(observation_space) if "boxes" in observation_space.spaces else None
        self.places = table.places if table else self.cells[0] * self.cells[1]
        context = width + embedding + (table.context if table else 0)
        super().__init__(observation_space, 5 * self.places + context)
        self.table = table
        self.words = nn.EmbeddingBag(VOCABULARY, embedding, mode="mean", padding_idx=0)
        nn.init.normal_(self.words.weight, std=0.3)
        self.first = nn.Conv2d(5, width // 2, 5, stride=2, padding=2)
        self.second = nn.Conv2d(width // 2, width, 3, stride=2, padding=1)
        self.third = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.film = nn.Linear(embedding, 2 * width)
        self.fourth = nn.Conv2d(width, width, 3, padding=1)
        self.score = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.score.weight)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        pixels = observations["pixels"]
        pixels = pixels.permute(0, 3, 1, 2) if pixels.shape[-1] == 3 else pixels
        pixels = pixels.float() / 255.0  # SB3 hands them over unscaled: normalize_images=False
        batch, _, height, wide = pixels.shape
        query = self.words(observations["instruction"].long())
        grid = _grid(height, wide, pixels.device).expand(batch, -1, -1, -1)
        seen = torch.relu(self.second(torch.relu(self.first(torch.cat([pixels, grid], 1)))))
        scale, shift = self.film(query)[:, :, None, None].chunk(2, 1)
        seen = torch.relu(self.third(seen) * (1 + scale) + shift)
        seen = seen + torch.relu(self.fourth(seen))
        marks = self.score(seen)
        pooled = torch.einsum("bp,bcp->bc", torch.softmax(marks.flatten(1), -1), seen.flatten(2))
        if self.table is not None:
            told = Places.unflat(self.table(observations), self.places)
            middles = 0.5 * (told.boxes[..., :2] + told.boxes[..., 2:]).unsqueeze(2)
            looked = nn.functional.grid_sample(marks, middles, align_corners=False)[:, 0, :, 0]
            return Places(told.scores + looked, told.boxes, torch.cat([told.context, pooled, query], 1)).flat()
        rows, columns = self.cells
        middles = _grid(rows, columns, pixels.device)[0].flatten(1).T
        half = torch.tensor([1 / columns, 1 / rows], device=pixels.device)
        boxes = torch.cat([middles - half, middles + half], 1).expand(batch, -1, -1)
        return Places(marks.flatten(1), boxes, torch.cat([pooled, query], 1)).flat()


def _grid(height: int, width: int, device: Any) -> torch.Tensor:
    """x and y of pixel centres in [-1, 1]: ``[1, 2, height, width]``."""
    ys = (torch.arange(height, device=device) + 0.5) * 2 / height - 1
    xs = (torch.arange(width, device=device) + 0.5) * 2 / width - 1
    return torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)])[None]


class Pointing(Distribution):
    """A place by its score, then a Gaussian around what clicking it means: a mixture of Gaussians, exact in its density.

    An action that aims several times (regions attended to, then a click) draws a place for each aim.
    """

    def proba_distribution_net(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("PointerPolicy builds its own network")

    def proba_distribution(
        self, scores: torch.Tensor, means: torch.Tensor, deviation: torch.Tensor, aims: tuple[int, ...] = ()
    ) -> Pointing:
        """``scores`` ``[batch, place]``, ``means`` ``[batch, place, action]``, ``deviation`` ``[action]``; ``aims``: how many numbers
        of the action belong to each aim, in order (default: all to one)."""
        self.weights, self.means, self.deviation = torch.log_softmax(scores, -1), means, deviation
        self.aims = aims or (means.shape[-1],)
        return self

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        scaled = (actions.unsqueeze(1) - self.means) / self.deviation
        total = torch.zeros_like(actions[:, 0])
        for square, deviation in zip(scaled.square().split(self.aims, -1), self.deviation.split(self.aims), strict=True):
            each = -0.5 * square.sum(-1) - deviation.log().sum() - len(deviation) * 0.5 * math.log(2 * math.pi)
            total = total + torch.logsumexp(self.weights + each, -1)
        return total

    def entropy(self) -> torch.Tensor:
        """Of the choice of a place: what an entropy bonus is to keep alive."""
        return -(self.weights.exp() * self.weights).sum(-1)

    def sample(self) -> torch.Tensor:
        places = torch.multinomial(self.weights.exp(), len(self.aims), replacement=True)
        return self._at(places) + self.deviation * torch.randn_like(self.means[:, 0])

    def mode(self) -> torch.Tensor:
        """The best places, best first; the last aim, the click, takes the best one."""
        best = self.weights.topk(max(len(self.aims) - 1, 1), -1).indices
        return self._at(torch.cat([best[:, : len(self.aims) - 1], best[:, :1]], -1))

    def _at(self, places: torch.Tensor) -> torch.Tensor:
        """What clicking ``places`` ``[batch, aim]`` means."""
        means = self.means.gather(1, places.unsqueeze(-1).expand(-1, -1, self.means.shape[-1]))
        return torch.cat([part[:, k] for k, part in enumerate(means.split(self.aims, -1))], -1)

    def actions_from_params(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self.proba_distribution(*args, **kwargs).get_actions()

    def log_prob_from_params(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        actions = self.actions_from_params(*args, **kwargs)
        return actions, self.log_prob(actions)


class ActorAndCritic(nn.Module):
    """Features pass through to the actor; the critic reads their context only, through one hidden layer."""

    def __init__(self, features: int, places: int, width: int = 64):
        super().__init__()
        self.skip, self.context = places, features - places
        self.latent_dim_pi, self.latent_dim_vf = features, width
        self.value = nn.Sequential(nn.Linear(self.context, width), nn.Tanh())

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return features, self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        return features

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        return self.value(features[:, self.skip :])


_CONFIDENCE_LOG_STD = -1.0  # a confidence is tried out over its whole range, where a click stays near its element


class PointerPolicy(MultiInputActorCriticPolicy):
    """Actor-critic for GUI worlds over an extractor that gives `Places`.

    A component's mean is the place's middle (actions with a box: its box) plus a correction learned from the context. The
    network's ``action_net`` and ``log_std`` give correction and deviation.
    """

    def _build_mlp_extractor(self) -> None:
        self.places: int = self.features_extractor.places  # type: ignore[assignment]
        self.mlp_extractor: Any = ActorAndCritic(int(self.features_dim), 5 * self.places)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        parts = int(self.action_net.out_features)  # type: ignore[arg-type]
        self.action_net = nn.Linear(self.mlp_extractor.context, parts)
        nn.init.zeros_(self.action_net.weight)
        nn.init.zeros_(self.action_net.bias)
        repeated = [0, 1, 2, 3] * ((parts - 2) // 4)
        self.reads = {2: [4, 5], 3: [4, 5, 6], 4: [0, 1, 2, 3]}.get(parts, [*repeated, 4, 5])
        if parts == 3:
            nn.init.constant_(self.log_std[2], _CONFIDENCE_LOG_STD)
        self.aims = (parts,) if parts <= 4 else (*[4] * (parts // 4), 2)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        scores, boxes, context = Places.unflat(latent_pi, self.places)
        middles = 0.5 * (boxes[..., :2] + boxes[..., 2:])
        means = torch.cat([boxes, middles, torch.zeros_like(middles[..., :1])], -1)[..., self.reads]
        means = means + self.action_net(context).unsqueeze(1)
        return Pointing().proba_distribution(scores, means, self.log_std.exp(), self.aims)


def _is_cells(space: gym.Space) -> bool:
    """Is this a map of cells, and not a picture? Its numbers are few."""
    return (
        isinstance(space, gym.spaces.Box) and len(space.shape) == 3 and space.dtype == "uint8" and bool(space.high.max() < 32)
    )


def network_for(space: gym.Space) -> dict[str, Any]:
    """``{"policy", "policy_kwargs"}`` for SB3 that fit an observation space: pointers for GUI worlds, cells for mazes, else SB3's own."""
    if _is_cells(space):
        kwargs = {"features_extractor_class": Cells, "net_arch": [64], "normalize_images": False}
        return {"policy": "MlpPolicy", "policy_kwargs": kwargs}
    if not isinstance(space, gym.spaces.Dict):
        image = isinstance(space, gym.spaces.Box) and len(space.shape) == 3 and space.dtype == "uint8"
        return {"policy": "CnnPolicy" if image else "MlpPolicy", "policy_kwargs": {}}
    if "instruction" not in space.spaces:
        return {"policy": "MultiInputPolicy", "policy_kwargs": {}}
    extractor: type = PixelsAndInstruction if "pixels" in space.spaces else ElementTable
    kwargs = {"features_extractor_class": extractor, "log_std_init": -3.0, "normalize_images": False}
    return {"policy": PointerPolicy, "policy_kwargs": kwargs}
