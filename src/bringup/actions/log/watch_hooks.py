"""The hooks of the watch: a timer, a boot unit and apt's own, planned, installed and taken away."""

from __future__ import annotations

import re
from typing import Final

from bringup.actions.log.user_session import run_all
from bringup.errors import FileTrouble, WrongUse
from bringup.machine import effects, files, folders, paths, process, rights
from bringup.records import dataclass

APT_HOOK: Final = "/etc/apt/apt.conf.d/99bringup-watch"
_SERVICE: Final = "bringup-watch.service"
_TIMER: Final = "bringup-watch.timer"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:=,+@-]{1,300}")


@dataclass(frozen=True, slots=True)
class HookFile:
    """One file of the hooks: where, what, and whether only root may write it."""

    path: str
    text: str
    needs_root: bool


@dataclass(frozen=True, slots=True)
class Hooks:
    """What `bringup watch --install` would do.

    Attributes:
        files: the files, in the order in which they are written.
        links: pairs of a link and what it points to, which enable the units.
        commands: what makes the running systemd see them; they may fail.
        left_out: what this system does not offer, or what may not be done, with the reason.
    """

    files: tuple[HookFile, ...]
    links: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...] = ()


def plan_hooks(*, has_apt: bool, has_systemd: bool) -> Hooks:
    """What would be installed here. Nothing is changed.

    Raises:
        WrongUse: our own path cannot stand in such a file.
    """
    argv = process.python_argv("bringup", "watch")
    odd = [word for word in argv if _PLAIN.fullmatch(word) is None]
    if odd:
        raise WrongUse(
            f"the path {odd[0]} cannot stand in a hook", hint="Install bringup in a folder with a plain name."
        )
    units = units_folder()
    written: list[HookFile] = []
    links: list[tuple[str, str]] = []
    commands: list[tuple[str, ...]] = []
    left_out: list[str] = []
    if has_systemd:
        written += [
            HookFile(paths.join(units, _SERVICE), _service_text(argv), needs_root=False),
            HookFile(paths.join(units, _TIMER), _TIMER_TEXT, needs_root=False),
        ]
        links += [
            (paths.join(units, "timers.target.wants", _TIMER), f"../{_TIMER}"),
            (paths.join(units, "default.target.wants", _SERVICE), f"../{_SERVICE}"),
        ]
        commands += [
            ("systemctl", "--user", "daemon-reload"),
            ("systemctl", "--user", "start", _TIMER),
        ]
    else:
        left_out.append("no systemd here: no timer and no boot unit")
    if has_apt:
        hook = _apt_text(argv)
        if hook:
            written.append(HookFile(APT_HOOK, hook, needs_root=True))
        else:
            left_out.append("no hook in apt: root would run a program that others can change")
    else:
        left_out.append("no apt here: an upgrade is seen by the timer, within the hour")
    return Hooks(tuple(written), tuple(links), tuple(commands), tuple(left_out))


def offered() -> tuple[bool, bool]:
    """Whether this system has apt, and a systemd."""
    return files.is_folder(paths.dirname(APT_HOOK)), effects.find_system_program("systemctl") is not None


def units_folder() -> str:
    """Where the user's systemd looks for units."""
    configuration = folders.variable("XDG_CONFIG_HOME") or paths.join(folders.home(), ".config")
    return paths.join(configuration, "systemd", "user")


def install(hooks: Hooks) -> tuple[tuple[HookFile, ...], tuple[str, ...]]:
    """Write what this user may write; what only root may write, and what could not be done.

    Raises:
        FileTrouble: a file of the user's own could not be written.
    """
    left = []
    for hook in hooks.files:
        if hook.needs_root and not rights.is_root():
            left.append(hook)
            continue
        files.write_atomic(hook.path, hook.text.encode(), mode=0o644)
    for link, target in hooks.links:
        files.make_link(link, target)
    return tuple(left), run_all(hooks.commands)


def is_installed() -> bool:
    """Whether anything of the hooks is there."""
    return any(map(files.is_named, (*_own_places(units_folder())[1], APT_HOOK)))


def _own_places(units: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The links that enable our units, and all that is the user's own: the links and the units."""
    links = (
        paths.join(units, "timers.target.wants", _TIMER),
        paths.join(units, "default.target.wants", _SERVICE),
    )
    return links, (*links, paths.join(units, _SERVICE), paths.join(units, _TIMER))


def remove() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take everything away again; paths that only root may remove, and what could not be done.

    Raises:
        FileTrouble: a file of the user's own could not be removed.
    """
    units = units_folder()
    links, own = _own_places(units)
    has_systemd = offered()[1] and any(map(files.is_named, own))
    problems = run_all((("systemctl", "--user", "stop", _TIMER),)) if has_systemd else ()
    for path in own:
        files.remove(path)
    for folder in (*map(paths.dirname, links), units, paths.dirname(units)):
        files.remove_empty_folder(folder)
    left: list[str] = []
    if files.exists(APT_HOOK):
        try:
            files.remove(APT_HOOK)
        except FileTrouble:
            left.append(APT_HOOK)
    if has_systemd:
        problems += run_all((("systemctl", "--user", "daemon-reload"),))
    return tuple(left), problems


def _service_text(argv: tuple[str, ...]) -> str:
    return (
        "# Written by bringup watch --install; bringup watch --remove takes it away.\n"
        "[Unit]\nDescription=bringup: keep the log without holes\n\n"
        "[Service]\nType=oneshot\n"
        f"ExecStart={' '.join(argv)} --notify\n"
        "SuccessExitStatus=0 1 3\nNice=10\nTimeoutStartSec=60\n\n"
        "[Install]\nWantedBy=default.target\n"
    )


_TIMER_TEXT: Final = (
    "# Written by bringup watch --install; bringup watch --remove takes it away.\n"
    "[Unit]\nDescription=bringup: look once an hour\n\n"
    "[Timer]\nOnStartupSec=2min\nOnUnitActiveSec=1h\nRandomizedDelaySec=2min\n\n"
    "[Install]\nWantedBy=timers.target\n"
)


def _apt_text(argv: tuple[str, ...]) -> str:
    """The hook of apt: it runs as the user, never as root, and can fail no upgrade.

    Empty where root is the user and others can change what it would run.
    """
    program = argv[0]
    if rights.is_root():
        if not rights.is_roots_own(program):
            return ""
        command = " ".join((*argv, "--after-upgrade"))
    else:
        # runuser leaves root's HOME in the environment; ours lies in the user's.
        as_user = ("runuser", "-u", rights.own_name(), "--", "env", f"HOME={rights.own_home()}")
        command = " ".join((*as_user, *argv, "--after-upgrade"))
        if any(_PLAIN.fullmatch(word) is None for word in as_user):
            return ""
    return (
        "// Written by bringup watch --install; bringup watch --remove takes it away.\n"
        f'DPkg::Post-Invoke {{ "if [ -x {program} ]; then {command} || true; fi"; }};\n'
    )
