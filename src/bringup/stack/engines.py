"""Engines that run on the machine, from /proc: which, with which model and options, with CUDA or not."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.units import KIB, parse_whole

_PROGRAMS: Final = {
    "llama-server": "llama-server",
    "llama-cli": "llama-cli",
    "llama-bench": "llama-bench",
    "llama": "llama",
    "ollama": "ollama",
    "ollama_llama_server": "ollama",
    "llama-box": "llama-box",
    "llamafile": "llamafile",
    "koboldcpp": "koboldcpp",
    "koboldcpp-linux-x64": "koboldcpp",
}
_MODULES: Final = {
    "llama_cpp.server": "llama-cpp-python",
    "bringup.engine.embedded": "bringup",
    "koboldcpp.py": "koboldcpp",
    "xllamacpp": "xllamacpp",
}
_SECRET_OPTIONS: Final = frozenset({"--api-key", "--hf-token", "-hft", "--ssl-key-file", "--password"})
_SPLIT_LIMIT: Final = 1000
_PROCESS_LIMIT: Final = 20_000
_COMMAND_LIMIT_BYTES: Final = 64 * KIB
_MAPS_LIMIT_BYTES: Final = 4 * 1024 * KIB


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """A running engine.

    Attributes:
        process_id: its number.
        program: its name: llama-server, ollama, koboldcpp, llama-cpp-python, bringup...
        command: its command line; values of options that hold a secret are left out.
        model_path: the model that its options name; empty where they name none.
        port: the port that its options name; `None` where they name none.
        threads: as asked for; `None` where its options do not say.
        gpu_layers: as asked for (`99`, `all`, `auto`); empty where its options do not say.
        locks_memory: whether it is told to keep the model from being swapped out.
        resident_bytes: main memory that it holds, mapped files included.
        has_cuda: whether CUDA's library is mapped into it.
        model_cached_bytes: how much of the model lies in the page cache; not looked at without a path.
    """

    process_id: int
    program: str
    command: tuple[str, ...]
    model_path: str
    port: int | None
    threads: int | None
    gpu_layers: str
    locks_memory: bool
    resident_bytes: Reading[int]
    has_cuda: Reading[bool]
    model_cached_bytes: Reading[int] = NOT_LOOKED


def probe_engines(machine: Machine) -> Reading[tuple[EngineProcess, ...]]:
    """Running engines by process id; an empty tuple when none runs."""
    names = machine.list_folder("/proc")
    if not isinstance(names, Known):
        return names
    numbers = sorted(filter(None, map(parse_whole, names.value[:_PROCESS_LIMIT])))
    found = (_probe_one(machine, number) for number in numbers)
    return Known(tuple(engine for engine in found if engine is not None), "/proc/*/cmdline")


def read_command(command: tuple[str, ...]) -> str:
    """The engine's name that a command line gives away; empty when it is no engine.

    Raw words: `/app/llama-server -m /models/a.gguf`, `python3 -m llama_cpp.server --model a.gguf`.
    """
    if not command:
        return ""
    base = command[0].rsplit("/", 1)[-1]
    if base in _PROGRAMS:
        return _PROGRAMS[base]
    if base.endswith(".llamafile"):
        return "llamafile"
    if re.match(r"python[\d.]*$", base):
        for word in command[1:4]:
            name = _MODULES.get(word) or _MODULES.get(word.rsplit("/", 1)[-1])
            if name:
                return name
    return ""


def option(command: tuple[str, ...], *names: str) -> str:
    """The value of an option (`--port 8080`, `--port=8080`); empty when it is not there."""
    for index, word in enumerate(command):
        name, mark, value = word.partition("=")
        if name in names:
            if mark:
                return value
            return command[index + 1] if index + 1 < len(command) else ""
    return ""


def parse_resident(text: str) -> int:
    """Resident memory from /proc/PID/status.

    Raw line: `VmRSS:   5242880 kB`.

    Raises:
        ValueError: no such line (a kernel thread).
    """
    match = re.search(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)
    if match is None:
        raise ValueError("no line VmRSS")
    return int(match[1]) * KIB


def _probe_one(machine: Machine, number: int) -> EngineProcess | None:
    raw = machine.read_text(f"/proc/{number}/cmdline", limit_bytes=_COMMAND_LIMIT_BYTES)
    if not isinstance(raw, Known):
        return None
    command = tuple(raw.value.rstrip("\x00").split("\x00"))
    program = read_command(command)
    if not program:
        return None
    is_module = program in _MODULES.values() and command[0] != program and "-m" in command[1:4]
    model = option(command, "--model") or ("" if is_module else option(command, "-m"))
    return EngineProcess(
        process_id=number,
        program=program,
        command=without_secrets(command),
        model_path=model,
        port=parse_whole(option(command, "--port")),
        threads=parse_whole(option(command, "-t", "--threads")),
        gpu_layers=option(command, "-ngl", "--n-gpu-layers", "--gpu-layers", "--n_gpu_layers", "--gpulayers"),
        locks_memory="--mlock" in command
        or "--usemlock" in command
        or option(command, "--load-mode") == "mlock",
        resident_bytes=convert(
            machine.read_text(f"/proc/{number}/status", limit_bytes=64 * KIB), parse_resident
        ),
        has_cuda=_has_cuda(machine, number),
        model_cached_bytes=probe_cached_bytes(machine, model) if model.startswith("/") else NOT_LOOKED,
    )


def without_secrets(command: tuple[str, ...]) -> tuple[str, ...]:
    """A command line whose options that hold a secret have lost their values."""
    result: list[str] = []
    hide_next = False
    for word in command:
        name, mark, _ = word.partition("=")
        result.append(
            "(hidden)" if hide_next else (f"{name}=(hidden)" if mark and name in _SECRET_OPTIONS else word)
        )
        hide_next = not mark and word in _SECRET_OPTIONS
    return tuple(result)


def _has_cuda(machine: Machine, number: int) -> Reading[bool]:
    path = f"/proc/{number}/maps"
    maps = machine.read_text(path, limit_bytes=_MAPS_LIMIT_BYTES)
    if not isinstance(maps, Known):
        return maps
    if not maps.value.strip():
        return Unreadable(path, "empty: it belongs to somebody else")
    return Known(re.search(r"/libcuda\.so|/libggml-cuda", maps.value) is not None, path)


def probe_cached_bytes(machine: Machine, path: str) -> Reading[int]:
    """Bytes of a model in the page cache, asked of util-linux's fincore; split files together."""
    files = split_files(path)
    told = machine.run(("fincore", "--bytes", "--noheadings", "--output", "RES", *files), timeout_s=2.0)
    if isinstance(told, Known) and told.value.exit_code != 0:
        return Unreadable(told.source, told.value.stderr.strip()[:200] or "fincore failed")
    return convert(told, lambda result: parse_cached_bytes(result.stdout, n_files=len(files)))


def parse_cached_bytes(text: str, *, n_files: int) -> int:
    """The sum of what fincore tells, one line for each file.

    Raw line: `4920733696`.

    Raises:
        ValueError: it tells of more or fewer files, or no numbers.
    """
    numbers = [int(line) for line in text.split()]
    if len(numbers) != n_files:
        raise ValueError(f"{len(numbers)} numbers for {n_files} files")
    return sum(numbers)


def split_files(path: str) -> tuple[str, ...]:
    """All files of a split model by the path of any of them; a whole model is its own only file.

    Raw path: `/m/big-00001-of-00003.gguf`; more than a thousand parts are taken for a name like any other.
    """
    match = re.fullmatch(r"(.*)-\d{5}-of-(\d{5})\.gguf", path, re.DOTALL)
    count = int(match[2]) if match is not None else 1
    if match is None or not 1 < count <= _SPLIT_LIMIT:
        return (path,)
    return tuple(f"{match[1]}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1))
