"""Who changed packages with dnf: the history databases of dnf 4 and dnf 5.

They know what dnf's log does not: the login that a change came from, the command line, and whether the run
went well. The database is read in memory from its bytes; nothing of it is opened for writing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bringup.machine.protocol import Machine
from bringup.reading import Known, Reading, Unreadable
from bringup.stack.package_change import COMMAND_LIMIT_CHARACTERS, Author, PackageChange

if TYPE_CHECKING:
    import sqlite3

DNF4: Final = "/var/lib/dnf/history.sqlite"
DNF5: Final = "/usr/lib/sysimage/libdnf5/transaction_history.sqlite"

_DATABASE_LIMIT_BYTES: Final = 64 * 1024**2
_ROW_LIMIT: Final = 30_000
_STEP_LIMIT: Final = 400
"""How often ten thousand steps of SQLite may go by before a foreign database has had enough time."""

_NO_LOGIN: Final = (-1, 0xFFFFFFFF)
_FIRST_PERSON: Final = 1000

_QUERIES: Final = {
    DNF4: "SELECT t.id, t.dt_begin, t.user_id, t.cmdline, i.action, r.name, r.version || '-' || r.release,"
    " r.arch FROM trans t JOIN trans_item i ON i.trans_id = t.id JOIN rpm r ON r.item_id = i.item_id"
    " WHERE t.state = 1 AND i.state = 1 ORDER BY t.id DESC, i.id LIMIT ?",
    DNF5: "SELECT t.id, t.dt_begin, t.user_id, t.description, a.name, n.name, r.version || '-' || r.release,"
    " r.arch_id FROM trans t JOIN trans_state s ON s.id = t.state_id JOIN trans_item i ON i.trans_id = t.id"
    " JOIN trans_item_action a ON a.id = i.action_id JOIN rpm r ON r.item_id = i.item_id"
    " JOIN pkg_name n ON n.id = r.name_id WHERE s.name = 'Ok' ORDER BY t.id DESC, i.id LIMIT ?",
}
_ACTIONS: Final = {
    # dnf 4 writes numbers, as its libdnf names them; dnf 5 names them in a table of the database.
    1: "install", 2: "downgrade", 3: "", 4: "install", 5: "remove", 6: "upgrade", 7: "", 8: "remove",
    9: "reinstall",
    "Install": "install", "Upgrade": "upgrade", "Downgrade": "downgrade", "Reinstall": "reinstall",
    "Remove": "remove", "Replaced": "",
}  # fmt: skip
"""What an item says of its package; the empty word for the version that was replaced."""

_Row = tuple[object, ...]


def probe_dnf_history(machine: Machine, path: str, wanted: re.Pattern[str]) -> Reading[list[PackageChange]]:
    """Changes of the wanted packages in one of the two databases, oldest first; only runs that went well."""
    log = machine.read(f"{path}-wal", limit_bytes=_DATABASE_LIMIT_BYTES)
    data = machine.read(path, limit_bytes=_DATABASE_LIMIT_BYTES)
    if not isinstance(data, Known):
        return data
    merged = apply_write_ahead_log(data.value, log.value if isinstance(log, Known) else b"")
    rows = _rows(merged, _QUERIES[path], path)
    if isinstance(rows, Unreadable) and isinstance(log, Known):
        # A last write that was cut short is in the log only; what was there before it still tells.
        rows = _rows(apply_write_ahead_log(data.value, b""), _QUERIES[path], path)
    return rows if not isinstance(rows, Known) else Known(_changes(rows.value, path, wanted), path)


def apply_write_ahead_log(database: bytes, log: bytes) -> bytes:
    """A database with the committed pages of its write-ahead log, marked as one without such a log.

    The forms are those of https://www.sqlite.org/fileformat2.html , parts 1.3 and 4. Pages behind the last
    commit, and those of an earlier round of the log (another salt), do not count.
    """
    pages: dict[int, bytes] = {}
    n_pages = 0
    if len(log) >= 32 and log[:4] in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
        (page_bytes,) = struct.unpack_from(">I", log, 8)
        salts = log[16:24]
        waiting: dict[int, bytes] = {}
        for at in range(32, len(log) - 24 - page_bytes + 1, 24 + page_bytes) if page_bytes >= 512 else ():
            number, after_commit = struct.unpack_from(">II", log, at)
            if log[at + 8 : at + 16] != salts:
                break
            waiting[number] = log[at + 24 : at + 24 + page_bytes]
            if after_commit:
                pages.update(waiting)
                waiting.clear()
                n_pages = after_commit
        if 0 < n_pages <= _DATABASE_LIMIT_BYTES // page_bytes:
            whole = bytearray(database[: n_pages * page_bytes].ljust(n_pages * page_bytes, b"\0"))
            for number, page in pages.items():
                if 1 <= number <= n_pages:
                    whole[(number - 1) * page_bytes : number * page_bytes] = page
            database = bytes(whole)
    return database[:18] + b"\1\1" + database[20:] if database[18:20] == b"\2\2" else database


def _rows(database: bytes, query: str, path: str) -> Reading[list[_Row]]:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(database)
        _restrain(connection)
        return Known(connection.execute(query, (_ROW_LIMIT,)).fetchall(), path)
    except (sqlite3.Error, OverflowError, AttributeError) as problem:
        return Unreadable(path, f"not a history of dnf: {problem}")
    finally:
        connection.close()


def _restrain(connection: sqlite3.Connection) -> None:
    """A foreign database may hold anything: no code of its schema runs, and no query goes on for ever."""
    steps = iter(range(_STEP_LIMIT))
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.set_progress_handler(lambda: next(steps, None) is None, 10_000)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")


def _changes(rows: Iterable[_Row], path: str, wanted: re.Pattern[str]) -> list[PackageChange]:
    """Changes, oldest first; the version before is that of the same package in the same run."""
    items = []
    before: dict[tuple[object, ...], str] = {}
    for run, began_s, user, command, number, name, version, architecture in rows:
        action = _ACTIONS.get(number) if isinstance(number, (int, str)) else None
        if action is None or not wanted.match(str(name)) or not isinstance(began_s, int):
            continue
        key = (run, name, architecture)
        if not action:
            before[key] = str(version)
        items.append((key, began_s, user, str(command or ""), action, str(name), str(version)))
    renewed = {key for key, *_, action, _, _ in items if action in ("upgrade", "downgrade", "reinstall")}
    found = []
    for key, began_s, user, command, action, name, version in reversed(items):
        if not action and key in renewed:
            continue
        when = _utc(began_s)
        if when:
            old, new = ("", version)
            if action in ("upgrade", "downgrade"):
                old = before.get(key, "")
            elif action in ("remove", ""):
                old, new = version, ""
            shown = _shown(command, path)
            author = _author(shown, user)
            what = (when, action or "remove", name, old, new, author, shown[:COMMAND_LIMIT_CHARACTERS])
            found.append(PackageChange(*what, "Z", path))
    return found


def _utc(at_s: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return ""


def _shown(command: str, path: str) -> str:
    """The command as it was typed: dnf 4 leaves its own name out."""
    command = " ".join(command.split())
    return f"dnf {command}" if command and path == DNF4 else command


def _author(command: str, user: object) -> Author:
    """Who it was: a login's number, -1 where there was none (a timer, a container's root).

    dnf-automatic of dnf 4 and PackageKit give no command line; PackageKit gives the login that asked it.
    """
    if re.match(r"dnf5? automatic\b", command):
        return Author.UNATTENDED
    if isinstance(user, int) and user >= _FIRST_PERSON and user not in _NO_LOGIN:
        return Author.BY_HAND
    return Author.UNATTENDED if not command and user in _NO_LOGIN else Author.UNKNOWN
