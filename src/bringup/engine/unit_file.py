"""The systemd user unit that `serve --unit` prints: one server, hardened, restarted within limits.

Two kinds of hardening: what a user's own systemd can always do (seccomp, limits, cgroups), and what needs
a user namespace (a private /tmp, a read-only file system). Where unprivileged user namespaces are closed
off, as on Ubuntu 24.04, a unit with the second kind does not start at all (status=226/NAMESPACE), so it
is left out there and the unit says so. Sources: systemd.exec(5), systemd.service(5), systemd.unit(5).
"""

from __future__ import annotations

from typing import Final

from bringup.machine.folders import Folders
from bringup.records import dataclass

_ALWAYS: Final = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
LimitCORE=0
TasksMax=512
"""
_WITH_NAMESPACE: Final = """\
PrivateUsers=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
"""
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@~")


@dataclass(frozen=True, slots=True)
class Unit:
    """What the unit is about.

    Attributes:
        description: one line for `systemctl status`.
        argv: the command; its first word is an absolute path.
        memory_max_bytes: cgroup limit, `None` for none.
        has_user_namespaces: whether this machine lets a user's systemd make namespaces.
    """

    description: str
    argv: tuple[str, ...]
    memory_max_bytes: int | None
    has_user_namespaces: bool


def unit_text(unit: Unit, folders: Folders) -> str:
    """The unit file. Pure; nothing is installed."""
    sections = (
        "[Unit]",
        f"Description={_line(unit.description)}",
        "StartLimitIntervalSec=600",
        "StartLimitBurst=5",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(quote(word.replace('$', '$$')) for word in unit.argv)}",
        "Restart=on-failure",
        "RestartSec=10",
        "# Exit 2 is a wrong command line: another start would not help.",
        "RestartPreventExitStatus=2",
        "# SIGTERM to bringup, which ends the engine itself within 12 s.",
        "KillMode=mixed",
        "TimeoutStopSec=20",
        "OOMPolicy=stop",
        *_memory(unit),
        "",
        *_ALWAYS.splitlines(),
        *_namespaced(unit, folders),
        "",
        "[Install]",
        "WantedBy=default.target",
    )
    return "\n".join(sections) + "\n"


def _memory(unit: Unit) -> tuple[str, ...]:
    if unit.memory_max_bytes is None:
        return ()
    return (f"MemoryMax={unit.memory_max_bytes}", "MemorySwapMax=0")


def _namespaced(unit: Unit, folders: Folders) -> tuple[str, ...]:
    if not unit.has_user_namespaces:
        return (
            "# Left out: PrivateTmp, ProtectSystem and their like need unprivileged user namespaces, which",
            "# this machine closes off (kernel.apparmor_restrict_unprivileged_userns and the like).",
        )
    writable = (folders.state, folders.cache)
    return (
        *_WITH_NAMESPACE.splitlines(),
        f"ReadWritePaths={' '.join(quote('-' + path) for path in writable)}",
    )


def quote(word: str) -> str:
    """One word as systemd reads it back unchanged: specifiers escaped, quoted where needed."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t")
    return escaped if word and set(word) <= _PLAIN else f'"{escaped}"'


def _line(text: str) -> str:
    return " ".join(text.split()).replace("%", "%%")
