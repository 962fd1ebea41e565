"""What `bringup serve` does: in front until it is stopped, detached, or as a unit for systemd."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from bringup.actions.running.preparation import EngineWishes
from bringup.actions.running.serve import ServedEngine, serve_detached, served_engine, unit_for
from bringup.actions.running.session import EngineSession
from bringup.actions.running.silence import StillWatch
from bringup.actions.surroundings import Surroundings
from bringup.errors import WrongUse
from bringup.faces.cli.starting import StartWatcher, obtain_as
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.serve import served_lines, slots_line, try_lines, warnings
from bringup.machine import clock
from bringup.records import dataclass

_LOOK_S: Final = 0.2
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of the command, as typed."""

    model: str
    engine_arguments: tuple[str, ...]
    ctx_size: int | None
    engine: str | None
    reasoning: str | None
    threads: int | None
    port: int | None
    explain: bool
    keep_engine_environment: bool
    host: str | None
    parallel: int
    alias: str | None
    embeddings: bool
    no_key: bool
    key_file: str | None
    page: bool
    detach: bool
    unit: bool

    def wishes(self) -> EngineWishes:
        """What the engine is to be started with. A port that was named is had or refused."""
        return EngineWishes(
            engine=self.engine,
            n_ctx=self.ctx_size,
            n_parallel=self.parallel,
            reasoning=self.reasoning,
            n_threads=self.threads,
            host=self.host,
            port=self.port,
            may_move_port=False,
            alias=self.alias,
            embeddings=self.embeddings,
            key_file=self.key_file,
            no_key=self.no_key,
            web_page=self.page,
            keep_engine_environment=self.keep_engine_environment,
            extra=self.engine_arguments,
        )

    def arguments(self) -> tuple[str, ...]:
        """The options as words of a command line, without `--unit` and `--detach`."""
        values = (
            ("--ctx-size", self.ctx_size),
            ("--engine", self.engine),
            ("--reasoning", self.reasoning),
            ("--threads", self.threads),
            ("--port", self.port),
            ("--host", self.host),
            ("--parallel", self.parallel if self.parallel > 1 else None),
            ("--alias", self.alias),
            ("--key-file", self.key_file),
        )
        flags = (
            ("--keep-engine-environment", self.keep_engine_environment),
            ("--embeddings", self.embeddings),
            ("--no-key", self.no_key),
            ("--page", self.page),
        )
        words = [word for name, value in values if value is not None for word in (name, str(value))]
        words += [name for name, is_set in flags if is_set]
        return (*words, *(("--", *self.engine_arguments) if self.engine_arguments else ()))


def serve(console: Console, options: ServeOptions, around: Surroundings) -> int:
    """Serve; the exit code."""
    if options.no_key and options.key_file is not None:
        raise WrongUse("--no-key and --key-file exclude each other")
    if options.unit:
        return _print_unit(console, options, around)
    model, wishes = obtain_as(console, options.model, options.wishes(), around)
    watcher = StartWatcher(console, verbose=True, tells_port=True, explains=options.explain)
    if not options.detach:
        with _signals_interrupt(), EngineSession(model, wishes, around, watcher) as session:
            return _stand(console, session)
    served = serve_detached(
        model,
        wishes,
        around,
        on_prepared=watcher.prepared,
        on_wait=lambda record: console.status(f"{record.state.value} {record.alias}"),
    )
    _show(console, served)
    console.line(Styled("It goes on in the background: bringup ps, bringup stop, bringup logs.", Style.DIM))
    return 0


def _stand(console: Console, session: EngineSession) -> int:
    """Say what is served and stay until somebody stops us, or the engine ends by itself."""
    try:
        _show(console, served_engine(session.preparation))
        console.line(Styled("Ctrl-C stops it.", Style.DIM))
        still = StillWatch(session.engine_identity)
        while (cause := session.poll()) is None:
            clock.sleep_s(_LOOK_S)
            if said := still.look(is_busy=False):
                console.note(said, Style.YELLOW)
    except KeyboardInterrupt:
        session.close()
        console.line("Stopped.")
        return 0
    raise cause


def _show(console: Console, served: ServedEngine) -> None:
    for line in served_lines(served, shows_key=console.answer_terminal.is_terminal):
        console.answer(line)
    console.line(Styled("Try it, after the two lines above:", Style.DIM))
    for line in try_lines(served):
        console.line(f"  {line}")
    if shared := slots_line(served):
        console.line(shared)
    for line in warnings(served):
        console.note(line, Style.YELLOW)
    console.line(Styled(f"log: {served.log_path}", Style.DIM))


def _print_unit(console: Console, options: ServeOptions, around: Surroundings) -> int:
    console.answer_piece(unit_for(options.model, options.wishes(), around, options.arguments()))
    console.line(
        "# Save it as ~/.config/systemd/user/bringup.service, then: systemctl --user daemon-reload && "
        "systemctl --user enable --now bringup. To have it without a login: loginctl enable-linger."
    )
    return 0


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end it all as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
