"""The screen of `top` as one widget that draws rows, and only those that are not as they were.

A widget a part would be laid out, styled and woken for itself at each look, which costs more than all the
looking; here a look costs the rows that it changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from bringup.faces.render.live_board import Scene
from bringup.faces.render.live_rows import Row, arrange_rows
from bringup.faces.tui.drawing import (
    HERE,
    PLAIN,
    THERE,
    TITLE,
    DrawnRow,
    Line,
    LineRow,
    PartRow,
    TextRow,
    blank_row,
    draw_row,
)
from bringup.faces.tui.table import ProcessTable

PROCESSES: Final = "processes"
_LEAST_TABLE: Final = 5
_TABLE_SHARE: Final = 0.25


class Board(Widget, can_focus=True):
    """Parts above, processes below, keys at the foot.

    Attributes:
        table: the processes.
        chosen: the name of the part that is chosen; `processes` at the start.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "choose(1)", show=False),
        Binding("shift+tab", "choose(-1)", show=False),
        Binding("up,p", "move(-1)", show=False),
        Binding("down,n", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "edge(-1)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    class Looked(Message, bubble=False):
        """There is a new sample."""

    def __init__(self, take: Callable[[], None]) -> None:
        """Nothing is shown yet; `take` is called when there is a new sample."""
        super().__init__()
        self._take = take
        self.table = ProcessTable()
        self.chosen = PROCESSES
        self._scene: Scene | None = None
        self._foot: Line = ()
        self._rows: list[Row] = []
        self._top = 0
        self._room = 0
        self._drawn: list[DrawnRow] = []
        self._strips: list[Strip] = []

    def show(self, scene: Scene | None, foot: Line) -> None:
        """Draw these from now on; without a scene the one before stays."""
        if scene is not None:
            self._scene = scene
            self.table.show(scene.sample.processes)
        self._foot = foot
        self._draw()

    def action_choose(self, step: int) -> None:
        """The next part, or the one before; after the last come the processes."""
        names = [*dict.fromkeys(cell.name for row in self._rows for cell in row if cell.name), PROCESSES]
        at = names.index(self.chosen) if self.chosen in names else len(names) - 1
        self.chosen = names[(at + step) % len(names)]
        self._scroll_to_chosen()
        self._draw()

    def action_move(self, step: int) -> None:
        """A process up or down."""
        self.table.move(step)
        self._choose_processes()

    def action_page(self, step: int) -> None:
        """A page up or down."""
        self.table.move_page(step)
        self._choose_processes()

    def action_edge(self, step: int) -> None:
        """To the first or last process."""
        self.table.move_edge(step)
        self._choose_processes()

    def _choose_processes(self) -> None:
        self.chosen = PROCESSES
        self._draw()

    def on_board_looked(self) -> None:
        """There is a new sample."""
        self._take()

    def on_resize(self) -> None:
        """All rows depend on the size."""
        self._drawn, self._strips = [], []
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Choose what was clicked."""
        if event.y < self._room:
            row = self._rows[self._top + event.y]
            cell = row[0] if len(row) == 1 or event.x <= row[0].width_columns else row[1]
            self.chosen = cell.name or self.chosen
        else:
            self.chosen = PROCESSES
            if event.y > self._room:
                self.table.choose_shown(event.y - self._room - 1)
        self._draw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll what is below the mouse."""
        self._scroll(1, event.y)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll what is below the mouse."""
        self._scroll(-1, event.y)

    def _scroll(self, step: int, y: int) -> None:
        if y < self._room:
            self._top += step
        else:
            self.table.move(step)
        self._draw()

    def _scroll_to_chosen(self) -> None:
        places = [
            place for place, row in enumerate(self._rows) if any(cell.name == self.chosen for cell in row)
        ]
        if not places:
            return
        if places[-1] >= self._top + self._room:
            self._top = places[-1] - self._room + 1
        self._top = min(self._top, places[0])

    def _draw(self) -> None:
        """Make the rows, and tell Textual which are new."""
        width, height = self.size
        if self._scene is None or width <= 0 or height <= 1:
            return
        table_rows = min(1 + len(self.table), max(_LEAST_TABLE, int(height * _TABLE_SHARE)))
        most = max(1, height - 1 - table_rows)
        self._rows = arrange_rows(self._scene, width, most)
        self._room = min(most, len(self._rows))
        self._top = max(0, min(self._top, len(self._rows) - self._room))
        if all(cell.name != self.chosen for row in self._rows for cell in row):
            self.chosen = PROCESSES
        upper = [PartRow(row, self.chosen) for row in self._rows[self._top : self._top + self._room]]
        lower = self._lower(width, height - 1 - self._room)
        self._put([*upper, *lower, LineRow((" ", *self._foot))], width)

    def _lower(self, width: int, height: int) -> list[DrawnRow]:
        """The table's title, its rows, and nothing below."""
        self.table.set_room(height - 1)
        title, *lines = self.table.lines(width - 1)
        hidden = len(self._rows) - self._room
        note = next((note for note in _notes(hidden) if len(title) + len(note) + 2 < width), "")
        title = title.ljust(width - 1 - len(note)) + note
        rows: list[DrawnRow] = [TextRow(f" {title}", TITLE)]
        for place, line in enumerate(lines):
            look = PLAIN
            if place == self.table.chosen_place:
                look = HERE if self.chosen == PROCESSES else THERE
            rows.append(TextRow(f" {line}", look))
        return (rows + [TextRow("", PLAIN)] * height)[:height]

    def _put(self, drawn: list[DrawnRow], width: int) -> None:
        before, self._drawn = self._drawn, drawn
        if len(before) != len(drawn):
            self._strips = [self._filtered(draw_row(row, width)) for row in drawn]
            self.refresh()
            return
        changed = [y for y, row in enumerate(drawn) if row != before[y]]
        for y in changed:
            self._strips[y] = self._filtered(draw_row(drawn[y], width))
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _filtered(self, line: Strip) -> Strip:
        """As the app's filters want it (`NO_COLOR`); ours is true colour already."""
        for one in self.get_line_filters():
            if not isinstance(one, ANSIToTruecolor):
                line = line.apply_filter(one, self.background_colors[1])
        return line

    def render_lines(self, crop: Region) -> list[Strip]:
        """What Textual shows of us."""
        lines = self._strips[crop.y : crop.bottom]
        lines += [blank_row(self.size.width)] * (crop.height - len(lines))
        if crop.column_span != (0, self.size.width):
            lines = [line.crop(*crop.column_span) for line in lines]
        return lines


def _notes(hidden: int) -> tuple[str, ...]:
    """That there are lines of the upper part which are not seen, the longest words first."""
    return (f"{hidden} more lines above: Tab ", f"{hidden} above: Tab ", f"+{hidden} ") if hidden else ()
