"""Our builds: which there are, which is in use."""

from __future__ import annotations

from bringup.actions.setting_up.record import record_chosen, record_removed
from bringup.engine import builds
from bringup.engine.builds import BuildRecord
from bringup.engine.known_bad import BadRange, what_is_bad
from bringup.engine.unproved import Unproved, list_unproved, remove_unproved
from bringup.machine.folders import Folders
from bringup.records import dataclass


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


@dataclass(frozen=True, slots=True)
class OurBuilds:
    """All of ours.

    Attributes:
        builds: proved ones, by name.
        current: name of the one in use; `None` where none is.
        unproved: begun, failed or stopped, and folders among the builds that are none.
        known_bad: what is known to be wrong with a build of llama.cpp, by the name of ours.
    """

    builds: tuple[BuildRecord, ...]
    current: str | None
    unproved: tuple[Unproved, ...] = ()
    known_bad: tuple[tuple[str, BadRange], ...] = ()


def our_builds(folders: Folders) -> OurBuilds:
    """All builds by name, what is wrong with others, and the name of the current one."""
    found = builds.list_builds(folders)
    return OurBuilds(
        found,
        builds.current_name(folders),
        (*builds.list_damaged(folders), *list_unproved(folders)),
        tuple((one.name, bad) for one in found for bad in what_is_bad(one.version)),
    )


def use_build(folders: Folders, name: str) -> BuildChange:
    """Make a build the current one.

    Raises:
        WrongUse: no such build.
    """
    before = builds.current_name(folders)
    used = builds.use_build(folders, name).name
    return BuildChange(used, before == used, record_chosen(used, before=before, ours=folders))


def remove_build(folders: Folders, name: str) -> BuildChange:
    """Remove a build, or what is left of one that was not proved.

    Raises:
        WrongUse: no such build.
    """
    unproved = {one.name: one for one in list_unproved(folders)}
    if name in unproved and name not in {one.name for one in builds.list_builds(folders)}:
        remove_unproved(folders, unproved[name])
        return BuildChange(name, False, record_removed(name, was_current=False, ours=folders))
    was_current = builds.remove_build(folders, name)
    return BuildChange(name, was_current, record_removed(name, was_current=was_current, ours=folders))
