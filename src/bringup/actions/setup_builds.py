"""Our builds: which there are, which is in use."""

from __future__ import annotations

from dataclasses import dataclass

from bringup.actions.setup_record import record_chosen, record_removed
from bringup.engine import builds
from bringup.engine.builds import BuildRecord
from bringup.machine.folders import Folders


@dataclass(frozen=True, slots=True)
class BuildChange:
    """A change of our builds by hand.

    Attributes:
        name: of the build.
        was_current: it was the current engine before.
        warning: why it could not be written to the journal; empty where it could.
    """

    name: str
    was_current: bool
    warning: str


def builds_and_current(folders: Folders) -> tuple[tuple[BuildRecord, ...], str | None]:
    """All builds by name, and the name of the current one."""
    return builds.list_builds(folders), builds.current_name(folders)


def use_build(folders: Folders, name: str) -> BuildChange:
    """Make a build the current one.

    Raises:
        WrongUse: no such build.
    """
    before = builds.current_name(folders)
    used = builds.use_build(folders, name).name
    return BuildChange(used, before == used, record_chosen(used, before=before, ours=folders))


def remove_build(folders: Folders, name: str) -> BuildChange:
    """Remove a build.

    Raises:
        WrongUse: no such build.
    """
    was_current = builds.remove_build(folders, name)
    return BuildChange(name, was_current, record_removed(name, was_current=was_current, ours=folders))
