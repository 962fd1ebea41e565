"""Facts for a build from source: which tools are here, and what Vulkan has. Looked at by `setup` only."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import CommandResult, Machine
from bringup.reading import Absent, Known, Reading, convert
from bringup.records import dataclass
from bringup.stack.toolkit import find_on_path, probe_nvcc

_VULKAN_DRIVERS: Final = ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d")
_VULKAN_HEADER: Final = "/usr/include/vulkan/vulkan.h"
_TIMEOUT_S: Final = 5.0
_INCLUDES: Final = ("include", "targets/x86_64-linux/include", "targets/sbsa-linux/include")
_GCC_VERSIONS: Final = range(9, 20)


@dataclass(frozen=True, slots=True)
class BuildTools:
    """Paths of tools as PATH finds them; absent where it finds none.

    Attributes:
        cmake: CMake.
        cmake_version: its version, (3, 25).
        ninja: ninja.
        make: make.
        compiler: the C++ compiler that CMake takes first (`c++`, `g++`, `clang++`).
        git: git.
        ccache: ccache.
        glslc: the shader compiler that a Vulkan build needs.
        vulkan_header: the header that a Vulkan build needs.
        vulkan_drivers: names of Vulkan's driver files; absent where none is installed.
        has_amx: whether the processor says that it has AMX.
        cublas: cuBLAS's header in the usual places of the first toolkit; empty where there is no nvcc.
        versioned_compilers: g++ of one version each, as (12, `/usr/bin/g++-12`).
    """

    cmake: Reading[str]
    cmake_version: Reading[tuple[int, int]]
    ninja: Reading[str]
    make: Reading[str]
    compiler: Reading[str]
    git: Reading[str]
    ccache: Reading[str]
    glslc: Reading[str]
    vulkan_header: Reading[str]
    vulkan_drivers: Reading[tuple[str, ...]]
    has_amx: Reading[bool]
    versioned_compilers: tuple[tuple[int, str], ...] = ()
    cublas: tuple[Reading[str], ...] = ()


def probe_build_tools(machine: Machine) -> BuildTools:
    """Look; runs nothing but `cmake --version`."""
    cmake = find_on_path(machine, "cmake")
    version: Reading[tuple[int, int]] = Absent("cmake")
    if isinstance(cmake, Known):
        version = convert(machine.run((cmake.value, "--version"), timeout_s=_TIMEOUT_S), parse_cmake_version)
    header = machine.stat(_VULKAN_HEADER)
    return BuildTools(
        cmake=cmake,
        cmake_version=version,
        ninja=_first(machine, "ninja", "ninja-build"),
        make=find_on_path(machine, "make"),
        compiler=_first(machine, "c++", "g++", "clang++"),
        git=find_on_path(machine, "git"),
        ccache=find_on_path(machine, "ccache"),
        glslc=find_on_path(machine, "glslc"),
        vulkan_header=convert(header, lambda _: _VULKAN_HEADER),
        vulkan_drivers=_vulkan_drivers(machine),
        has_amx=convert(machine.read_text("/proc/cpuinfo"), lambda text: " amx_tile" in text),
        versioned_compilers=tuple(
            (version, path.value)
            for version in _GCC_VERSIONS
            if isinstance(path := find_on_path(machine, f"g++-{version}"), Known)
        ),
        cublas=_cublas(machine),
    )


def parse_cmake_version(result: CommandResult) -> tuple[int, int]:
    """What `cmake --version` prints.

    Raw line: `cmake version 3.25.1`.

    Raises:
        ValueError: no version.
    """
    match = re.match(r"cmake version (\d{1,3})\.(\d{1,3})", result.stdout)
    if match is None:
        raise ValueError("no version of CMake")
    return int(match[1]), int(match[2])


def _cublas(machine: Machine) -> tuple[Reading[str], ...]:
    nvcc = probe_nvcc(machine)
    if not isinstance(nvcc, Known):
        return ()
    folders = [f"{nvcc.value.folder}/{part}" for part in _INCLUDES] + ["/usr/include"]
    places = [f"{folder}/cublas_v2.h" for folder in folders]
    return tuple(convert(machine.stat(path), lambda _, path=path: path) for path in places)  # type: ignore[misc]


def _first(machine: Machine, *names: str) -> Reading[str]:
    found = [find_on_path(machine, name) for name in names]
    return next((one for one in found if isinstance(one, Known)), found[0])


def _vulkan_drivers(machine: Machine) -> Reading[tuple[str, ...]]:
    names: list[str] = []
    for folder in _VULKAN_DRIVERS:
        listed = machine.list_folder(folder)
        if isinstance(listed, Known):
            names += [name for name in listed.value if name.endswith(".json")]
    return Known(tuple(names), _VULKAN_DRIVERS[0]) if names else Absent(_VULKAN_DRIVERS[0])
