"""Facts of the layer: toolkit. Every CUDA toolkit, the nvcc that comes first, its compiler, the C library."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import CommandResult, Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.stack.links import follow_link
from bringup.stack.toolkit_files import CudaToolkit, CudaVersion, find_version, probe_toolkits, probe_version

_VARIABLES: Final = (
    "CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT", "CUDACXX", "CUDAHOSTCXX", "NVCC_CCBIN",
    "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH",
    "CPLUS_INCLUDE_PATH",
)  # fmt: skip
_LIBC_PATHS: Final = (
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
)
_WRAPPER_LIMIT_BYTES: Final = 4096
_SYSTEM_FOLDERS: Final = ("/usr/local/bin", "/usr/bin")


@dataclass(frozen=True, slots=True)
class Nvcc:
    """The CUDA compiler that a build finds first.

    Attributes:
        path: as PATH finds it.
        file: the compiler itself, links and wrapper scripts followed.
        folder: its toolkit's folder.
        version: of that toolkit.
        architectures: compute capabilities times ten that it builds for, ascending (75, 80, 86).
    """

    path: str
    file: str
    folder: str
    version: Reading[CudaVersion]
    architectures: Reading[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class HostCompiler:
    """The C++ compiler that nvcc would call. `version`: its first number."""

    path: str
    version: Reading[int]


@dataclass(frozen=True, slots=True)
class Toolkit:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        toolkits: every one that was found.
        nvcc: the one that comes first on PATH; absent for none.
        host_compiler: g++, or what a variable names instead; absent for none.
        glibc: version of the C library.
        environment: each variable that decides which toolkit a build takes, set or not.
        variables: those set that decide which toolkit a build takes, by name.
    """

    toolkits: Reading[tuple[CudaToolkit, ...]] = NOT_LOOKED
    nvcc: Reading[Nvcc] = NOT_LOOKED
    host_compiler: Reading[HostCompiler] = NOT_LOOKED
    glibc: Reading[tuple[int, int]] = NOT_LOOKED
    environment: tuple[tuple[str, Reading[str]], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    def variable(self, name: str) -> str:
        """A variable that is set, else an empty text."""
        return dict(self.variables).get(name, "")


def probe_toolkit(machine: Machine) -> Toolkit:
    """Look at toolkits and compilers: files, and one quick command each of nvcc and g++ where needed."""
    asked = tuple((name, machine.environment(name)) for name in _VARIABLES)
    set_ones = [(name, value.value) for name, value in asked if isinstance(value, Known) and value.value]
    return Toolkit(
        toolkits=probe_toolkits(machine),
        nvcc=probe_nvcc(machine),
        host_compiler=probe_host_compiler(machine, dict(set_ones)),
        glibc=probe_glibc(machine),
        environment=asked,
        variables=tuple(set_ones),
    )


def probe_nvcc(machine: Machine) -> Reading[Nvcc]:
    """The first nvcc on PATH and what it can build for."""
    path = find_on_path(machine, "nvcc")
    if not isinstance(path, Known):
        return path
    file = _behind_wrapper(machine, path.value)
    folder = file.rsplit("/", 2)[0]
    printed = machine.run((file, "--list-gpu-arch"), timeout_s=3.0)
    return Known(
        Nvcc(
            path.value,
            file,
            folder,
            probe_version(machine, folder),
            convert(printed, lambda result: parse_architectures(result.stdout)),
        ),
        path.value,
    )


def probe_host_compiler(machine: Machine, variables: dict[str, str]) -> Reading[HostCompiler]:
    """The compiler that a variable names, else g++ on PATH; its version by its file's name, else asked."""
    named = variables.get("CUDAHOSTCXX") or variables.get("NVCC_CCBIN") or ""
    path = Known(named, "NVCC_CCBIN") if named.startswith("/") else find_on_path(machine, named or "g++")
    if not isinstance(path, Known):
        return path
    file = follow_link(machine, path.value)
    match = re.search(r"-(\d{1,2})$", file.value) if isinstance(file, Known) else None
    if match is not None:
        return Known(HostCompiler(path.value, Known(int(match[1]), path.value)), path.value)
    printed = machine.run((path.value, "-dumpversion"), timeout_s=3.0)
    return Known(HostCompiler(path.value, convert(printed, parse_dump_version)), path.value)


def probe_glibc(machine: Machine) -> Reading[tuple[int, int]]:
    """The C library's version: asked, and where nothing can be run, from the sentence that it holds."""
    asked = convert(machine.run(("getconf", "GNU_LIBC_VERSION"), timeout_s=3.0), parse_getconf)
    if isinstance(asked, Known):
        return asked
    problem: Unreadable | None = None
    for path in _LIBC_PATHS:
        data = machine.read(path)
        if isinstance(data, Known):
            return convert(data, parse_glibc)
        problem = data if isinstance(data, Unreadable) else problem
    return problem or Absent(_LIBC_PATHS[0])


def find_on_path(machine: Machine, name: str) -> Reading[str]:
    """The first file of a name on PATH; where nobody knows PATH, in the system's folders only."""
    variable = machine.environment("PATH")
    parts = variable.value.split(":") if isinstance(variable, Known) else list(_SYSTEM_FOLDERS)
    for folder in parts:
        path = f"{folder.rstrip('/')}/{name}"
        if folder.startswith("/") and isinstance(follow_link(machine, path), Known):
            return Known(path, path)
    return (
        Absent(f"{name} on PATH") if isinstance(variable, Known) else Unreadable(f"{name} on PATH", "no PATH")
    )


def parse_architectures(text: str) -> tuple[int, ...]:
    """What `nvcc --list-gpu-arch` prints.

    Raw line: `compute_86`.

    Raises:
        ValueError: it lists none.
    """
    found = sorted({int(number) for number in re.findall(r"^compute_(\d{2,3})$", text, flags=re.MULTILINE)})
    if not found:
        raise ValueError("no compute_NN line")
    return tuple(found)


def parse_dump_version(result: CommandResult) -> int:
    """What `g++ -dumpversion` prints.

    Raw line: `13`, older ones `7.5.0`.

    Raises:
        ValueError: no number.
    """
    match = re.match(r"\s*(\d{1,2})\b", result.stdout)
    if match is None:
        raise ValueError("no version")
    return int(match[1])


def parse_getconf(result: CommandResult) -> tuple[int, int]:
    """What getconf prints.

    Raw line: `glibc 2.36`.

    Raises:
        ValueError: another answer.
    """
    match = re.match(r"glibc (\d{1,2})\.(\d{1,3})", result.stdout)
    if match is None:
        raise ValueError("no version of glibc")
    return int(match[1]), int(match[2])


def parse_glibc(data: bytes) -> tuple[int, int]:
    """The version in libc.so.6.

    Raw text: `GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.`

    Raises:
        ValueError: no such sentence.
    """
    match = re.search(rb"GNU C Library [^\n\x00]{0,120}release version (\d{1,2})\.(\d{1,3})", data)
    if match is None:
        raise ValueError("no version of the GNU C Library")
    return int(match[1]), int(match[2])


def parse_wrapper(text: str) -> str | None:
    """The program that a shell script of one command calls.

    Raw line: `exec /usr/lib/nvidia-cuda-toolkit/bin/nvcc "$@"`.
    """
    match = re.search(r"^\s*(?:exec\s+)?(/\S{1,200}/nvcc)\s+[\"']?\$@", text, flags=re.MULTILINE)
    return match[1] if match is not None else None


def recognise(lines: Lines) -> Toolkit:
    """What pasted lines say of this layer: nvcc's version and architectures, gcc's, the C library's.

    Raw lines: `Cuda compilation tools, release 12.0, V12.0.140`, `g++ (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0`,
    `ldd (Ubuntu GLIBC 2.39-0ubuntu8.4) 2.39`.
    """
    return Toolkit(
        nvcc=_recognise_nvcc(lines),
        host_compiler=_recognise_compiler(lines),
        glibc=_recognise_glibc(lines),
    )


def _recognise_nvcc(lines: Lines) -> Reading[Nvcc]:
    hit = lines.last(r"Cuda compilation tools, release (\d{1,2}\.\d{1,2})", anchor="cuda compilation tools")
    if hit is None:
        return NOT_LOOKED
    source = f"{hit[0].source}, line {hit[0].number}"
    version = find_version(hit[1].group(1), "")
    shown: Reading[CudaVersion] = Known(version, source) if version is not None else NOT_LOOKED
    listed = [line.text.strip() for line in lines.with_anchor("compute_")]
    rows = "\n".join(text for text in listed if re.fullmatch(r"compute_\d{2,3}", text))
    architectures: Reading[tuple[int, ...]] = NOT_LOOKED
    if rows:
        architectures = convert(Known(rows, source), parse_architectures)
    return Known(Nvcc("nvcc", "nvcc", "", shown, architectures), source)


def _recognise_compiler(lines: Lines) -> Reading[HostCompiler]:
    hit = lines.last(r"^(?:g\+\+|gcc)(?:-\d{1,2})? \([^)]{1,60}\) (\d{1,2})\.\d", anchor=") ")
    if hit is None:
        return NOT_LOOKED
    source = f"{hit[0].source}, line {hit[0].number}"
    return Known(HostCompiler("g++", Known(int(hit[1].group(1)), source)), source)


def _recognise_glibc(lines: Lines) -> Reading[tuple[int, int]]:
    hit = lines.last(r"^ldd \([^)]{1,60}\) (\d)\.(\d{1,3})", anchor="ldd (")
    if hit is None:
        return NOT_LOOKED
    return Known((int(hit[1].group(1)), int(hit[1].group(2))), f"{hit[0].source}, line {hit[0].number}")


def _behind_wrapper(machine: Machine, path: str) -> str:
    """The compiler itself: links followed, then a small script that only calls it, then links again."""
    file = follow_link(machine, path)
    place = file.value if isinstance(file, Known) else path
    stat = machine.stat(place)
    if isinstance(stat, Known) and stat.value.size_bytes <= _WRAPPER_LIMIT_BYTES:
        text = machine.read_text(place, limit_bytes=_WRAPPER_LIMIT_BYTES)
        called = parse_wrapper(text.value) if isinstance(text, Known) else None
        if called is not None:
            behind = follow_link(machine, called)
            return behind.value if isinstance(behind, Known) else called
    return place
