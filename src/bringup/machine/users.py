"""Names of users, and the kernel's units of pages and ticks."""

from __future__ import annotations

import os
import pwd


def user_name(user_id: int) -> str:
    """A user's name; the number where the machine knows no name."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except (KeyError, OverflowError):
        return str(user_id)


def page_bytes() -> int:
    """Size of a page of memory, as /proc counts them."""
    return os.sysconf("SC_PAGE_SIZE")


def ticks_per_s() -> int:
    """Ticks in a second, as /proc counts processor time."""
    return os.sysconf("SC_CLK_TCK")
