"""Which engine would be started here, told from files alone: whether it knows CUDA, what is wrong with it."""

from __future__ import annotations

from bringup.actions.configuration import read_configuration
from bringup.actions.diagnosis.known_bad import BadBuild, bad_build
from bringup.engine.build import EngineBuild
from bringup.engine.find import find_embedded, find_programs, find_wheel
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.reading import Known
from bringup.stack.build import probe_engine


def next_bad_build(machine: Machine, ours: Folders) -> BadBuild | None:
    """The engine that `run` would take, where its build is known to be bad.

    Raises:
        WrongUse: the configuration file is wrong; it says where.
    """
    wheel, program = _next_engine(machine, ours)
    if wheel is not None or program is None:
        return None  # a wheel is newer than all that is known to be bad
    number = probe_engine(machine, program).number
    return bad_build(program, number.value) if isinstance(number, Known) else None


def engine_without_cuda(machine: Machine, ours: Folders) -> str | None:
    """The engine that `run` would take, in words, where it surely knows no CUDA; `None` where it may.

    Raises:
        WrongUse: as `next_bad_build`.
    """
    wheel, program = _next_engine(machine, ours)
    if wheel is not None:
        return None if wheel.backend == "cuda" else f"the wheel {wheel.version}"
    if program is None:
        return "the one of the Python package" if find_embedded() is not None else None
    backends = probe_engine(machine, program).backends
    return program if isinstance(backends, Known) and "cuda" not in backends.value else None


def _next_engine(machine: Machine, ours: Folders) -> tuple[EngineBuild | None, str | None]:
    """A wheel that is taken before all programs, or the program that is; neither where there is none."""
    configured = read_configuration(ours).engine.path
    programs = find_programs(machine, configured_path=configured, builds_folder=ours.builds)
    wheel = find_wheel(machine, ours.builds)
    if wheel is not None and "configuration" not in programs.values():
        return wheel, None
    return None, next(iter(programs), None)
