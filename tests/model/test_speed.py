"""The reader's speed against the best other one, in processor time of interleaved runs: load does not count.

The full comparison, with the `gguf` package and the clock on the wall, is `benchmarks/gguf_header.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mdl_fit import gguf as llama_mdl
from tests.model.writing import gpt_oss_20b

from bringup.model.gguf import read_header
from bringup.store.header import FileSource

ROUNDS = 5


def processor_s(read: Callable[[], object]) -> float:
    started = time.thread_time()
    read()
    return time.thread_time() - started


def test_a_large_header_takes_at_most_half_the_time_of_llama_mdl(tmp_path: Path) -> None:
    path = tmp_path / "gpt-oss-20b.gguf"
    built = gpt_oss_20b()
    path.write_bytes(built.data)
    source = FileSource(str(path), len(built.data))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(processor_s(lambda: read_header(source)))
        theirs.append(processor_s(lambda: llama_mdl.read_local(path)))
    assert min(ours) <= min(theirs) / 2
