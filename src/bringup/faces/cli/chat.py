"""The chat in the terminal: reads what is typed, shows what is answered, lets the user decide.

The program ends when the user says so. An answer that is stopped, cut off, refused or lost with its engine
leaves the conversation standing and is called what it is.
"""

from __future__ import annotations

from collections.abc import Callable

from bringup.actions.chat.answer import Answer, AnswerOptions, AnswerStream, count_tokens
from bringup.actions.chat.conversation import Conversation, Ending, Role, WindowWatch
from bringup.actions.running.session import EngineSession
from bringup.actions.running.silence import SilenceWatch
from bringup.engine.answer_errors import ContextFull, EngineGone
from bringup.engine.answers import ContentDelta, PromptProgress, ReasoningDelta
from bringup.errors import BringupError
from bringup.faces.cli.chat_input import ChatInput
from bringup.faces.cli.chat_trouble import Choice, ask_about_death, ask_about_window
from bringup.faces.render.answer import AnswerPainter, usage_line
from bringup.faces.render.chat import raw_control_line, window_notice
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.errors import render_error
from bringup.faces.render.format import format_count
from bringup.patterns import regex
from bringup.records import replace
from bringup.store.local import LocalModel

_WINDOW_OPTION = regex(r"--ctx-size (\d+)")
_MANY_TURNS = 200
"""From about here on the engine lays a conversation out long enough to be noticed."""
_CHARACTERS_A_TOKEN = 4
"""Of most text; a conversation of more is looked at before it is sent."""
_ENDINGS = {
    Ending.STOPPED: "(stopped)",
    Ending.LIMIT: "(stopped at the limit that --max-tokens sets)",
    Ending.CUT_OFF: "(cut off: the stream ended before the answer did)",
    Ending.ENGINE_DIED: "(cut off: the engine ended before the answer did)",
}


def in_chat_words(problem: BringupError) -> BringupError:
    """The same error with what can be typed here in place of a command line's option."""
    hint = _WINDOW_OPTION.sub(r"/context \1", problem.hint)
    if hint == problem.hint:
        return problem
    return BringupError(problem.message, context=problem.context, hint=hint, reference=problem.reference)


class Talk:
    """The conversation with a running engine: asks, paints, and settles what goes wrong."""

    def __init__(
        self,
        console: Console,
        session: EngineSession,
        source: ChatInput,
        options: AnswerOptions,
        *,
        obtain: Callable[[str], LocalModel],
    ) -> None:
        """The session is open already; `obtain` gets a model by its typed name."""
        self.console = console
        self.obtain = obtain
        self.session = session
        self.conversation = Conversation()
        self._source = source
        self._options = options
        self._watch = WindowWatch()
        self._larger_n_ctx: int | None = None
        self.shows_thinking = True

    def ask(self, text: str) -> None:
        """Ask a question and bring it to an end: an answer, or a choice of the user."""
        self.conversation = self.conversation.asked(text)
        choice = self._answer_once()
        while choice is not None:
            if choice is Choice.KEEP:
                self.conversation = self.conversation.without_last_question()
                return
            before = self.conversation
            try:
                self._follow(choice)
            except BringupError as problem:
                self.conversation = before
                self.show_error(problem)
                choice = self._ask_again()
            else:
                choice = self._answer_once()

    def forget(self) -> None:
        """Begin anew; the system prompt stays."""
        self.conversation = Conversation(self.conversation.system)
        self._watch = WindowWatch()

    def show_error(self, problem: BringupError) -> None:
        """Say what went wrong."""
        for line in render_error(in_chat_words(problem), self.console.note_terminal):
            self.console.line(*line)

    def _answer_once(self) -> Choice | None:
        """One try at the last question; what the user chose where it did not end in an answer."""
        if (told := self._too_long_for_sure()) is not None:
            return told
        self.say_long("the engine lays out")
        stream = AnswerStream(self.session.api, self.conversation, self._options)
        painter = AnswerPainter(self.console, shows_thinking=self.shows_thinking)
        try:
            with (
                self.console.hidden_typing(),
                SilenceWatch(self.session.engine_identity, self._warn) as watch,
            ):
                self._paint(stream, painter, watch)
        except KeyboardInterrupt:
            stream.stop()
        except ContextFull as problem:
            needed = problem.n_prompt_tokens or 0
            return self._ask_about_window(f"This does not fit: {problem.message}.", needed_tokens=needed)
        except EngineGone as problem:
            return self._ask_about_death(problem)
        except BringupError as problem:
            self.show_error(problem)
            self.conversation = self.conversation.without_last_question()
            return None
        painter.finish()
        return self._settle(stream.answer)

    def say_long(self, doing: str) -> None:
        """A line of progress where the engine will be silent for a while."""
        n_turns = len(self.conversation.turns)
        if n_turns >= _MANY_TURNS:
            self.console.status(f"{doing} {format_count(n_turns)} turns")

    def _too_long_for_sure(self) -> Choice | None:
        """Of a very long conversation the end is counted first: where that is too long, all of it is."""
        conversation, n_ctx = self.conversation, self.session.n_ctx
        n_all = conversation.n_exchanges
        n_characters = sum(len(turn.text) for turn in conversation.turns)
        n_last = _MANY_TURNS // 2
        while n_last < n_all and n_characters > _CHARACTERS_A_TOKEN * n_ctx:
            which = f"the last {format_count(n_last)} of {format_count(n_all)} questions"
            self.console.status(f"counting {which}")
            try:
                n_tokens = self._takes(n_last)
            except BringupError:
                return None
            if n_tokens > n_ctx:
                why = (
                    f"This does not fit: {which} alone have {format_count(n_tokens)} tokens with their "
                    f"answers, the context window {format_count(n_ctx)}."
                )
                return self._ask_about_window(why, needed_tokens=self._needed(n_tokens))
            n_last *= 2
        return None

    def _needed(self, n_least: int) -> int:
        """Tokens of the whole conversation where a larger window may hold it; else what is known."""
        if self.session.larger_n_ctx(needed_tokens=n_least) is None:
            return n_least
        self.say_long("the engine counts")
        return self._count() or n_least

    def _warn(self, said: str) -> None:
        self.console.line(Styled(said, Style.YELLOW))

    def _paint(self, stream: AnswerStream, painter: AnswerPainter, watch: SilenceWatch) -> None:
        for event in stream.events():
            watch.heard()
            match event:
                case ContentDelta(text):
                    self.console.end_status()
                    painter.content(text)
                case ReasoningDelta(text):
                    self.console.end_status()
                    painter.reasoning(text)
                case PromptProgress(done, total) if done < total:
                    self.console.status(
                        f"reading the prompt, {format_count(done)} of {format_count(total)} tokens"
                    )
                case _:
                    pass

    def _settle(self, answer: Answer) -> Choice | None:
        """Keep the answer, say how it ended and how full the window is."""
        self.session.answered(answer.timings)
        if answer.turn.ending is Ending.CUT_OFF and self.session.why_ended() is not None:
            answer = replace(answer, turn=replace(answer.turn, ending=Ending.ENGINE_DIED))
        if said := _ENDINGS.get(answer.turn.ending):
            self.console.note(said, Style.YELLOW)
        if answer.raw_control is not None:
            self.console.note(raw_control_line(answer.raw_control), Style.YELLOW)
        if answer.turn.text or answer.turn.ending is Ending.WHOLE:
            self.conversation = self.conversation.answered(answer.turn)
        if answer.turn.ending is Ending.ENGINE_DIED:
            return self._ask_about_death(answer.problem)
        self._say_usage(answer)
        if self.conversation.turns[-1].role is Role.USER and answer.turn.ending is not Ending.WINDOW:
            self.conversation = self.conversation.without_last_question()
            self.console.note("(nothing was answered: the question is taken back)", Style.YELLOW)
        if answer.turn.ending is Ending.WINDOW:
            return self._ask_about_window("The context window is full: the answer above is unfinished.")
        return None

    def _say_usage(self, answer: Answer) -> None:
        used = answer.n_used_tokens or self._count()
        if used is None:
            return
        n_ctx = self.session.n_ctx
        line = usage_line(
            answer.usage,
            answer.timings,
            n_used_tokens=used,
            n_ctx=n_ctx,
            width_columns=self.console.note_terminal.width_columns,
        )
        self.console.line(Styled(line, Style.DIM))
        reached = self._watch.notice(used_tokens=used, n_ctx=n_ctx)
        if reached is not None and answer.turn.ending is not Ending.WINDOW:
            width = self.console.note_terminal.width_columns
            notice = window_notice(reached, n_ctx=n_ctx, width_columns=width)
            self.console.line(Styled(notice, Style.YELLOW))

    def _count(self) -> int | None:
        """Tokens of the conversation as the engine counts them; `None` when it does not answer."""
        try:
            return count_tokens(self.session.api, self.conversation)
        except BringupError:
            return None

    def _ask_about_window(self, why: str, *, needed_tokens: int = 0) -> Choice:
        self.console.end_status()
        self._larger_n_ctx = self.session.larger_n_ctx(needed_tokens=needed_tokens)
        return ask_about_window(
            self.console,
            self._source,
            why=why,
            can_drop=self.conversation.n_exchanges > 1,
            larger_n_ctx=self._larger_n_ctx,
            is_too_long_alone=bool(needed_tokens) and not self._fits_alone(),
        )

    def _fits_alone(self) -> bool:
        """Whether the last question fits once all before it is dropped; yes where the engine cannot count."""
        alone = replace(self.conversation, turns=self.conversation.turns[-1:])
        try:
            return count_tokens(self.session.api, alone) < self.session.n_ctx
        except BringupError:
            return True

    def _ask_about_death(self, problem: BringupError | None) -> Choice:
        self.console.end_status()
        cause = self.session.why_ended() or problem
        if cause is not None:
            self.show_error(cause)
        return ask_about_death(self.console, self._source)

    def _ask_again(self) -> Choice:
        """What was chosen could not be done: the same question, if it still is the same."""
        if self.session.poll() is not None:
            return self._ask_about_death(None)
        return self._ask_about_window("The context window is still full.")

    def _follow(self, choice: Choice) -> None:
        """Do what was chosen, so that the last question can be asked again."""
        self.conversation = self.conversation.without_last_answer()
        match choice:
            case Choice.DROP:
                self._drop_oldest()
            case Choice.NEW:
                self.conversation = replace(self.conversation, turns=self.conversation.turns[-1:])
                self._watch = WindowWatch()
            case Choice.LARGER:
                self.session.restart(n_ctx=self._larger_n_ctx)
            case Choice.RESTART | Choice.KEEP:
                self.session.restart()

    def _newest_that_fit(self, n_tokens: int) -> Conversation:
        """The most of the newest exchanges that take no more; one less than all at most, and one at least."""
        fits, too_many = 1, 2
        most = self.conversation.n_exchanges - 1
        while too_many <= most and self._takes(too_many) <= n_tokens:
            fits, too_many = too_many, 2 * too_many
        too_many = min(too_many, most + 1)
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            fits, too_many = (middle, too_many) if self._takes(middle) <= n_tokens else (fits, middle)
        return self.conversation.last_exchanges(fits)

    def _takes(self, n_exchanges: int) -> int:
        return count_tokens(self.session.api, self.conversation.last_exchanges(n_exchanges))

    def _drop_oldest(self) -> None:
        """Drop whole exchanges until half of the window is free for what comes."""
        before = self.conversation.n_exchanges
        self.say_long("the engine counts what fits of")
        self.conversation = self._newest_that_fit(self.session.n_ctx // 2)
        dropped = before - self.conversation.n_exchanges
        self._watch = WindowWatch()
        self.console.note(
            f"Dropped the oldest {format_count(dropped)} of {format_count(before)} questions "
            "with their answers: the model no longer sees them."
        )
