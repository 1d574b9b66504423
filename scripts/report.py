"""``rewardscape report RUN...``: the curves of training runs in one self-contained HTML file, or as a picture (.svg, .png).

`Report` is what every command's report is made of: text, tables, figures and pictures in one file that opens offline.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6672; --line: #d5dae1; --paper: #fff; --accent: #1f6f78 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b1; --line: #39414c; --paper: #16191e; --accent: #5cb8c4 } }
body { margin: 0 auto; padding: 28px 20px 60px; max-width: 1040px; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif }
h1 { font-size: 1.7em; margin: 0 0 4px } h2 { margin: 36px 0 8px; font-size: 1.2em } .soft { color: var(--soft) }
table { border-collapse: collapse; margin: 10px 0; display: block; overflow-x: auto } th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
th:first-child, td:first-child { text-align: left } th { color: var(--soft); font-weight: 600 }
figure { margin: 14px 0 } figure img, figure svg { max-width: 100%; height: auto; border-radius: 4px } figcaption { color: var(--soft); font-size: .92em }
code, pre { font: 13px/1.5 ui-monospace, monospace } pre { padding: 10px 12px; border: 1px solid var(--line); border-radius: 6px; overflow-x: auto } a { color: var(--accent) }
"""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape report", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="run directories, or worlds: then their shipped baselines")
    parser.add_argument("--show", nargs="+", default=["objective", "reward"], help="metrics or terms, a panel each")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("report.html"), help=".html, .svg or .png")
    options = parser.parse_args(argv)
    from rewardscape.scripts.options import find_run

    runs = {name: find_run(name) for name in options.runs}
    series = {f"{run.config.reward}, {pathlib.Path(name).name}": run.metrics() for name, run in runs.items()}
    known = {key for rows in series.values() for row in rows for key in (*row, *row["terms"])}
    if unknown := [name for name in options.show if name not in known]:
        raise ValueError(f"no metric {', '.join(unknown)}; there are: {', '.join(sorted(known - {'terms', 'losses'}))}")
    figure = curves(series, options.show)
    if options.out.suffix in (".svg", ".png"):
        figure.savefig(options.out, bbox_inches="tight", dpi=120)
    else:
        report = Report("Training runs", ", ".join(series))
        report.figure(figure, "Per update, with exploration noise.")
        last = [
            [name, *(rows[-1].get(m, rows[-1]["terms"].get(m, float("nan"))) for m in options.show), rows[-1]["steps"]]
            for name, rows in series.items()
        ]
        report.table(["run", *(f"last {m}" for m in options.show), "steps"], last)
        report.code("\n".join(str(run.config) for run in runs.values()))
        report.write(options.out)
    print(f"report: {options.out}")
    return 0


class Report:
    """Collects parts, then `write`."""

    def __init__(self, title: str, subtitle: str = ""):
        self.title = title
        self.parts = [f"<h1>{html.escape(title)}</h1>"] + ([f'<p class="soft">{html.escape(subtitle)}</p>'] if subtitle else [])

    def heading(self, text: str) -> None:
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def code(self, text: str) -> None:
        self.parts.append(f"<pre>{html.escape(text)}</pre>")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Rows of cells; numbers are shown with three decimals."""
        cells = "".join(f"<th>{html.escape(h)}</th>" for h in head)
        body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
        self.parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>")

    def figure(self, figure: Any, caption: str = "") -> None:
        """A matplotlib figure, as SVG."""
        stream = io.StringIO()
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
        svg = stream.getvalue()
        self.parts.append(f"<figure>{svg[svg.index('<svg') :]}<figcaption>{html.escape(caption)}</figcaption></figure>")

    def picture(self, data: bytes, kind: str, caption: str = "") -> None:
        """An image file (``kind``: "gif", "png", "webp")."""
        coded = base64.b64encode(data).decode()
        alt = html.escape(caption, quote=True)
        image = f'<img alt="{alt}" src="data:image/{kind};base64,{coded}">'
        self.parts.append(f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>")

    def write(self, path: pathlib.Path) -> None:
        head = (
            f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(self.title)}</title>'
        )
        page = f"<!doctype html><html lang='en'><head>{head}<style>{_STYLE}</style></head><body>{''.join(self.parts)}</body></html>"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else html.escape(str(value))


def curves(series: dict[str, list[dict[str, Any]]], names: Sequence[str], smooth: int = 3) -> Any:
    """A matplotlib figure: one panel for each of ``names``, one line for each run; ``series``: lines of metrics by run."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "rewardscape", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(1, len(names), figsize=(4.6 * len(names), 3.0), squeeze=False)
        for axis, name in zip(axes[0], names, strict=True):
            for label, rows in series.items():
                steps = np.array([row["steps"] for row in rows], float)
                values = np.array([row.get(name, row["terms"].get(name, np.nan)) for row in rows], float)
                width = min(smooth, len(values))
                mean = np.convolve(values, np.ones(width) / width, "valid") if len(values) else values
                axis.plot(steps[width - 1 :] / 1000, mean, label=label, linewidth=1.6)
            axis.set_xlabel("thousand steps")
            axis.set_title(name)
            axis.grid(alpha=0.25)
        axes[0][0].legend(frameon=False)
        figure.tight_layout()
    plt.close(figure)
    return figure
