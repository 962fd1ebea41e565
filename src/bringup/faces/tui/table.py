"""The process table: a cursor that stays on its process, whatever the order does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from bringup.actions.live import LiveProcess
from bringup.faces.render.clean import clean
from bringup.faces.render.format import format_table
from bringup.faces.render.live import COLUMNS, process_row
from bringup.faces.render.process_table import TableRow, TableView, arrange


class ProcessTable(Widget, can_focus=True):
    """Rows of processes; arrows move the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,p", "move(-1)", show=False),
        Binding("down,n", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "edge(-1)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    def __init__(self) -> None:
        """No rows yet."""
        super().__init__()
        self.view = TableView()
        self._processes: tuple[LiveProcess, ...] = ()
        self._rows: tuple[TableRow, ...] = ()
        self._at = 0
        self._top = 0

    @property
    def chosen(self) -> LiveProcess | None:
        """The process under the cursor."""
        return self._rows[self._at].process if self._rows else None

    def show(self, processes: Sequence[LiveProcess], view: TableView | None = None) -> None:
        """Take new processes, or another view of them; the cursor stays on its process."""
        before = self.chosen
        self.view = view or self.view
        self._processes = tuple(processes)
        self._rows = arrange(self._processes, self.view)
        places = {row.process.process_id: place for place, row in enumerate(self._rows)}
        at = places.get(before.process_id, self._at) if before is not None else 0
        self._move_to(at)

    def change(self, view: TableView) -> None:
        """Another view of the same processes."""
        self.show(self._processes, view)

    def action_move(self, step: int) -> None:
        """One row up or down."""
        self._move_to(self._at + step)

    def action_page(self, step: int) -> None:
        """One page up or down."""
        self._move_to(self._at + step * self._room)

    def action_edge(self, step: int) -> None:
        """To the first or last row."""
        self._move_to(0 if step < 0 else len(self._rows))

    def on_click(self, event: events.Click) -> None:
        """Choose the row that was clicked."""
        self._move_to(self._top + event.y - 1)

    def on_mouse_scroll_down(self) -> None:
        """Scroll by the wheel."""
        self._move_to(self._at + 1)

    def on_mouse_scroll_up(self) -> None:
        """Scroll by the wheel."""
        self._move_to(self._at - 1)

    def on_resize(self) -> None:
        """What is seen depends on the height."""
        self._move_to(self._at)

    @property
    def _room(self) -> int:
        return max(1, self.content_size.height - 1)

    def _move_to(self, place: int) -> None:
        self._at = max(0, min(place, len(self._rows) - 1))
        self._top = max(0, min(self._top, len(self._rows) - self._room, self._at))
        if self._at >= self._top + self._room:
            self._top = self._at - self._room + 1
        self.refresh()

    def render(self) -> Content:
        """The title and the rows that have room."""
        width = self.content_size.width
        seen = self._rows[self._top : self._top + self._room]
        lines = format_table(COLUMNS, [_cells(row) for row in seen], width_columns=width)
        title = Content(lines[0].ljust(width)).stylize("bold reverse")
        drawn = [title]
        for place, line in enumerate(lines[1:], start=self._top):
            text = Content(clean(line, keep_newlines=False).ljust(width))
            is_here = place == self._at
            style = "reverse" if is_here and self.has_focus else "bold" if is_here else ""
            drawn.append(text.stylize(style) if style else text)
        return Content("\n").join(drawn)


def _cells(row: TableRow) -> tuple[str, ...]:
    cells = process_row(row.process)
    if not row.depth:
        return cells
    return (*cells[:-1], "  " * (row.depth - 1) + "└ " + cells[-1])
