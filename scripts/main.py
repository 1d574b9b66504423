"""``rewardscape``: the command line. Each command is a module of this folder with ``main(argv)``."""

from __future__ import annotations

import difflib
import importlib
import os
import sys

import rewardscape

COMMANDS = {
    "quickstart": "train under two rewards on real screens, evaluate, write a report: five minutes",
    "envs": "the worlds, or one world's observation, actions, settings and facts",
    "train": "train an agent under a reward",
    "evaluate": "objective of a trained agent, with an interval, beside guesses",
    "render": "episodes as png, gif or mp4, with the reward drawn over the screen",
    "inspect": "recorded episodes step by step on one page: screen, reward and its parts, objective",
    "rescore": "recorded episodes under another reward, without running the world",
    "report": "the curves of training runs, as a page or a picture",
    "compare": "the same agent under several rewards: objectives with intervals, curves, an alarm for hacked rewards",
    "reproduce": "does the claim of a publication hold here",
    "docs": "the pages of docs/, written from the code and recorded scores",
    "capture": "screens of web pages, photographed in Chromium",
    "check": "run the whole contract on a world, a reward, or a module of yours",
    "check-ecosystem": "our rewards inside TRL and verl, our worlds in RLlib, each in an environment of its own",
    "bench": "how fast the worlds and rewards run here, beside MiniGrid",
    "rewards": "the rewards: presets and terms, or one's formula, settings, facts and source",
}

_TRAIN, _REPORT = "rewardscape[train]", "rewardscape[report]"
EXTRAS = {  # what to install for a module that is missing
    "torch": _TRAIN, "stable_baselines3": _TRAIN, "tensorboard": _TRAIN, "rich": _TRAIN,
    "ray": "rewardscape[ray]", "matplotlib": _REPORT, "imageio": _REPORT, "PIL": _REPORT,
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, 1 (a check failed), or 2 (wrong usage, told in one line)."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print("usage: rewardscape COMMAND ...      (rewardscape COMMAND --help tells more)\n")
        for name, line in COMMANDS.items():
            print(f"  {name:<17}{line}")
        return 0
    if argv[0] == "--version":
        print(rewardscape.__version__)
        return 0
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 2, 0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(COMMANDS)}"
        print(f"error: unknown command {name!r}; {hint}", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(f"rewardscape.scripts.{name.replace('-', '_')}").main(rest) or 0
    except (ValueError, FileNotFoundError, FileExistsError, ModuleNotFoundError) as error:
        if os.environ.get("REWARDSCAPE_DEBUG"):
            raise
        extra = EXTRAS.get(getattr(error, "name", None) or "")
        print(f"error: {error}{f': pip install {extra!r}' if extra else ''}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]
        return 0


if __name__ == "__main__":
    sys.exit(main())
