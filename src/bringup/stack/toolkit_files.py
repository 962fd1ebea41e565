"""CUDA toolkits on the disk: folders, versions, what their headers accept. Nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert, parse_json
from bringup.records import dataclass
from bringup.stack.links import follow_link

T = TypeVar("T")
CudaVersion: TypeAlias = tuple[int, int]
"""Major and minor: (12, 8)."""

_HEADER_LIMIT_BYTES: Final = 4 * 1024**2
_FIXED_FOLDERS: Final = ("/opt/cuda", "/usr/lib/nvidia-cuda-toolkit", "/usr/lib/cuda")
_VARIABLES: Final = ("CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT", "CONDA_PREFIX")
_TOOLKIT_LIMIT: Final = 16
_RUNTIME: Final = regex(r"lib(?:cudart|cublas|cublasLt|nvrtc|cudnn|nccl|nvJitLink|cufft)\.so\.\d{1,3}")


@dataclass(frozen=True, slots=True)
class CudaToolkit:
    """One toolkit.

    Attributes:
        folder: its real place, links followed.
        version: major and minor.
        has_nvcc: whether its compiler is there (a runtime alone has none).
        gcc_most: the newest gcc that its headers accept; absent where they set no limit.
        runtime_libraries: file names of the libraries that programs need at run time (cudart, cublas, ...).
        has_stubs, has_compatibility: whether it brings stub libraries for linking, and a newer libcuda
            for older drivers.
        clashes_from: the oldest glibc, as (2, 41), whose mathematics its headers contradict; absent for none.
    """

    folder: str
    version: Reading[CudaVersion]
    has_nvcc: bool
    gcc_most: Reading[int]
    clashes_from: Reading[tuple[int, int]]
    runtime_libraries: Reading[tuple[str, ...]] = NOT_LOOKED
    has_stubs: Reading[bool] = NOT_LOOKED
    has_compatibility: Reading[bool] = NOT_LOOKED


def probe_toolkits(machine: Machine) -> Reading[tuple[CudaToolkit, ...]]:
    """Every toolkit in the usual places and where variables point; an empty tuple for none."""
    folders: dict[str, None] = {}
    names = machine.list_folder("/usr/local")
    children = names.value if isinstance(names, Known) else ()
    usual = [
        f"/usr/local/{name}" for name in children if re.fullmatch(r"cuda(?:-\d{1,2}(?:\.\d{1,2})?)?", name)
    ]
    for variable in _VARIABLES:
        value = machine.environment(variable)
        if isinstance(value, Known) and value.value.startswith("/"):
            usual.append(value.value.rstrip("/"))
    for place in (*usual, *_FIXED_FOLDERS):
        real = follow_link(machine, place)
        if isinstance(real, Known):
            folders.setdefault(real.value)
    found = [toolkit for folder in list(folders)[:_TOOLKIT_LIMIT] if (toolkit := _look_at(machine, folder))]
    if not found and isinstance(names, Unreadable):
        return names
    return Known(tuple(found), "/usr/local/cuda*, /opt/cuda, /usr/lib/nvidia-cuda-toolkit")


def probe_version(machine: Machine, folder: str) -> Reading[CudaVersion]:
    """A toolkit's version: version.json, version.txt, its folder's name, then its headers."""
    json_text = machine.read_text(f"{folder}/version.json")
    if isinstance(json_text, Known) and (version := parse_version_json(json_text.value)):
        return Known(version, json_text.source)
    text = machine.read_text(f"{folder}/version.txt")
    if isinstance(text, Known) and (version := find_version(text.value, r"CUDA Version ")):
        return Known(version, text.source)
    if (version := find_version(folder, r"/cuda-")) is not None:
        return Known(version, folder)
    for header in _headers(folder, "cuda.h"):
        content = machine.read_text(header, limit_bytes=_HEADER_LIMIT_BYTES)
        if isinstance(content, Known) and (version := parse_cuda_header(content.value)):
            return Known(version, header)
    return Absent(f"{folder}/version.json")


def parse_version_json(text: str) -> CudaVersion | None:
    """The version in a toolkit's version.json.

    Raw text: `{"cuda": {"name": "CUDA SDK", "version": "12.8.1"}, ...}`.
    """
    try:
        parts = parse_json(text)
        return find_version(str(parts["cuda"]["version"]), "")
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def parse_cuda_header(text: str) -> CudaVersion | None:
    """The version in cuda.h.

    Raw line: `#define CUDA_VERSION 12080`.
    """
    match = re.search(r"^#define CUDA_VERSION (\d{4,6})$", text, flags=re.MULTILINE)
    return (int(match[1]) // 1000, int(match[1]) % 1000 // 10) if match is not None else None


def find_version(text: str, before: str) -> CudaVersion | None:
    """The first `12.8` after some words."""
    match = re.search(rf"{before}(\d{{1,2}})\.(\d{{1,2}})", text)
    return (int(match[1]), int(match[2])) if match is not None else None


def parse_gcc_most(text: str) -> int | None:
    """The newest gcc that host_config.h accepts.

    Raw line: `#error -- unsupported GNU version! gcc versions later than 13 are not supported! ...`.
    """
    match = re.search(r"gcc versions later than (\d{1,2}) are not supported", text)
    return int(match[1]) if match is not None else None


def parse_clash(text: str) -> tuple[int, int] | None:
    """The oldest glibc that declares with noexcept what crt/math_functions.h declares without.

    glibc 2.41 brought cospi and sinpi, 2.42 rsqrt.

    Raw line: `extern __DEVICE_FUNCTIONS_DECL__ __device_builtin__ double cospi(double x);`.
    """
    for name, glibc in (("cospi", (2, 41)), ("rsqrt", (2, 42))):
        pattern = rf"^extern [^\n]{{0,120}}\bdouble\s+{name}\(double \w+\)([^;\n]{{0,80}});"
        match = re.search(pattern, text, flags=re.MULTILINE)
        if match is not None and not match[1].strip():
            return glibc
    return None


def _look_at(machine: Machine, folder: str) -> CudaToolkit | None:
    has_nvcc = isinstance(machine.stat(f"{folder}/bin/nvcc"), Known)
    if not has_nvcc and not isinstance(machine.stat(f"{folder}/lib64"), Known):
        return None
    return CudaToolkit(
        folder=folder,
        version=probe_version(machine, folder),
        has_nvcc=has_nvcc,
        gcc_most=_from_header(machine, folder, "crt/host_config.h", parse_gcc_most),
        clashes_from=_from_header(machine, folder, "crt/math_functions.h", parse_clash),
        runtime_libraries=_runtime_libraries(machine, folder),
        has_stubs=_has(machine, f"{folder}/lib64/stubs"),
        has_compatibility=_has(machine, f"{folder}/compat"),
    )


def _runtime_libraries(machine: Machine, folder: str) -> Reading[tuple[str, ...]]:
    """Versioned names such as `libcudart.so.12`; a distribution's toolkit keeps them among its own."""
    names = machine.list_folder(f"{folder}/lib64")
    if isinstance(names, Absent):
        names = machine.list_folder(f"{folder}/targets/x86_64-linux/lib")
    return convert(names, lambda found: tuple(name for name in found if _RUNTIME.fullmatch(name)))


def _has(machine: Machine, path: str) -> Reading[bool]:
    found = machine.stat(path)
    return found if isinstance(found, Unreadable) else Known(isinstance(found, Known), path)


def _from_header(machine: Machine, folder: str, name: str, parse: Callable[[str], T | None]) -> Reading[T]:
    problem: Unreadable | None = None
    for path in _headers(folder, name):
        text = machine.read_text(path, limit_bytes=_HEADER_LIMIT_BYTES)
        if isinstance(text, Known):
            value = parse(text.value)
            return Absent(path) if value is None else Known(value, path)
        problem = text if isinstance(text, Unreadable) else problem
    return problem or Absent(f"{folder}/include/{name}")


def _headers(folder: str, name: str) -> tuple[str, ...]:
    """Debian's toolkit keeps its headers in /usr/include."""
    own = (f"{folder}/include/{name}", f"{folder}/targets/x86_64-linux/include/{name}")
    return (*own, f"/usr/include/{name}") if folder.startswith("/usr/lib/") else own
