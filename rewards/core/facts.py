"""The fact vocabulary: what environments say happened. One name, one meaning, one unit across the whole suite."""

from __future__ import annotations

import difflib
from typing import NamedTuple


class Fact(NamedTuple):
    """One fact. ``shape`` is the trailing shape (a name is an extent fixed by the world); leading axes are free."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str  # "bool", "int", "float", "any" (as the world's spaces say), "object" (one Python object a row)
    unit: str
    meaning: str


FACTS: dict[str, Fact] = {}


def declare_fact(name: str, shape: tuple[int | str, ...], dtype: str, unit: str, meaning: str) -> Fact:
    """Add a fact to the vocabulary. Declaring the same fact twice is fine; another meaning for a known name is a ValueError."""
    if not name.isidentifier() or name.startswith("previous_"):
        raise ValueError(f"a fact's name is an identifier that does not begin with 'previous_', not {name!r}")
    if dtype not in ("bool", "int", "float", "any", "object"):
        raise ValueError(f"fact {name}: dtype={dtype!r}; allowed: bool, int, float, any, object")
    fact = Fact(name, tuple(shape), dtype, unit, meaning)
    if FACTS.setdefault(name, fact) != fact:
        raise ValueError(f"the fact {name!r} is declared already, as {FACTS[name].meaning!r}")
    return fact


def known_fact(name: str) -> bool:
    """Is ``name`` a declared fact, or ``previous_`` of one?"""
    return name.removeprefix("previous_") in FACTS


def require_fact(name: str, user: str) -> None:
    """Raise ValueError unless ``name`` is known. ``user``: who asks, for the message."""
    if not known_fact(name):
        base = name.removeprefix("previous_")
        close = difflib.get_close_matches(base, FACTS, 3, 0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise ValueError(f"{user}: unknown fact {name!r}{hint} Add new ones with declare_fact(...).")


def _declare(text: str) -> None:
    for line in text.strip().splitlines():
        name, shape, dtype, unit, meaning = (part.strip() for part in line.split("|"))
        extents = tuple(int(e) if e.isdigit() else e for e in shape.split())
        declare_fact(name, extents, dtype, unit, meaning)


_declare("""
    observation      |             | any    | -       | what the agent saw when it acted
    next_observation |             | any    | -       | what the agent sees after the step
    action           |             | any    | -       | the action taken, made safe: finite and in range
    action_valid     |             | bool   | -       | was the action, as the agent gave it, finite and in range
    terminated       |             | bool   | -       | the episode ended in this step, by its own rules
    truncated        |             | bool   | -       | the episode was cut off after this step, by a time limit
    step             |             | int    | steps   | steps taken in the episode
    seed             |             | int    | -       | seed of the row
    objective        |             | float  | [0, 1]  | the true score of the episode so far
    predicted_point  | 2           | float  | px      | where the agent clicked (x, y); the centre of its box if it gave one
    predicted_box    | 4           | float  | px      | the agent's box (x1, y1, x2, y2); its point twice if it gave a point
    box_given        |             | bool   | -       | the agent gave a box, not only a point
    confidence       |             | float  | [0, 1]  | the agent's stated confidence; 1 if it stated none
    confidence_given |             | bool   | -       | the agent stated a confidence
    proposals        | proposals 4 | float  | px      | boxes of regions the agent attended to before it acted
    proposal_count   |             | int    | -       | how many of the proposals are given
    target_box       | 4           | float  | px      | box of the element the instruction means (x1, y1, x2, y2)
    element_boxes    | elements 4  | float  | px      | boxes of all elements of the screen
    element_count    |             | int    | -       | how many of the element boxes are given
    screen_size      | 2           | float  | px      | width and height of the screen
    action_kind      |             | int    | -       | what the agent did: 0 nothing valid, 1 click, 2 other, 3 long press, 4 a bare point
    parsed           |             | bool   | -       | the agent's output could be read as an action
    format_valid     |             | bool   | -       | the agent's output had exactly the form asked for
    instruction_index|             | int    | -       | which instruction of the episode was answered, from 0
    completion       |             | object | text    | the agent's answer as text
    completion_ids   |             | object | tokens  | the agent's answer as a sequence of token numbers
    completion_length|             | int    | tokens  | how many tokens the agent's answer has
    difficulty       |             | float  | -       | how hard the task is, from 0 on; 1 is usual
    reference_kind   |             | int    | -       | kind of action asked for, numbered as action_kind; a click where a world does not say
    reference_point  | 2           | float  | px      | where the reference action clicked (x, y)
    target_given     |             | bool   | -       | the instruction has a target box; where a world does not say, it has
    text_agreement   |             | float  | [0, 1]  | how far the text the agent gave is the one asked for; 1 where none was
    proposal_labels  | proposals   | int    | -       | label of each proposal, as a number
    element_labels   | elements    | int    | -       | label of each element, as a number
    task_kind        |             | int    | -       | kind of answer asked for: 0 a place, 1 one of known answers, 2 a number, 3 free text
    answer           |             | object | text    | the agent's final answer; None if it gave none
    reference_answer |             | object | text    | the right answer, or a list of right ones
    answer_correct   |             | float  | [0, 1]  | how right the answer is, by the judge of the task
    answer_number    |             | float  | -       | the agent's answer as a number
    answer_number_given |          | bool   | -       | the agent's answer could be read as a number
    reference_number |             | float  | -       | the right answer as a number
    answer_embeddings| answer_tokens dims | float | - | embedded tokens of the agent's answer
    answer_length    |             | int    | tokens  | how many of the answer's tokens are given
    reference_embeddings | reference_tokens dims | float | - | embedded tokens of the right answer
    reference_length |             | int    | tokens  | how many of the reference's tokens are given
    tool_call_count  |             | int    | -       | tool calls made in the episode
    position         | 2           | int    | cells   | where the agent stands (column, row), from the top left
    goal_distance    |             | float  | cells   | fewest moves to the nearest goal not yet reached, keys fetched on the way; 0 if none is left
    goal_offset      | 2           | float  | cells   | from the agent to the goal nearest by straight line (columns, rows); 0 if none is left
    goal_reached     |             | bool   | -       | a goal was reached in this step
    subgoal_reached  |             | bool   | -       | a sub-goal (a key taken, a door opened) was reached in this step
    subgoals_done    |             | int    | -       | sub-goals reached in the episode so far
    visit_count      |             | int    | visits  | how often the agent has been where it is now in this episode, this time included
    collision        |             | bool   | -       | the agent tried to move and could not
    hazard           |             | bool   | -       | the agent met something deadly in this step
    effective_actions|             | int    | -       | actions of the episode so far that changed the state of the world
    caption          |             | object | text    | what happened in this step, in a few words
    payoff           |             | float  | points  | what the agent earned in this step by the rules of the game
    agent_objective  |             | float  | [0, 1]  | the agent's own score of the episode so far
""")
