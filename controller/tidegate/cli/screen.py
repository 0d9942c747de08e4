"""The one console that drawings go to: as wide as the terminal, colours where there are some."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.segment import Segment
from rich.status import Status
from rich.table import Table
from rich.text import Text

from tidegate.cli.terminal import encodable, printable


class Screen(Console):
    """Draws what any terminal shows: each text is one line, and is made printable before layout.

    Styles are given beside a text, never in it: brackets and colons are what they are.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet, markup=False, emoji=False, highlight=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What is drawn, piece by piece; signs that the layout itself adds are replaced, too."""
        for segment in super().render(self._printable(renderable), options):
            if segment.control:
                yield segment
            else:
                yield Segment(encodable(segment.text, self.encoding), segment.style)

    def status(self, status: RenderableType, **how: object) -> Status:
        """A line that moves while something lasts."""
        spinner = "line" if self.options.ascii_only else "dots"
        return Status(status, console=self, spinner=spinner, **how)  # type: ignore[arg-type]

    def _printable(self, renderable: RenderableType) -> RenderableType:
        """A copy of the drawing with every text in it printable. Widths are measured after this."""
        match renderable:
            case str():
                return printable(renderable, self.encoding)
            case Text():
                return self._printable_text(renderable)
            case Group():
                return Group(*map(self._printable, renderable.renderables), fit=renderable.fit)
            case Padding():
                padded = copy.copy(renderable)
                padded.renderable = self._printable(renderable.renderable)
                return padded
            case Table():
                return self._printable_table(renderable)
        return renderable

    def _printable_text(self, text: Text) -> Text:
        clean = text.blank_copy()
        for piece in text.render(self):
            clean.append(printable(piece.text, self.encoding), piece.style)
        return clean

    def _printable_table(self, table: Table) -> Table:
        clean = copy.copy(table)
        clean.columns = [column.copy() for column in table.columns]
        clean.rows = []
        cells = zip(*(column.cells for column in table.columns), strict=True)
        for row, line in zip(table.rows, cells, strict=True):
            clean.add_row(*map(self._printable, line), style=row.style, end_section=row.end_section)
        return clean
