"""The embedded engine's process: llama.cpp's server from the xllamacpp wheel.

Run as `python -m bringup.engine.embedded`. It loads the library, reads its parameters (JSON: dotted
`CommonParams` attribute to value) from stdin, starts the server and waits. Its stdin may well be empty for a
while: it is started before the plan is made. `--site FOLDER` takes the library from that folder, not the one
beside bringup; `--devices` lists the graphics cards that it sees, in llama-server's words.

It is a process of its own because llama.cpp ends the process when an assertion fails. SIGTERM keeps its
default meaning and ends it at once, in the middle of a prompt too: nothing of the engine has to be saved.

It loads loudly and serves quietly: the log tells what the model took, buffer by buffer, and then no more of a
request than the engine's default.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from bringup.errors import FileTrouble
from bringup.machine import files, paths, process
from bringup.machine.loaded_library import taker_of_int
from bringup.reading import parse_json
from bringup.units import MIB

_ENUMS: Final[dict[str, str]] = {
    "cache_type_k": "ggml_type.GGML_TYPE_{}",
    "cache_type_v": "ggml_type.GGML_TYPE_{}",
    "speculative.draft.cache_type_k": "ggml_type.GGML_TYPE_{}",
    "speculative.draft.cache_type_v": "ggml_type.GGML_TYPE_{}",
    "flash_attn_type": "llama_flash_attn_type.{}",
    "pooling_type": "llama_pooling_type.LLAMA_POOLING_TYPE_{}",
    "split_mode": "llama_split_mode.LLAMA_SPLIT_MODE_{}",
    "load_mode": "llama_load_mode.LLAMA_LOAD_MODE_{}",
    "reasoning_format": "common_reasoning_format.COMMON_REASONING_FORMAT_{}",
}
_DRAFTING: Final = "COMMON_SPECULATIVE_TYPE_{}"
_FLASH: Final = {"on": "LLAMA_FLASH_ATTN_TYPE_ENABLED", "off": "LLAMA_FLASH_ATTN_TYPE_DISABLED"}
_LAST_WORDS_S: Final = 5.0
_LOADING_VERBOSITY: Final = 4
_SERVING_VERBOSITY: Final = 3
"""llama.cpp's own default."""
_SET_VERBOSITY: Final = "_Z30common_log_set_verbosity_tholdi"
"""`common_log_set_verbosity_thold(int)` of llama.cpp's `common/log.h`, as compilers for Linux spell it."""
_SETS: Final = frozenset({"model_alias"})
_JSON_MAPS: Final = frozenset({"default_template_kwargs"})


def set_parameters(library: Any, target: Any, values: dict[str, Any]) -> None:  # noqa: ANN401 - foreign, untyped
    """Put plain values into a `CommonParams`, turning words into its enums and reading the key's file.

    Raises:
        AttributeError: this xllamacpp has no such parameter.
        ValueError: the key's file holds no key.
    """
    for name, value in values.items():
        if name == "api_key_file":
            keys = _keys(str(value))
            if not keys:
                raise ValueError(f"no key in {value}")
            # Of a single key a loud engine logs the last four characters, of two that they are two.
            target.api_keys = keys * 2 if len(keys) == 1 else keys
            continue
        *path, last = name.split(".")
        owner = target
        for step in path:
            owner = getattr(owner, step)
        # Setting an attribute that is not there would be taken silently by some bindings.
        getattr(owner, last)
        if name in _ENUMS:
            value = _enum(library, name, str(value))
        elif name == "speculative.types":
            value = [getattr(library.common_speculative_type, _DRAFTING.format(word)) for word in value]
        elif last == "path":
            value = files.utf8_name(str(value))
        elif name in _JSON_MAPS:
            # The binding wants each value as JSON text of its own.
            value = {word: json.dumps(inner) for word, inner in parse_json(str(value)).items()}
        elif name == "tensor_split":  # a field of fixed length; what is not said has no share
            value = [*value, *(0.0,) * (len(target.tensor_split) - len(value))]
        setattr(owner, last, set(value) if name in _SETS else value)


def _enum(library: Any, name: str, word: str) -> Any:  # noqa: ANN401 - foreign, untyped
    filled = _ENUMS[name].format(_FLASH[word] if name == "flash_attn_type" else word.upper())
    group, member = filled.split(".")
    return getattr(getattr(library, group), member)


def _keys(path: str) -> list[str]:
    data = files.read_small(path, limit_bytes=64 * 1024) or b""
    lines = data.decode("utf-8", "replace").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def load_library(site: str) -> Any:  # noqa: ANN401 - foreign, untyped
    """The wheel's module, surely from `site` where one is named.

    Raises:
        ImportError: it is not there or cannot be loaded.
    """
    if site:
        sys.path.insert(0, site)
    library = importlib.import_module("xllamacpp")
    if site and not paths.is_inside(str(library.__file__), site):
        # The one beside bringup must not run under another's name.
        raise ImportError(f"{site} holds no xllamacpp")
    return library


def verbosity_setter(library: Any) -> Callable[[int], None] | None:  # noqa: ANN401 - foreign, untyped
    """What changes the library's log while it runs; `None` where it does not show how."""
    compiled = getattr(library, "xllamacpp", None)
    return taker_of_int(str(getattr(compiled, "__file__", "")), _SET_VERBOSITY)


def device_lines(devices: list[dict[str, Any]]) -> list[str]:
    """What `llama-server --list-devices` would print of them.

    Raw line: `  CUDA0: NVIDIA GeForce RTX 3080 Ti (12036 MiB, 11800 MiB free)`.
    """
    found = ["Available devices:"]
    for one in devices:
        if str(getattr(one["type"], "name", "")).endswith("GPU"):
            total, free = (int(one[key]) // MIB for key in ("memory_total", "memory_free"))
            found.append(f"  {one['name']}: {one['description']} ({total} MiB, {free} MiB free)")
    return found


def _list_devices(site: str) -> int:
    try:
        lines = device_lines(load_library(site).get_device_info())
    except (ImportError, RuntimeError) as problem:
        print(f"embedded engine: {problem}", file=sys.stderr)  # noqa: T201 - our own log
        return 1
    print("\n".join(lines))  # noqa: T201 - the answer to whoever started this process
    return 0


def main() -> int:
    """Start the server and wait until a signal ends the process; 0 where nothing was to be started."""
    words = sys.argv[1:]
    site = words[words.index("--site") + 1] if "--site" in words[:-1] else ""
    if "--devices" in words:
        return _list_devices(site)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        library = load_library(site)
        set_verbosity = verbosity_setter(library)
        text = sys.stdin.read()
        if not text:
            return 0
        values = parse_json(text)
        if "verbosity" in values:
            set_verbosity = None
        elif set_verbosity is not None:
            values["verbosity"] = _LOADING_VERBOSITY
        wanted = library.CommonParams()
        set_parameters(library, wanted, values)
        # Blocks until the model is loaded; its own log line has the reason of a failure.
        server = library.Server(wanted)
        if set_verbosity is not None:
            set_verbosity(_SERVING_VERBOSITY)
    except (ImportError, RuntimeError, ValueError, FileTrouble) as problem:
        print(f"embedded engine: {problem}", file=sys.stderr)  # noqa: T201 - our own log

        # llama.cpp's log is written by a thread; an exit now would lose the very lines that say why.
        process.wait_for_own_threads(_LAST_WORDS_S)
        return 1
    while server.listening_address:
        signal.pause()
    return 1


if __name__ == "__main__":
    sys.exit(main())
