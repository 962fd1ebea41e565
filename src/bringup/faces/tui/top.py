"""`bringup top`: the screen. It shows what the sampler saw and knows no rule of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from bringup.actions.end_process import end_process
from bringup.actions.live import LiveCard, LiveEngine, LiveProcess, Sample
from bringup.actions.live_view import LiveView
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.live import cards_lines, engines_lines, event_lines, health_lines, machine_lines
from bringup.faces.render.live_cards import card_lines
from bringup.faces.render.live_charts import card_chart, engine_chart
from bringup.faces.render.live_engines import engine_lines
from bringup.faces.render.live_help import (
    card_facts,
    engine_facts,
    help_lines,
    machine_facts,
    process_facts,
    term_lines,
)
from bringup.faces.render.process_table import Order
from bringup.faces.tui.dialogs import EndQuestion, FilterLine, TextScreen
from bringup.faces.tui.drawing import Line, draw_line
from bringup.faces.tui.panes import Pane
from bringup.faces.tui.table import ProcessTable
from bringup.machine import folders
from bringup.reading import Known

_FASTEST_S = 0.2
_SLOWEST_S = 60.0
_LOOK_S = 0.2
_EVENTS_SHOWN = 3


class TopApp(App[Exception | None]):
    """Machine, cards and engines above, processes below, one line of keys at the foot."""

    CSS = """
    #upper { height: auto; max-height: 70%; scrollbar-size-vertical: 1; }
    #parts { height: auto; layout: vertical; }
    .-wide #parts { layout: grid; grid-size: 2; grid-gutter: 0 2; grid-rows: auto; }
    Pane { height: auto; padding: 0 1; border-left: outer $background; }
    Pane:focus { border-left: outer $accent; }
    ProcessTable { height: 1fr; min-height: 4; padding: 0 1; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    #foot { height: 1; padding: 0 1; }
    TextScreen, EndQuestion { align: center middle; }
    .dialog { width: 90%; max-width: 100; height: auto; max-height: 90%; }
    .dialog { border: round $accent; padding: 0 1; }
    .question { max-width: 72; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (150, "-wide")]  # noqa: RUF012 - as Textual declares it
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
        """The parts; cards and engines come with the first sample."""
        with VerticalScroll(id="upper", can_focus=False):
            yield Pane("machine")
            yield VerticalScroll(id="parts", can_focus=False)
        yield ProcessTable()
        yield FilterLine(id="filter", compact=True, placeholder="words that a row must hold")
        yield Static("", id="foot", markup=False)

    def on_mount(self) -> None:
        """Look for a new sample often enough to show it soon."""
        self.query_one(ProcessTable).focus()
        self.set_interval(_LOOK_S, self._take)

    async def _take(self) -> None:
        sampler = self._view.sampler
        if sampler.problem is not None:
            self.exit(sampler.problem)
            return
        sample = sampler.latest()
        is_new = sample is not None and (self._sample is None or sample.number > self._sample.number)
        if sample is not None and is_new and not self._is_paused:
            self._sample = sample
            await self._show(sample)

    async def _show(self, sample: Sample) -> None:
        health = self._view.faults.health
        machine = self.query_one(Pane)
        events = self._view.faults.events
        machine.show(
            lambda width: [
                *machine_lines(sample, width_columns=width),
                *health_lines(health, width_columns=width),
                *event_lines(events[-_EVENTS_SHOWN:], width_columns=width),
            ]
        )
        await self._match_panes(sample)
        cards = sample.cards.value if isinstance(sample.cards, Known) else ()
        for pane in self.query_one("#parts").query_children(Pane):
            self._show_pane(pane, sample, cards)
        self.query_one(ProcessTable).show(sample.processes)
        self._show_foot()

    def _show_pane(self, pane: Pane, sample: Sample, cards: Sequence[LiveCard]) -> None:
        history = self._view.sampler.history
        card = next((one for one in cards if _card_name(one) == pane.subject), None)
        engine = next((one for one in sample.engines if _engine_name(one) == pane.subject), None)
        if card is not None:
            found = card
            pane.show(
                lambda width: [*card_lines(found, width_columns=width), *card_chart(found, history, width)]
            )
        elif engine is not None:
            seen = engine
            pane.show(
                lambda width: [
                    *engine_lines(seen, cards, width_columns=width),
                    *engine_chart(seen, history, width),
                ]
            )
        elif pane.subject == "cards":
            pane.show(lambda width: cards_lines(sample, width_columns=width))
        else:
            pane.show(lambda width: engines_lines(sample, width_columns=width))

    async def _match_panes(self, sample: Sample) -> None:
        """A pane for each card and engine; those that stay keep the focus."""
        cards = sample.cards.value if isinstance(sample.cards, Known) else ()
        wanted = [_card_name(card) for card in cards] or ["cards"]
        wanted += [_engine_name(engine) for engine in sample.engines] or ["engines"]
        parts = self.query_one("#parts")
        there = {pane.subject: pane for pane in parts.query_children(Pane)}
        if list(there) == wanted:
            return
        had_focus = self.focused.subject if isinstance(self.focused, Pane) else ""
        await parts.remove_children()
        panes = [Pane(name) for name in wanted]
        await parts.mount(*panes)
        for pane in panes:
            if pane.subject == had_focus:
                pane.focus()
        if had_focus and self.focused is None:
            self.query_one(ProcessTable).focus()

    def _show_foot(self) -> None:
        view = self.query_one(ProcessTable).view
        told: list[str | Styled] = []
        if self._is_paused:
            told += [Styled("paused", Style.YELLOW), "  "]
        if self._note:
            told += [Styled(self._note, Style.CYAN), "  "]
        if view.words:
            told += [f"filter {view.words!r}  "]
        order = (
            f"{view.order.value}{' reversed' if view.is_reversed else ''}{', tree' if view.is_tree else ''}"
        )
        told.append(f"by {order}  each {self._view.sampler.interval_s:g} s  ")
        for key, word in (("?", "help"), ("e", "explain"), ("s", "sort"), ("f", "filter"), ("t", "tree")):
            told += [Styled(key, Style.BOLD), f" {word}  "]
        told += [Styled("k", Style.BOLD), " end  ", Styled("q", Style.BOLD), " leave"]
        self.query_one("#foot", Static).update(draw_line(tuple(told)))

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
        pane = self.focused
        if isinstance(pane, Pane):
            for card in sample.cards.value if isinstance(sample.cards, Known) else ():
                if _card_name(card) == pane.subject:
                    return pane.subject, [*card_facts(card), *term_lines("vram")]
            for engine in sample.engines:
                if _engine_name(engine) == pane.subject:
                    return pane.subject, [*engine_facts(engine), *term_lines("kv-cache")]
            facts = machine_facts(sample, self._view.faults.health)
            return "this machine", [*facts, *term_lines("page-cache")]
        chosen = self.query_one(ProcessTable).chosen
        return ("process", process_facts(chosen)) if chosen is not None else ("keys and signs", help_lines())

    def action_sort(self) -> None:
        """The next column."""
        table = self.query_one(ProcessTable)
        table.change(replace(table.view, order=table.view.next_order()))
        self._show_foot()

    def action_order(self, name: str) -> None:
        """One column."""
        table = self.query_one(ProcessTable)
        table.change(replace(table.view, order=Order[name]))
        self._show_foot()

    def action_reverse(self) -> None:
        """The other way round."""
        table = self.query_one(ProcessTable)
        table.change(replace(table.view, is_reversed=not table.view.is_reversed))
        self._show_foot()

    def action_tree(self) -> None:
        """Tree or list."""
        table = self.query_one(ProcessTable)
        table.change(replace(table.view, is_tree=not table.view.is_tree))
        self._show_foot()

    def action_filter(self) -> None:
        """Ask for words."""
        line = self.query_one(FilterLine)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        table = self.query_one(ProcessTable)
        table.change(replace(table.view, words=event.value))
        self._show_foot()

    def on_input_submitted(self) -> None:
        """Back to the table."""
        self.query_one(FilterLine).display = False
        self.query_one(ProcessTable).focus()

    def action_clear(self) -> None:
        """All rows again."""
        self.query_one(FilterLine).value = ""
        self.query_one(ProcessTable).focus()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self._is_paused = not self._is_paused
        self._show_foot()

    def action_pace(self, factor: float) -> None:
        """Look more seldom or more often."""
        sampler = self._view.sampler
        sampler.interval_s = min(_SLOWEST_S, max(_FASTEST_S, sampler.interval_s * factor))
        self._show_foot()

    def action_end(self) -> None:
        """Ask, then end the chosen process."""
        chosen = self.query_one(ProcessTable).chosen
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


def _card_name(card: LiveCard) -> str:
    return f"card {card.card.index}"


def _engine_name(engine: LiveEngine) -> str:
    return f"engine {engine.port}" if engine.port is not None else f"process {engine.process_id}"


def run_top(view: LiveView) -> None:
    """Show the screen until a person leaves it.

    Raises:
        Exception: the sampler failed.
    """
    problem = TopApp(view).run()
    if problem is not None:
        raise problem
