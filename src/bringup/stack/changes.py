"""Who changed the driver's packages and when: the logs of apt, dpkg, dnf, pacman and zypper, in one list.

For the doctor only packages of the driver and of kernels are kept; the newest change stands last. The
journal's timeline asks for more packages, for older logs, and for the history databases of dnf.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.records import replace
from bringup.stack.dnf_history import DNF4, DNF5, probe_dnf_history
from bringup.stack.package_change import RELEVANT, PackageChange
from bringup.stack.package_logs import (
    parse_apt_history,
    parse_dnf_log,
    parse_dpkg_log,
    parse_pacman_log,
    parse_zypp_history,
)
from bringup.stack.rotated_logs import all_of_log, read_log, rotated, whole_lines

_CHANGE_LIMIT: Final = 400
_ONE_RUN_S: Final = 2 * 3600
"""Longest that one run of a package tool is taken to last: what two logs tell within it is told once."""

_ONE_PACKAGE_S: Final = 60
"""The same in one log: a package of two architectures has two lines."""

_PARSERS: Final = {
    "/var/log/apt/history.log": parse_apt_history,
    "/var/log/dpkg.log": parse_dpkg_log,
    "/var/log/dnf.rpm.log": parse_dnf_log,
    "/var/log/pacman.log": parse_pacman_log,
    "/var/log/zypp/history": parse_zypp_history,
}
_RECENT: Final = (
    ("/var/log/apt/history.log", 3, ".gz"),
    ("/var/log/dpkg.log", 2, ".gz"),
    ("/var/log/dnf.rpm.log", 1, ""),
    ("/var/log/pacman.log", 0, ""),
    ("/var/log/zypp/history", 0, ""),
)


CHANGE_LOGS: Final = tuple(log for log, _, _ in _RECENT)
"""Files that grow when packages change."""


def probe_changes(machine: Machine) -> Reading[tuple[PackageChange, ...]]:
    """Changes of driver and kernel packages, oldest first, from the newest of the logs that are there."""
    logs = [(log, rotated(log, count, ending)) for log, count, ending in _RECENT]
    return _merged(*_read(machine, logs, RELEVANT), limit=_CHANGE_LIMIT)


def read_all_changes(
    machine: Machine, wanted: re.Pattern[str], *, limit: int
) -> Reading[tuple[PackageChange, ...]]:
    """Changes of the wanted packages, oldest first, from every log and database that is there.

    Args:
        machine: where to look.
        wanted: matches the names of packages.
        limit: so many of the newest changes at most.
    """
    looks: list[Reading[list[PackageChange]]] = [
        probe_dnf_history(machine, path, wanted) for path in (DNF5, DNF4)
    ]
    found, sources, problem = _read(machine, [(log, all_of_log(machine, log)) for log in _PARSERS], wanted)
    for look in looks:
        if isinstance(look, Known):
            found = [*look.value, *found]
            sources.append(look.source)
        elif isinstance(look, Unreadable):
            problem = look
    return _merged(found, sources, problem, limit=limit)


def _read(
    machine: Machine, logs: Sequence[tuple[str, tuple[str, ...]]], wanted: re.Pattern[str]
) -> tuple[list[PackageChange], list[str], Unreadable | None]:
    """Changes, the files that told them, and a look that failed."""
    found: list[PackageChange] = []
    sources = []
    problem: Unreadable | None = None
    for log, paths in logs:
        texts = []
        for path in paths:
            text = read_log(machine, path)
            if isinstance(text, Known):
                texts.append(whole_lines(text.value) if path != paths[-1] else text.value)
                sources.append(path)
            elif isinstance(text, Unreadable):
                problem = text
        found += [replace(one, source=log) for one in _PARSERS[log]("\n".join(texts), wanted)]
    return found, sources, problem


def _merged(
    found: list[PackageChange], sources: list[str], problem: Unreadable | None, *, limit: int
) -> Reading[tuple[PackageChange, ...]]:
    if not sources:
        return problem or Absent("package logs")
    ordered = sorted(_told_once(found), key=_order)[-limit:]
    return Known(tuple(ordered), ", ".join(sources[:3]))


def _order(change: PackageChange) -> str:
    """Sorts by moment; one without a zone stands as if it were UTC."""
    moment = _moment(change)
    return change.when if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def _moment(change: PackageChange) -> datetime | None:
    """The moment of a change, in UTC where the log tells the zone."""
    offset = "+0000" if change.offset in ("", "Z") else change.offset
    try:
        return datetime.fromisoformat(f"{change.when}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _told_once(changes: list[PackageChange]) -> list[PackageChange]:
    """Without what a second log tells again: the first one says who did it (apt before dpkg, dnf before rpm).

    The same change another day is another change (an upgrade that was taken back and came again).
    """
    kept: dict[tuple[str, str], list[PackageChange]] = {}
    for change in changes:
        same = kept.setdefault((change.package, change.new), [])
        if not any(_is_same(change, other) for other in same):
            same.append(change)
    return [change for same in kept.values() for change in same]


def _is_same(change: PackageChange, other: PackageChange) -> bool:
    """Whether two lines tell of one change; a log that was cut short may not know the version before."""
    is_half_known = change.action == other.action and not (change.old and other.old)
    if change.old != other.old and not is_half_known:
        return False
    first, second = _moment(change), _moment(other)
    if first is None or second is None:
        return change.when == other.when
    limit_s = _ONE_RUN_S if change.source != other.source else _ONE_PACKAGE_S
    return abs((first - second).total_seconds()) < limit_s
