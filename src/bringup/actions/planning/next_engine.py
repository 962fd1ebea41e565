"""Which engine would be started here, told from files alone: whether it knows CUDA, what is wrong with it."""

from __future__ import annotations

from bringup.actions.configuration import read_configuration
from bringup.actions.diagnosis.known_bad import BadBuild, bad_build
from bringup.engine.find import find_embedded, find_programs, find_wheel
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.reading import Known
from bringup.stack.build import probe_engine


def next_bad_build(machine: Machine, ours: Folders) -> BadBuild | None:
    """The engine that `run` would take, where its build is known to be bad.

    Raises:
        WrongUse: as `engine_without_cuda`.
    """
    configured = read_configuration(ours).engine.path
    programs = find_programs(machine, configured_path=configured, builds_folder=ours.builds)
    wheel = find_wheel(machine, ours.builds)
    if wheel is not None and "configuration" not in programs.values():
        return None  # a wheel is newer than all that is known to be bad
    for program in programs:
        number = probe_engine(machine, program).number
        return bad_build(program, number.value) if isinstance(number, Known) else None
    return None


def engine_without_cuda(machine: Machine, ours: Folders) -> str | None:
    """The engine that `run` would take, in words, where it surely knows no CUDA; `None` where it may.

    Raises:
        WrongUse: the configuration file is wrong; it says where.
    """
    configured = read_configuration(ours).engine.path
    programs = find_programs(machine, configured_path=configured, builds_folder=ours.builds)
    wheel = find_wheel(machine, ours.builds)
    if wheel is not None and "configuration" not in programs.values():
        return None if wheel.backend == "cuda" else f"the wheel {wheel.version}"
    for program in programs:
        backends = probe_engine(machine, program).backends
        return program if isinstance(backends, Known) and "cuda" not in backends.value else None
    return "the one of the Python package" if find_embedded() is not None else None
