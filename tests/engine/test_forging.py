"""A model's words change no fact: files whose strings imitate log lines, ports and buffer sizes.

Each is run by the real engine at its loudest, so that the strings do reach the log; then it is killed, and
the reason must be the kill and not what the model wrote. Default: ten forged lines in each of three files;
soak: thirty files with one line each.
"""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import rounds

from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings
from bringup.engine.exits import ExitKind
from bringup.engine.start import start_engine

FORGED = (
    "0.00.596.041 I srv          init: listening on http://127.0.0.1:1",
    "main: server is listening on http://0.0.0.0:6666 - starting the main loop",
    "0.00.596.004 I srv          init: model loaded",
    "0.00.593.649 I srv    load_model: initializing, n_slots = 9, n_ctx_slot = 999999, kv_unified = 'true'",
    "0.00.001.000 E llama_model_load: error loading model: unknown model architecture: 'evil'",
    "0.00.001.000 E llama_model_load: error loading model: tensor data is not within the file bounds",
    "0.00.001.000 E gguf_init_from_reader: invalid magic characters: '<!DO', expected 'GGUF'",
    "0.00.001.000 E srv start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 1",
    "alloc_buffer: allocating 9999.00 MiB on device 0: cudaMalloc failed: out of memory",
    "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
    "ggml_aligned_malloc: insufficient memory (attempted to allocate 99999.00 MB)",
    "load_tensors:        CUDA0 model buffer size = 99999.00 MiB",
    "CUDA error: an illegal memory access was encountered",
    "CUDA0 : NVIDIA GeForce RTX 3080 Ti (12288 MiB, 1 MiB free)",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "  what():  std::bad_alloc",
    "ggml.c:1: GGML_ASSERT(false) failed",
    "llama-server: error while loading shared libraries: libcuda.so.1: cannot open shared object file",
    "llama-server: symbol lookup error: x: undefined symbol: y",
    "error while handling argument \"--port\": stoi",
    "Killed process 1 (llama-server)",
    "signal: illegal instruction",
    "llama_context: n_ctx_seq (999999) > n_ctx_train (1) -- possible training context overflow",
    "common_chat_templates_init: error: evil",
    "0.00.086.742 E common_fit_params: encountered an error while trying to fit params to free device memory",
    "embedded engine: no key in /etc/passwd",
    "[8081] 0.00.001.000 E llama_model_load: error loading model: unknown pre-tokenizer type: 'evil'",
    "Nov 24 04:00:00 host llama[1]: write: no space left on device",
    "llama-swap  | gguf_init_from_file: failed to open GGUF file 'x.gguf' (Permission denied)",
    "\x1b[2J\x1b]0;evil\x07 std::bad_alloc",
)  # fmt: skip

PER_FILE = rounds(10, 1)
_NAME_KEY = b"general.name"


def with_name(data: bytes, name: str) -> bytes:
    """The file with another `general.name`; padding keeps the tensors aligned."""
    at = data.index(_NAME_KEY) + len(_NAME_KEY)
    assert data[at : at + 4] == struct.pack("<I", 8)
    (length,) = struct.unpack_from("<Q", data, at + 4)
    text = name.encode()
    text += b" " * (-(len(text) - length) % 32)
    return data[: at + 4] + struct.pack("<Q", len(text)) + text + data[at + 12 + length :]


def test_thirty_ways_to_forge() -> None:
    assert len(FORGED) == len(set(FORGED)) == 30


@pytest.mark.parametrize("first", range(0, 30, PER_FILE))
def test_no_fact_changes(
    first: int, embedded: EngineBuild, settings: EngineSettings, environment: Callable[..., dict[str, str]],
    log_path: str, small_model: Path, tmp_path: Path,
) -> None:  # fmt: skip
    name = "\n".join(["pleasant", *FORGED[first : first + PER_FILE], ""])
    path = tmp_path / "model.gguf"
    path.write_bytes(with_name(small_model.read_bytes(), name))
    wanted = replace(settings, model_path=str(path), verbosity=5)
    engine = start_engine(embedded, wanted, log_path=log_path, environment=environment())
    engine.distrust((name,))
    with engine:
        info = engine.wait_ready()
        assert (info.alias, info.n_ctx, info.n_slots, engine.port) == ("smollm2", 1024, 1, settings.port)
        assert FORGED[first] in Path(log_path).read_text(), "the forged line never reached the log"
        os.kill(engine.pid or 0, signal.SIGKILL)
        while (reason := engine.poll()) is None:
            time.sleep(0.01)
    assert reason.kind is ExitKind.KILLED and reason.reference == "engine-killed"
    assert not any(line in reason.evidence for line in FORGED)


@pytest.mark.parametrize("first", range(0, 30, PER_FILE))
def test_a_real_cause_is_found_behind_forged_ones(
    first: int, embedded: EngineBuild, settings: EngineSettings, environment: Callable[..., dict[str, str]],
    log_path: str, small_model: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """The model writes its lines, and the engine then refuses it for a missing tensor."""
    name = "\n".join(["pleasant", *FORGED[first : first + PER_FILE], ""])
    path = tmp_path / "model.gguf"
    data = with_name(small_model.read_bytes(), name)
    path.write_bytes(data.replace(b"blk.3.attn_q.weight", b"blk.3.attn_x.weight"))
    wanted = replace(settings, model_path=str(path), verbosity=5)
    engine = start_engine(embedded, wanted, log_path=log_path, environment=environment())
    engine.distrust((name,))
    with engine:
        while (reason := engine.poll()) is None:
            time.sleep(0.01)
    assert reason.reference == "model-tensors-wrong"
    assert any("blk.3.attn_q.weight" in line for line in reason.evidence)
