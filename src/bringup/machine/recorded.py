"""A recorded machine: a folder that is looked at in place of the machine that it was taken from.

    root/           its files; text as it was read
    machine.toml    environment, clock, disk space, stats of devices, unreadable paths with their reason
    commands.json   what commands printed: a list of objects with `argv` and either `exit_code`, `stdout` and
                    `stderr`, or `absent: true` (not installed), or `unreadable` (why, e.g. timed out)
    looks.json      only in what the recorder wrote: each look with its outcome, exact to the byte

A folder made by hand is complete as far as it goes: in a folder that is in `root/`, a missing child is
absent; below a folder that is not there, and for a command that is not listed, the answer is "not
recorded", which is unreadable. In a recorder's folder only the looks that were taken are answered.

machine.toml, every part optional:

    now_s = 1763958063.0
    [environment]                # complete when it is there
    HOME = "/home/user"
    [unreadable]
    "/etc/shadow" = "Permission denied"
    [disk_space."/home"]
    total_bytes = 1000
    free_bytes = 500
    [stat."/dev/nvidia0"]
    kind = "device"
    mode = 0o666
"""

from __future__ import annotations

import os
from typing import Final, Self

from bringup.machine import look
from bringup.machine.commands import source_of
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, DiskSpace, FileStat
from bringup.machine.recording import Recording, load_recording
from bringup.machine.rooted import resolve_inside
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import replace

NOT_RECORDED: Final = "not recorded"


class RecordedMachine:
    """A machine that answers from a folder; nothing is run and nothing of ours is looked at."""

    def __init__(self, folder: str) -> None:
        """Load the folder's tables.

        Raises:
            FileTrouble: it is not there, or damaged.
        """
        self._recording = load_recording(folder)
        self._root = os.path.join(os.path.realpath(folder), "root")

    @classmethod
    def from_recording(cls, recording: Recording) -> Self:
        """The machine of an exact recording in memory; no file is looked at."""
        machine = cls.__new__(cls)
        machine._recording = recording
        machine._root = ""
        return machine

    def read(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[bytes]:
        """The bytes of a recorded file."""
        found = self._recording.reads.get(path)
        if found is None:
            place = self._place(path)
            if not isinstance(place, str):
                return place
            return look.read_file(place, source=path, limit_bytes=limit_bytes, follow=False)
        if isinstance(found, Known) and len(found.value) > limit_bytes:
            return look.too_large(path, limit_bytes)
        return found

    def read_text(self, path: str, *, limit_bytes: int = READ_LIMIT_BYTES) -> Reading[str]:
        """The text of a recorded file, UTF-8 with replacement of what is not."""
        return look.as_text(self.read(path, limit_bytes=limit_bytes))

    def list_folder(self, path: str) -> Reading[tuple[str, ...]]:
        """Names in a recorded folder, sorted."""
        found = self._recording.lists.get(path)
        if found is not None:
            return found
        place = self._place(path)
        return look.list_names(place, source=path) if isinstance(place, str) else place

    def stat(self, path: str) -> Reading[FileStat]:
        """What was recorded of a path; in a folder made by hand the files belong to root and have no date."""
        recorded = self._recording.stats.get(path)
        if recorded is not None:
            return recorded
        place = self._place(path, follow_last=False)
        if not isinstance(place, str):
            return place
        found = look.stat_path(place, source=path)
        if not isinstance(found, Known):
            return found
        plain = replace(found.value, user_id=0, group_id=0, modified_s=0.0, device=0, inode=0)
        return Known(plain, path)

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:  # noqa: ARG002
        """What the command printed when it was recorded."""
        found = self._recording.commands.get(argv)
        return Unreadable(source_of(argv), NOT_RECORDED) if found is None else found

    def environment(self, name: str) -> Reading[str]:
        """A recorded variable."""
        found = self._recording.environment.get(name)
        if found is not None:
            return found
        source = f"environment variable {name}"
        return Absent(source) if self._recording.is_environment_complete else Unreadable(source, NOT_RECORDED)

    def disk_space(self, path: str) -> Reading[DiskSpace]:
        """Recorded space of the file system that holds a path; by hand the nearest path above counts, too."""
        place = path
        while place not in self._recording.disk_spaces:
            if self._recording.is_exact or place in ("", "/"):
                return Unreadable(path, NOT_RECORDED)
            place = place.rpartition("/")[0] or "/"
        found = self._recording.disk_spaces[place]
        return replace(found, source=path)

    def now_s(self) -> Reading[float]:
        """The moment of the recording."""
        return self._recording.clock or Unreadable("clock", NOT_RECORDED)

    def _place(self, path: str, *, follow_last: bool = True) -> str | Absent | Unreadable:
        """Where a path lies in `root/`; the folder that holds it has to be there."""
        wrong = look.relative_path(path)
        if wrong is not None:
            return wrong
        why = self._why_unreadable(path)
        if why is not None:
            return Unreadable(path, why)
        if self._recording.is_exact or not os.path.isdir(self._root):
            return Unreadable(path, NOT_RECORDED)
        try:
            return resolve_inside(self._root, path, follow_last=follow_last)
        except FileNotFoundError:
            return Unreadable(path, NOT_RECORDED)
        except (OSError, ValueError) as problem:
            return look.failed_look(problem, path)

    def _why_unreadable(self, path: str) -> str | None:
        place = path
        while place not in self._recording.unreadable:
            if place in ("", "/"):
                return None
            place = place.rpartition("/")[0] or "/"
        return self._recording.unreadable[place]
