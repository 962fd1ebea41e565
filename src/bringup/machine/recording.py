"""What a recorded machine answers, and the folder that holds it; `machine.recorded` describes the folder."""

from __future__ import annotations

import binascii
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, field
from functools import partial
from typing import Any, Final, TypeVar

from bringup.errors import FileTrouble
from bringup.machine import files, look, paths
from bringup.machine.commands import source_of
from bringup.machine.protocol import READ_LIMIT_BYTES, CommandResult, DiskSpace, FileKind, FileStat
from bringup.machine.rooted import resolve_inside
from bringup.reading import Absent, Known, Reading, Unreadable, parse_json
from bringup.records import dataclass

SCHEMA: Final = 1
_TABLE_LIMIT_BYTES: Final = 64 * 1024**2
_LOOKS: Final = "looks.json"
_COMMANDS: Final = "commands.json"
_BY_HAND: Final = "machine.toml"

T = TypeVar("T")
Table = dict[str, Reading[T]]


@dataclass(slots=True)
class Recording:
    """Outcomes of looks, by path, by argv or by name.

    Attributes:
        reads: contents of files.
        lists: names in folders.
        stats: what the file system said.
        commands: what commands printed.
        environment: variables.
        disk_spaces: space of the file system that holds a path.
        clock: the moment, `None` where nobody asked.
        unreadable: paths written down by hand as unreadable, with the reason; all below them are, too.
        is_exact: whether only these looks are answered (a recorder's), or `root/` is, too (made by hand).
        is_environment_complete: whether a variable that is not here was not set.
    """

    reads: Table[bytes] = field(default_factory=dict)
    lists: Table[tuple[str, ...]] = field(default_factory=dict)
    stats: Table[FileStat] = field(default_factory=dict)
    commands: dict[tuple[str, ...], Reading[CommandResult]] = field(default_factory=dict)
    environment: Table[str] = field(default_factory=dict)
    disk_spaces: Table[DiskSpace] = field(default_factory=dict)
    clock: Reading[float] | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    is_exact: bool = True
    is_environment_complete: bool = False


def save_recording(recording: Recording, folder: str) -> None:
    """Write an exact recording as a folder.

    Raises:
        FileTrouble: something is at `root/` there already, or it cannot be written.
    """
    root = paths.join(folder, "root")
    if files.exists(root):
        raise FileTrouble(f"there is a recording in {folder} already", reference="recording-exists")
    files.make_private_folder(root)

    def write(name: str, data: bytes) -> bool:
        try:
            files.write_atomic(paths.join_foreign(folder, name), data)
        except FileTrouble:
            return False
        return True

    for name, data in _tables(recording, write).items():
        files.write_atomic(paths.join(folder, name), data)


def stored_files(recording: Recording, *, accept: Callable[[str], bool]) -> dict[str, bytes]:
    """The files of an exact recording's folder: its tables, and the read files below `root/`.

    A file whose name `accept` refuses has its bytes in the table.
    """
    stored: dict[str, bytes] = {}

    def keep(name: str, data: bytes) -> bool:
        if not accept(name):
            return False
        stored[name] = data
        return True

    return _tables(recording, keep) | stored


def _tables(recording: Recording, keep: Callable[[str, bytes], bool]) -> dict[str, bytes]:
    """looks.json and commands.json; `keep` is offered each read file and says whether it took it."""
    looks = {
        "schema": SCHEMA,
        "read": {path: _stored_file(path, reading, keep) for path, reading in recording.reads.items()},
        "list": _stored(recording.lists, lambda names: {"names": names}),
        "stat": _stored(recording.stats, lambda stat: {**asdict(stat), "kind": stat.kind.value}),
        "environment": _stored(recording.environment, lambda text: {"text": text}),
        "disk_space": _stored(recording.disk_spaces, asdict),
        "clock": None if recording.clock is None else _outcome(recording.clock, lambda now: {"now_s": now}),
    }
    commands = [
        {"argv": argv, **_outcome(reading, _stored_result)} for argv, reading in recording.commands.items()
    ]
    return {
        name: json.dumps(table, ensure_ascii=True, indent=1, sort_keys=True).encode()
        for name, table in ((_LOOKS, looks), (_COMMANDS, commands))
    }


def load_recording(folder: str) -> Recording:
    """Read a recording's tables.

    Raises:
        FileTrouble: the folder is not there, or a table of it is damaged.
    """
    if not files.is_folder(folder):
        raise FileTrouble(f"there is no recorded machine at {folder}", reference="recording-missing")
    looks = _table(folder, _LOOKS, parse_json)
    commands = _table(folder, _COMMANDS, parse_json)
    by_hand = _table(folder, _BY_HAND, _toml)
    root = paths.join(folder, "root")
    with _damage(folder, _LOOKS):
        recording = (
            Recording(is_exact=False) if looks is None else _loaded_looks(looks, partial(_read_root, root))
        )
    with _damage(folder, _COMMANDS):
        recording.commands = dict(map(_loaded_command, commands or ()))
    with _damage(folder, _BY_HAND):
        _add_by_hand(recording, by_hand or {})
    return recording


def load_tables(members: Mapping[str, memoryview], *, name: str) -> Recording:
    """An exact recording from the files of its folder, held in memory.

    Raises:
        FileTrouble: a table is damaged.
    """

    def read_member(path: str) -> Reading[bytes]:
        data = members.get(f"root{path}")
        return Unreadable(path, "not in the archive") if data is None else Known(bytes(data), path)

    with _damage(name, _LOOKS):
        recording = _loaded_looks(parse_json(bytes(members[_LOOKS])), read_member)
    with _damage(name, _COMMANDS):
        recording.commands = dict(map(_loaded_command, parse_json(bytes(members.get(_COMMANDS, b"[]")))))
    return recording


def _outcome(reading: Reading[T], store: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    if isinstance(reading, Known):
        return store(reading.value)
    return {"absent": True} if isinstance(reading, Absent) else {"unreadable": reading.why}


def _stored(table: Table[T], store: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    return {name: _outcome(reading, store) for name, reading in table.items()}


def _stored_result(result: CommandResult) -> dict[str, Any]:
    return {"exit_code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}


def _stored_file(path: str, reading: Reading[bytes], keep: Callable[[str, bytes], bool]) -> dict[str, Any]:
    """Put a file's bytes below `root/`; a path that cannot lie there keeps them in the table."""

    def store(data: bytes) -> dict[str, Any]:
        if paths.is_safe_relative(path[1:]) and keep(f"root{path}", data):
            return {"in_root": True}
        return {"base64": binascii.b2a_base64(data, newline=False).decode()}

    return _outcome(reading, store)


def _toml(data: bytes) -> object:
    import tomllib

    return tomllib.loads(data.decode())


@contextlib.contextmanager
def _damage(folder: str, name: str) -> Any:  # noqa: ANN401 - a generator for contextmanager
    try:
        yield
    except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as problem:
        raise FileTrouble(
            f"{paths.join(folder, name)} is damaged",
            context=(f"{type(problem).__name__}: {problem}",),
            reference="recording-damaged",
        ) from problem


def _table(folder: str, name: str, parse: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - foreign JSON
    data = files.read_small(paths.join(folder, name), limit_bytes=_TABLE_LIMIT_BYTES)
    if data is None:
        return None
    with _damage(folder, name):
        return parse(data)
    raise AssertionError


def _loaded(name: str, outcome: Mapping[str, Any], load: Callable[[Mapping[str, Any]], T]) -> Reading[T]:
    if outcome.get("absent"):
        return Absent(name)
    if "unreadable" in outcome:
        return Unreadable(name, str(outcome["unreadable"]))
    return Known(load(outcome), name)


def _loaded_looks(looks: Mapping[str, Any], read_root: Callable[[str], Reading[bytes]]) -> Recording:
    if looks["schema"] != SCHEMA:
        raise ValueError(f"its schema is {looks['schema']}, this version reads {SCHEMA}")
    clock = looks["clock"]
    return Recording(
        reads={path: _loaded_file(path, outcome, read_root) for path, outcome in looks["read"].items()},
        lists={
            path: _loaded(path, o, lambda v: tuple(map(str, v["names"]))) for path, o in looks["list"].items()
        },
        stats={path: _loaded(path, o, _loaded_stat) for path, o in looks["stat"].items()},
        environment={
            name: _loaded(f"environment variable {name}", o, lambda v: str(v["text"]))
            for name, o in looks["environment"].items()
        },
        disk_spaces={path: _loaded(path, o, _loaded_space) for path, o in looks["disk_space"].items()},
        clock=None if clock is None else _loaded("clock", clock, lambda v: float(v["now_s"])),
    )


def _loaded_file(
    path: str, outcome: Mapping[str, Any], read_root: Callable[[str], Reading[bytes]]
) -> Reading[bytes]:
    if outcome.get("in_root"):
        return read_root(path)
    return _loaded(path, outcome, lambda v: binascii.a2b_base64(v["base64"], strict_mode=True))


def _read_root(root: str, path: str) -> Reading[bytes]:
    try:
        place = resolve_inside(root, path, follow_last=False)
    except OSError as problem:
        return look.failed_look(problem, path)
    return look.read_file(place, source=path, limit_bytes=READ_LIMIT_BYTES, follow=False)


def _loaded_stat(values: Mapping[str, Any]) -> FileStat:
    """A stat; by hand everything but the kind may be left out."""
    target = values.get("link_target")
    return FileStat(
        kind=FileKind(values["kind"]),
        size_bytes=int(values.get("size_bytes", 0)),
        mode=int(values.get("mode", 0o644)),
        user_id=int(values.get("user_id", 0)),
        group_id=int(values.get("group_id", 0)),
        modified_s=float(values.get("modified_s", 0)),
        device=int(values.get("device", 0)),
        inode=int(values.get("inode", 0)),
        link_target=None if target is None else str(target),
    )


def _loaded_space(values: Mapping[str, Any]) -> DiskSpace:
    return DiskSpace(int(values["total_bytes"]), int(values["free_bytes"]))


def _loaded_command(entry: Mapping[str, Any]) -> tuple[tuple[str, ...], Reading[CommandResult]]:
    argv = tuple(map(str, entry["argv"]))

    def result(values: Mapping[str, Any]) -> CommandResult:
        return CommandResult(
            argv, int(values["exit_code"]), str(values.get("stdout", "")), str(values.get("stderr", ""))
        )

    return argv, _loaded(source_of(argv), entry, result)


def _add_by_hand(recording: Recording, tables: Mapping[str, Any]) -> None:
    unknown = set(tables) - {"now_s", "environment", "unreadable", "disk_space", "stat"}
    if unknown:
        raise ValueError(f"unknown part {sorted(unknown)[0]}")
    if "now_s" in tables:
        recording.clock = Known(float(tables["now_s"]), "clock")
    if "environment" in tables:
        recording.is_environment_complete = True
        for name, text in tables["environment"].items():
            recording.environment[name] = Known(str(text), f"environment variable {name}")
    recording.unreadable.update({path: str(why) for path, why in tables.get("unreadable", {}).items()})
    for path, values in tables.get("disk_space", {}).items():
        recording.disk_spaces[path] = Known(_loaded_space(values), path)
    for path, values in tables.get("stat", {}).items():
        recording.stats[path] = Known(_loaded_stat(values), path)
