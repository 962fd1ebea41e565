"""How an engine ended, in one record: the kind for the program, the cause and its evidence for people."""

from __future__ import annotations

from enum import Enum

from bringup.errors import EngineError
from bringup.records import dataclass


class ExitKind(Enum):
    """Coarse kinds that callers decide on; the exact fault is `ExitReason.reference`."""

    STOPPED = "stopped"
    """We or somebody asked it to stop."""
    PORT_TAKEN = "port-taken"
    MODEL_BROKEN = "model-broken"
    """The file: damaged, not a model, unreadable, of an unknown kind."""
    OUT_OF_MEMORY = "out-of-memory"
    """It asked for memory and was refused (RAM, VRAM or our own limit)."""
    KILLED_OUT_OF_MEMORY = "killed-out-of-memory"
    """The kernel killed it for memory."""
    KILLED = "killed"
    """SIGKILL by somebody else."""
    CRASHED = "crashed"
    """A bug: assertion, illegal access, illegal instruction."""
    WRONG_SETTINGS = "wrong-settings"
    """A flag, template or key that it refused."""
    CANNOT_RUN = "cannot-run"
    """The program or one of its libraries cannot be loaded."""
    STALLED = "stalled"
    """It made no progress while loading and we ended it."""
    FAILED = "failed"
    """It ended on its own and its log does not say why."""


@dataclass(frozen=True, slots=True)
class ExitReason:
    """Why an engine is gone.

    Attributes:
        kind: see `ExitKind`.
        cause: one sentence.
        evidence: log lines (or what else was seen) that show it, as printed; foreign text.
        reference: id of the fault, kebab-case.
        hint: what to do next; may be empty.
        exit_code: the process's exit code, `None` when a signal ended it or it never ran.
        signal_number: the signal, `None` without one.
    """

    kind: ExitKind
    cause: str
    evidence: tuple[str, ...] = ()
    reference: str = "engine-failed"
    hint: str = ""
    exit_code: int | None = None
    signal_number: int | None = None


class EngineStopped(EngineError):
    """An engine that we needed is gone; `reason` has it all."""

    def __init__(self, reason: ExitReason) -> None:
        """The error for people of a reason."""
        super().__init__(reason.cause, context=reason.evidence, hint=reason.hint, reference=reason.reference)
        self.reason = reason
