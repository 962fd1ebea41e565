"""Asks the NVIDIA driver through NVML, in a process of its own, and prints what it said as JSON.

A driver that hangs, or a library that crashes, costs this process only. It is started by
`machine.commands` as `bringup-nvml`, so that a recording holds its answer like that of any command. Each
answer is `{"value": ...}` or `{"code": ..., "text": ...}` with NVML's own number and words; nothing is
judged here, and nothing is asked that changes anything or names a card's serial number.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

SCHEMA: Final = 1
PATIENCE_S: Final = 6.0
"""After that the answer is what there is until then, and the call that hangs. A server with eight cards and
no persistence daemon takes some seconds to wake them."""

_DEVICE_LIMIT: Final = 64
_PROCESS_LIMIT: Final = 256

Answer: TypeAlias = dict[str, Any]
Untyped: TypeAlias = Any
"""pynvml and what it hands out have no types."""


class Interview:
    """What was asked and answered so far; `asking` is the call that has not returned yet."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self.report: Answer = {"schema": SCHEMA, "devices": []}
        self.asking = ""

    def ask(self, name: str, call: Callable[[], object]) -> Answer:
        """The value of a call, or NVML's error."""
        import pynvml

        self.asking = name
        try:
            return {"value": call()}
        except pynvml.NVMLError as problem:
            return {"code": int(problem.value), "text": str(problem)}
        finally:
            self.asking = ""

    def run(self) -> None:
        """Start NVML and ask for everything."""
        self.open()
        for index in range(self.count):
            device: Answer = {"index": index}
            self.report["devices"].append(device)
            self._ask_device(index, device)

    @property
    def count(self) -> int:
        """Cards to be asked; none before NVML is open."""
        return min(int(self.report.get("count", {}).get("value", 0)), _DEVICE_LIMIT)

    def open(self) -> None:
        """Start NVML and ask what is not about one card."""
        import pynvml

        self.report["init"] = self.ask("nvmlInit", pynvml.nvmlInit)
        if self.report["init"].get("code") == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
            self.report["loader"] = loader_problem("libnvidia-ml.so.1")
        if "code" in self.report["init"]:
            return
        self.report["driver_version"] = self.ask(
            "nvmlSystemGetDriverVersion", lambda: _text(pynvml.nvmlSystemGetDriverVersion())
        )
        self.report["cuda_version"] = self.ask(
            "nvmlSystemGetCudaDriverVersion", pynvml.nvmlSystemGetCudaDriverVersion_v2
        )
        self.report["count"] = self.ask("nvmlDeviceGetCount", pynvml.nvmlDeviceGetCount)

    def _ask_device(self, index: int, device: Answer) -> None:
        import pynvml

        handle: Untyped = None

        def take_handle() -> int:
            nonlocal handle
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            return index

        device["handle"] = self.ask("nvmlDeviceGetHandleByIndex", take_handle)
        if handle is None:
            return
        for name, call in questions().items():
            device[name] = self.ask(f"{name} of card {index}", partial(call, pynvml, handle))


def loader_problem(name: str) -> str:
    """Why the loader cannot open a library; empty when it can."""
    try:
        ctypes.CDLL(name)
    except OSError as problem:
        return str(problem)
    return ""


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _bus_address(nvml: Untyped, handle: Untyped) -> str:
    found = nvml.nvmlDeviceGetPciInfo(handle)
    return f"{found.domain:04x}:{found.bus:02x}:{found.device:02x}.0"


def _memory(nvml: Untyped, handle: Untyped) -> list[int]:
    found = nvml.nvmlDeviceGetMemoryInfo(handle)
    return [int(found.total), int(found.used), int(found.free)]


def _reasons(nvml: Untyped, handle: Untyped) -> int:
    """Why the clocks are held down, as NVML's bits; drivers before 535 know the older name only."""
    try:
        return int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except nvml.NVMLError_FunctionNotFound:
        return int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _clock(kind: str, *, is_most: bool) -> Callable[[Untyped, Untyped], int]:
    def read(nvml: Untyped, handle: Untyped) -> int:
        call = nvml.nvmlDeviceGetMaxClockInfo if is_most else nvml.nvmlDeviceGetClockInfo
        return int(call(handle, getattr(nvml, f"NVML_CLOCK_{kind}")))

    return read


def _errors(counter: str) -> Callable[[Untyped, Untyped], int]:
    """Memory errors that could not be corrected, since the driver was loaded or ever."""

    def read(nvml: Untyped, handle: Untyped) -> int:
        kind = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        return int(nvml.nvmlDeviceGetTotalEccErrors(handle, kind, getattr(nvml, f"NVML_{counter}_ECC")))

    return read


def _processes(call_name: str) -> Callable[[Untyped, Untyped], list[list[int | None]]]:
    """Process number and bytes (`None` where the driver does not tell) of each process."""

    def read(nvml: Untyped, handle: Untyped) -> list[list[int | None]]:
        rows = getattr(nvml, call_name)(handle)[:_PROCESS_LIMIT]
        return [[int(row.pid), None if row.usedGpuMemory is None else int(row.usedGpuMemory)] for row in rows]

    return read


def questions() -> dict[str, Callable[[Untyped, Untyped], Untyped]]:
    """What each card is asked, in order, by the name in the answer."""
    return {
        "name": lambda nvml, handle: _text(nvml.nvmlDeviceGetName(handle)),
        "bus_address": _bus_address,
        "compute_capability": lambda nvml, handle: list(nvml.nvmlDeviceGetCudaComputeCapability(handle)),
        "memory": _memory,
        "temperature_c": lambda nvml, handle: int(
            nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        ),
        "power_mw": lambda nvml, handle: int(nvml.nvmlDeviceGetPowerUsage(handle)),
        "power_limit_mw": lambda nvml, handle: int(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)),
        "power_default_mw": lambda nvml, handle: int(nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)),
        "clock_mhz": _clock("SM", is_most=False),
        "clock_most_mhz": _clock("SM", is_most=True),
        "clock_reasons": _reasons,
        "uncorrected_errors": _errors("VOLATILE"),
        "uncorrected_errors_ever": _errors("AGGREGATE"),
        "remapped_rows": lambda nvml, handle: [int(part) for part in nvml.nvmlDeviceGetRemappedRows(handle)],
        "link_generation": lambda nvml, handle: int(nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle)),
        "link_generation_most": lambda nvml, card: int(nvml.nvmlDeviceGetMaxPcieLinkGeneration(card)),
        "link_width_lanes": lambda nvml, handle: int(nvml.nvmlDeviceGetCurrPcieLinkWidth(handle)),
        "link_width_most_lanes": lambda nvml, handle: int(nvml.nvmlDeviceGetMaxPcieLinkWidth(handle)),
        "compute_mode": lambda nvml, handle: int(nvml.nvmlDeviceGetComputeMode(handle)),
        "mig_mode": lambda nvml, handle: [int(part) for part in nvml.nvmlDeviceGetMigMode(handle)],
        "persistence_mode": lambda nvml, handle: int(nvml.nvmlDeviceGetPersistenceMode(handle)),
        "compute_processes": _processes("nvmlDeviceGetComputeRunningProcesses"),
        "graphics_processes": _processes("nvmlDeviceGetGraphicsRunningProcesses"),
    }


def main() -> None:
    """Ask with patience, print one line, and leave without waiting for a call that hangs."""
    interview = Interview()
    problem = ""

    def work() -> None:
        nonlocal problem
        try:
            interview.run()
        except Exception as trouble:  # noqa: BLE001 - a broken library or binding is an answer too
            problem = f"{type(trouble).__name__}: {trouble}"

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(float(sys.argv[1]) if len(sys.argv) > 1 else PATIENCE_S)
    report = dict(interview.report)
    if worker.is_alive():
        report["hangs_in"] = interview.asking or "NVML"
    if problem:
        report["problem"] = problem
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
