"""Starts CUDA in a process of its own, as every GPU program does first, and prints what it said as JSON.

`nvidia-smi` and NVML can be healthy while CUDA does not start, so `cuInit` is asked itself. It makes no
context on the card. Started by `machine.commands` as `bringup-cuda`; a hung driver costs this process only.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from typing import Any, Final

SCHEMA: Final = 1
PATIENCE_S: Final = 8.0
"""Waking many cards without a persistence daemon takes seconds."""


def ask(report: dict[str, Any]) -> None:
    """Load libcuda and fill the report, call by call."""
    report["asking"] = "loading libcuda.so.1"
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as problem:
        report["loader"] = str(problem)
        report["asking"] = ""
        return
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    report["asking"] = "cuInit"
    report["init"] = int(cuda.cuInit(0))
    report["words"] = _words(cuda, report["init"])
    if cuda.cuDriverGetVersion(ctypes.byref(version)) == 0:
        report["cuda_version"] = version.value
    if report["init"] == 0:
        report["asking"] = "cuDeviceGetCount"
        if cuda.cuDeviceGetCount(ctypes.byref(count)) == 0:
            report["count"] = count.value
    report["asking"] = ""


def _words(cuda: ctypes.CDLL, code: int) -> str:
    """CUDA's own name of an error; empty where this libcuda has none."""
    name = ctypes.c_char_p()
    try:
        is_known = cuda.cuGetErrorName(code, ctypes.byref(name)) == 0
    except AttributeError:
        return ""
    return name.value.decode("ascii", "replace") if is_known and name.value else ""


def main() -> None:
    """Ask with patience, print one line, and leave without waiting for a call that hangs."""
    report: dict[str, Any] = {"schema": SCHEMA}

    def work() -> None:
        try:
            ask(report)
        except Exception as trouble:  # noqa: BLE001 - a broken library is an answer too
            report["problem"] = f"{type(trouble).__name__}: {trouble}"

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(float(sys.argv[1]) if len(sys.argv) > 1 else PATIENCE_S)
    final = dict(report)
    asking = final.pop("asking", "")
    if worker.is_alive():
        final["hangs_in"] = asking or "libcuda"
    sys.stdout.write(json.dumps(final) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
