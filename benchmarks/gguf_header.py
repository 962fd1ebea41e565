"""Reading a large header: ours, `llama-mdl`'s reader and the `gguf` package's, in interleaved runs.

Run: `.venv-test/bin/python -m benchmarks.gguf_header [ROUNDS]` in the root of the repository. The file has
gpt-oss-20b's true shapes: 201,088 tokens, 446,000 merges, 459 tensors; its weights are a hole. Aims: at most
half the time of `llama-mdl` 0.14, 100 times faster than GGUFReader, a second look in under 5 ms.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.model.writing import gpt_oss_20b

from bringup.model.gguf import read_header
from bringup.store.header import FileSource, load_header

MOST_OF_LLAMA_MDL = 0.5
TIMES_GGUF = 100.0
SECOND_LOOK_S = 0.005
GGUF_EVERY = 8  # GGUFReader takes seconds: it runs in every eighth round only
COLD = """
import sys, time
from bringup.model.gguf import read_header
from bringup.store.header import FileSource
source = FileSource(sys.argv[1], int(sys.argv[2]))
started = time.perf_counter()
read_header(source)
print(time.perf_counter() - started)
"""


def write_model(path: Path) -> int:
    """The header with a hole of 12 GB for weights; size of the file."""
    built = gpt_oss_20b()
    path.write_bytes(built.data)
    needed = read_header(FileSource(str(path), len(built.data))).needed_bytes
    with path.open("r+b") as handle:
        handle.truncate(needed + 31)
    return needed + 31


def readers(path: Path, size: int, index: str) -> dict[str, Callable[[], object]]:
    """Name -> one read of the file."""
    llama_mdl = importlib.import_module("mdl_fit.gguf")
    gguf = importlib.import_module("gguf")
    load_header(str(path), index_folder=index)  # the first look fills the index
    return {
        "bringup": lambda: read_header(FileSource(str(path), size)),
        "bringup, second look": lambda: load_header(str(path), index_folder=index),
        "llama-mdl": lambda: llama_mdl.read_local(path),
        "gguf GGUFReader": lambda: gguf.GGUFReader(path),
    }


def timed(read: Callable[[], object]) -> float:
    """Seconds of one read."""
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


def cold(path: Path, size: int) -> float:
    """Seconds of the first read of a new process, its pattern compiled on the way."""
    argv = [sys.executable, "-c", COLD, str(path), str(size)]
    return float(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout)


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds by name, in interleaved rounds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gpt-oss-20b.gguf"
        size = write_model(path)
        chosen = readers(path, size, folder + "/index")
        times: dict[str, list[float]] = {"bringup, new process": [], **{name: [] for name in chosen}}
        for number in range(rounds):
            times["bringup, new process"].append(cold(path, size))
            for name, read in chosen.items():
                if name != "gguf GGUFReader" or number % GGUF_EVERY == 0:
                    times[name].append(timed(read))
    return times


def main(rounds: int) -> int:
    """Print the table and the ratios; 1 when one misses its aim."""
    try:
        versions = {name: importlib.metadata.version(name) for name in ("llama-mdl", "gguf")}
    except importlib.metadata.PackageNotFoundError as missing:
        print(f"not installed: {missing.name}; it is one of the yardsticks (requirements/test.in)")
        return 2
    times = measure(rounds)
    middle = {name: statistics.median(values) for name, values in times.items()}
    print(f"llama-mdl {versions['llama-mdl']}, gguf {versions['gguf']}, Python {sys.version.split()[0]}")
    print(f"{'reader':24} {'median ms':>10} {'best ms':>9} {'runs':>5}")
    for name, values in times.items():
        print(f"{name:24} {middle[name] * 1000:10.2f} {min(values) * 1000:9.2f} {len(values):5}")
    share = middle["bringup"] / middle["llama-mdl"]
    faster = middle["gguf GGUFReader"] / middle["bringup"]
    second = middle["bringup, second look"]
    print(f"share of llama-mdl's time: {share:.2f} (aim: at most {MOST_OF_LLAMA_MDL})")
    print(f"times faster than GGUFReader: {faster:.0f} (aim: at least {TIMES_GGUF:.0f})")
    print(f"second look: {second * 1000:.2f} ms (aim: under {SECOND_LOOK_S * 1000:.0f})")
    return int(share > MOST_OF_LLAMA_MDL or faster < TIMES_GGUF or second >= SECOND_LOOK_S)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
