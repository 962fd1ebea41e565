"""Keep the journal without holes; say at once when an upgrade separates the driver from its libraries."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from bringup.errors import BringupError, FileTrouble, WrongUse
from bringup.machine import clock, effects, files, folders, paths, process, rights
from bringup.machine.commands import run_bounded
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.actions.diagnosis.doctor import Examination
    from bringup.actions.log.timeline import Item
    from bringup.journal.store import Journal

APT_HOOK: Final = "/etc/apt/apt.conf.d/99bringup-watch"
SEPARATED: Final = ("driver-library-mismatch", "driver-upgrade-awaits-reboot")
_SERVICE: Final = "bringup-watch.service"
_TIMER: Final = "bringup-watch.timer"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:=,+@-]{1,300}")
_KEPT_S: Final = 400 * 86400.0
"""Older than that the system's own logs are not taken over."""

_COMMAND_S: Final = 10.0
_DESKTOP: Final = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY", "HOME")


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


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look of the watch found.

    Attributes:
        alarm: what to tell the user now; empty for nothing.
        n_kept: how many things from outside were written down.
        trouble: why something could not be written to the journal.
        is_lost: whether it is not even put aside, so that this look left nothing.
    """

    alarm: str
    n_kept: int
    trouble: str
    is_lost: bool = False


def watch_once(machine: Machine, place: Folders, *, after_upgrade: bool) -> Watched:
    """Look, write down what differs and what happened from outside, and say what has to be said now.

    After an upgrade the alarm is given as often as it is true; otherwise once, when it becomes true.
    """
    from bringup.actions.journal.writing import NOT_WRITTEN
    from bringup.actions.log.kept_look import examine_and_keep

    known = _separated_before(place)
    examination = examine_and_keep(machine, subject="this machine")
    n_kept, trouble = keep_outside(place, machine)
    found = [one for one in examination.diagnosis.findings if one.fault.id in SEPARATED]
    alarm = ""
    if found and (after_upgrade or found[0].fault.id not in known):
        alarm = alarm_words(examination)
    trouble = examination.journal_trouble or trouble
    return Watched(alarm, n_kept, trouble, is_lost=trouble.startswith(NOT_WRITTEN))


def alarm_words(examination: Examination) -> str:
    """What to tell where the loaded driver and the libraries are separated; empty where they are not."""
    for finding in examination.diagnosis.findings:
        if finding.fault.id in SEPARATED:
            saw = finding.evidence.saw.partition(";")[0]
            return (
                f"NVIDIA driver: {saw}. Restart before the next GPU program;"
                f" running ones go on. bringup doctor says more. [{finding.fault.id}]"
            )
    return ""


def _separated_before(place: Folders) -> frozenset[str]:
    from bringup.actions.journal.reading import with_journal
    from bringup.actions.log.standing import standings

    try:
        stood, _ = with_journal(place, standings)
    except BringupError:
        return frozenset()
    return stood[-1].ids if stood else frozenset()


def keep_outside(place: Folders, machine: Machine) -> tuple[int, str]:
    """Write down what the system tells of itself and the journal has not yet; how many, and a warning."""
    from bringup.actions.journal.reading import HELD, with_journal
    from bringup.actions.journal.writing import NOT_WRITTEN, is_kept, store
    from bringup.actions.log.timeline import outside_items
    from bringup.journal.entry import Kind

    try:
        if not is_kept(place):
            return 0, ""

        def known_keys(journal: Journal) -> set[str]:
            kinds = (Kind.CHANGE, Kind.BOOT)
            return {entry.subject for entry in journal.entries(kinds=kinds, with_bodies=False)}

        known, warning = with_journal(place, known_keys)
        if warning == HELD:
            return 0, ""  # the system's logs still tell it the next time
        items, _ = outside_items(machine)
        since_s = clock.wall_s() - _KEPT_S
        fresh = [item for item in items if item.at_s >= since_s and key_of(item) not in (known or ())]
        if not fresh:
            return 0, warning
        trouble = store(place, _drafts(fresh))
        return 0 if trouble.startswith(NOT_WRITTEN) else len(fresh), trouble or warning
    except BringupError as problem:
        return 0, f"{NOT_WRITTEN}: {problem.message}"


def key_of(item: Item) -> str:
    """Names a thing that happened outside, the same whenever it is read."""
    return blake2b(f"{round(item.at_s)} {item.text}".encode(), digest_size=12).hexdigest()


def _drafts(items: list[Item]) -> list[Any]:
    from bringup.actions.journal.moment import now
    from bringup.actions.journal.writing import our_redactor, redacted_data
    from bringup.journal.entry import Draft, Kind

    redact = our_redactor()
    moment = now()
    drafts = []
    for item in items:
        data = {
            "at_s": item.at_s,
            "happening": item.kind,
            "layers": list(item.layers),
            "who": item.who,
            "source": item.source,
            "package": item.package,
            "new": item.new,
        }
        kind = Kind.BOOT if item.kind == "boot" else Kind.CHANGE
        nonce = process.random_bytes(16)
        drafts.append(
            Draft(kind, key_of(item), redact(item.text), redacted_data(data, redact), moment, nonce)
        )
    return drafts


def notify(text: str) -> bool:
    """Show a desktop notification; whether a program for that was there and took it."""
    program = effects.find_system_program("notify-send")
    if program is None:
        return False
    environment = {name: value for name in _DESKTOP if (value := folders.variable(name)) is not None}
    argv = (program, "--urgency=critical", "--app-name=bringup", "Restart before the next GPU program", text)
    return run_bounded(argv, environment=environment, timeout_s=_COMMAND_S) is not None


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
    return tuple(left), _run(hooks.commands)


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
    problems = _run((("systemctl", "--user", "stop", _TIMER),)) if has_systemd else ()
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
        problems += _run((("systemctl", "--user", "daemon-reload"),))
    return tuple(left), problems


def _run(commands: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Run each; those that failed, as they would be typed."""
    failed = []
    for argv in commands:
        program = effects.find_system_program(argv[0])
        environment = effects.system_environment() | {
            name: value for name in _DESKTOP if (value := folders.variable(name)) is not None
        }
        done = program is not None and run_bounded(
            (program, *argv[1:]), environment=environment, timeout_s=_COMMAND_S
        )
        if done is None or done is False:
            failed.append(" ".join(argv))
    return tuple(failed)


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
