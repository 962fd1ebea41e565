"""`bringup top`: the screen. It shows what the sampler saw and knows no rule of its own."""

from __future__ import annotations

import gc
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from bringup.actions.live.end_process import end_process
from bringup.actions.live.sample import LiveProcess, Sample
from bringup.actions.live.view import LiveView
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.live_board import MACHINE, Scene, card_name, engine_name
from bringup.faces.render.live_help import (
    card_facts,
    engine_facts,
    help_lines,
    machine_facts,
    process_facts,
    term_lines,
)
from bringup.faces.render.process_table import Order
from bringup.faces.tui.board import Board
from bringup.faces.tui.dialogs import EndQuestion, FilterLine, TextScreen
from bringup.faces.tui.drawing import Line
from bringup.machine import folders
from bringup.records import replace

_FASTEST_S = 0.2
_SLOWEST_S = 60.0


class TopApp(App[Exception | None]):
    """Machine, cards and engines above, processes below, one line of keys at the foot."""

    CSS = """
    Board { height: 1fr; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    TextScreen, EndQuestion { align: center middle; }
    .dialog { width: 90%; max-width: 100; height: auto; max-height: 90%; }
    .dialog { border: round $accent; padding: 0 1; }
    .question { max-width: 72; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,f10,ctrl+c", "quit", priority=False),
        Binding("question_mark,h,f1", "help"),
        Binding("e,enter", "explain"),
        Binding("s,f6", "sort"),
        Binding("r", "reverse"),
        Binding("V", "order('VRAM')"),
        Binding("M", "order('RAM')"),
        Binding("P", "order('CPU')"),
        Binding("f,slash,f4", "filter"),
        Binding("t,f5", "tree"),
        Binding("k,f9", "end"),
        Binding("space,z", "pause"),
        Binding("plus,equals_sign", "pace(2.0)"),
        Binding("minus", "pace(0.5)"),
        Binding("escape", "clear"),
    ]

    def __init__(self, view: LiveView) -> None:
        """`view` is open, and looks already."""
        super().__init__()
        self._view = view
        self._sample: Sample | None = None
        self._is_paused = False
        self._note = ""

    def compose(self) -> ComposeResult:
        """One board, and a line for the filter's words while they are typed."""
        yield Board(self._take)
        yield FilterLine(id="filter", compact=True, placeholder="words that a row must hold")

    @property
    def board(self) -> Board:
        """What is shown."""
        return self.screen_stack[0].query_one(Board)

    def on_mount(self) -> None:
        """Draw each sample when it comes."""
        board = self.board
        board.focus()
        self._view.sampler.on_sample(lambda: board.post_message(Board.Looked()))
        self._take()

    def on_unmount(self) -> None:
        """Nobody is to be told any more."""
        self._view.sampler.on_sample(None)

    def _take(self) -> None:
        sampler = self._view.sampler
        if sampler.problem is not None:
            self.exit(sampler.problem)
            return
        sample = sampler.latest()
        if sample is not None and not self._is_paused:
            self._sample = sample
            faults = self._view.faults
            scene = Scene(sample, faults.health, faults.events, sampler.history)
            self.board.show(scene, self._foot())

    def _foot(self) -> Line:
        view = self.board.table.view
        told: list[str | Styled] = []
        if self._is_paused:
            told += [Styled("paused", Style.YELLOW), "  "]
        if self._note:
            told += [Styled(self._note, Style.CYAN), "  "]
        if view.words:
            told += [f"filter {view.words!r}  "]
        keys = ("?", "help"), ("e", "explain"), ("s", "sort"), ("f", "filter"), ("t", "tree"), ("k", "end")
        for key, word in (*keys, ("q", "leave")):
            told += [Styled(key, Style.BOLD), f" {word}  "]
        order = f"by {view.order.value}{' reversed' if view.is_reversed else ''}"
        told.append(f"{order}{', tree' if view.is_tree else ''}  each {self._view.sampler.interval_s:g} s")
        return tuple(told)

    def _show_foot(self) -> None:
        self.board.show(None, self._foot())

    def action_help(self) -> None:
        """Keys and signs."""
        self.push_screen(TextScreen("keys and signs", help_lines()))

    def action_explain(self) -> None:
        """What has the focus, in words."""
        if self._sample is None:
            return
        title, lines = self._facts(self._sample)
        self.push_screen(TextScreen(title, lines))

    def _facts(self, sample: Sample) -> tuple[str, list[Line]]:
        chosen = self.board.chosen
        scene = Scene(sample, self._view.faults.health, (), self._view.sampler.history)
        for card in scene.cards:
            if card_name(card) == chosen:
                return chosen, [*card_facts(card), *term_lines("vram")]
        for engine in sample.engines:
            if engine_name(engine) == chosen:
                return chosen, [*engine_facts(engine), *term_lines("kv-cache")]
        process = self.board.table.chosen
        if chosen == MACHINE or chosen in ("cards", "engines"):
            facts = machine_facts(sample, scene.health)
            return "this machine", [*facts, *term_lines("page-cache")]
        if process is None:
            return "keys and signs", help_lines()
        return "process", process_facts(process)

    def _change(self, **view: Any) -> None:  # noqa: ANN401 - the fields of a view
        table = self.board.table
        table.change(replace(table.view, **view))
        self._show_foot()

    def action_sort(self) -> None:
        """The next column."""
        self._change(order=self.board.table.view.next_order())

    def action_order(self, name: str) -> None:
        """One column."""
        self._change(order=Order[name])

    def action_reverse(self) -> None:
        """The other way round."""
        self._change(is_reversed=not self.board.table.view.is_reversed)

    def action_tree(self) -> None:
        """Tree or list."""
        self._change(is_tree=not self.board.table.view.is_tree)

    def action_filter(self) -> None:
        """Ask for words."""
        line = self.query_one(FilterLine)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._change(words=event.value)

    def on_input_submitted(self) -> None:
        """Back to the table."""
        self.query_one(FilterLine).display = False
        self.board.focus()

    def action_clear(self) -> None:
        """All rows again."""
        self.query_one(FilterLine).value = ""
        self.board.focus()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self._is_paused = not self._is_paused
        self._take()
        self._show_foot()

    def action_pace(self, factor: float) -> None:
        """Look more seldom or more often."""
        sampler = self._view.sampler
        sampler.interval_s = min(_SLOWEST_S, max(_FASTEST_S, sampler.interval_s * factor))
        self._show_foot()

    def action_end(self) -> None:
        """Ask, then end the chosen process."""
        chosen = self.board.table.chosen
        if chosen is None or self._sample is None:
            return
        if not self._view.is_live:
            self._note = "a recorded machine has no process to end"
            self._show_foot()
            return
        ours = {engine.process_id for engine in self._sample.engines if engine.is_ours}

        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(lambda: self._end(chosen, by_force=answer == "kill"), thread=True)

        self.push_screen(EndQuestion(chosen, is_engine_of_ours=chosen.process_id in ours), answered)

    def _end(self, chosen: LiveProcess, *, by_force: bool) -> None:
        result = end_process(chosen, folders.our_folders(), by_force=by_force)
        self.call_from_thread(self._tell, f"process {chosen.process_id}: {result.value}")

    def _tell(self, note: str) -> None:
        self._note = note
        self._show_foot()


def run_top(view: LiveView) -> None:
    """Show the screen until a person leaves it.

    What is loaded by now stays until the end: the collector need not walk through it again and again.

    Raises:
        Exception: the sampler failed.
    """
    gc.freeze()
    problem = TopApp(view).run()
    gc.unfreeze()
    if problem is not None:
        raise problem
