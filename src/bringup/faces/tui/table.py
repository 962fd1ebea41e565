"""The process table: a cursor that stays on its process, whatever the order does."""

from __future__ import annotations

from collections.abc import Sequence

from bringup.actions.live.sample import LiveProcess
from bringup.faces.render.format import format_table
from bringup.faces.render.live import COLUMNS, process_row
from bringup.faces.render.process_table import TableRow, TableView, arrange


class ProcessTable:
    """Rows of processes, and which of them is chosen."""

    def __init__(self) -> None:
        """No rows yet."""
        self.view = TableView()
        self.room = 1
        self._processes: tuple[LiveProcess, ...] = ()
        self._rows: tuple[TableRow, ...] = ()
        self._at = 0
        self._top = 0

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def chosen(self) -> LiveProcess | None:
        """The process under the cursor."""
        return self._rows[self._at].process if self._rows else None

    @property
    def chosen_place(self) -> int:
        """Which of the shown rows is chosen."""
        return self._at - self._top

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

    def move(self, step: int) -> None:
        """Some rows up or down."""
        self._move_to(self._at + step)

    def move_page(self, step: int) -> None:
        """One page up or down."""
        self._move_to(self._at + step * self.room)

    def move_edge(self, step: int) -> None:
        """To the first or last row."""
        self._move_to(0 if step < 0 else len(self._rows))

    def choose_shown(self, place: int) -> None:
        """Choose one of the shown rows."""
        self._move_to(self._top + place)

    def set_room(self, room: int) -> None:
        """How many rows can be seen."""
        self.room = max(1, room)
        self._move_to(self._at)

    def lines(self, width_columns: int) -> tuple[str, ...]:
        """The title and the rows that have room."""
        seen = self._rows[self._top : self._top + self.room]
        return format_table(COLUMNS, [_cells(row) for row in seen], width_columns=width_columns)

    def _move_to(self, place: int) -> None:
        self._at = max(0, min(place, len(self._rows) - 1))
        self._top = max(0, min(self._top, len(self._rows) - self.room, self._at))
        if self._at >= self._top + self.room:
            self._top = self._at - self.room + 1


def _cells(row: TableRow) -> tuple[str, ...]:
    cells = process_row(row.process)
    if not row.depth:
        return cells
    return (*cells[:-1], "  " * (row.depth - 1) + "└ " + cells[-1])
