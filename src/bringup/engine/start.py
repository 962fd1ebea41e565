"""Start an engine: everything that has to be there before it can load, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.engine.build import start_line
from bringup.engine.job import KeeperJob
from bringup.engine.keeping import KeeperLink
from bringup.machine import files, paths
from bringup.machine.process import own_pid

if TYPE_CHECKING:
    from bringup.engine.build import EngineBuild
    from bringup.engine.command import EngineSettings
    from bringup.engine.server import RunningEngine
    from bringup.engine.waiting import WaitingEngine


def start_engine(
    build: EngineBuild,
    settings: EngineSettings,
    *,
    log_path: str,
    environment: dict[str, str],
    memory_limit_bytes: int | None = None,
    waiting: WaitingEngine | None = None,
) -> RunningEngine:
    """Start an engine and return at once; it is loading then.

    Args:
        build: which engine.
        settings: what with.
        log_path: file for its output; a log already there becomes `log_path.1`.
        environment: its whole environment, from `clean_environment`.
        memory_limit_bytes: bound of its private memory (CPU engines), from the plan.
        waiting: a process that was started early, to be used if it is the one.

    Raises:
        EngineError, WrongUse: the settings cannot be spelled for this build.
        FileTrouble: the log's folder cannot be made.
    """
    known = waiting.options_of(build) if waiting is not None and build.is_external else None
    line = start_line(build, settings, environment=environment, known=known)
    files.make_private_folder(paths.dirname(log_path))
    job = KeeperJob(
        argv=line.argv,
        environment=environment,
        stdin=line.stdin,
        log_path=log_path,
        parent_pid=own_pid(),
        data_limit_bytes=memory_limit_bytes,
    )
    link = (waiting.take() if waiting is not None else None) or KeeperLink(environment)
    try:
        link.give(job)
        # It loads from here on: what watches it and names its end is imported meanwhile.
        from bringup.engine.server import RunningEngine

        return RunningEngine(build, settings, link, log_path=log_path)
    except BaseException:
        link.kill()
        raise
