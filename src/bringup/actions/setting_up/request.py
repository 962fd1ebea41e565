"""What is asked of a setup, what it would do, and what it did."""

from __future__ import annotations

from bringup.actions.setting_up.choice import SetupChoice, SetupWishes
from bringup.actions.setting_up.needs import Missing
from bringup.actions.setting_up.source import SourceWishes
from bringup.engine.builds import BuildRecord
from bringup.engine.proof import Proof
from bringup.engine.source_build import Backend, BuildJob, compile_argv, configure_argv
from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """What the user wants.

    Attributes:
        wishes: backend and method.
        source: which source.
        n_jobs: compilers at once; `None` by cores and memory.
    """

    wishes: SetupWishes
    source: SourceWishes
    n_jobs: int | None = None

    @property
    def may_lose_card(self) -> bool:
        """Whether the CPU was asked for by name."""
        return self.wishes.backend is Backend.CPU


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What would be done.

    Attributes:
        choice: the engine and why.
        missing: what stands in the way of a build.
        job: the build, with `SOURCE`; its source folder is a guess before it is fetched.
        name: of the build.
    """

    choice: SetupChoice
    missing: tuple[Missing, ...] = ()
    job: BuildJob | None = None
    name: str = ""

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The commands of the build: configure, compile; none where nothing is built."""
        return () if self.job is None else (configure_argv(self.job), compile_argv(self.job))


@dataclass(frozen=True, slots=True)
class SetupResult:
    """What was done: the plan, the proof, and the record where a build was put down."""

    plan: SetupPlan
    proof: Proof
    record: BuildRecord | None
