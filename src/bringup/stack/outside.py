"""What was done to the machine from outside: packages, boots, kernels, DKMS builds, runfiles, pip.

Nothing here is ours: each system writes it down anyway. An event says when, what, which layers it can touch,
who did it as far as the log tells, and where that stands.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import Known, Reading, Unreadable, parse_json
from bringup.records import dataclass
from bringup.stack.changes import read_all_changes
from bringup.stack.package_change import TOLD, Author, PackageChange
from bringup.stack.rotated_logs import whole_lines

_EVENT_LIMIT: Final = 5000
_RECORD_BYTES: Final = 384
_BOOT_TIME: Final = 2
_SAME_BOOT_S: Final = 300
"""Two records of a boot that lie closer are taken for one."""

_BOOTS_ARGV: Final = ("journalctl", "--list-boots", "--no-pager", "--output=json")
_DKMS_MODULES: Final = ("nvidia", "nvidia-open", "nvidia-srv", "nvidia-current")


class Happening(Enum):
    """What kind of thing was done."""

    PACKAGE = "package"
    BOOT = "boot"
    KERNEL = "kernel"
    DKMS = "dkms"
    RUNFILE = "runfile"
    PIP = "pip"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class OutsideEvent:
    """One thing that was done to the machine.

    Attributes:
        happening: its kind.
        what: one line.
        layers: layers of the stack that it can touch.
        source: path or command.
        when: as the log writes it, `2025-07-14 06:32:11`; empty where `at_s` is all there is.
        offset: distance of `when` from UTC (`+0200`, `Z`); empty for the machine's own local time.
        at_s: Unix time where that is what the log writes.
        who: in words; empty where nothing tells.
        package: name of the package, if it is one.
        new: version after, if it is a package.
    """

    happening: Happening
    what: str
    layers: tuple[str, ...]
    source: str
    when: str = ""
    offset: str = ""
    at_s: float | None = None
    who: str = ""
    package: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything that was found, and what could not be looked at."""

    events: tuple[OutsideEvent, ...]
    unseen: tuple[Unreadable, ...]


def probe_outside(
    machine: Machine, *, package_folders: tuple[str, ...] = (), builds_folder: str = ""
) -> Outside:
    """All that is written down, by kind and oldest first within one; no root is needed.

    `package_folders` are folders of Python packages in which engines may lie; `builds_folder` holds builds of
    llama.cpp, a folder each.
    """
    events: list[OutsideEvent] = []
    unseen: list[Unreadable] = []
    packages = read_all_changes(machine, TOLD, limit=_EVENT_LIMIT)
    if isinstance(packages, Known):
        events += [package_event(change) for change in packages.value]
    elif isinstance(packages, Unreadable):
        unseen.append(packages)
    if not isinstance(packages, Known):
        events += _rpm_packages(machine)
    boots = probe_boots(machine)
    if isinstance(boots, Known):
        events += boots.value
    elif isinstance(boots, Unreadable):
        unseen.append(boots)
    events += _kernels(machine)
    events += _dkms_builds(machine)
    events += _runfiles(machine)
    events += _pip_packages(machine, package_folders)
    events += _builds(machine, builds_folder) if builds_folder else []
    return Outside(tuple(events), tuple(unseen))


_RPM: Final = ("rpm", "-qa", "--queryformat", "%{INSTALLTIME}\t%{NAME}\t%{VERSION}-%{RELEASE}\n")


def _rpm_packages(machine: Machine) -> list[OutsideEvent]:
    """When each package came, from rpm's own database: where the log is missing or of another form."""
    answer = machine.run(_RPM, timeout_s=5.0)
    return list(parse_rpm_list(answer.value.stdout)) if isinstance(answer, Known) else []


def parse_rpm_list(text: str) -> Iterator[OutsideEvent]:
    r"""What rpm lists with the query above; only the newest version of a package is known to it.

    Raw line: `1752473554\tnvidia-driver\t570.172.08-1.fc41`.
    """
    for line in whole_lines(text).splitlines():
        at_s, _, rest = line.partition("\t")
        name, _, version = rest.partition("\t")
        if at_s.isdigit() and version and TOLD.match(name):
            yield OutsideEvent(
                at_s=float(at_s),
                happening=Happening.PACKAGE,
                what=f"{name} {version} came",
                layers=layers_of_package(name),
                source="rpm -qa",
                package=name,
                new=version,
            )


def package_event(change: PackageChange) -> OutsideEvent:
    """A package change as an event."""
    versions = " -> ".join(filter(None, (change.old, change.new)))
    who = {Author.UNATTENDED: "unattended", Author.BY_HAND: "by hand", Author.UNKNOWN: ""}[change.author]
    if change.command:
        who = f"{who}: {change.command}" if who else change.command
    return OutsideEvent(
        when=change.when,
        offset=change.offset,
        happening=Happening.PACKAGE,
        what=f"{change.action} {change.package} {versions}".strip(),
        layers=layers_of_package(change.package),
        who=who,
        source=change.source,
        package=change.package,
        new=change.new,
    )


_LAYERS: Final = (
    (regex(r"^nvidia-container|^libnvidia-container|^docker|^containerd|^podman"), ("container",)),
    (regex(r"^(?:linux-(?:modules|objects)-nvidia|nvidia-(?:dkms|kernel)|akmod-|kmod-)"), ("kernel",)),
    (regex(r"^(?:linux|kernel)(?:-|$)|^dkms$|^shim-|^grub-"), ("kernel",)),
    (regex(r"^firmware-nvidia|^nvidia-firmware"), ("hardware", "kernel")),
    (regex(r"^cuda-(?:drivers|compat)"), ("userspace", "kernel")),
    (regex(r"^(?:cuda|libcu|libnccl|nvidia-cuda)"), ("toolkit",)),
    (regex(r"^(?:lib)?nvidia|^xserver-xorg-video-nvidia"), ("userspace", "kernel")),
    (regex(r"^(?:gcc|g\+\+|clang)"), ("toolkit", "build", "kernel")),
    (regex(r"^(?:libc6|glibc)$"), ("userspace", "toolkit")),
    (regex(r"^(?:lib)?llama|^ggml|^ollama"), ("build", "runtime")),
)


def layers_of_package(name: str) -> tuple[str, ...]:
    """Layers of the stack that a package can touch; `runtime` where nothing closer is known."""
    for pattern, layers in _LAYERS:
        if pattern.search(name):
            return layers
    return ("runtime",)


def probe_boots(machine: Machine) -> Reading[tuple[OutsideEvent, ...]]:
    """Boots, from the journal's list and from wtmp; each once."""
    found: dict[int, OutsideEvent] = {}
    problem: Unreadable | None = None
    listed = machine.run(_BOOTS_ARGV, timeout_s=2.0)
    if isinstance(listed, Known):
        for at_s in parse_boot_list(listed.value.stdout):
            found.setdefault(round(at_s / _SAME_BOOT_S), _boot(at_s, "", "journalctl --list-boots"))
    for path in ("/var/log/wtmp.1", "/var/log/wtmp"):
        data = machine.read(path)
        if isinstance(data, Known):
            for at_s, release in parse_wtmp(data.value):
                found[round(at_s / _SAME_BOOT_S)] = _boot(at_s, release, path)
        elif isinstance(data, Unreadable):
            problem = data
    now = machine.read_text("/proc/stat")
    match = re.search(r"^btime (\d+)$", now.value, re.MULTILINE) if isinstance(now, Known) else None
    if match is not None:
        at_s = float(match[1])
        near = {round(at_s / _SAME_BOOT_S) + step for step in (-1, 0, 1)}
        if not near & found.keys():
            found[round(at_s / _SAME_BOOT_S)] = _boot(at_s, "", "/proc/stat")
    if not found and problem is not None:
        return problem
    return Known(tuple(found[key] for key in sorted(found)), "wtmp, journalctl --list-boots")


def _boot(at_s: float, release: str, source: str) -> OutsideEvent:
    what = f"boot with kernel {release}" if release else "boot"
    return OutsideEvent(
        at_s=at_s,
        happening=Happening.BOOT,
        what=what,
        layers=("kernel", "hardware", "userspace"),
        source=source,
    )


def parse_wtmp(data: bytes) -> Iterator[tuple[float, str]]:
    """Moment and kernel release of each boot in a wtmp file; a half-written record at its end is left out.

    A record is `struct utmp` of glibc on x86-64 and arm64: 384 bytes, the type first, the host (for a boot:
    the kernel's release) at byte 76, the seconds at byte 340.
    """
    for start in range(0, len(data) - _RECORD_BYTES + 1, _RECORD_BYTES):
        (kind,) = struct.unpack_from("<h", data, start)
        if kind != _BOOT_TIME:
            continue
        host = data[start + 76 : start + 76 + 256].split(b"\0")[0].decode("ascii", "replace")
        (at_s,) = struct.unpack_from("<i", data, start + 340)
        if at_s > 0:
            yield float(at_s), host if re.fullmatch(r"[\w.+~-]{1,80}", host) else ""


def parse_boot_list(text: str) -> tuple[float, ...]:
    """Moments of boots in what `journalctl --list-boots --output=json` prints (microseconds)."""
    try:
        rows = parse_json(text)
        return tuple(float(row["first_entry"]) / 1e6 for row in rows)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return ()


def _kernels(machine: Machine) -> list[OutsideEvent]:
    """Kernel images by their date, for systems whose package log is gone."""
    names = machine.list_folder("/boot")
    found = []
    for name in names.value if isinstance(names, Known) else ():
        if not name.startswith("vmlinuz-"):
            continue
        at_s = _modified_s(machine, f"/boot/{name}")
        if at_s is not None:
            what = f"kernel {name.removeprefix('vmlinuz-')} written to /boot"
            found.append(
                OutsideEvent(
                    at_s=at_s,
                    happening=Happening.KERNEL,
                    what=what,
                    layers=("kernel",),
                    source=f"/boot/{name}",
                )
            )
    return found


def _dkms_builds(machine: Machine) -> list[OutsideEvent]:
    """Builds of the driver's module: whole ones a kernel each, and one that stopped."""
    found = []
    for module in _DKMS_MODULES:
        versions = machine.list_folder(f"/var/lib/dkms/{module}")
        for version in versions.value if isinstance(versions, Known) else ():
            base = f"/var/lib/dkms/{module}/{version}"
            kernels = machine.list_folder(base)
            for kernel in kernels.value if isinstance(kernels, Known) else ():
                log = f"{base}/build/make.log" if kernel == "build" else ""
                if kernel not in ("build", "source"):
                    log = _dkms_log(machine, f"{base}/{kernel}")
                at_s = _modified_s(machine, log) if log else None
                if at_s is None:
                    continue
                how = "did not finish" if kernel == "build" else f"for kernel {kernel}"
                what = f"DKMS build of {module} {version} {how}"
                found.append(
                    OutsideEvent(
                        at_s=at_s,
                        happening=Happening.DKMS,
                        what=what,
                        layers=("kernel",),
                        source=log,
                        who="dkms",
                    )
                )
    return found


def _dkms_log(machine: Machine, folder: str) -> str:
    for processor in ("x86_64", "aarch64"):
        path = f"{folder}/{processor}/log/make.log"
        if isinstance(machine.stat(path), Known):
            return path
    return ""


def _modified_s(machine: Machine, path: str) -> float | None:
    stat = machine.stat(path)
    return stat.value.modified_s if isinstance(stat, Known) and stat.value.modified_s > 0 else None


def _runfiles(machine: Machine) -> list[OutsideEvent]:
    found = []
    for path in ("/var/log/nvidia-installer.log.old", "/var/log/nvidia-installer.log"):
        text = machine.read_text(path)
        event = parse_installer_log(text.value, path) if isinstance(text, Known) else None
        if event is not None:
            found.append(event)
    return found


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_installer_log(text: str, path: str) -> OutsideEvent | None:
    """What NVIDIA's own installer wrote.

    Raw lines: `creation time: Mon Jul 14 12:11:10 2025`, `installer version: 570.169`.
    """
    head = whole_lines(text)[:4000]
    made = re.search(
        r"^creation time: \w{3} (\w{3}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\d{4})$", head, re.MULTILINE
    )
    version = re.search(r"^installer version: ([\d.]{3,20})$", head, re.MULTILINE)
    if made is None or version is None or made[1] not in _MONTHS:
        return None
    when = f"{made[4]}-{_MONTHS.index(made[1]) + 1:02}-{int(made[2]):02} {made[3]}"
    verb = "uninstall" if "--uninstall" in head else "install"
    what = f"{verb} of the driver {version[1]} by NVIDIA's own installer"
    return OutsideEvent(
        when=when,
        happening=Happening.RUNFILE,
        what=what,
        layers=("userspace", "kernel"),
        who="by hand",
        source=path,
        new=version[1],
    )


def _builds(machine: Machine, folder: str) -> list[OutsideEvent]:
    """Builds of the engine by the date of their folder."""
    names = machine.list_folder(folder)
    found = []
    for name in names.value if isinstance(names, Known) else ():
        # Beside the builds lies a file that names the current one.
        is_build = not name.startswith(".") and isinstance(machine.list_folder(f"{folder}/{name}"), Known)
        at_s = _modified_s(machine, f"{folder}/{name}") if is_build else None
        if at_s is not None:
            what = f"build {name[:80]} of llama.cpp"
            found.append(
                OutsideEvent(
                    at_s=at_s,
                    happening=Happening.ENGINE,
                    what=what,
                    layers=("build", "runtime"),
                    source=f"{folder}/{name}",
                )
            )
    return found


_ENGINE_PACKAGE: Final = regex(
    r"(?P<name>xllamacpp|llama_cpp_python|torch|nvidia_[a-z0-9_]+_cu\d+|nvidia_ml_py)-(?P<version>[\w.+!]+)\.dist-info"
)


def _pip_packages(machine: Machine, folders: tuple[str, ...]) -> list[OutsideEvent]:
    """Python packages that are engines, or carry CUDA's libraries, by the date of their record."""
    found = []
    for folder in folders:
        names = machine.list_folder(folder)
        for name in names.value if isinstance(names, Known) else ():
            match = _ENGINE_PACKAGE.fullmatch(name)
            at_s = _modified_s(machine, f"{folder}/{name}/RECORD") if match is not None else None
            if match is not None and at_s is not None:
                package = match["name"].replace("_", "-")
                what = f"{package} {match['version']} installed by pip"
                found.append(
                    OutsideEvent(
                        at_s=at_s,
                        happening=Happening.PIP,
                        what=what,
                        layers=("build", "runtime"),
                        source=f"{folder}/{name}",
                        who="pip",
                        package=package,
                        new=match["version"],
                    )
                )
    return found
