"""A conversation: who said what, how each answer ended, and how full the context window is.

Values only: nothing here speaks to an engine or a terminal. A conversation is never shortened except by
`last_exchanges`, which is called when the user has chosen it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from bringup.records import dataclass, replace

WINDOW_NOTICES_PCT: Final = (75, 90)
"""Shares of the context window at which the user is told, once each."""


class Role(Enum):
    """Who speaks, by the names of the chat API."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Ending(Enum):
    """How an answer ended."""

    WHOLE = "whole"
    """The model said that it was done."""
    STOPPED = "stopped"
    """The user stopped it."""
    LIMIT = "limit"
    """The number of tokens that the user allowed was reached."""
    WINDOW = "window"
    """The context window was full."""
    CUT_OFF = "cut-off"
    """The stream ended without its end mark."""
    ENGINE_DIED = "engine-died"
    """The engine ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said. `reasoning` is shown and saved, and never sent back to the model."""

    role: Role
    text: str
    reasoning: str = ""
    ending: Ending = Ending.WHOLE


@dataclass(frozen=True, slots=True)
class Conversation:
    """A system prompt (empty: none) and the turns, oldest first."""

    system: str = ""
    turns: tuple[Turn, ...] = ()

    def messages(self) -> tuple[tuple[Role, str], ...]:
        """What the model is to be sent: the system prompt and all turns, without their reasoning."""
        head = ((Role.SYSTEM, self.system),) if self.system else ()
        return (*head, *((turn.role, turn.text) for turn in self.turns))

    def asked(self, text: str) -> Conversation:
        """With one more question."""
        return replace(self, turns=(*self.turns, Turn(Role.USER, text)))

    def answered(self, turn: Turn) -> Conversation:
        """With one more answer."""
        return replace(self, turns=(*self.turns, turn))

    def without_last_answer(self) -> Conversation:
        """Ready for the last question to be answered again; unchanged when no answer is last."""
        if self.turns and self.turns[-1].role is Role.ASSISTANT:
            return replace(self, turns=self.turns[:-1])
        return self

    def without_last_question(self) -> Conversation:
        """Without a question that was not answered; unchanged when the last turn is no question."""
        if self.turns and self.turns[-1].role is Role.USER:
            return replace(self, turns=self.turns[:-1])
        return self

    def last_exchanges(self, count: int) -> Conversation:
        """With the newest so many questions, at least one, and what was answered to them."""
        places = [place for place, turn in enumerate(self.turns) if turn.role is Role.USER]
        return replace(self, turns=self.turns[places[-count] :]) if count < len(places) else self

    @property
    def n_exchanges(self) -> int:
        """Questions asked."""
        return sum(turn.role is Role.USER for turn in self.turns)


class WindowWatch:
    """Says once that the window is 75 % and once that it is 90 % full; emptied, it will say so again."""

    def __init__(self) -> None:
        """Nothing said yet."""
        self._said_pct = 0

    def notice(self, *, used_tokens: int, n_ctx: int) -> int | None:
        """The highest share (75 or 90) newly reached, else `None`."""
        used_pct = 100 * used_tokens / n_ctx
        reached = max((pct for pct in WINDOW_NOTICES_PCT if used_pct >= pct), default=0)
        is_new = reached > self._said_pct
        self._said_pct = reached
        return reached if is_new else None
