"""Facts of the layer: cuda. Whether CUDA starts; nvidia-smi can be healthy where it does not."""

from __future__ import annotations

from typing import Any, Final

from bringup.machine.protocol import CommandResult, Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.child_report import read_hanging, read_report
from bringup.stack.lines import Line, Lines

COMMAND: Final = ("bringup-cuda",)
"""A part of ours that runs in a process of its own; see `machine.cuda_child`."""

TIMEOUT_S: Final = 9.5
_LIBRARIES: Final = (
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/lib/aarch64-linux-gnu/libcuda.so.1",
    "/usr/lib64/libcuda.so.1",
    "/usr/lib/libcuda.so.1",
    "/usr/lib/wsl/lib/libcuda.so.1",
    "/run/opengl-driver/lib/libcuda.so.1",
)
_WORDS: Final = {
    3: "initialization error",
    34: "CUDA driver is a stub library",
    35: "CUDA driver version is insufficient for CUDA runtime version",
    46: "all CUDA-capable devices are busy or unavailable",
    100: "no CUDA-capable device is detected",
    101: "invalid device ordinal",
    304: "OS call failed or operation not supported on this OS",
    802: "system not yet initialized",
    803: "system has unsupported display driver / cuda driver combination",
    804: "forward compatibility was attempted on non supported HW",
    999: "unknown error",
}
"""What CUDA's runtime and llama.cpp print for the numbers that cuInit gives (driver_types.h)."""


@dataclass(frozen=True, slots=True)
class CudaStart:
    """How CUDA started.

    Attributes:
        code: what cuInit returned; 0 is well.
        name: CUDA's own name of it; may be empty.
        cuda_version: the newest CUDA that this libcuda runs, (major, minor).
        card_count: cards that it shows; absent where it did not start.
    """

    code: int
    name: str
    cuda_version: Reading[tuple[int, int]]
    card_count: Reading[int]

    @property
    def words(self) -> str:
        """What programs print for the code."""
        return _WORDS.get(self.code, self.name or f"error {self.code}")


@dataclass(frozen=True, slots=True)
class Cuda:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        start: how cuInit ended.
        hangs_in: the call that did not return; absent when all did.
        loader_problem: why the loader cannot open libcuda.so.1; absent when it can.
    """

    start: Reading[CudaStart] = NOT_LOOKED
    hangs_in: Reading[str] = NOT_LOOKED
    loader_problem: Reading[str] = NOT_LOOKED


def probe_cuda(machine: Machine) -> Cuda:
    """Start CUDA in a process of its own, where a libcuda lies in one of the usual places."""
    found = [machine.stat(path) for path in _LIBRARIES]
    variable = machine.environment("LD_LIBRARY_PATH")
    is_elsewhere = isinstance(variable, Known) and variable.value != ""
    if not is_elsewhere and not any(isinstance(one, Known) for one in found):
        unseen = next((one for one in found if isinstance(one, Unreadable)), Absent("libcuda.so.1"))
        return Cuda(unseen, unseen, unseen)
    answer = convert(machine.run(COMMAND, timeout_s=TIMEOUT_S), parse_answer)
    return answer.value if isinstance(answer, Known) else Cuda(answer, answer, answer)


def parse_answer(result: CommandResult) -> Cuda:
    """What our own process printed.

    Raw line: `{"schema": 1, "init": 999, "words": "CUDA_ERROR_UNKNOWN", "cuda_version": 12080}`.

    Raises:
        ValueError: it died before it could print, or printed something else.
    """
    report = read_report(result, library="libcuda")
    try:
        return _parse_report(report)
    except TypeError as problem:
        raise ValueError(f"not in the expected form: {problem}") from problem


def _parse_report(report: dict[str, Any]) -> Cuda:
    hanging = read_hanging(report, "libcuda")
    if "loader" in report:
        problem = Known(str(report["loader"])[:400], "libcuda.so.1")
        return Cuda(Unreadable("cuInit", problem.value), hanging, problem)
    if "init" not in report:
        return Cuda(Unreadable("cuInit", "it does not return"), hanging, Absent("libcuda.so.1"))
    version, count = report.get("cuda_version"), report.get("count")
    start = CudaStart(
        int(report["init"]),
        str(report.get("words", ""))[:80],
        Known((version // 1000, version % 1000 // 10), "cuDriverGetVersion")
        if isinstance(version, int)
        else Absent("cuDriverGetVersion"),
        Known(count, "cuDeviceGetCount") if isinstance(count, int) else Absent("cuDeviceGetCount"),
    )
    return Cuda(Known(start, "cuInit"), hanging, Absent("libcuda.so.1"))


def spoken_lines(cuda: Cuda) -> Lines:
    """The failed start in the words that programs print, so that what is known of those holds here too."""
    if isinstance(cuda.loader_problem, Known):
        return Lines((Line(1, cuda.loader_problem.value, "libcuda"),))
    if not isinstance(cuda.start, Known) or cuda.start.value.code == 0:
        return Lines()
    start = cuda.start.value
    text = f"failed call to cuInit: {start.name or 'error'}: {start.words} (cuInit returned {start.code})"
    return Lines((Line(1, text, "cuInit"),))
