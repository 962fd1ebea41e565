"""Serve a model: detached under a supervisor, or as a systemd unit. In front it is an `EngineSession`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from bringup.actions.models.pull import find_model
from bringup.actions.running.preparation import EngineWishes, Preparation, prepare
from bringup.actions.running.run_record import RunRecord, record_detached
from bringup.actions.surroundings import Surroundings
from bringup.engine.command import LOOPBACK_HOSTS
from bringup.engine.registry import EngineRecord, EngineState, mark_ended, stop_running
from bringup.errors import BringupError
from bringup.machine import files, paths, process
from bringup.machine.protocol import Machine
from bringup.reading import Known
from bringup.records import dataclass, replace
from bringup.store.local import LocalModel
from bringup.store.names import LocalPath, parse_name
from bringup.units import GIB

_NAMESPACE_GATES: Final = (
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ("/proc/sys/user/max_user_namespaces", "0"),
)
"""Files and what in them closes user namespaces off to a user's systemd."""


@dataclass(frozen=True, slots=True)
class ServedEngine:
    """What a person needs to use a server.

    Attributes:
        base_url: address without `/v1`.
        alias: the model's name in the API.
        key_file: where the key is; `None` when there is none.
        host: address that it listens on.
        is_embeddings: it serves embeddings and no chat.
        log_path: the engine's log.
        n_parallel: slots, so many requests are answered at once.
        n_ctx: context window in tokens of all slots together.
    """

    base_url: str
    alias: str
    key_file: str | None
    host: str
    is_embeddings: bool
    log_path: str
    n_parallel: int
    n_ctx: int

    @property
    def is_on_network(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in LOOPBACK_HOSTS

    def key(self) -> str | None:
        """The key itself; read when it is to be shown, kept nowhere."""
        if self.key_file is None:
            return None
        lines = (files.read_small(self.key_file, limit_bytes=64 * 1024) or b"").decode("utf-8", "replace")
        return next((line for line in lines.splitlines() if line and not line.startswith("#")), None)


def served_engine(preparation: Preparation) -> ServedEngine:
    """The server that was prepared."""
    settings = preparation.settings
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host else host
    return ServedEngine(
        base_url=f"http://{shown}:{settings.port}",
        alias=settings.alias,
        key_file=settings.api_key_file,
        host=settings.host,
        is_embeddings=settings.embeddings,
        log_path=preparation.log_path,
        n_parallel=settings.n_parallel,
        n_ctx=settings.n_ctx,
    )


def serve_detached(
    model: LocalModel,
    wishes: EngineWishes,
    around: Surroundings,
    *,
    on_prepared: Callable[[Preparation], None],
    on_wait: Callable[[EngineRecord], None],
) -> ServedEngine:
    """Start a server that outlives this command; it answers when this returns.

    Raises:
        BringupError: it could not be prepared or started; nothing is left running then.
    """
    # A server in front needs none of these, and its engine waits for what is imported.
    from bringup.actions.running.engine_ends import note_ends
    from bringup.engine.supervisor import DetachedJob, start_detached, wait_detached

    preparation = prepare(model, wishes, around)
    on_prepared(preparation)
    note_ends(around.folders)
    job = DetachedJob(
        folders=around.folders,
        build=preparation.build,
        settings=preparation.settings,
        log_path=preparation.log_path,
        environment=preparation.environment.variables,
        memory_limit_bytes=preparation.plan.memory_limit_bytes,
        model_texts=preparation.model_texts,
    )
    record = start_detached(job, around.supervisor)
    try:
        wait_detached(record, around.folders, on_wait=on_wait)
    except BaseException as problem:
        if not isinstance(problem, BringupError):
            stop_running(around.folders, record)
        elif isinstance(problem, BringupError):
            RunRecord().failed(model, problem, n_ctx=wishes.n_ctx)
            mark_ended(around.folders, replace(record, state=EngineState.FAILED))
        raise
    record_detached(preparation, wishes)
    return served_engine(preparation)


def unit_for(name: str, wishes: EngineWishes, around: Surroundings, arguments: tuple[str, ...]) -> str:
    """The systemd user unit that serves a model.

    `arguments` are those of the command line without `--unit` and `--detach`. The memory limit is set only
    where the model is on the disk already, since it comes from the plan.

    Raises:
        BringupError: the name is none, or the model does not fit.
    """
    from bringup.engine.unit_file import Unit, unit_text

    parsed = parse_name(name)
    typed = parsed.path if isinstance(parsed, LocalPath) else name
    model = find_model(name, around.folders)
    limit = prepare(model, wishes, around).plan.total_bytes() + GIB if model is not None else None
    unit = Unit(
        description=f"bringup: {paths.basename(typed)}",
        argv=process.python_argv("bringup", "serve", typed, *_from_anywhere(arguments)),
        memory_max_bytes=limit,
        has_user_namespaces=has_user_namespaces(around.machine),
    )
    return unit_text(unit, around.folders)


def _from_anywhere(arguments: tuple[str, ...]) -> Iterator[str]:
    """The words with whole paths: systemd starts them in another folder than a person is in."""
    before = ""
    is_ours = True
    for word in arguments:
        is_path = before == "--key-file" or (before == "--engine" and "/" in word)
        yield paths.absolute(word) if is_ours and is_path else word
        before, is_ours = word, is_ours and word != "--"


def has_user_namespaces(machine: Machine) -> bool:
    """Whether this machine lets a user's systemd make user namespaces, as far as its settings tell."""
    for path, closed in _NAMESPACE_GATES:
        reading = machine.read_text(path)
        if isinstance(reading, Known) and reading.value.strip() == closed:
            return False
    return True
