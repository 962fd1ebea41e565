"""Our builds: which there are, which is in use."""

from __future__ import annotations

from bringup.engine import builds
from bringup.engine.builds import BuildRecord
from bringup.machine.folders import Folders


def builds_and_current(folders: Folders) -> tuple[tuple[BuildRecord, ...], str | None]:
    """All builds by name, and the name of the current one."""
    return builds.list_builds(folders), builds.current_name(folders)


def use_build(folders: Folders, name: str) -> BuildRecord:
    """Make a build the current one.

    Raises:
        WrongUse: no such build.
    """
    return builds.use_build(folders, name)


def remove_build(folders: Folders, name: str) -> bool:
    """Remove a build; whether it was the current one.

    Raises:
        WrongUse: no such build.
    """
    return builds.remove_build(folders, name)
