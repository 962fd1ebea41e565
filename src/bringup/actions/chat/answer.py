"""One answer of a running engine while it arrives, and what is known of it when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bringup.actions.chat.conversation import Conversation, Ending, Role, Turn
from bringup.engine.answer_errors import ContextFull, EngineGone, StreamCutOff
from bringup.engine.answers import (
    ChatEvent,
    ContentDelta,
    Finished,
    ReasoningDelta,
    Timings,
    ToolCallDelta,
    Usage,
)
from bringup.engine.api import EngineApi
from bringup.engine.control_tokens import RawControl, find_raw_control
from bringup.errors import BringupError
from bringup.records import dataclass

_LENGTH: Final = "length"


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How to sample; `None` leaves it to the engine. `max_tokens` bounds the answer, thinking included."""

    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None

    def fields(self) -> dict[str, Any]:
        """Fields of the request."""
        given = {"temperature": self.temperature, "seed": self.seed, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has ended, whole or not.

    Attributes:
        turn: what was said and how it ended.
        usage: tokens of prompt and answer; `None` where the end was never reached.
        timings: from the engine's clock; `None` likewise.
        problem: what cut it short, `None` when nothing did.
        raw_control: control tokens that stand in the text, `None` when none do.
    """

    turn: Turn
    usage: Usage | None = None
    timings: Timings | None = None
    problem: BringupError | None = None
    raw_control: RawControl | None = None

    @property
    def n_used_tokens(self) -> int | None:
        """Tokens of the context window that are taken now, `None` when the engine did not say."""
        return self.usage.prompt_tokens + self.usage.completion_tokens if self.usage else None


class AnswerStream:
    """Asks for an answer and yields its events. Nothing is cut silently: `answer` says how it ended."""

    def __init__(self, api: EngineApi, conversation: Conversation, options: AnswerOptions) -> None:
        """Nothing is sent before the first event is asked for."""
        messages = [{"role": role.value, "content": text} for role, text in conversation.messages()]
        self._events = api.chat(messages, **options.fields())
        self._options = options
        self._asked = tuple(text for _, text in conversation.messages())
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._end: Finished | None = None
        self._ending = Ending.CUT_OFF
        self._problem: BringupError | None = None

    def events(self) -> Iterator[ChatEvent]:
        """Events up to the end of the answer.

        Raises:
            ContextFull: the prompt does not fit; nothing was answered.
            EngineGone: nobody answers; nothing was answered.
            EngineError: the engine refused the request; nothing was answered.
        """
        try:
            for event in self._events:
                self._take(event)
                yield event
        except ContextFull as problem:
            if not self._has_begun:
                raise
            self._ending, self._problem = Ending.WINDOW, problem
        except (StreamCutOff, EngineGone) as problem:
            if isinstance(problem, EngineGone) and not self._has_begun:
                raise
            self._ending, self._problem = Ending.CUT_OFF, problem

    def stop(self) -> None:
        """End it now, as the user wished; the engine stops working on it."""
        self._events.close()  # type: ignore[attr-defined]  # a generator behind an Iterator
        self._ending = Ending.STOPPED

    @property
    def answer(self) -> Answer:
        """What came so far and how it ended; meant for after the last event."""
        text = "".join(self._text)
        turn = Turn(Role.ASSISTANT, text, "".join(self._reasoning), self._ending)
        end = self._end
        raw = find_raw_control(text, asked=self._asked)
        return Answer(turn, end.usage if end else None, end.timings if end else None, self._problem, raw)

    @property
    def _has_begun(self) -> bool:
        return bool(self._text or self._reasoning)

    def _take(self, event: ChatEvent) -> None:
        match event:
            case ContentDelta(text):
                self._text.append(text)
            case ReasoningDelta(text):
                self._reasoning.append(text)
            case ToolCallDelta(name=name, arguments=arguments):
                # We offer no tools; a model that calls one all the same is shown as it is.
                self._text.append(f"\n{name} " if name else arguments)
            case Finished():
                self._end = event
                self._ending = self._ending_of(event)
            case _:
                pass

    def _ending_of(self, end: Finished) -> Ending:
        if end.finish_reason != _LENGTH:
            return Ending.WHOLE
        limit = self._options.max_tokens
        came = end.usage.completion_tokens if end.usage else None
        return Ending.LIMIT if limit is not None and (came is None or came >= limit) else Ending.WINDOW


def count_tokens(api: EngineApi, conversation: Conversation) -> int:
    """Tokens that the engine makes of a conversation, its template included.

    Raises:
        EngineError: the engine does not answer, or the template refuses the conversation.
    """
    messages = [{"role": role.value, "content": text} for role, text in conversation.messages()]
    return len(api.tokenize(api.apply_template(messages), add_special=True)) if messages else 0
