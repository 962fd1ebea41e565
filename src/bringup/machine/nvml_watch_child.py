"""Stays, and asks the driver again for each line that it reads; `machine.nvml_watch` starts it and reads it.

Starting a Python a second would cost a tenth of a core, so this one keeps NVML open. What does not change
(names, limits) is asked once a card; each answer holds it again. It ends at the end of its input, after a
start that failed, and when a call has not returned in time: whoever reads it then starts another one.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Final

from bringup.machine.nvml_child import Answer, Interview, Untyped, questions

PATIENCE_S: Final = 3.0
_CHANGING: Final = frozenset(
    {
        *("memory", "temperature_c", "power_mw", "clock_mhz", "clock_reasons", "link_generation"),
        *("compute_processes", "graphics_processes"),
        *("utilisation", "clock_memory_mhz", "traffic_out_kib", "traffic_in_kib"),
    }
)
"""What is asked again each time."""

_SELDOM: Final = frozenset({"power_limit_mw", "link_width_lanes", "uncorrected_errors", "fan_pct"})
"""What changes slowly or hardly ever: asked each tenth time."""

_SELDOM_LOOKS: Final = 10


def live_questions() -> dict[str, Callable[[Untyped, Untyped], Untyped]]:
    """What only a live view wants to know of a card, by the name in the answer."""
    return {
        "utilisation": _utilisation,
        "clock_memory_mhz": lambda nvml, card: int(nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_MEM)),
        "fan_pct": lambda nvml, card: int(nvml.nvmlDeviceGetFanSpeed(card)),
        "traffic_out_kib": lambda nvml, card: _traffic(nvml, card, nvml.NVML_PCIE_UTIL_TX_BYTES),
        "traffic_in_kib": lambda nvml, card: _traffic(nvml, card, nvml.NVML_PCIE_UTIL_RX_BYTES),
    }


def _utilisation(nvml: Untyped, card: Untyped) -> list[int]:
    """Percent of the last moment in which a kernel ran, and in which the memory was read or written."""
    found = nvml.nvmlDeviceGetUtilizationRates(card)
    return [int(found.gpu), int(found.memory)]


def _traffic(nvml: Untyped, card: Untyped, direction: int) -> int:
    """KiB/s over the link, measured by the driver over 20 ms; out is what the card sends."""
    return int(nvml.nvmlDeviceGetPcieThroughput(card, direction))


class Watch:
    """NVML kept open, with a handle of each card and its answers that last."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self._kept: dict[int, dict[str, Answer]] = {}
        self._handles: dict[int, Untyped] = {}
        self._started: Answer = {}
        self._questions = questions() | live_questions()
        self._looks = 0
        self.interview = Interview()

    @property
    def has_started(self) -> bool:
        """Whether NVML is open."""
        return "code" not in self._started.get("init", {"code": 0})

    def look(self) -> None:
        """Ask everything once; the answers stand in `interview.report`."""
        self.interview = Interview()
        if not self._started:
            self.interview.open()
            self._started = {key: value for key, value in self.interview.report.items() if key != "devices"}
            for index in range(self.interview.count if self.has_started else 0):
                self._kept[index] = {}
        self.interview.report.update(self._started)
        is_whole = self._looks % _SELDOM_LOOKS == 0
        self._looks += 1
        for index, kept in self._kept.items():
            device: Answer = {"index": index}
            self.interview.report["devices"].append(device)
            if self._open(index, device):
                self._ask(index, device, kept, is_whole=is_whole)

    def _open(self, index: int, device: Answer) -> bool:
        """Whether there is a handle; asked for until there is."""
        import pynvml

        def take() -> int:
            self._handles[index] = pynvml.nvmlDeviceGetHandleByIndex(index)
            return index

        if index in self._handles:
            device["handle"] = {"value": index}
        else:
            device["handle"] = self.interview.ask("nvmlDeviceGetHandleByIndex", take)
        return index in self._handles

    def _ask(self, index: int, device: Answer, kept: dict[str, Answer], *, is_whole: bool) -> None:
        import pynvml

        for name, call in self._questions.items():
            if name in kept and not (is_whole and name in _SELDOM):
                device[name] = kept[name]
                continue
            asked = f"{name} of card {index}"
            answer = device[name] = self.interview.ask(asked, partial(call, pynvml, self._handles[index]))
            # An error of a moment (the card is lost) is no answer that lasts.
            if name not in _CHANGING and answer.get("code", pynvml.NVML_ERROR_NOT_SUPPORTED) == (
                pynvml.NVML_ERROR_NOT_SUPPORTED
            ):
                kept[name] = answer
            elif name in kept:
                del kept[name]


class Worker:
    """One thread that looks, so that a call that hangs is seen from outside it."""

    def __init__(self, watch: Watch) -> None:
        """Starts the thread."""
        self.problem = ""
        self._watch = watch
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._is_done = threading.Lock()
        self._is_done.acquire()
        threading.Thread(target=self._run, daemon=True).start()

    def look(self, patience_s: float) -> bool:
        """Look once; whether it came to an end within its patience."""
        self._wanted.put(None)
        return self._is_done.acquire(timeout=patience_s)

    def _run(self) -> None:
        while True:
            self._wanted.get()
            try:
                self._watch.look()
            except Exception as trouble:  # noqa: BLE001 - a broken library or binding is an answer too
                self.problem = f"{type(trouble).__name__}: {trouble}"
            self._is_done.release()


def main() -> None:
    """Answer each line of the input with one line."""
    patience_s = float(sys.argv[1]) if len(sys.argv) > 1 else PATIENCE_S
    watch = Watch()
    worker = Worker(watch)
    for _ in sys.stdin:
        hangs = not worker.look(patience_s)
        report = dict(watch.interview.report)
        if hangs:
            report["hangs_in"] = watch.interview.asking or "NVML"
        if worker.problem:
            report["problem"] = worker.problem
        report["ends"] = hangs or bool(worker.problem) or not watch.has_started
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()
        if report["ends"]:
            break
    os._exit(0)


if __name__ == "__main__":
    main()
