"""What the logs of apt, dpkg, dnf, pacman and zypper say of packages; every parser is pure."""

from __future__ import annotations

import re
from typing import Final

from bringup.patterns import regex
from bringup.records import replace
from bringup.stack.package_change import COMMAND_LIMIT_CHARACTERS, RELEVANT, Author, PackageChange
from bringup.stack.rotated_logs import whole_lines

_APT_ACTIONS: Final = ("Install", "Reinstall", "Upgrade", "Downgrade", "Remove", "Purge")


def parse_apt_history(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """Apt's history.log, one paragraph a run.

    Raw lines: `Start-Date: 2025-07-14  06:32:11`, `Commandline: /usr/bin/unattended-upgrade`,
    `Upgrade: libnvidia-compute-570:amd64 (570.169-0ubuntu1, 570.172.08-0ubuntu1), ...`.
    """
    found = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Z][\w-]+): (.*)$", paragraph, flags=re.MULTILINE))
        when = " ".join(fields.get("Start-Date", "").split())
        if not when:
            continue
        command = fields.get("Commandline", "")
        author = _apt_author(command, fields.get("Requested-By", ""))
        command = command[:COMMAND_LIMIT_CHARACTERS]
        for action in _APT_ACTIONS:
            for name, versions in re.findall(r"([^\s,:()]+)(?::\w+)? \(([^()]*)\)", fields.get(action, "")):
                old, new = _apt_versions(action, versions)
                if wanted.match(name):
                    found.append(PackageChange(when, action.lower(), name, old, new, author, command))
    return tuple(found)


def _apt_author(command: str, requested_by: str) -> Author:
    if "unattended-upgrade" in command or "apt.systemd.daily" in command:
        return Author.UNATTENDED
    return Author.BY_HAND if requested_by or command else Author.UNKNOWN


def _apt_versions(action: str, text: str) -> tuple[str, str]:
    words = [word.strip() for word in text.split(",") if word.strip() not in ("automatic",)]
    if action in ("Upgrade", "Downgrade") and len(words) >= 2:
        return words[0], words[1]
    first = words[0] if words else ""
    return (first, "") if action in ("Remove", "Purge") else ("", first)


def parse_dpkg_log(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """dpkg.log, which also knows what was installed past apt.

    Raw line: `2025-07-14 06:32:11 upgrade libnvidia-compute-570:amd64 570.169-0ubuntu1 570.172.08-0ubuntu1`.
    """
    found = []
    pattern = (
        r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (upgrade|install|remove|purge) ([^\s:]+)(?::\w+)? (\S+) (\S+)$"
    )
    for when, action, name, old, new in re.findall(pattern, whole_lines(text), flags=re.MULTILINE):
        if wanted.match(name):
            versions = [version if version != "<none>" else "" for version in (old, new)]
            found.append(PackageChange(when, action, name, versions[0], versions[1]))
    return tuple(found)


_DNF: Final = regex(
    r"^(?P<day>\d{4}-\d\d-\d\d)T(?P<clock>\d\d:\d\d:\d\d)(?P<offset>\S*) \w+ (?:"
    r"(?P<action>Upgrade|Installed|Erase|Downgrade|Reinstall|Upgraded|Downgraded): "
    r"(?P<name>[\w.+-]+?)-(?:\d+:)?(?P<version>\d[\w.~^+]*-[\w.~^+]+)\.\w+"
    r"|Error in (?P<script>PRE\w+) scriptlet in rpm package (?P<failed>\S+))$",
    re.MULTILINE,
)
_DNF_ACTIONS: Final = {
    "Upgrade": "upgrade",
    "Installed": "install",
    "Erase": "remove",
    "Downgrade": "downgrade",
    "Reinstall": "reinstall",
}


def parse_dnf_log(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """dnf.rpm.log; the old version stands in a line of its own, written when it is cleaned up.

    A package whose script said no before anything was done stands there as if it had been installed; the
    error behind it takes it back.

    Raw lines: `2025-07-14T06:12:34+0200 SUBDEBUG Upgrade: nvidia-driver-3:570.172.08-1.fc41.x86_64`,
    `2025-07-14T06:12:40+0200 SUBDEBUG Upgraded: nvidia-driver-3:570.169-1.fc41.x86_64`,
    `2025-07-14T06:12:41+0200 ERROR Error in PREIN scriptlet in rpm package nvidia-settings`.
    """
    found: list[PackageChange | None] = []
    waiting: dict[str, int] = {}
    latest: dict[str, int] = {}
    for line in _DNF.finditer(whole_lines(text)):
        if line["failed"] is not None:
            at = latest.pop(line["failed"], None)
            if at is not None:
                found[at] = None
            continue
        name, action, version = line["name"], line["action"], line["version"]
        if not wanted.match(name):
            continue
        if action in ("Upgraded", "Downgraded"):
            at = waiting.pop(name, None)
            change = None if at is None else found[at]
            if at is not None and change is not None:
                found[at] = replace(change, old=version)
            continue
        old, new = (version, "") if action == "Erase" else ("", version)
        latest[name] = len(found)
        if action in ("Upgrade", "Downgrade"):
            waiting[name] = len(found)
        what = (f"{line['day']} {line['clock']}", _DNF_ACTIONS[action], name, old, new)
        found.append(PackageChange(*what, offset=_offset(line["offset"])))
    return tuple(change for change in found if change is not None)


_PACMAN: Final = regex(
    r"\[(?P<day>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?P<offset>\S*)\] \[ALPM\] "
    r"(?P<action>upgraded|installed|reinstalled|removed|downgraded) (?P<name>\S+) \((?P<versions>[^()]*)\)$"
)
_PACMAN_ACTIONS: Final = {
    "upgraded": "upgrade",
    "installed": "install",
    "reinstalled": "reinstall",
    "removed": "remove",
    "downgraded": "downgrade",
}


def parse_pacman_log(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """pacman.log, which also says what was run.

    Raw lines: `[2025-07-14T06:12:30+0200] [PACMAN] Running 'pacman -Syu'`,
    `[2025-07-14T06:12:34+0200] [ALPM] upgraded nvidia-utils (570.169-1 -> 575.64.03-1)`.
    """
    found = []
    command = ""
    for line in whole_lines(text).splitlines():
        if " [PACMAN] Running '" in line:
            command = line.partition(" [PACMAN] Running '")[2].removesuffix("'")[:COMMAND_LIMIT_CHARACTERS]
        match = _PACMAN.match(line)
        if match is None or not wanted.match(match["name"]):
            continue
        action = _PACMAN_ACTIONS[match["action"]]
        old, _, new = match["versions"].partition(" -> ")
        if action in ("install", "reinstall"):
            old, new = "", match["versions"]
        when = f"{match['day']} {match['clock']}"
        author = Author.BY_HAND if command else Author.UNKNOWN
        change = (when, action, match["name"], old, new)
        found.append(PackageChange(*change, author, command, _offset(match["offset"])))
    return tuple(found)


def parse_zypp_history(text: str, wanted: re.Pattern[str] = RELEVANT) -> tuple[PackageChange, ...]:
    """Zypp's history, which writes an upgrade as an install: what was there before, earlier lines tell.

    Raw lines: `2025-07-14 06:12:30|command|root@host|'zypper' 'up'|`,
    `2025-07-14 06:12:34|install|nvidia-compute-G06|570.172.08-lp156.1|x86_64|root@host|...`.
    """
    found = []
    command = ""
    there: dict[str, str] = {}
    for line in whole_lines(text).splitlines():
        parts = line.split("|")
        if len(parts) > 3 and parts[1] == "command":
            command = parts[3].replace("'", "")[:COMMAND_LIMIT_CHARACTERS]
        if len(parts) <= 4 or parts[1].strip() not in ("install", "remove") or not wanted.match(parts[2]):
            continue
        when, name, version = parts[0], parts[2], parts[3]
        author = Author.BY_HAND if command else Author.UNKNOWN
        if parts[1].strip() == "remove":
            there.pop(name, None)
            found.append(PackageChange(when, "remove", name, version, "", author, command))
            continue
        # Kernels stand beside each other: the one before stays.
        old = "" if name.startswith("kernel-") else there.get(name, "")
        there[name] = version
        action = "install" if not old else "reinstall" if old == version else _direction(old, version)
        old = "" if old == version else old
        found.append(PackageChange(when, action, name, old, version, author, command))
    return tuple(found)


def _direction(old: str, new: str) -> str:
    """`upgrade` or `downgrade`: numbers as numbers, as rpm orders them."""
    return "upgrade" if _pieces(old) <= _pieces(new) else "downgrade"


def _pieces(version: str) -> list[tuple[int, str]]:
    return [
        (int(piece), "") if piece.isdigit() else (-1, piece)
        for piece in re.findall(r"\d{1,18}|[a-zA-Z]+", version)
    ]


def _offset(text: str) -> str:
    return text if re.fullmatch(r"[+-]\d\d:?\d\d|Z", text) else ""
