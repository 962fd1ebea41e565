"""This moment by every clock that there is: what each entry begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bringup.machine import clock, files

if TYPE_CHECKING:
    from bringup.journal.entry import Moment


_BOOT_FILE: Final = "/proc/sys/kernel/random/boot_id"


def now() -> Moment:
    """This moment by every clock that there is."""
    from bringup.journal.digest import blake2b
    from bringup.journal.entry import Moment

    boot = files.read_small(_BOOT_FILE, limit_bytes=256) or b""
    mark = blake2b(boot.strip(), digest_size=4).hexdigest() if boot else ""
    return Moment(clock.wall_s(), mark, clock.uptime_s())
