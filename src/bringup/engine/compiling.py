"""Carrying out a build from source: configure, compile, gather what runs. Resumed where it stopped."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

from bringup.engine.source_build import (
    AMX_TRIAL,
    TARGET,
    BuildJob,
    BuildStep,
    compile_argv,
    compile_environment,
    configure_argv,
    parse_step,
)
from bringup.errors import EngineError
from bringup.machine import clock, files, paths, scratch
from bringup.machine.long_command import CommandEnd, run_logged
from bringup.records import dataclass

_KEPT_LINES: Final = 4000
_LIBRARY: Final = re.compile(r"lib[\w.+-]+\.so(?:\.[\d.]+)?$")


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """A moment of a compilation: `left_s` is a guess from this run's own pace, `None` at its beginning."""

    step: BuildStep
    elapsed_s: float
    left_s: float | None


class BuildFailed(EngineError):
    """CMake or a compiler refused; `said` are the last lines of this attempt, for a diagnosis."""

    default_reference = "build-failed"

    def __init__(self, message: str, *, said: tuple[str, ...], log_path: str) -> None:
        """`log_path` holds everything."""
        super().__init__(message, hint=f"Its log: {log_path}")
        self.said = said
        self.log_path = log_path


def configure(job: BuildJob, *, environment: dict[str, str], log_path: str) -> None:
    """Let CMake write the build's files.

    Raises:
        BuildFailed: CMake refused.
    """
    _run(configure_argv(job), "CMake could not configure the build", environment, log_path, lambda _: None)


def compile_all(
    job: BuildJob,
    *,
    environment: dict[str, str],
    log_path: str,
    on_progress: Callable[[BuildProgress], None],
) -> CommandEnd:
    """Compile what is not compiled yet.

    Raises:
        BuildFailed: a compiler refused or was killed.
    """
    begun_s = clock.monotonic_s()
    first: list[BuildStep] = []

    def hear(line: str) -> None:
        step = parse_step(line)
        if step is None:
            return
        first[:] = first or [step]
        elapsed_s = clock.monotonic_s() - begun_s
        done = step.done - first[0].done
        left_s = elapsed_s / done * (step.total - step.done) if done > 0 else None
        on_progress(BuildProgress(step, elapsed_s, left_s))

    argv = compile_argv(job)
    return _run(argv, "llama.cpp could not be compiled", compile_environment(environment), log_path, hear)


def has_broken_amx(compiler: str, folder: str, *, environment: dict[str, str]) -> bool:
    """Whether AMX code of this compiler ends with SIGILL on this processor; see `AMX_TRIAL`.

    A trial that cannot be compiled says nothing and counts as sound.
    """
    log_path = paths.join(folder, "amx-trial.log")
    with scratch.scratch_folder(folder, "amx") as place:
        source, program = paths.join(place, "trial.cpp"), paths.join(place, "trial")
        files.write_atomic(source, AMX_TRIAL.encode())
        argv = (compiler, "-O3", "-march=native", "-o", program, source)
        made = run_logged(argv, environment=environment, log_path=log_path, on_line=lambda _: None)
        if not made.is_good:
            return False
        end = run_logged((program,), environment=environment, log_path=log_path, on_line=lambda _: None)
    return end.signal_number is not None


def gather(job: BuildJob, target: str) -> str:
    """Copy the program and its libraries out of the build's folder; the program's path.

    Raises:
        EngineError: the build made no program.
        FileTrouble: no rights, disk full.
    """
    made = paths.join(job.folder, "bin")
    names = tuple(name for name in files.list_names(made) if name == TARGET or _LIBRARY.match(name))
    if TARGET not in names:
        raise EngineError(f"the build made no {TARGET}", context=(f"looked in {made}",))
    scratch.remove_tree(target)
    scratch.copy_files(made, target, names)
    return paths.join(target, TARGET)


def _run(
    argv: tuple[str, ...],
    problem: str,
    environment: dict[str, str],
    log_path: str,
    on_line: Callable[[str], None],
) -> CommandEnd:
    said: deque[str] = deque(maxlen=_KEPT_LINES)

    def hear(line: str) -> None:
        said.append(line)
        on_line(line)

    try:
        end = run_logged(argv, environment=environment, log_path=log_path, on_line=hear)
    except OSError as trouble:
        words = f"{argv[0]}: {trouble.strerror or trouble}"
        raise BuildFailed(problem, said=(words,), log_path=log_path) from trouble
    if not end.is_good:
        raise BuildFailed(problem, said=tuple(said), log_path=log_path)
    return end
