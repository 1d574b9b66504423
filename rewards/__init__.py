"""What it is worth: reward terms, expressions of them, and the layer that judges.

Knows nothing of environments: facts go in, rewards come out. ``get_reward("gui-g2")`` is a published design;
``0.5 * gaussian_point(alpha=0.5) + gate(fact("parsed"), hit, -1.0)`` one of your own.
"""

from rewardscape.rewards.core.arrays import array_namespace
from rewardscape.rewards.core.facts import FACTS, Fact, declare_fact
from rewardscape.rewards.core.formula import parse
from rewardscape.rewards.core.layer import RewardLayer
from rewardscape.rewards.core.nodes import Node, RewardError, product, scheduled
from rewardscape.rewards.core.operations import (
    clip,
    fact,
    gate,
    lexicographic,
    maximum,
    mean_applicable,
    minimum,
    potential,
    where_applicable,
)
from rewardscape.rewards.core.registry import (
    Preset,
    as_expression,
    get_reward,
    list_presets,
    load_plugins,
    load_terms,
    read_yaml,
    register_preset,
    to_yaml,
)
from rewardscape.rewards.core.terms import TERMS, Term, term
from rewardscape.rewards.general import objective_gain, step_cost, success, valid
from rewardscape.rewards.gui import (
    adaptive_exploration,
    box_area,
    brier_confidence,
    collinear,
    distance,
    edge_agreement,
    format_reward,
    gaussian_coverage,
    gaussian_point,
    hit,
    iou,
    near_click,
    proximity_zone,
    squared_closeness,
)

__all__ = [
    "FACTS", "TERMS", "Fact", "Node", "Preset", "RewardError", "RewardLayer", "Term",
    "adaptive_exploration", "array_namespace", "as_expression", "box_area", "brier_confidence", "clip", "collinear", "declare_fact", "distance", "edge_agreement", "fact", "format_reward", "gate",
    "gaussian_coverage", "gaussian_point", "get_reward", "hit", "iou", "lexicographic", "list_presets", "load_plugins", "load_terms",
    "maximum", "mean_applicable", "minimum", "near_click", "objective_gain", "parse", "potential", "product", "proximity_zone", "read_yaml",
    "register_preset", "scheduled", "squared_closeness", "step_cost", "success", "term", "to_yaml", "valid", "where_applicable",
]  # fmt: skip
