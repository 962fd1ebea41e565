"""What a build from source needs and this machine lacks, each with the fault that it would end in.

Pure: facts in, a list out. Names of packages are those of the distributions named in each row.
"""

from __future__ import annotations

from typing import Any, Final

from bringup.engine.source_build import MEMORY_PER_CPU_JOB_BYTES, MEMORY_PER_CUDA_JOB_BYTES, Backend
from bringup.reading import Known, Reading, Unreadable
from bringup.records import dataclass
from bringup.stack.build_tools import BuildTools
from bringup.stack.distribution import PackageFamily
from bringup.stack.stack import Stack
from bringup.stack.toolkit import Nvcc
from bringup.stack.toolkit_files import CudaToolkit
from bringup.units import GIB, MIB

OLDEST_CMAKE: Final = (3, 18)
"""ggml's CUDA part asks for it (`ggml/src/ggml-cuda/CMakeLists.txt`); the rest is content with 3.14."""

CPU_DISK_BYTES: Final = 512 * MIB
"""Source (178 MiB unpacked) and build (61 MiB measured without CUDA), with room."""
CUDA_DISK_BYTES: Final = 3 * GIB
"""Objects of the CUDA kernels come on top."""
READY_CUDA_DISK_BYTES: Final = 2 * GIB
"""The archive and what is in it, side by side for a while; with CUDA's own libraries in it they are large."""

_INSTALL: Final = {
    PackageFamily.APT: ("sudo", "apt-get", "install"),
    PackageFamily.DNF: ("sudo", "dnf", "install"),
    PackageFamily.PACMAN: ("sudo", "pacman", "-S", "--needed"),
    PackageFamily.ZYPPER: ("sudo", "zypper", "install"),
    PackageFamily.NIX: ("nix-shell", "-p"),
}
_PACKAGES: Final[dict[str, dict[PackageFamily, tuple[str, ...]]]] = {
    "cmake": dict.fromkeys(PackageFamily, ("cmake",)),
    "ninja": {
        PackageFamily.APT: ("ninja-build",),
        PackageFamily.DNF: ("ninja-build",),
        PackageFamily.PACMAN: ("ninja",),
        PackageFamily.ZYPPER: ("ninja",),
        PackageFamily.NIX: ("ninja",),
    },
    "compiler": {
        PackageFamily.APT: ("build-essential",),
        PackageFamily.DNF: ("gcc-c++",),
        PackageFamily.PACMAN: ("base-devel",),
        PackageFamily.ZYPPER: ("gcc-c++",),
        PackageFamily.NIX: ("gcc",),
    },
    "nvcc": {
        PackageFamily.APT: ("nvidia-cuda-toolkit",),
        PackageFamily.DNF: ("cuda-toolkit",),
        PackageFamily.PACMAN: ("cuda",),
        PackageFamily.ZYPPER: ("cuda-toolkit",),
        PackageFamily.NIX: ("cudatoolkit",),
    },
    "cublas": {PackageFamily.NIX: ("cudatoolkit",), PackageFamily.PACMAN: ("cuda",)},
    "vulkan": {
        PackageFamily.APT: ("libvulkan-dev", "glslc"),
        PackageFamily.DNF: ("vulkan-headers", "vulkan-loader-devel", "glslc"),
        PackageFamily.PACMAN: ("vulkan-headers", "vulkan-icd-loader", "shaderc"),
        PackageFamily.ZYPPER: ("vulkan-devel", "shaderc"),
        PackageFamily.NIX: ("vulkan-headers", "vulkan-loader", "shaderc"),
    },
}


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that stands in the way of a build.

    Attributes:
        what: in words: what was looked for and what is there instead.
        fault: id of the fault that a build without it would end in.
        command: argv that gets it on this distribution; empty where no package does.
        hint: what to do where no command does it.
    """

    what: str
    fault: str
    command: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """What the place of the build has: free disk and main memory in bytes."""

    disk: Reading[int]
    memory: Reading[int]


def find_missing(
    stack: Stack, tools: BuildTools, room: Room, *, backend: Backend, archs: tuple[str, ...]
) -> tuple[Missing, ...]:
    """All that stands in the way, cheapest to look at first; empty when a build can begin."""
    family = stack.kernel.distribution
    kept = family.value.family if isinstance(family, Known) else PackageFamily.OTHER
    found = [*_tools(tools, kept), *_room(room, backend)]
    if backend is Backend.CUDA:
        found += _cuda(stack, tools, archs, kept)
    if backend is Backend.VULKAN:
        found += _vulkan(tools, kept)
    return tuple(found)


def find_missing_for_ready(room: Room, *, backend: Backend) -> tuple[Missing, ...]:
    """What stands in the way of a ready-made engine: nothing but room on the disk."""
    needed = READY_CUDA_DISK_BYTES if backend is Backend.CUDA else CPU_DISK_BYTES
    return tuple(_disk(room, needed, "a ready-made engine takes"))


def _disk(room: Room, needed: int, what: str) -> list[Missing]:
    if not isinstance(room.disk, Known) or room.disk.value >= needed:
        return []
    return [
        Missing(
            f"{room.disk.value // MIB:,} MiB are free on the disk of {room.disk.source}, "
            f"{what} about {needed // MIB:,}",
            "disk-full",
            hint="Free some space, or set XDG_STATE_HOME to a place that has it.",
        )
    ]


def install_command(packages: str, family: PackageFamily) -> tuple[str, ...]:
    """The command of a distribution family for a row of packages; empty where nobody of ours knows it."""
    names = _PACKAGES[packages].get(family)
    return (*_INSTALL[family], *names) if names and family in _INSTALL else ()


def _tools(tools: BuildTools, family: PackageFamily) -> list[Missing]:
    found = []
    for reading, what, packages in (
        (tools.cmake, "CMake", "cmake"),
        (tools.compiler, "a C++ compiler", "compiler"),
    ):
        if not isinstance(reading, Known):
            found.append(_lacking(reading, what, "build-tool-missing", packages, family))
    version = tools.cmake_version
    if isinstance(version, Known) and version.value < OLDEST_CMAKE:
        wanted, there = (f"{major}.{minor}" for major, minor in (OLDEST_CMAKE, version.value))
        found.append(
            Missing(
                f"CMake {there} is too old: {wanted} or newer",
                "build-tool-missing",
                hint="pip install cmake brings a current one.",
            )
        )
    if not isinstance(tools.ninja, Known) and not isinstance(tools.make, Known):
        found.append(_lacking(tools.ninja, "ninja (or make)", "build-tool-missing", "ninja", family))
    return found


def _lacking(reading: Reading[Any], what: str, fault: str, packages: str, family: PackageFamily) -> Missing:
    words = (
        f"could not look for {what}: {reading.why}"
        if isinstance(reading, Unreadable)
        else f"{what} is not here"
    )
    return Missing(words, fault, install_command(packages, family))


def _room(room: Room, backend: Backend) -> list[Missing]:
    is_cuda = backend is Backend.CUDA
    disk = CUDA_DISK_BYTES if is_cuda else CPU_DISK_BYTES
    memory = MEMORY_PER_CUDA_JOB_BYTES if is_cuda else MEMORY_PER_CPU_JOB_BYTES
    found = _disk(room, disk, "a build takes")
    if isinstance(room.memory, Known) and room.memory.value < memory:
        found.append(
            Missing(
                f"{room.memory.value // MIB:,} MiB of memory are free, one may take {memory // MIB:,}",
                "build-out-of-memory",
                hint="Close other programs, or add swap for the time of the build.",
            )
        )
    return found


def buildable(arch: str, known: tuple[int, ...]) -> str | None:
    """The architecture that nvcc builds for a card: its own, else the nearest older one of its generation."""
    serving = [one for one in known if one // 10 == int(arch) // 10 and one <= int(arch)]
    return str(max(serving)) if serving else None


def accepted_compiler(stack: Stack, tools: BuildTools) -> str | None:
    """A g++ that the first nvcc accepts, where the default one is too new for it; `None` for the default."""
    nvcc, compiler = stack.toolkit.nvcc, stack.toolkit.host_compiler
    if not isinstance(nvcc, Known) or not isinstance(compiler, Known):
        return None
    limit = next((one.gcc_most for one in _toolkits(stack) if one.folder == nvcc.value.folder), None)
    there = compiler.value.version
    if not isinstance(limit, Known) or not isinstance(there, Known) or there.value <= limit.value:
        return None
    fitting = [one for one in tools.versioned_compilers if one[0] <= limit.value]
    return max(fitting)[1] if fitting else None


def _cuda(stack: Stack, tools: BuildTools, archs: tuple[str, ...], family: PackageFamily) -> list[Missing]:
    if not isinstance(stack.toolkit.nvcc, Known):
        return [_lacking_nvcc(stack, family)]
    nvcc = stack.toolkit.nvcc.value
    found = [*_unknown_archs(nvcc, archs), _older_driver(stack, nvcc)]
    if tools.cublas and not any(isinstance(one, Known) for one in tools.cublas):
        found.append(_lacking(tools.cublas[0], "cuBLAS's header", "build-tool-missing", "cublas", family))
    found.append(_newer_compiler(stack, nvcc, tools, family))
    return [one for one in found if one is not None]


def _unknown_archs(nvcc: Nvcc, archs: tuple[str, ...]) -> list[Missing]:
    """Cards that this nvcc builds nothing for."""
    if not isinstance(nvcc.architectures, Known):
        return []
    known = nvcc.architectures.value
    found = []
    for arch in archs:
        if buildable(arch, known) is None:
            is_newer = int(arch) > known[-1]
            found.append(
                Missing(
                    f"{nvcc.file} builds for {known[0]} to {known[-1]}, not for {arch}",
                    "nvcc-too-old-for-gpu" if is_newer else "nvcc-too-new-for-gpu",
                    hint="Install a CUDA toolkit that knows the card beside it: "
                    + ("12.8 or newer for RTX 50." if is_newer else "12.x for cards before Turing."),
                )
            )
    return found


def _older_driver(stack: Stack, nvcc: Nvcc) -> Missing | None:
    """A driver that does not run what this nvcc builds."""
    newest = stack.nvml.cuda_version
    if not isinstance(nvcc.version, Known) or not isinstance(newest, Known):
        return None
    if nvcc.version.value[0] <= newest.value[0]:
        return None
    return Missing(
        f"nvcc is of CUDA {nvcc.version.value[0]}, the driver runs CUDA {newest.value[0]}",
        "driver-too-old-for-cuda",
        hint=f"Update the driver, or build with a toolkit of CUDA {newest.value[0]}.",
    )


def _newer_compiler(stack: Stack, nvcc: Nvcc, tools: BuildTools, family: PackageFamily) -> Missing | None:
    """A host compiler that this nvcc refuses, with none beside it that it takes."""
    compiler = stack.toolkit.host_compiler
    limit = next((one.gcc_most for one in _toolkits(stack) if one.folder == nvcc.folder), None)
    if not isinstance(compiler, Known) or not isinstance(limit, Known):
        return None
    there = compiler.value.version
    if not isinstance(there, Known) or there.value <= limit.value:
        return None
    if any(one <= limit.value for one, _ in tools.versioned_compilers):
        return None
    return Missing(
        f"{compiler.value.path} is gcc {there.value}, this nvcc accepts gcc up to {limit.value}",
        "host-compiler-unsupported",
        (*_INSTALL[family], f"g++-{limit.value}") if family is PackageFamily.APT else (),
        hint=f"Install g++ {limit.value} beside it and set NVCC_CCBIN to its path.",
    )


def _toolkits(stack: Stack) -> tuple[CudaToolkit, ...]:
    toolkits = stack.toolkit.toolkits
    return toolkits.value if isinstance(toolkits, Known) else ()


def _lacking_nvcc(stack: Stack, family: PackageFamily) -> Missing:
    off_path = [one.folder for one in _toolkits(stack) if one.has_nvcc]
    if off_path:
        return Missing(
            f"nvcc is not on PATH; {off_path[0]}/bin has one",
            "nvcc-not-found",
            hint=f"export PATH={off_path[0]}/bin:$PATH",
        )
    return _lacking(stack.toolkit.nvcc, "nvcc, the CUDA compiler,", "nvcc-not-found", "nvcc", family)


def _vulkan(tools: BuildTools, family: PackageFamily) -> list[Missing]:
    found = []
    for reading, what in ((tools.glslc, "glslc"), (tools.vulkan_header, "Vulkan's header")):
        if not isinstance(reading, Known):
            found.append(_lacking(reading, what, "build-tool-missing", "vulkan", family))
    return found
