"""The build used up the main memory and its compiler was killed.

Symptom: cc1plus, cicc, ptxas or ld dies with "Killed" or signal 9, or the whole desktop freezes while
    nvcc runs.
Reason: each CUDA file takes one to several GiB to compile, and the build starts as many compilers as
    there are cores. Together they need more than the machine has, so the kernel kills one of them, or a
    bystander.
Sources: https://github.com/ggml-org/llama.cpp/issues/17844
    https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
"""

from __future__ import annotations

import re

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene

_COMPILERS = r"cc1plus|cc1|cicc|ptxas|nvcc|cudafe\+\+|fatbinary|nvlink|rustc|clang(?:\+\+)?|ld|lld|gold"

SIGNS = (
    Sign(
        r"Killed signal terminated program|internal compiler error: Killed",
        anchor="killed",
        example="c++: fatal error: Killed signal terminated program cc1plus",
    ),
    Sign(
        r"make(?:\[\d{1,10}\])?: \*\*\* \[.{0,120}\] (?:Error 137|Killed)",
        anchor="make",
        example="gmake[2]: *** [CMakeFiles/ggml-cuda.dir/build.make:76: fattn.cu.o] Error 137",
    ),
    Sign(
        r"died due to signal 9|ld terminated with signal 9",
        anchor="signal 9",
        example="nvcc error   : 'cicc' died due to signal 9 (Kill signal)",
    ),
    Sign(
        r"virtual memory exhausted|cc1plus: out of memory|LLVM ERROR: out of memory|"
        r"ld: final link failed: memory",
        anchor="memory",
        example="cc1plus: out of memory allocating 65536 bytes after a total of 1245184 bytes",
    ),
    Sign(
        rf"Killed process \d+ \((?:{_COMPILERS})\)",
        anchor="killed process",
        example="Out of memory: Killed process 91344 (cc1plus) total-vm:2402340kB, anon-rss:2201344kB",
    ),
    Sign(
        r"unable to execute command: Killed",
        anchor="unable to execute command",
        example="clang: error: unable to execute command: Killed",
    ),
    Sign(
        r"FAILED: \[code=137\] ",
        anchor="failed: [code=137] ",
        example="FAILED: [code=137] ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/fattn.cu.o",
    ),
)

EXPLAINS = ("ram-oom-killed",)

STEPS = (
    Step("See how much memory is free.", ("free", "-h"), safety=Safety.LOOK),
    Step(
        "Build with fewer jobs: `cmake --build build -j 2`, or 1 below 8 GiB; for a pip build set"
        " CMAKE_BUILD_PARALLEL_LEVEL=2.",
        touches="nothing but the time that the build takes",
        verify=("llama-server", "--version"),
        undo="none needed",
    ),
    Step(
        "Compile for your card only, which is less work for each file: -DCMAKE_CUDA_ARCHITECTURES=86"
        " (your card's number).",
        touches="the build: it then runs on cards of this architecture only",
        undo="leave the option out",
        verify=("llama-server", "--version"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The kernel killed something while its table of tasks was full of compilers."""
    if not scene.lines.has_any("oom-kill", "out of memory: kill", "invoked oom-killer"):
        return None
    pattern = re.compile(rf"\s(?:{_COMPILERS})\s*$")
    tasks = [line for line in scene.lines.lines if re.search(r"\[\s*\d+\]\s", line.text)]
    compilers = [line for line in tasks if pattern.search(line.text)]
    if not compilers:
        return None
    return Evidence(
        saw=f"the kernel's OOM killer, with {len(compilers)} compiler processes in its table of tasks",
        expected="enough memory for all compilers that run at once",
        sources=(f"{compilers[0].source}, line {compilers[0].number}",),
        certainty=Certainty.SURE,
        strength=10,
    )
