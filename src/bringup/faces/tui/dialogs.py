"""Questions and texts that lie over the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from bringup.actions.live.sample import LiveProcess
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Style, Styled
from bringup.faces.tui.drawing import Line, draw


class TextScreen(ModalScreen[None]):
    """A text to read; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,e,question_mark,h,f1", "dismiss", "Close"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        """`lines` are cleaned when they are drawn."""
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """A frame with the text, which scrolls."""
        with VerticalScroll(classes="dialog") as frame:
            frame.border_title = clean(self._title, keep_newlines=False)
            frame.border_subtitle = "Esc closes"
            yield Static(draw(self._lines), markup=False)

    def action_scroll(self, step: int) -> None:
        """One line."""
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)


class EndQuestion(ModalScreen[str]):
    """Whether a process is to be ended; answers `""`, `term` or `kill`. Nothing but y and K is a yes."""

    def __init__(self, process: LiveProcess, *, is_engine_of_ours: bool) -> None:
        """About one process."""
        super().__init__()
        self._process = process
        self._is_ours = is_engine_of_ours

    def compose(self) -> ComposeResult:
        """What it is, what each key does."""
        one = self._process
        first = (
            "stop it, with all that keeps it (as bringup stop)"
            if self._is_ours
            else "ask it to end (SIGTERM)"
        )
        lines: list[Line] = [
            (Styled(f"End process {one.process_id}, {one.name}, of {one.user}?", Style.BOLD),),
            (" ".join(one.command),),
            ("",),
            (Styled("y", Style.BOLD), f"  {first}"),
            (Styled("K", Style.BOLD), "  kill it (SIGKILL): nothing is saved"),
            (Styled("any other", Style.BOLD), "  leave it alone"),
        ]
        with Vertical(classes="dialog question") as frame:
            frame.border_title = "end a process"
            yield Static(draw(lines), markup=False)

    def on_key(self, event: events.Key) -> None:
        """Take y and K as a yes; any other key is a no, and means nothing else."""
        event.stop()
        event.prevent_default()
        self.dismiss({"y": "term", "K": "kill"}.get(event.character or "", ""))


class FilterLine(Input):
    """Words that rows must hold; Enter keeps them, Escape takes them away."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", show=False)]

    def action_give_up(self) -> None:
        """No filter."""
        self.value = ""
        self.action_submit_key()

    def action_submit_key(self) -> None:
        """As Enter."""
        self.post_message(self.Submitted(self, self.value))
