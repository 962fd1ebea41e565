"""Where we are before anything is planned: the machine, our folders, the user's settings, the engine.

Cheap to import: `run` and `serve` let the engine's process load its library while they import all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bringup.actions.configuration import Configuration, read_configuration
from bringup.engine.build import EngineBuild
from bringup.engine.environment import EngineEnvironment, clean_environment
from bringup.engine.find import choose_engine, find_embedded, find_engines, find_programs, find_wheel
from bringup.engine.waiting import WaitingEngine, WaitingSupervisor
from bringup.errors import EngineError
from bringup.machine import folders
from bringup.machine.folders import Folders
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import Machine
from bringup.records import dataclass, replace


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where we are.

    Attributes:
        machine: the machine.
        folders: our folders.
        configuration: the user's settings.
        waiting: a process that loads the embedded engine's library already, for the first engine.
        supervisor: the same behind a supervisor, for an engine that goes on in the background.
    """

    machine: Machine
    folders: Folders
    configuration: Configuration
    waiting: WaitingEngine | None = None
    supervisor: WaitingSupervisor | None = None

    def wait_no_more(self) -> None:
        """End what waits: it would do so for long, or for nothing."""
        for one in (self.waiting, self.supervisor):
            if one is not None:
                one.close()


def look_around() -> Surroundings:
    """This machine, our folders and the user's settings.

    Raises:
        WrongUse: the configuration file is wrong; it says where.
    """
    ours = folders.our_folders()
    return Surroundings(LiveMachine(), ours, read_configuration(ours))


@contextmanager
def starting_early(
    *,
    engine: str | None,
    keep_engine_environment: bool = False,
    is_wanted: bool = True,
    is_detached: bool = False,
) -> Iterator[Surroundings]:
    """As `look_around`, and what can be done for the engine that is sure to be chosen is begun already.

    The embedded one's process waits for its parameters; an external one is asked for its options, and its
    keeper waits. What has not been taken when the block is left is ended.

    Args:
        engine: the engine that the user named.
        keep_engine_environment: whether the user wants `LLAMA_*` and `GGML_*` variables honoured.
        is_wanted: whether an engine is to be started at all.
        is_detached: it is to go on in the background.
    """
    around = look_around()
    is_embedded = is_embedded_next(engine, around)
    program = None if is_embedded or is_detached else _program_next(engine, around)
    if not is_wanted or not (is_embedded or program):
        yield around
        return
    environment = engine_environment(
        around, is_external=not is_embedded, keep_engine_variables=keep_engine_environment
    )
    if is_detached:
        with WaitingSupervisor(environment.variables) as supervisor:
            yield replace(around, supervisor=supervisor)
        return
    with WaitingEngine(environment.variables, program=program) as waiting:
        yield replace(around, waiting=waiting)


def is_embedded_next(wanted: str | None, around: Surroundings) -> bool:
    """Whether `find_build` will choose the embedded engine, told without running any other."""
    if wanted not in (None, "embedded") or find_embedded() is None:
        return False
    if find_wheel(around.machine, around.folders.builds) is not None:
        return False  # it is another's library that will be run
    return wanted is not None or not find_programs(
        around.machine,
        configured_path=around.configuration.engine.path,
        builds_folder=around.folders.builds,
    )


def _program_next(wanted: str | None, around: Surroundings) -> str | None:
    """The external engine that `find_build` will choose; `None` where it is another or cannot be told."""
    if wanted == "embedded" or find_wheel(around.machine, around.folders.builds) is not None:
        return None
    is_path = wanted is not None and "/" in wanted
    programs = find_programs(
        around.machine,
        configured_path=wanted if is_path else around.configuration.engine.path,
        builds_folder=around.folders.builds,
    )
    return next(iter(programs), None)


def find_build(wanted: str | None, around: Surroundings) -> EngineBuild:
    """The engine to use.

    Raises:
        EngineError: none, or not the wanted one.
    """
    is_path = wanted is not None and "/" in wanted
    configured = around.configuration.engine.path
    engines = find_engines(
        around.machine,
        configured_path=wanted if is_path else configured,
        builds_folder=around.folders.builds,
    )
    if wanted is None and configured and not any(one.origin == "configuration" for one in engines):
        raise EngineError(
            f"there is no llama-server at {configured}, which the configuration names",
            hint="Mend engine.path in config.toml, or take another for once: --engine embedded.",
            reference="engine-not-found",
        )
    return choose_engine(engines, wanted)


def engine_environment(
    around: Surroundings, *, is_external: bool, keep_engine_variables: bool
) -> EngineEnvironment:
    """What an engine gets of our environment, as the user's settings or this command line want it."""
    return clean_environment(
        folders.all_variables(),
        is_external=is_external,
        keep_engine_variables=keep_engine_variables or around.configuration.engine.keep_environment,
    )
