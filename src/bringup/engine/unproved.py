"""Builds that are begun and not proved: what keeps them from it, for `setup --list`."""

from __future__ import annotations

import json
from typing import Final

from bringup.errors import BringupError, Failure
from bringup.machine import files, locks, paths, scratch
from bringup.machine.folders import Folders
from bringup.reading import parse_json
from bringup.records import dataclass

_FAILED: Final = "failed.json"
_LOG: Final = "build.log"
_LIMIT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Unproved:
    """A build of ours that is not to be used.

    Attributes:
        name: of its folder.
        why: what is wrong with it.
        folder: where its files are.
    """

    name: str
    why: str
    folder: str


def note_failure(work: str, problem: BringupError) -> None:
    """Write down beside a build why it was not proved.

    Raises:
        FileTrouble: no rights, disk full.
    """
    said = {"reference": problem.reference, "what": problem.message, "context": list(problem.context)}
    files.write_atomic(paths.join(work, _FAILED), json.dumps(said).encode() + b"\n")


def forget_failure(work: str) -> None:
    """A new attempt begins: what is written about the last one does not count any more."""
    if files.exists(paths.join(work, _FAILED)):
        files.remove(paths.join(work, _FAILED))


def list_unproved(folders: Folders) -> tuple[Unproved, ...]:
    """Builds that failed, builds that were stopped on the way, and folders whose record cannot be read."""
    found = []
    for name in files.list_names(folders.build_work):
        work = paths.join(folders.build_work, name)
        if not files.is_folder(work):
            continue
        why = _reason(work)
        if why:
            found.append(Unproved(name, why, work))
    return tuple(found)


def remove_unproved(folders: Folders, one: Unproved) -> None:
    """Remove what is left of a build that was not proved.

    Raises:
        Failure: a setup is at work, perhaps in that very folder.
        FileTrouble: something in it cannot be removed.
    """
    lease = locks.try_lease(paths.join(folders.build_work, "lock"))
    if isinstance(lease, locks.Holder):
        raise Failure(
            f"a bringup setup is at work (process {lease.pid})",
            hint="Wait for it, or end it.",
            reference="setup-runs",
        )
    with lease:
        scratch.remove_tree(one.folder)


def _reason(work: str) -> str:
    data = files.read_small(paths.join(work, _FAILED), limit_bytes=_LIMIT_BYTES)
    if data is not None:
        try:
            said = parse_json(data)
            return f"failed: {said['what']} [{said['reference']}]"
        except (ValueError, KeyError, TypeError):
            return "failed, and what is written about it cannot be read"
    if files.exists(paths.join(work, _LOG)):
        return "not finished: bringup setup goes on where it stopped"
    return ""
