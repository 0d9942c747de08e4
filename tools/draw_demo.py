"""Draws docs/images/demo.svg from a real run of the demonstration: `make picture`."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tidegate.cli.console import console
from tidegate.cli.view import draw_release
from tidegate_embedded.demo.run import Demo
from tidegate_embedded.demo.summary import print_summary

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "demo.svg"
WIDTH = 116


def main() -> None:
    """Run the demonstration, and draw how the third release ended and the summary."""
    with tempfile.TemporaryDirectory() as folder:
        shown = Demo(Path(folder), console()).run()
    paper = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False
    )
    caught = next(ending for ending in shown.endings if ending.chapter.fails_there)
    title = Text(f"{caught.chapter.number}. {caught.chapter.title}", style="bold")
    paper.rule(title, align="left")
    paper.print(Padding(draw_release(caught.release), (1, 0)))
    print_summary(paper, shown.endings, shown.served)
    paper.save_svg(str(PICTURE), title="make demo")


if __name__ == "__main__":
    main()
