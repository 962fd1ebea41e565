"""Facts of the layer: build. Every llama.cpp build found, with its backends and libraries; nothing is run."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import FileKind, Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.elf import DynamicInfo, parse_dynamic
from bringup.stack.fatbin import parse_architectures
from bringup.stack.lines import Lines

PROGRAM: Final = "llama-server"
_READ_LIMIT_BYTES: Final = 32 * 1024**2
"""A program larger than this is a static build with CUDA in it; its tables are not read."""
_CUDA_LIMIT_BYTES: Final = 64 * 1024**2
"""A CUDA library larger than this is not read: it would cost the doctor more time than it may take."""
_BUILD_LIMIT: Final = 12
_BACKENDS: Final = ("cuda", "vulkan", "hip", "sycl", "opencl", "musa", "cann", "metal", "rpc", "blas", "cpu")


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """One build of llama.cpp on the disk.

    Attributes:
        program: path of its llama-server.
        origin: how it was found: PATH, home or system.
        number: its build number; absent where no file says it.
        backends: names of its backends (`cuda`, `vulkan`, `cpu`), sorted.
        stale_backends: backend libraries that lie beside it and that it does not use.
        cuda_archs: what its CMake cache was told, as written (`86-real;120`), or where it names no numbers
            what its CUDA library holds, written likewise; absent where it has neither.
        needs: libraries that the program needs.
        strayed: libraries of llama.cpp's own that it takes from another folder: (name, folder).
    """

    program: str
    origin: str
    number: Reading[int]
    backends: Reading[tuple[str, ...]]
    stale_backends: tuple[str, ...]
    cuda_archs: Reading[str]
    needs: Reading[tuple[str, ...]]
    strayed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Build:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    `engines` holds the build that a shell would start first at the front.
    """

    engines: Reading[tuple[EngineFiles, ...]] = NOT_LOOKED


def probe_build(machine: Machine) -> Build:
    """Look for llama.cpp on PATH, in the home folder and in usual places of the system."""
    programs: dict[str, str] = {}
    for folder, origin in _folders(machine):
        path = f"{folder}/{PROGRAM}"
        stat = machine.stat(path)
        if isinstance(stat, Known) and stat.value.kind in (FileKind.FILE, FileKind.LINK):
            programs.setdefault(_target(machine, path), origin)
    found = tuple(_look_at(machine, path, origin) for path, origin in list(programs.items())[:_BUILD_LIMIT])
    if found:
        return Build(Known(found, "files named llama-server"))
    if isinstance(machine.environment("PATH"), Known):
        return Build(Absent("llama-server on PATH and in usual places"))
    return Build(Unreadable("llama-server", "PATH is not known and the usual places hold none"))


def probe_engine(machine: Machine, program: str) -> EngineFiles:
    """Look at one build by the path of its llama-server; a link is followed one step."""
    return _look_at(machine, _target(machine, program), "named")


def recognise(lines: Lines) -> Build:
    """What pasted lines say of this layer: nothing that the engine's log does not say already."""
    del lines
    return Build()


def parse_build_number(text: str) -> int:
    """Number in the generated build-info.cpp.

    Raw line: `int LLAMA_BUILD_NUMBER = 5518;`.

    Raises:
        ValueError: no such line.
    """
    match = re.search(r"LLAMA_BUILD_NUMBER = (\d+);", text)
    if match is None:
        raise ValueError("no LLAMA_BUILD_NUMBER")
    return int(match[1])


def parse_cache_entry(text: str, name: str) -> str | None:
    """A value of CMakeCache.txt, `None` when it has none of the name.

    Raw line: `CMAKE_CUDA_ARCHITECTURES:STRING=86;120`.
    """
    match = re.search(rf"^{re.escape(name)}:\w+=(.*)$", text, re.MULTILINE)
    return match[1] if match is not None else None


def backends_of(
    registry: DynamicInfo | None, program: DynamicInfo, beside: tuple[str, ...]
) -> tuple[str, ...]:
    """Backends that a build uses.

    A build whose libggml needs its backends by name uses these; one with loadable backends uses whatever lies
    beside it; a static one shows by the CUDA libraries that the program itself needs.

    Args:
        registry: what libggml.so needs; `None` when there is none (static build).
        program: what the program needs.
        beside: names of files in the folder of the libraries.
    """
    if registry is None:
        cuda = any(re.match(r"lib(?:cuda|cudart|cublas)\.so", name) for name in program.needed)
        vulkan = any(name.startswith("libvulkan.so") for name in program.needed)
        return tuple(name for name, there in (("cpu", True), ("cuda", cuda), ("vulkan", vulkan)) if there)
    linked = {name for library in registry.needed if (name := backend_name(library))}
    return tuple(sorted(linked or {name for file in beside if (name := backend_name(file))}))


def backend_name(file: str) -> str:
    """`cuda` for libggml-cuda.so.0, `cpu` for libggml-cpu-haswell.so; empty for any other file."""
    match = re.match(r"libggml-([a-z]+)[\w-]*\.so", file)
    return match[1] if match is not None and match[1] in _BACKENDS else ""


def _folders(machine: Machine) -> list[tuple[str, str]]:
    places: list[tuple[str, str]] = []
    variable = machine.environment("PATH")
    if isinstance(variable, Known):
        places += [(part.rstrip("/"), "PATH") for part in variable.value.split(":") if part.startswith("/")]
    home = machine.environment("HOME")
    if isinstance(home, Known):
        places += [(folder, "home") for folder in _home_folders(machine, home.value)]
    system = ("/usr/local/bin", "/usr/bin", "/opt/llama.cpp", "/opt/llama.cpp/build/bin", "/app")
    return list(dict.fromkeys(places + [(folder, "system") for folder in system]))


def _home_folders(machine: Machine, home: str) -> list[str]:
    result = []
    for source in (f"{home}/llama.cpp", f"{home}/src/llama.cpp", f"{home}/git/llama.cpp"):
        names = machine.list_folder(source)
        if isinstance(names, Known):
            result += [f"{source}/{name}/bin" for name in names.value if name.startswith("build")]
    return result


def _target(machine: Machine, path: str) -> str:
    """The file behind a link (one step), so that one build counts once."""
    stat = machine.stat(path)
    target = stat.value.link_target if isinstance(stat, Known) else None
    if not target:
        return path
    return target if target.startswith("/") else f"{path.rsplit('/', 1)[0]}/{target}"


def _look_at(machine: Machine, program: str, origin: str) -> EngineFiles:
    folder = program.rsplit("/", 1)[0]
    own = convert(machine.read(program, limit_bytes=_READ_LIMIT_BYTES), parse_dynamic)
    home = _library_folder(machine, folder)
    names = machine.list_folder(home)
    beside = names.value if isinstance(names, Known) else ()
    backends: Reading[tuple[str, ...]] = convert(
        own, lambda info: backends_of(_registry(machine, home, beside), info, beside)
    )
    used = backends.value if isinstance(backends, Known) else _BACKENDS
    cache = machine.read_text(f"{folder.removesuffix('/bin')}/CMakeCache.txt")
    return EngineFiles(
        program=program,
        origin=origin,
        number=_number(machine, folder),
        backends=backends,
        stale_backends=tuple(sorted({n for file in beside if (n := backend_name(file)) and n not in used})),
        cuda_archs=_cuda_archs(machine, cache, home, beside),
        needs=convert(own, lambda info: info.needed),
        strayed=_strayed(machine, own, folder, beside),
    )


def _library_folder(machine: Machine, folder: str) -> str:
    """Where the build's libraries lie: beside the program, or in the lib folder next to its bin."""
    names = machine.list_folder(folder)
    if isinstance(names, Known) and any(name.startswith("libggml") for name in names.value):
        return folder
    return folder.removesuffix("/bin") + "/lib" if folder.endswith("/bin") else folder


def _registry(machine: Machine, folder: str, beside: tuple[str, ...]) -> DynamicInfo | None:
    name = next((name for name in beside if re.fullmatch(r"libggml\.so(?:\.\d+)*", name)), None)
    if name is None:
        return None
    info = convert(machine.read(f"{folder}/{name}", limit_bytes=_READ_LIMIT_BYTES), parse_dynamic)
    return info.value if isinstance(info, Known) else None


def _number(machine: Machine, folder: str) -> Reading[int]:
    """From the generated source of a build here, else from a folder's name such as llama-b6988-bin-ubuntu."""
    path = f"{folder.removesuffix('/bin')}/common/build-info.cpp"
    text = machine.read_text(path)
    if isinstance(text, Known):
        return convert(text, parse_build_number)
    match = re.search(r"/(?:llama-)?b(\d{4,6})\b", folder)
    return Known(int(match[1]), folder) if match is not None else Absent(path)


def _cache_entry(cache: Reading[str], name: str) -> Reading[str]:
    if not isinstance(cache, Known):
        return cache
    value = parse_cache_entry(cache.value, name)
    return Absent(cache.source) if value is None else Known(value, cache.source)


def _cuda_archs(machine: Machine, cache: Reading[str], folder: str, beside: tuple[str, ...]) -> Reading[str]:
    told = _cache_entry(cache, "CMAKE_CUDA_ARCHITECTURES")
    name = next((name for name in beside if re.fullmatch(r"libggml-cuda\.so(?:\.\d+)*", name)), None)
    if name is None or (isinstance(told, Known) and re.match(r"\d", told.value)):
        return told
    path = f"{folder}/{name}"
    data = machine.read(path, limit_bytes=_CUDA_LIMIT_BYTES)
    read = convert(data, parse_cuda_library)
    if isinstance(read, Known) or isinstance(told, Known):
        return read if isinstance(read, Known) else told
    why = read.why if isinstance(read, Unreadable) else "it is gone"
    return Unreadable(path, f"cannot tell ({why}); cuobjdump --list-elf {path} would")


def parse_cuda_library(data: bytes) -> str:
    """The architectures in libggml-cuda.so, as `parse_architectures` writes them.

    Raises:
        ValueError: it is no ELF-64 file or has no fat binary of the known form, or cuBLAS is linked into it,
            whose code could not be told from its own.
    """
    if not any(name.startswith("libcublas.so") for name in parse_dynamic(data).needed):
        raise ValueError("it does not take cuBLAS from a library, so that code of others may be in it")
    return parse_architectures(data)


def _strayed(
    machine: Machine, own: Reading[DynamicInfo], folder: str, beside: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Own libraries that LD_LIBRARY_PATH serves from another folder before the program's run path comes."""
    variable = machine.environment("LD_LIBRARY_PATH")
    if not isinstance(own, Known) or not isinstance(variable, Known):
        return ()
    result = []
    for name in own.value.needed:
        if not re.match(r"lib(?:llama|ggml|mtmd)", name) or name not in beside:
            continue
        places = (place.rstrip("/") for place in variable.value.split(":") if place.startswith("/"))
        other = next((p for p in places if isinstance(machine.stat(f"{p}/{name}"), Known)), folder)
        if other != folder:
            result.append((name, other))
    return tuple(result)
