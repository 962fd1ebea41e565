"""The environment that an engine gets: built from a list of what may pass, not inherited.

llama.cpp takes settings from dozens of variables without a word: `LLAMA_ARG_CTX_SIZE` in a shell profile
changes what runs and appears nowhere. Those found are dropped and named, so that a face can say so; they are
kept when the user asks. Proxies go too (the engine fetches nothing). `LD_LIBRARY_PATH` passes for external
engines only: CUDA builds are often run with it; `LD_PRELOAD` and `PYTHON*` never pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bringup.records import dataclass

_KEPT: Final = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "XDG_CACHE_HOME",
    }
    | {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_CACHE_PATH", "CUDA_CACHE_MAXSIZE", "CUDA_PATH"}
    | {"CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}
    | {"HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION", "VK_ICD_FILENAMES"}
    | {"VK_DRIVER_FILES", "ONEAPI_DEVICE_SELECTOR", "ZES_ENABLE_SYSMAN", "OMP_NUM_THREADS", "OMP_PLACES"}
)
_KEPT_BEGINNINGS: Final = ("LC_",)
_CHANGING: Final = ("LLAMA_", "GGML_", "MTMD_")
_NEVER: Final = frozenset({"LLAMA_API_KEY", "LLAMA_ARG_API_KEY_FILE"})


@dataclass(frozen=True, slots=True)
class EngineEnvironment:
    """What an engine gets.

    Attributes:
        variables: the whole environment.
        dropped: names of inherited variables that would have changed the engine, sorted.
    """

    variables: dict[str, str]
    dropped: tuple[str, ...]


def clean_environment(
    inherited: Mapping[str, str], *, is_external: bool, keep_engine_variables: bool = False
) -> EngineEnvironment:
    """Build the environment of an engine.

    Args:
        inherited: the environment of this process.
        is_external: a program of the user's own, which may need `LD_LIBRARY_PATH`.
        keep_engine_variables: honour `LLAMA_*` and `GGML_*` (never a key: it has its own file).
    """
    changing = {name for name in inherited if name.startswith(_CHANGING)}
    honoured = changing - _NEVER if keep_engine_variables else set()
    libraries = {"LD_LIBRARY_PATH"} if is_external else set()
    kept = {
        name: value
        for name, value in inherited.items()
        if name in _KEPT | libraries | honoured or name.startswith(_KEPT_BEGINNINGS)
    }
    # ggml would start a debugger on itself (gdb) when it fails, and hang or fill the log with it.
    kept["GGML_NO_BACKTRACE"] = "1"
    return EngineEnvironment(kept, tuple(sorted(changing - honoured)))
