"""One question, one answer: on stdout the answer and nothing else, on stderr only what is wrong.

Exit 0 when the answer is whole (or ends where --max-tokens said), 1 when it was cut short.
"""

from __future__ import annotations

from bringup.actions.chat.answer import Answer, AnswerOptions, AnswerStream
from bringup.actions.chat.conversation import Conversation, Ending
from bringup.actions.running.session import EngineSession
from bringup.actions.running.silence import SilenceWatch
from bringup.engine.answer_errors import ContextFull
from bringup.engine.answers import ContentDelta, ReasoningDelta
from bringup.errors import BringupError, EngineError
from bringup.faces.render.chat import raw_control_line
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.format import format_count
from bringup.faces.render.run_json import answer_json


def answer_one(
    console: Console, session: EngineSession, question: Conversation, options: AnswerOptions, *, as_json: bool
) -> int:
    """Answer and print; the exit code.

    Raises:
        ContextFull: the question does not fit; both figures are in the message.
        EngineError: nothing was answered.
    """
    stream = AnswerStream(session.api, question, options)
    try:
        with SilenceWatch(session.engine_identity, lambda said: _warn(console, said)) as watch:
            _print(console, stream, watch, as_json=as_json)
    except ContextFull as full:
        full.hint = _way_out(session, full)
        raise
    answer = stream.answer
    session.answered(answer.timings)
    if as_json:
        console.answer_json(answer_json(answer, session))
    elif not answer.turn.text.endswith("\n"):
        console.answer_piece("\n")
    if answer.raw_control is not None:
        console.line(Styled(raw_control_line(answer.raw_control), Style.YELLOW))
    problem = _shortcoming(answer, session)
    if problem is not None:
        raise problem
    if answer.turn.ending is Ending.LIMIT:
        console.line(
            f"The answer ends at the limit of {format_count(options.max_tokens or 0)} tokens (--max-tokens)."
        )
    return 0


def _warn(console: Console, said: str) -> None:
    console.line(Styled(said, Style.YELLOW))


def _print(console: Console, stream: AnswerStream, watch: SilenceWatch, *, as_json: bool) -> None:
    n_pieces = 0
    for event in stream.events():
        watch.heard()
        if isinstance(event, ContentDelta) and not as_json:
            console.answer_piece(event.text)
        elif isinstance(event, ContentDelta | ReasoningDelta):
            n_pieces += 1
            kind = "thinking" if isinstance(event, ReasoningDelta) else "answering"
            console.status(f"{kind}, {format_count(n_pieces)} pieces")
    console.end_status()


def _way_out(session: EngineSession, problem: ContextFull) -> str:
    """What to do about one question that does not fit: there are no older turns to drop."""
    larger = session.larger_n_ctx(needed_tokens=problem.n_prompt_tokens or 0)
    if larger is None:
        return "Shorten it: this model was trained for no larger window."
    return f"Shorten it, or take a larger window: --ctx-size {larger}"


def _shortcoming(answer: Answer, session: EngineSession) -> BringupError | None:
    """What makes this answer less than whole, as an error; `None` when nothing does."""
    if answer.turn.ending is Ending.CUT_OFF:
        return session.why_ended() or answer.problem
    if answer.turn.ending is Ending.WINDOW:
        used = answer.n_used_tokens
        return EngineError(
            "the answer is not whole: the context window is full"
            + (f" ({format_count(used)} of {format_count(session.n_ctx)} tokens)" if used else ""),
            hint="Take a larger window (--ctx-size) or a shorter question.",
            reference="prompt-exceeds-context",
        )
    return None
