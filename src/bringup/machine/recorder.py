"""Looks at a machine and writes down every answer, so that the answers can be had again elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bringup.machine import look
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, DiskSpace, FileStat, Machine
from bringup.machine.recording import Recording, save_recording
from bringup.reading import Known, Reading, Unreadable
from bringup.records import replace

if TYPE_CHECKING:
    from bringup.machine.redaction import Redactor

T = TypeVar("T")


class Recorder:
    """A machine that passes each look on to another one and keeps the answer.

    The looker gets the true answers. What is saved went through the redactor, if there is one: contents,
    names, paths, arguments, variables and reasons alike.
    """

    def __init__(self, machine: Machine) -> None:
        """`machine` is what is looked at."""
        self._machine = machine
        self._recording = Recording()

    @property
    def recording(self) -> Recording:
        """What was answered so far."""
        return self._recording

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        """The bytes of a file. Of several looks at one file the one that saw it is kept."""
        reading = self._machine.read(path, limit_bytes=limit_bytes)
        if isinstance(reading, Known) or not isinstance(self._recording.reads.get(path), Known):
            self._recording.reads[path] = reading
        return reading

    def read_text(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[str]:
        """The text of a file, UTF-8 with replacement of what is not."""
        return look.as_text(self.read(path, limit_bytes=limit_bytes))

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        """Names in a folder, sorted."""
        reading = self._machine.list_folder(path)
        self._recording.lists[path] = reading
        return reading

    def stat(self, path: str) -> Reading[FileStat]:
        """What the file system says of a path."""
        reading = self._machine.stat(path)
        self._recording.stats[path] = reading
        return reading

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        """Run a read-only command."""
        reading = self._machine.run(argv, timeout_s=timeout_s)
        self._recording.commands[argv] = reading
        return reading

    def environment(self, name: str) -> Reading[str]:
        """An environment variable."""
        reading = self._machine.environment(name)
        self._recording.environment[name] = reading
        return reading

    def disk_space(self, path: str) -> Reading[DiskSpace]:
        """Space of the file system that holds a path."""
        reading = self._machine.disk_space(path)
        self._recording.disk_spaces[path] = reading
        return reading

    def now_s(self) -> Reading[float]:
        """Unix time; the first answer is the moment of the recording."""
        reading = self._machine.now_s()
        if self._recording.clock is None:
            self._recording.clock = reading
        return reading

    def save(self, folder: str, redactor: Redactor | None) -> None:
        """Write the recording as a folder that `RecordedMachine` opens.

        Args:
            folder: where; nothing may be recorded there yet.
            redactor: takes out what names a person, a machine or a secret; `None` only for what stays here.

        Raises:
            FileTrouble: it cannot be written.
        """
        kept = self._recording if redactor is None else redacted(self._recording, redactor)
        save_recording(kept, folder)


def redacted(recording: Recording, redactor: Redactor) -> Recording:
    """A copy of a recording with every text of it redacted."""
    text = redactor.redact
    return Recording(
        reads={
            text(path): _reading(reading, redactor, partial(redactor.redact_file, path))
            for path, reading in recording.reads.items()
        },
        lists=_table(recording.lists, redactor, lambda names: tuple(sorted(map(text, names)))),
        stats=_table(recording.stats, redactor, partial(_redacted_stat, redactor)),
        commands={
            redactor.redact_argv(argv): _reading(reading, redactor, partial(_redacted_result, redactor))
            for argv, reading in recording.commands.items()
        },
        environment={
            name: _reading(reading, redactor, partial(redactor.redact_variable, name))
            for name, reading in recording.environment.items()
        },
        disk_spaces=_table(recording.disk_spaces, redactor, replace),
        clock=recording.clock,
    )


def _table(
    table: dict[str, Reading[T]], redactor: Redactor, redact: Callable[[T], T]
) -> dict[str, Reading[T]]:
    return {redactor.redact(path): _reading(reading, redactor, redact) for path, reading in table.items()}


def _reading(reading: Reading[T], redactor: Redactor, redact: Callable[[T], T]) -> Reading[T]:
    source = redactor.redact(reading.source)
    if isinstance(reading, Known):
        return Known(redact(reading.value), source)
    if isinstance(reading, Unreadable):
        return Unreadable(source, redactor.redact(reading.why))
    return replace(reading, source=source)


def _redacted_stat(redactor: Redactor, stat: FileStat) -> FileStat:
    target = stat.link_target
    return stat if target is None else replace(stat, link_target=redactor.redact(target))


def _redacted_result(redactor: Redactor, result: CommandResult) -> CommandResult:
    argv = redactor.redact_argv(result.argv)
    return CommandResult(
        argv, result.exit_code, redactor.redact(result.stdout), redactor.redact(result.stderr)
    )
