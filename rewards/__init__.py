"""What it is worth: reward terms, expressions of them, and the layer that judges.

Knows nothing of environments: facts go in, rewards come out. ``get_reward("gui-g2")`` is a published design;
``0.5 * gaussian_point(alpha=0.5) + gate(fact("parsed"), hit, -1.0)`` one of your own.
"""

from rewardscape.rewards.actions import action_correct, action_match, blink, dast
from rewardscape.rewards.aggregate import inequity_averse, rawlsian, team_mean, team_spirit, team_weighted
from rewardscape.rewards.answers import (
    answer_accuracy,
    bidirectional_similarity,
    exact_match,
    numeric_tolerance,
    task_reward,
    token_set_f1,
    tool_efficiency,
)
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
from rewardscape.rewards.counts import count_bonus
from rewardscape.rewards.detection import detection_map, detection_score
from rewardscape.rewards.exploration import explors
from rewardscape.rewards.games import payoff_earned
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
from rewardscape.rewards.intrinsic import rnd
from rewardscape.rewards.navigation import (
    collided,
    efficacy,
    episodic_count,
    goal,
    goal_closeness,
    goal_euclidean,
    goal_geodesic,
    subgoal,
)
from rewardscape.rewards.shaping import gated_accumulation

__all__ = [
    "FACTS", "TERMS", "Fact", "Node", "Preset", "RewardError", "RewardLayer", "Term", "action_correct", "action_match",
    "adaptive_exploration", "answer_accuracy", "array_namespace", "as_expression", "bidirectional_similarity", "blink",
    "box_area", "brier_confidence", "clip", "collided", "collinear", "count_bonus", "dast", "declare_fact", "detection_map",
    "detection_score", "distance", "edge_agreement", "efficacy", "episodic_count", "exact_match", "explors", "fact",
    "format_reward", "gate", "gated_accumulation", "gaussian_coverage", "gaussian_point", "get_reward", "goal",
    "goal_closeness", "goal_euclidean", "goal_geodesic", "hit", "inequity_averse", "iou", "lexicographic", "list_presets",
    "load_plugins", "load_terms", "maximum", "mean_applicable", "minimum", "near_click", "numeric_tolerance", "objective_gain",
    "parse", "payoff_earned", "potential", "product", "proximity_zone", "rawlsian", "read_yaml", "register_preset", "rnd",
    "scheduled", "squared_closeness", "step_cost", "subgoal", "success", "task_reward", "team_mean", "team_spirit",
    "team_weighted", "term", "to_yaml", "token_set_f1", "tool_efficiency", "valid", "where_applicable",
]  # fmt: skip
