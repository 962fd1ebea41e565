"""The user's settings: `config.toml`, which need not be there.

    [engine]
    path = "~/llama.cpp/build/bin"     # a llama-server, or the folder that holds it
    keep_environment = false           # honour inherited LLAMA_* and GGML_* variables
    wheel_index = "https://..."        # package index with wheels for the card, for bringup setup

    [server]
    port = 8080
    host = "127.0.0.1"

    [model]
    default = "smollm2-135m"

A key that we do not know is an error: a setting that is silently ignored is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from bringup.errors import WrongUse
from bringup.machine import files, paths
from bringup.machine.folders import Folders
from bringup.records import dataclass

_SIZE_LIMIT_BYTES: Final = 1024**2
REFERENCE: Final = "configuration"


@dataclass(frozen=True, slots=True)
class EngineConfiguration:
    """`path` is absolute; `None` lets us choose an engine. `wheel_index` is a package index's address."""

    path: str | None = None
    keep_environment: bool = False
    wheel_index: str | None = None


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """`None` is what nothing was said about."""

    port: int | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class ModelConfiguration:
    """`default` is a model's name as it would be typed."""

    default: str | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """All settings."""

    engine: EngineConfiguration = EngineConfiguration()
    server: ServerConfiguration = ServerConfiguration()
    model: ModelConfiguration = ModelConfiguration()


def read_configuration(folders: Folders) -> Configuration:
    """The settings of this user; the defaults where there is no file.

    Raises:
        WrongUse: the file is no TOML, or has an unknown key or a value that a key cannot have.
        FileTrouble: it cannot be read.
    """
    path = folders.configuration_file
    data = files.read_small(path, limit_bytes=_SIZE_LIMIT_BYTES)
    return Configuration() if data is None else parse_configuration(data, path)


def parse_configuration(data: bytes, path: str) -> Configuration:
    """The settings that a file's bytes hold; `path` is for the errors.

    Raises:
        WrongUse: as `read_configuration`.
    """
    import tomllib

    try:
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        why = str(problem)
        if isinstance(problem, UnicodeDecodeError):
            why = f"it is not text: byte {data[problem.start]:#04x} at offset {problem.start:,}"
        raise WrongUse(
            f"{path} is not valid TOML",
            context=(why,),
            hint="Mend it or move it away; without it the defaults hold.",
            reference=REFERENCE,
        ) from problem
    values = {section: _section(section, table, text, path) for section, table in document.items()}
    return Configuration(
        EngineConfiguration(**values.get("engine", {})),
        ServerConfiguration(**values.get("server", {})),
        ModelConfiguration(**values.get("model", {})),
    )


def _section(section: str, table: object, text: str, path: str) -> dict[str, Any]:
    if section not in _KEYS:
        raise _unknown(f"[{section}]", section, tuple(_KEYS), _place(path, text, None, section))
    if not isinstance(table, dict):
        where = _place(path, text, None, section)
        raise WrongUse(
            f"{where}: {section} is a section",
            hint=f"Write [{section}] and below it its keys: {', '.join(_KEYS[section])}.",
            reference=REFERENCE,
        )
    checked: dict[str, Any] = {}
    for key, value in table.items():
        where = _place(path, text, section, key)
        check = _KEYS[section].get(key)
        if check is None:
            raise _unknown(f"key {key} in [{section}]", key, tuple(_KEYS[section]), where)
        try:
            checked[key] = check(value)
        except ValueError as problem:
            raise WrongUse(f"{where}: {section}.{key} must be {problem}", reference=REFERENCE) from problem
    return checked


def _unknown(what: str, name: str, known: tuple[str, ...], where: str) -> WrongUse:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"There is {', '.join(known)}."
    return WrongUse(f"{where}: unknown {what}", hint=hint, reference=REFERENCE)


def _place(path: str, text: str, section: str | None, name: str) -> str:
    """`config.toml, line 3`; the file alone where the line cannot be found by its looks."""
    current: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"""\s*\[\s*["']?([^\]"']+?)["']?\s*\]""", line)
        if header is not None:
            current = header.group(1)
        key = re.match(r"""\s*["']?([^\s=."']+)["']?\s*[=.]""", line)
        is_here = current == section and key is not None and key.group(1) == name
        if is_here or (section is None and header is not None and current == name):
            return f"{path}, line {number}"
    return path


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value.strip()


def _path(value: object) -> str:
    return paths.absolute(_text(value))


def check_index(value: object) -> str:
    """The address of a package index: of the web, or of a folder (`file:///...`).

    Raises:
        ValueError: it is none.
    """
    address = _text(value)
    if not address.startswith(("https://", "http://", "file:///")) or any(one.isspace() for one in address):
        raise ValueError("an address such as https://HOST/PATH or file:///PATH")
    return address


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _port(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError("a port from 1 to 65535")
    return value


_KEYS: Final[dict[str, dict[str, Callable[[object], object]]]] = {
    "engine": {"path": _path, "keep_environment": _truth, "wheel_index": check_index},
    "server": {"port": _port, "host": _text},
    "model": {"default": _text},
}
