"""Facts of the layer: container. Inside or outside, what passes the GPU in, WSL."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert, parse_json
from bringup.records import dataclass
from bringup.stack.container_cdi import CdiSpecification, probe_cdi
from bringup.stack.lines import Lines

WSL_LIBRARIES: Final = "/usr/lib/wsl/lib"
_HOOKS: Final = ("/usr/bin/nvidia-container-runtime", "/usr/bin/nvidia-ctk", "/usr/bin/nvidia-container-cli")


class Inside(Enum):
    """What kind of container we are in."""

    NONE = "no container"
    DOCKER = "Docker"
    PODMAN = "Podman"
    KUBERNETES = "Kubernetes"
    LXC = "LXC"
    NSPAWN = "systemd-nspawn"
    FLATPAK = "Flatpak"
    SNAP = "Snap"
    OTHER = "another container"


class Wsl(Enum):
    """Whether the kernel is that of the Windows Subsystem for Linux."""

    NONE = "no WSL"
    ONE = "WSL 1"
    TWO = "WSL 2"


@dataclass(frozen=True, slots=True)
class NvidiaRuntime:
    """NVIDIA's runtime as Docker's configuration names it. `is_there`: whether that program exists."""

    program: str
    is_there: Reading[bool]


@dataclass(frozen=True, slots=True)
class Container:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        inside: whether we are in a container, and of what kind.
        wsl: whether the kernel is that of WSL.
        wsl_libraries: names of what Windows passes in; absent where that folder is not there.
        mounted_libraries: driver libraries that were mounted in from the host, as paths.
        asked_for: NVIDIA_VISIBLE_DEVICES, the GPUs that were asked for; absent where it is not set.
        docker: path of Docker's program; absent where it is not installed.
        docker_runtime: NVIDIA's runtime in /etc/docker/daemon.json; absent where that names none.
        toolkit: path of NVIDIA's container toolkit; absent where it is not installed.
        cdi: specifications that name NVIDIA's devices.
    """

    inside: Reading[Inside] = NOT_LOOKED
    wsl: Reading[Wsl] = NOT_LOOKED
    wsl_libraries: Reading[tuple[str, ...]] = NOT_LOOKED
    mounted_libraries: Reading[tuple[str, ...]] = NOT_LOOKED
    asked_for: Reading[str] = NOT_LOOKED
    docker: Reading[str] = NOT_LOOKED
    docker_runtime: Reading[NvidiaRuntime] = NOT_LOOKED
    toolkit: Reading[str] = NOT_LOOKED
    cdi: Reading[tuple[CdiSpecification, ...]] = NOT_LOOKED

    @property
    def is_inside(self) -> bool:
        """Whether we are surely in a container."""
        return isinstance(self.inside, Known) and self.inside.value is not Inside.NONE

    @property
    def is_wsl(self) -> bool:
        """Whether we are surely in WSL, 1 or 2."""
        return isinstance(self.wsl, Known) and self.wsl.value is not Wsl.NONE


def probe_container(machine: Machine) -> Container:
    """Look at the marks of containers and WSL, Docker's configuration and CDI: files only."""
    return Container(
        inside=probe_inside(machine),
        wsl=probe_wsl(machine),
        wsl_libraries=machine.list_folder(WSL_LIBRARIES),
        mounted_libraries=convert(machine.read_text("/proc/self/mountinfo"), parse_mounts),
        asked_for=machine.environment("NVIDIA_VISIBLE_DEVICES"),
        docker=_first_of(machine, ("/usr/bin/docker", "/snap/bin/docker")),
        docker_runtime=_probe_docker_runtime(machine),
        toolkit=_first_of(machine, _HOOKS),
        cdi=probe_cdi(machine),
    )


def probe_inside(machine: Machine) -> Reading[Inside]:
    """The marks that each kind leaves: files in the root, the init's variable, control group names."""
    for path, kind in (
        ("/run/.containerenv", Inside.PODMAN),
        ("/var/run/secrets/kubernetes.io", Inside.KUBERNETES),
        ("/.dockerenv", Inside.DOCKER),
        ("/.flatpak-info", Inside.FLATPAK),
    ):
        if isinstance(machine.stat(path), Known):
            return Known(kind, path)
    variable = machine.environment("container")
    if isinstance(variable, Known) and variable.value:
        return Known(parse_inside(variable.value), variable.source)
    for path in ("/run/systemd/container", "/proc/1/cgroup"):
        text = machine.read_text(path, limit_bytes=65536)
        if isinstance(text, Known) and (kind := parse_inside(text.value)) is not Inside.OTHER:
            return Known(kind, path)
    root = machine.list_folder("/")
    return Known(Inside.NONE, "/") if isinstance(root, Known) else Unreadable("/", "the root is not known")


def parse_inside(text: str) -> Inside:
    """The kind in a word of the init, or in a control group's path.

    Raw words: `lxc`, `podman`, `0::/system.slice/docker-4f2a.scope`, `12:pids:/kubepods/burstable/pod1`.
    """
    for word, kind in (
        ("kubepods", Inside.KUBERNETES),
        ("podman", Inside.PODMAN),
        ("libpod", Inside.PODMAN),
        ("docker", Inside.DOCKER),
        ("systemd-nspawn", Inside.NSPAWN),
        ("lxc", Inside.LXC),
    ):
        if re.search(rf"(?:^|[/:_-]){word}(?:$|[/\s._-])", text.strip()):
            return kind
    return Inside.OTHER


def parse_wsl(release: str) -> Wsl:
    """WSL by the kernel's release.

    Raw lines: `5.15.167.4-microsoft-standard-WSL2`, `4.4.0-19041-Microsoft`.
    """
    lower = release.strip().lower()
    if "microsoft" not in lower:
        return Wsl.NONE
    return Wsl.ONE if re.match(r"[34]\.4\.0", lower) and "wsl2" not in lower else Wsl.TWO


def parse_mounts(text: str) -> tuple[str, ...]:
    """Driver libraries that are mounts of their own: how NVIDIA's toolkit passes them in.

    Raw line: `812 790 8:2 /usr/lib/libcuda.so.570.169 /usr/lib/x86_64-linux-gnu/libcuda.so.570.169 ro`.
    """
    pattern = r"^\d+ \d+ \S+ \S+ (/\S{1,200}/lib(?:cuda|nvidia-ml)\.so\.\d{3}[\d.]*) "
    return tuple(dict.fromkeys(re.findall(pattern, text, flags=re.MULTILINE)))


def parse_docker_runtime(text: str) -> str | None:
    """The program that Docker starts for NVIDIA's runtime; `None` where it names none.

    Raw text: `{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}}`.

    Raises:
        ValueError: no JSON.
    """
    settings = parse_json(text)
    runtimes = settings.get("runtimes") if isinstance(settings, dict) else None
    entry = runtimes.get("nvidia") if isinstance(runtimes, dict) else None
    program = entry.get("path") if isinstance(entry, dict) else None
    return program if isinstance(program, str) and program else None


def recognise(lines: Lines) -> Container:
    """What pasted lines say of this layer: the kernel's release of WSL.

    Raw line: `Linux box 5.15.167.4-microsoft-standard-WSL2 #1 SMP`.
    """
    hit = lines.last(
        r"(?i)\b(\d{1,2}\.\d{1,3}\.\d{1,3}[\d.]{0,6}-\S{0,20}microsoft\S{0,20})", anchor="microsoft"
    )
    if hit is None:
        return Container()
    return Container(wsl=Known(parse_wsl(hit[1].group(1)), f"{hit[0].source}, line {hit[0].number}"))


def probe_wsl(machine: Machine) -> Reading[Wsl]:
    """Whether this is WSL, and which: one file."""
    return convert(machine.read_text("/proc/sys/kernel/osrelease"), parse_wsl)


def _probe_docker_runtime(machine: Machine) -> Reading[NvidiaRuntime]:
    path = "/etc/docker/daemon.json"
    program = convert(machine.read_text(path), parse_docker_runtime)
    if not isinstance(program, Known):
        return program
    if program.value is None:
        return Absent(path)
    places = (
        (program.value,)
        if "/" in program.value
        else (f"/usr/bin/{program.value}", f"/usr/local/bin/{program.value}")
    )
    found = _first_of(machine, places)
    is_there: Reading[bool] = (
        found if isinstance(found, Unreadable) else Known(isinstance(found, Known), places[0])
    )
    return Known(NvidiaRuntime(program.value, is_there), path)


def _first_of(machine: Machine, paths: tuple[str, ...]) -> Reading[str]:
    problem: Unreadable | None = None
    for path in paths:
        found = machine.stat(path)
        if isinstance(found, Known):
            return Known(path, path)
        problem = found if isinstance(found, Unreadable) and path == paths[0] else problem
    return problem or Absent(paths[0])
