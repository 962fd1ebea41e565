"""What `bringup run` does: a chat where a person sits at a terminal, one answer everywhere else.

What only an engine that answers needs is imported while it loads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bringup.actions.models.names import model_to_run
from bringup.actions.running.preparation import EngineWishes
from bringup.actions.surroundings import Surroundings
from bringup.errors import WrongUse
from bringup.faces.cli.question import DEMO_QUESTION, read_question
from bringup.faces.cli.starting import StartWatcher, obtain, open_session
from bringup.faces.render.console import Console, Style, Styled
from bringup.machine.terminal import is_a_terminal
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.actions.chat.answer import AnswerOptions

_DEMO_TOKENS: Final = 200


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of the command, as typed."""

    model: str | None
    prompt: str | None
    system: str
    as_json: bool
    demo: bool
    verbose: bool
    ctx_size: int | None
    engine: str | None
    reasoning: str | None
    threads: int | None
    port: int | None
    explain: bool
    keep_engine_environment: bool
    temperature: float | None
    seed: int | None
    max_tokens: int | None

    def wishes(self) -> EngineWishes:
        """What the engine is to be started with."""
        return EngineWishes(
            engine=self.engine,
            n_ctx=self.ctx_size,
            reasoning=self.reasoning,
            n_threads=self.threads,
            port=self.port,
            keep_engine_environment=self.keep_engine_environment,
        )

    def watcher(self, console: Console, *, verbose: bool, meanwhile: Callable[[], None]) -> StartWatcher:
        """Who shows the start; `meanwhile` is done while the engine loads."""
        return StartWatcher(
            console,
            verbose=verbose,
            tells_port=self.port is not None,
            explains=self.explain,
            meanwhile=meanwhile,
        )

    def answer_options(self) -> AnswerOptions:
        """How answers are sampled."""
        from bringup.actions.chat.answer import AnswerOptions

        return AnswerOptions(self.temperature, self.seed, self.max_tokens)

    def demo_options(self) -> AnswerOptions:
        """How the built-in question is answered unless said otherwise: shortly, and each time the same."""
        from bringup.actions.chat.answer import AnswerOptions

        temperature = 0.0 if self.temperature is None else self.temperature
        return AnswerOptions(temperature, self.seed, self.max_tokens or _DEMO_TOKENS)


def run(console: Console, options: RunOptions, surroundings: Surroundings) -> int:
    """Chat or answer; the exit code."""
    if options.prompt is None and not options.as_json and console.is_interactive:
        return _chat(console, options, surroundings)
    return _answer(console, options, surroundings)


def _answer(console: Console, options: RunOptions, surroundings: Surroundings) -> int:
    text = _question(console, options)
    name = model_to_run(options.model, surroundings.configuration.model.default)
    is_demo = options.demo and options.prompt is None
    watcher = options.watcher(console, verbose=options.verbose or is_demo, meanwhile=_load_answering)
    with open_session(console, name, options.wishes(), surroundings, watcher) as session:
        from bringup.actions.chat.conversation import Conversation
        from bringup.faces.cli.one_answer import answer_one

        conversation = Conversation(options.system).asked(text)
        sampling = options.demo_options() if is_demo else options.answer_options()
        return answer_one(console, session, conversation, sampling, as_json=options.as_json)


def _load_answering() -> None:
    import bringup.faces.cli.one_answer  # noqa: F401 - so that the first answer need not wait for it


def _load_chat() -> None:
    import prompt_toolkit  # noqa: F401 - so that the first line can be typed at once

    import bringup.faces.cli.chat_loop  # noqa: F401


def _question(console: Console, options: RunOptions) -> str:
    if options.prompt is not None:
        if not options.prompt.strip():
            raise WrongUse(
                "the prompt is empty",
                hint='Give a question: bringup run --prompt "..."; or leave --prompt out.',
                reference="no-question",
            )
        return options.prompt
    if options.demo:
        console.line(Styled(f"> {DEMO_QUESTION}", Style.BOLD))
        return DEMO_QUESTION
    if is_a_terminal(console.stdin) and options.as_json:
        raise WrongUse(
            "there is no question",
            hint='Give one: bringup run --json --prompt "..."',
            reference="no-question",
        )
    if is_a_terminal(console.stdin):
        raise WrongUse(
            "a chat needs a terminal for its output too",
            hint='Give one question: bringup run --prompt "..."',
            reference="no-terminal",
        )
    return read_question(console)


def _chat(console: Console, options: RunOptions, surroundings: Surroundings) -> int:
    name = model_to_run(options.model, surroundings.configuration.model.default)
    watcher = options.watcher(console, verbose=True, meanwhile=_load_chat)
    with open_session(console, name, options.wishes(), surroundings, watcher) as session:
        from bringup.actions.chat.chat_file import history_file
        from bringup.actions.chat.conversation import Conversation
        from bringup.faces.cli.chat import Talk
        from bringup.faces.cli.chat_input import TerminalInput
        from bringup.faces.cli.chat_loop import chat

        history = history_file(surroundings.folders)
        source = TerminalInput(history, colour=console.answer_terminal.can_colour)
        talk = Talk(
            console, session, source, options.answer_options(), obtain=lambda wanted: obtain(console, wanted)
        )
        talk.conversation = Conversation(options.system)
        console.note("Type a message. /help lists the commands, Ctrl-D leaves.", Style.DIM)
        chat(talk, source, surroundings.folders)
    return 0
