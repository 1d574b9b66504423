"""``@term``: a plain function whose parameter names are the facts it needs."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable
from typing import Any

from rewardscape.rewards.core.facts import require_fact
from rewardscape.rewards.core.nodes import Node, TermNode
from rewardscape.rewards.core.operations import OPERATIONS

TERMS: dict[str, Term] = {}


def choices_of(function: Callable) -> dict[str, tuple[Any, ...]]:
    """Allowed values of the settings that are annotated with a ``Literal``."""
    hints = typing.get_type_hints(function)
    return {n: typing.get_args(h) for n, h in hints.items() if typing.get_origin(h) is typing.Literal}


def kept_settings(
    owner: str, defaults: dict[str, Any], choices: dict[str, tuple[Any, ...]], given: dict[str, Any]
) -> tuple[tuple[str, Any], ...]:
    """The given settings that differ from their defaults, sorted. ValueError for an unknown one or one of the wrong kind."""
    for name, value in given.items():
        if name not in defaults:
            raise ValueError(f"{owner} has no setting {name!r}; it has: {', '.join(defaults) or 'none'}")
        default = defaults[name]
        if name in choices and value not in choices[name]:
            raise ValueError(f"{owner}: {name}={value!r}; allowed: {', '.join(map(repr, choices[name]))}")
        kind: Any = (int, float) if type(default) is float else type(default)
        if default is not None and (not isinstance(value, kind) or isinstance(value, bool) is not isinstance(default, bool)):
            raise ValueError(f"{owner}: {name}={value!r} is to be of type {type(default).__name__}")
    return tuple(sorted((n, v) for n, v in given.items() if v != defaults[n]))


class Term(Node):
    """A reward term: ``term(alpha=0.5)`` is a node of an expression, ``term.compute(facts..., alpha=0.5)`` its value.

    In an expression a bare term means the term with its default settings. Attributes: ``name``, ``facts_needed``,
    ``facts_optional``, ``settings`` (name -> default), ``choices`` (setting -> allowed values), ``rowwise``, ``bounds``
    (lowest and highest value, or None), ``source``, ``doc``.
    """

    def __init__(self, function: Callable, rowwise: bool, bounds: tuple[float, float] | None, source: str):
        self.__wrapped__ = function
        self.name = function.__name__
        self.rowwise, self.bounds, self.source = rowwise, bounds, source
        self.doc = inspect.getdoc(function) or ""
        needed: list[str] = []
        optional: list[str] = []
        settings: dict[str, Any] = {}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                if parameter.default is parameter.empty:
                    raise TypeError(f"term {self.name}: the setting {parameter.name!r} needs a default")
                settings[parameter.name] = parameter.default
            elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                require_fact(parameter.name, f"term {self.name}")
                (needed if parameter.default is parameter.empty else optional).append(parameter.name)
            else:
                raise TypeError(f"term {self.name}: *args and **kwargs name no facts")
        self.facts_needed, self.facts_optional, self.settings = tuple(needed), tuple(optional), settings
        self.choices = choices_of(function)

    def __call__(self, **settings: Any) -> TermNode:
        """The term with these settings, as a node. ValueError for an unknown setting or one of the wrong kind."""
        return TermNode(self.name, kept_settings(self.name, self.settings, self.choices, settings))

    def compute(self, *facts: Any, **settings: Any) -> Any:
        """The value on given facts, in the order of the signature. A rowwise term takes and returns one row's."""
        return self.__wrapped__(*facts, **settings)

    def as_node(self) -> TermNode:
        return TermNode(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<term {self.name}({', '.join((*self.facts_needed, *self.facts_optional))})>"


def term(
    function: Callable | None = None, *, rowwise: bool = False, bounds: tuple[float, float] | None = None, source: str = ""
) -> Any:
    """Make a function a reward term and register it under its name.

    Positional parameters are facts (``previous_<fact>`` is the fact one step earlier; one with a default is optional),
    keyword-only parameters settings. The function works on arrays with any leading axes, features last, in NumPy or torch
    (`array_namespace`); with ``rowwise=True`` it takes the Python objects of one row and returns a number.

    ``bounds``: lowest and highest value; ``source``: where it was published, with equation. Raises ValueError for an
    unknown fact, or a name that another module's term has.
    """
    if function is None:
        return lambda f: term(f, rowwise=rowwise, bounds=bounds, source=source)
    made = Term(function, rowwise, bounds, source)
    known = TERMS.get(made.name)
    if known is not None and _origin(known) != _origin(made):
        raise ValueError(f"two terms are named {made.name!r}: in {_origin(known)} and in {_origin(made)}")
    if made.name in OPERATIONS:
        raise ValueError(f"{made.name!r} is an operation of expressions; a term needs another name")
    TERMS[made.name] = made
    return made


def _origin(made: Term) -> str:
    return f"{made.__wrapped__.__module__}.{made.__wrapped__.__qualname__}"


def find_term(name: str) -> Term:
    """The registered term ``name``. Raises ValueError with the closest names."""
    if name not in TERMS:
        close = difflib.get_close_matches(name, TERMS, 3, 0.5)
        raise ValueError(f"unknown term {name!r}{'; did you mean ' + ', '.join(close) + '?' if close else ''}")
    return TERMS[name]
