"""The figures against the real engine: which layers keep what, as its own log says when it makes caches."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.model.tiny_families import FAMILIES, N_LAYER, tiny

from bringup.model.architecture import Architecture, read_architecture
from bringup.model.gguf import read_header
from bringup.model.preflight import check
from bringup.model.source import BufferSource

# The server is kept in a name: taking it down waits for its loop, and this process has no more to do.
LOAD = """
import os, sys, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.n_gpu_layers = sys.argv[1], 8192, 1, 0
p.verbosity, p.warmup, p.cpuparams.n_threads = 10, False, 1
server = xllamacpp.Server(p)
os._exit(0)
"""
# llama_kv_cache: size =    0.75 MiB (  1536 cells,   4 layers,  1/1 seqs), K (f16):    0.38 MiB, V (f16): ...
SIZE = re.compile(
    r"llama_kv_cache: size = .*\( *(\d+) cells, +(\d+) layers,"
    r".*K \(f16\): +([\d.]+) MiB, V \(f16\): +([\d.]+) MiB"
)
# llama_memory_recurrent: size =    0.07 MiB (     1 cells, ...), R (f32):    0.01 MiB, S (f32):    0.06 MiB
STATE = re.compile(r"llama_memory_recurrent: size = .*R \(f32\): +([\d.]+) MiB, S \(f32\): +([\d.]+) MiB")
FILTERED = re.compile(r"llama_kv_cache: layer +(\d+): filtered")


@dataclass(frozen=True)
class Cache:
    """One cache of the engine: the layers that it keeps, and MiB as printed."""

    layers: frozenset[int]
    cells: int
    k_mib: str
    v_mib: str


@dataclass(frozen=True)
class Made:
    """What the engine made for a context of 8,192 tokens."""

    caches: frozenset[Cache]
    states: frozenset[tuple[str, str]]


def made_by_engine(path: Path) -> Made:
    """Load a model and read the log."""
    argv = [sys.executable, "-c", LOAD, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    caches, filtered = set(), set()
    log = (done.stdout + done.stderr).splitlines()
    for line in log:
        if match := FILTERED.search(line):
            filtered.add(int(match[1]))
        elif match := SIZE.search(line):
            layers = frozenset(range(N_LAYER)) - filtered
            assert len(layers) == int(match[2])
            caches.add(Cache(layers, int(match[1]), match[3], match[4]))
            filtered = set()
    states = {(match[1], match[2]) for line in log if (match := STATE.search(line))}
    return Made(frozenset(caches), frozenset(states))


def expected(figures: Architecture, made: Made) -> Made:
    """The same from our figures; the cells are the plan's business and taken from the engine."""
    caches = set()
    for is_swa in (False, True):
        kept = [layer for layer in figures.cache_layers if layer.is_swa == is_swa]
        if not kept:
            continue
        indexes = frozenset(layer.index for layer in kept)
        cells = next((cache.cells for cache in made.caches if cache.layers == indexes), 0)
        k, v = sum(layer.n_embd_k for layer in kept), sum(layer.n_embd_v for layer in kept)
        caches.add(Cache(indexes, cells, _mib(cells * k * 2), _mib(cells * v * 2)))
    state = figures.recurrent
    if state is None:
        return Made(frozenset(caches), frozenset())
    widths = (_mib(state.n_layer * state.n_embd_r * 4), _mib(state.n_layer * state.n_embd_s * 4))
    return Made(frozenset(caches), frozenset({widths}))


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:.2f}"


@pytest.mark.parametrize("name", [*FAMILIES])
def test_the_engine_makes_the_caches_that_the_figures_say(name: str, tmp_path: Path) -> None:
    built = tiny(name)
    path = tmp_path / f"{name}.gguf"
    path.write_bytes(built.data)
    header = read_header(BufferSource(built.data, name=name))
    assert check(header) == ()
    made = made_by_engine(path)
    assert made.caches or made.states
    assert made == expected(read_architecture(header), made)
