"""Texts of which a snapshot keeps only the lines that somebody here reads: a table, and the cut."""

from __future__ import annotations

from typing import Final

from bringup.patterns import regex
from bringup.stack.kernel_log import LOG_LIMIT_CHARACTERS

_TABLE: Final = (
    (r"/(?:crt/)?host_config\.h", rb".{0,400}gcc versions later than"),
    (r"/math_functions\.h", rb"extern [^\n]{0,120}\bdouble\s+(?:cospi|rsqrt)\("),
    (r"/cuda\.h", rb"#define CUDA_VERSION "),
    (r"/CMakeCache\.txt", rb"CMAKE_CUDA_ARCHITECTURES:"),
    (r"/build-info\.cpp", rb"LLAMA_BUILD_NUMBER"),
    (r"/nvidia-installer\.log", rb"\s*installer version: "),
    (r"^/var/log/(?:kern\.log|messages)", rb".{0,200}\bkernel:"),
    (r"^/proc/self/mountinfo", rb".{0,4000}(?: - cgroup2? |/lib(?:cuda|nvidia-ml)\.so)"),
    (r"^/proc/\d{1,10}/maps", rb".{0,4000}/lib(?:cuda\.so|ggml-cuda)"),
    (
        r"^/proc/(?:\d{1,10}|self)/status",
        rb"(?:Uid|Gid|Groups|Vm\w+|RssFile|RssAnon|RssShmem|Cpus_allowed_list):",
    ),
)
KEPT_LINES: Final = tuple((regex(rf"{path}$"), regex(line)) for path, line in _TABLE)
"""For paths of one kind what a kept line begins with; whatever is not in the table is kept whole."""

_SYSTEM_LOGS: Final = ("/var/log/kern.log", "/var/log/messages")
_SOMETHING: Final = b"00000000-00000001 ---p 00000000 00:00 0\n"
"""Stands for the mappings that were dropped: an empty list would mean that nobody may read it."""


def keep_lines(path: str, data: bytes) -> bytes:
    """The lines of a text that are read; the whole text where the table does not know the path."""
    if path.startswith(_SYSTEM_LOGS):
        data = data[max(data.rfind(b"Linux version "), 0) :][-LOG_LIMIT_CHARACTERS:]
    for paths, line in KEPT_LINES:
        if paths.search(path) is not None:
            kept = b"".join(one for one in data.splitlines(keepends=True) if line.match(one))
            return _SOMETHING if not kept and path.endswith("/maps") and data.strip() else kept
    return data
