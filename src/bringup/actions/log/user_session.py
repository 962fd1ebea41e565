"""Programs of the user's own session: a notification on the desktop, systemd's units of the user."""

from __future__ import annotations

from typing import Final

from bringup.machine import effects, folders
from bringup.machine.commands import run_bounded

_COMMAND_S: Final = 10.0
_VARIABLES: Final = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY", "HOME")
"""What a program needs to find the session."""


def _variables() -> dict[str, str]:
    return {name: value for name in _VARIABLES if (value := folders.variable(name)) is not None}


def notify(text: str) -> bool:
    """Show a desktop notification; whether a program for that was there and took it."""
    program = effects.find_system_program("notify-send")
    if program is None:
        return False
    argv = (program, "--urgency=critical", "--app-name=bringup", "Restart before the next GPU program", text)
    return run_bounded(argv, environment=_variables(), timeout_s=_COMMAND_S) is not None


def run_all(commands: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Run each; those that failed, as they would be typed."""
    failed = []
    for argv in commands:
        program = effects.find_system_program(argv[0])
        done = program is not None and run_bounded(
            (program, *argv[1:]),
            environment=effects.system_environment() | _variables(),
            timeout_s=_COMMAND_S,
        )
        if done is None or done is False:
            failed.append(" ".join(argv))
    return tuple(failed)
