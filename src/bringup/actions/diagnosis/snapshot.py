"""Everything that the doctor read, redacted, in one file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bringup.actions.diagnosis.doctor import Examination, Verdict, examine
from bringup.errors import FileTrouble, WrongUse
from bringup.faults._diagnose import Role
from bringup.faults._fault import Certainty
from bringup.machine import files, folders, paths
from bringup.machine.archive import UNPACKED_LIMIT_BYTES, pack, unpack_recording
from bringup.machine.clock import local_time_text, wall_s
from bringup.machine.protocol import CommandResult, Machine
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder, redacted
from bringup.machine.recording import Recording
from bringup.machine.redaction import redactor_for
from bringup.reading import Known, Reading, Unreadable
from bringup.records import dataclass, replace
from bringup.stack.essence import essence_of
from bringup.stack.kernel_log import LOG_LIMIT_CHARACTERS
from bringup.stack.pending_upgrades import APT_LISTS, cover_list, native_lists

_KEEP_LIMIT_BYTES: Final = UNPACKED_LIMIT_BYTES * 3 // 4
"""Most bytes of files that go in: the rest of what an archive may unpack to is for the tables."""

_LEFT_OUT: Final = "left out of the snapshot: "
_KEY_LIMIT_BYTES: Final = 4096
_OTHER_NAME: Final = "Give another name: bringup snapshot FILE"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot before it is written.

    Attributes:
        data: the archive.
        examination: what the doctor said while it was taken.
        files: path and bytes of each file that is in it, as redacted.
        commands: each command whose output is in it.
        variables: names of environment variables whose value is in it.
        left_out: path of each file that was read and is not in it, with the reason.
        hidden: how many private values were replaced, by kind (`user`, `host`, `serial`, ...).
        found_again: what the doctor says of the archive, read back; it should be what he said here.
    """

    data: bytes
    examination: Examination
    files: tuple[tuple[str, int], ...]
    commands: tuple[tuple[str, ...], ...]
    variables: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    hidden: tuple[tuple[str, int], ...]
    found_again: Examination

    @property
    def is_faithful(self) -> bool:
        """Whether the archive gives the verdict of the machine itself."""
        return _findings(self.found_again) == _findings(self.examination)


def take_snapshot(machine: Machine, *, subject: str) -> Snapshot:
    """Examine a machine and keep every answer, redacted; nothing is written."""
    recorder = Recorder(machine)
    recorder.now_s()
    examination = examine(recorder, subject=subject)
    redactor = redactor_for(machine, secrets=_our_key())
    recording, dropped = essential(
        recorder.recording, redactor.redact, devices=device_ids(recorder.recording)
    )
    kept = redacted(redacted(recording, redactor), redactor.with_found())
    data = pack(kept)
    again = RecordedMachine.from_recording(unpack_recording(data, name="the snapshot"))
    return Snapshot(
        data=data,
        examination=examination,
        files=tuple((p, len(r.value)) for p, r in sorted(kept.reads.items()) if isinstance(r, Known)),
        commands=tuple(argv for argv, r in sorted(kept.commands.items()) if isinstance(r, Known)),
        variables=tuple(name for name, r in sorted(kept.environment.items()) if isinstance(r, Known)),
        left_out=tuple((redactor.redact(path), why) for path, why in dropped),
        hidden=redactor.counts,
        found_again=examine(again, subject=subject),
    )


def default_name() -> str:
    """`bringup-snapshot-20261124-053000.tar.zst`, by this machine's clock."""
    digits = re.sub(r"\D", "", local_time_text(wall_s()))
    return f"bringup-snapshot-{digits[:8]}-{digits[8:]}.tar.zst"


def check_place(path: str) -> None:
    """Whether a snapshot can go there, before anything is looked at; a file is never replaced.

    Raises:
        WrongUse: something is at the path, or its folder is missing.
    """
    if files.exists(path):
        raise WrongUse(f"{path} is there already", hint=_OTHER_NAME)
    folder = paths.dirname(paths.absolute(path))
    if not files.is_folder(folder):
        raise WrongUse(f"there is no folder {folder}", hint="Give a name in a folder that is there.")


def write_snapshot(snapshot: Snapshot, path: str) -> None:
    """Write the archive (0600); a file that is there already is never replaced.

    Raises:
        WrongUse: something is at the path, or its folder is missing.
        FileTrouble: it cannot be written.
    """
    check_place(path)
    try:
        is_new = files.create_once(paths.absolute(path), snapshot.data)
    except FileTrouble as problem:
        raise FileTrouble(
            problem.message,
            context=(f"it needs {len(snapshot.data):,} bytes; nothing was left there",),
            hint="Give a name elsewhere: bringup snapshot FILE",
            reference=problem.reference,
        ) from problem
    if not is_new:
        raise WrongUse(f"{path} is there already", hint=_OTHER_NAME)


def _findings(examination: Examination) -> tuple[Verdict, tuple[tuple[str, Role, Certainty], ...]]:
    found = examination.diagnosis.findings
    return examination.verdict, tuple((f.fault.id, f.role, f.evidence.certainty) for f in found)


def _our_key() -> tuple[str, ...]:
    data = files.read_small(folders.our_folders().key_file, limit_bytes=_KEY_LIMIT_BYTES)
    key = (data or b"").decode("utf-8", "replace").strip()
    return (key,) if key else ()


def essential(
    recording: Recording, redact: Callable[[str], str], *, devices: frozenset[str]
) -> tuple[Recording, tuple[tuple[str, str], ...]]:
    """The recording with the essence of each file; what does not fit is left out, the largest first.

    `devices` are the ids on the machine's bus: the names of others are not kept.
    """
    recording = _without_list_names(recording)
    reads: dict[str, Reading[bytes]] = {}
    dropped: list[tuple[str, str]] = []
    for path, reading in recording.reads.items():
        if isinstance(reading, Known):
            data = essence_of(path, reading.value, redact, devices=devices)
            if data is None:
                reads[path] = Unreadable(path, _LEFT_OUT + "no text")
                dropped.append((path, "no text"))
                continue
            reads[path] = Known(data, path)
        else:
            reads[path] = reading
    sizes = {path: len(reading.value) for path, reading in reads.items() if isinstance(reading, Known)}
    for path in sorted(sizes, key=lambda one: sizes[one], reverse=True):
        if sum(sizes.values()) <= _KEEP_LIMIT_BYTES:
            break
        del sizes[path]
        reads[path] = Unreadable(path, _LEFT_OUT + "too large")
        dropped.append((path, "too large"))
    commands = {argv: _shortened(reading) for argv, reading in recording.commands.items()}
    return replace(recording, reads=reads, commands=commands), tuple(dropped)


def _without_list_names(recording: Recording) -> Recording:
    """Apt's lists under names without their hosts, which may be of a private mirror."""
    listed = recording.lists.get(APT_LISTS)
    lists = dict(recording.lists)
    if isinstance(listed, Known):
        names = tuple(
            sorted(cover_list(f"{APT_LISTS}/{n}").rpartition("/")[2] for n in native_lists(listed.value))
        )
        lists[APT_LISTS] = replace(listed, value=names)
    reads = {
        cover_list(path): replace(reading, source=cover_list(path)) if path.startswith(APT_LISTS) else reading
        for path, reading in recording.reads.items()
    }
    return replace(recording, lists=lists, reads=reads)


def _shortened(reading: Reading[CommandResult]) -> Reading[CommandResult]:
    """Of a long output the end, as far as it is judged."""
    if not isinstance(reading, Known):
        return reading
    result = reading.value
    return replace(reading, value=replace(result, stdout=result.stdout[-LOG_LIMIT_CHARACTERS:]))


def device_ids(recording: Recording) -> frozenset[str]:
    """Vendor and device ids that were read from the bus: `0x10de` as `10de`."""
    return frozenset(
        reading.value.decode("ascii", "replace").strip().removeprefix("0x")
        for path, reading in recording.reads.items()
        if path.endswith(("/vendor", "/device")) and isinstance(reading, Known)
    )
