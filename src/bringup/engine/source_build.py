"""Building llama.cpp from source: the commands of CMake and ninja as pure functions, and their words read.

Options are those of llama.cpp's CMakeLists.txt and ggml/CMakeLists.txt
(https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md). An older source ignores those that it
does not have.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.records import dataclass
from bringup.units import GIB

TARGET: Final = "llama-server"

MEMORY_PER_CPU_JOB_BYTES: Final = GIB
"""RAM to keep free for one compiler."""
MEMORY_PER_CUDA_JOB_BYTES: Final = 2 * GIB
"""RAM to keep free for one nvcc and the compilers that it starts."""

_NINJA: Final = re.compile(r"\[(\d{1,6})/(\d{1,6})\]")
_MAKE: Final = re.compile(r"\[ *(\d{1,3})%\]")


WITHOUT_AMX: Final = ("-mno-amx-tile", "-mno-amx-int8", "-mno-amx-bf16")
"""For compilers whose AMX code does not run (see `AMX_TRIAL`)."""

AMX_TRIAL: Final = """\
#include <immintrin.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
struct Config { uint8_t palette_id, start_row, reserved[14]; uint16_t colsb[16]; uint8_t rows[16]; };
int main() {
    if (syscall(SYS_arch_prctl, 0x1023, 18)) return 0;
    alignas(64) Config config = {};
    config.palette_id = 1;
    config.rows[4] = 16;
    config.colsb[4] = 64;
    _tile_loadconfig(&config);
    _tile_zero(4);
    _tile_release();
    return 0;
}
"""
"""A program that ends with SIGILL where AMX code of this compiler would.

gcc 12.2 (Debian 12) tells its optimiser only of the first bytes that the instruction reads, so the rest of
the configuration is never written, and a llama.cpp that it built for this very machine ends at the first
prompt (seen on a Xeon with AMX, 2026-11-26; https://github.com/ggml-org/llama.cpp/pull/26954 says the same).
It returns 0 where the kernel grants no AMX: llama.cpp then does not use it either."""


class Backend(Enum):
    """What the engine computes on."""

    CUDA = "cuda"
    VULKAN = "vulkan"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class BuildJob:
    """One build from source.

    Attributes:
        source: folder with llama.cpp's CMakeLists.txt.
        folder: where the build's files go.
        backend: what it is for; the CPU is always in it.
        cmake: path of CMake.
        ninja: path of ninja; `None` builds with make.
        n_jobs: compilers at once.
        cuda_archs: compute capabilities times ten, such as `86`; with CUDA only.
        nvcc: path of the CUDA compiler; with CUDA only.
        host_compiler: the C++ compiler that nvcc is to call; `None` for its default.
        uses_ccache: whether ccache is there and may be used.
        build_number: llama.cpp's number of that source, 0 when it is not known.
        compiler_flags: further flags for the C and C++ compilers.
    """

    source: str
    folder: str
    backend: Backend
    cmake: str = "cmake"
    ninja: str | None = "ninja"
    n_jobs: int = 1
    cuda_archs: tuple[str, ...] = ()
    nvcc: str | None = None
    host_compiler: str | None = None
    uses_ccache: bool = False
    build_number: int = 0
    compiler_flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildStep:
    """How far a build is: steps done of all. With make: percent of 100."""

    done: int
    total: int


def configure_argv(job: BuildJob) -> tuple[str, ...]:
    """CMake's command that writes the build's files.

    Libraries lie beside the program and are found there (`$ORIGIN`), so the finished folder can be moved. No
    page, no HTTPS client and no tests are built: the engine is given files of this disk and serves an API.
    """
    words = [job.cmake, "-S", job.source, "-B", job.folder]
    words += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={job.ninja}"] if job.ninja else ["-G", "Unix Makefiles"]
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "BUILD_SHARED_LIBS": "ON",
        "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
        "CMAKE_INSTALL_RPATH": "$ORIGIN",
        "GGML_NATIVE": "ON",
        "GGML_CUDA": _switch(job.backend is Backend.CUDA),
        "GGML_VULKAN": _switch(job.backend is Backend.VULKAN),
        "GGML_CCACHE": _switch(job.uses_ccache),
        "LLAMA_BUILD_TESTS": "OFF",
        "LLAMA_BUILD_EXAMPLES": "OFF",
        "LLAMA_BUILD_APP": "OFF",
        "LLAMA_BUILD_UI": "OFF",
        "LLAMA_USE_PREBUILT_UI": "OFF",
        "LLAMA_OPENSSL": "OFF",
        # Thousands of lines about other people's code would bury the one that says why a build failed.
        "LLAMA_ALL_WARNINGS": "OFF",
        "GGML_ALL_WARNINGS": "OFF",
    }
    if job.compiler_flags:
        flags = " ".join(job.compiler_flags)
        options |= {"CMAKE_C_FLAGS": flags, "CMAKE_CXX_FLAGS": flags}
    if job.build_number:
        options["LLAMA_BUILD_NUMBER"] = str(job.build_number)
    if job.backend is Backend.CUDA:
        options["CMAKE_CUDA_ARCHITECTURES"] = ";".join(job.cuda_archs)
        # Where no driver is installed (a container, building for another machine's card) the linker finds
        # no libcuda.so.1 behind the toolkit's stub, and the very last step of an hour would fail.
        options["CMAKE_EXE_LINKER_FLAGS"] = "-Wl,--allow-shlib-undefined"
        options |= {"CMAKE_CUDA_COMPILER": job.nvcc} if job.nvcc else {}
        options |= {"CMAKE_CUDA_HOST_COMPILER": job.host_compiler} if job.host_compiler else {}
    return (*words, *(f"-D{name}={value}" for name, value in options.items()))


def compile_argv(job: BuildJob) -> tuple[str, ...]:
    """The command that compiles. ninja is called itself: nothing stands between it and our signals."""
    if job.ninja:
        return (job.ninja, "-C", job.folder, "-j", str(job.n_jobs), TARGET)
    return (job.cmake, "--build", job.folder, "--target", TARGET, "--parallel", str(job.n_jobs))


def compile_environment(environment: dict[str, str]) -> dict[str, str]:
    """The environment of a build: ninja's counts in its usual form, messages in English."""
    return {**environment, "NINJA_STATUS": "[%f/%t] ", "LC_ALL": "C"}


def choose_jobs(*, n_cores: int, free_bytes: int, backend: Backend) -> int:
    """Compilers at once: one a core, as many as free memory holds, at least one.

    A compile that eats the RAM ends other programs by the kernel's OOM killer.
    """
    each = MEMORY_PER_CUDA_JOB_BYTES if backend is Backend.CUDA else MEMORY_PER_CPU_JOB_BYTES
    return max(1, min(n_cores, free_bytes // each))


def parse_step(line: str) -> BuildStep | None:
    """How far the build is, from a line of ninja or make; `None` when it does not say.

    Raw lines: `[123/345] Building CXX object src/CMakeFiles/llama.dir/llama.cpp.o`,
    `[ 12%] Building CXX object ...`.
    """
    if match := _NINJA.match(line):
        done, total = int(match[1]), int(match[2])
        return BuildStep(done, total) if total > 0 and done <= total else None
    if match := _MAKE.match(line):
        return BuildStep(min(int(match[1]), 100), 100)
    return None


def _switch(is_on: bool) -> str:
    return "ON" if is_on else "OFF"
