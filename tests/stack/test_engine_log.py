"""Figures out of logs of all eras, and what failed allocations were for."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.reading import Known, Unreadable
from bringup.stack.allocations import Consumer, FailedAllocation, Place, find_failed_allocations
from bringup.stack.engine_log import MIB, EngineLog, Offload, Phase, parse_size, read_engine_log
from bringup.stack.lines import Line, Lines
from bringup.stack.raw_text import split_lines

GIB = 1024**3


def lines_of(text: str) -> Lines:
    return split_lines(text, source="test")


def log_of(text: str) -> EngineLog:
    reading = read_engine_log(lines_of(text))
    assert isinstance(reading, Known)
    return reading.value


def test_a_log_of_2026_gives_devices_with_total_and_free() -> None:
    log = log_of(
        "0.00.100.001 I device_info:\n"
        "0.00.100.002 I   - CUDA0   : NVIDIA GeForce RTX 4060 (8150 MiB, 7043 MiB free)\n"
        "0.00.100.003 I   - CPU     : AMD Ryzen 7 7700X 8-Core     (32374 MiB, 15485 MiB free)\n"
        "0.00.100.004 I system_info: n_threads = 8 (n_threads_batch = 8) / 16 "
        "| CUDA : ARCHS = 860,890 | CPU : SSE3 = 1\n"
    )
    assert [(d.name, d.total_bytes, d.free_bytes) for d in log.devices] == [
        ("CUDA0", 8150 * MIB, 7043 * MIB),
        ("CPU", 32374 * MIB, 15485 * MIB),
    ]
    assert [d.name for d in log.gpu_devices] == ["CUDA0"]
    assert log.has_cuda
    assert log.cuda_archs == (860, 890)
    assert (log.n_threads, log.n_cpus) == (8, 16)


def test_a_log_of_2025_joins_the_card_of_cuda_init_with_its_free_memory() -> None:
    log = log_of(
        "ggml_cuda_init: found 1 CUDA devices (Total VRAM: 24117 MiB):\n"
        "  Device 0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes, VRAM: 24117 MiB\n"
        "build: 5518 (26b79b6c) with cc (Debian 12.2.0-14+deb12u1) 12.2.0 for x86_64-linux-gnu\n"
        "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 3090) - 21306 MiB free\n"
        "load_tensors: offloading 5 repeating layers to GPU\n"
        "load_tensors: offloaded 5/37 layers to GPU\n"
        "llama_context: n_ctx         = 32768\n"
        "llama_context: n_ctx_per_seq = 8192\n"
        "llama_context: n_ctx_per_seq (8192) < n_ctx_train (40960) -- the full capacity of the model will not"
        " be utilized\n"
    )
    (device,) = log.devices
    assert (device.total_bytes, device.free_bytes) == (24117 * MIB, 21306 * MIB)
    assert log.builds == (5518,)
    assert log.compute_capabilities == (86,)
    assert log.offload == Offload(5, 37, 6)
    assert (log.n_ctx, log.n_ctx_slot, log.n_ctx_train) == (32768, 8192, 40960)
    assert log.phase is Phase.CONTEXT


def test_ollama_says_sizes_in_words_and_layers_in_its_own_keys() -> None:
    log = log_of(
        'time=2025-07-30T13:57:36Z level=INFO msg="inference compute" id=GPU-1 library=cuda variant=v12'
        ' name="NVIDIA RTX 5880 Ada Generation" total="48.0 GiB" available="28.9 GiB"\n'
        "time=2025-07-30T13:58:00Z level=INFO msg=offload library=cuda layers.model=49 layers.offload=4\n"
    )
    (device,) = log.devices
    assert device.description == "NVIDIA RTX 5880 Ada Generation"
    assert (device.total_bytes, device.free_bytes) == (48 * GIB, int(28.9 * GIB))
    assert log.offload == Offload(4, 49, 2)


def test_a_command_line_says_what_was_asked_for() -> None:
    log = log_of("$ ./llama-server -m a.gguf -c 16384 -np 4 --threads 12 -ngl 99\n")
    assert (log.asked_n_ctx, log.asked_n_parallel, log.asked_threads) == (16384, 4, 12)
    assert log.asked_gpu_layers == "99"


def test_options_of_other_programs_are_not_taken_for_the_engines() -> None:
    assert read_engine_log(lines_of("$ ping -c 4 example.org\n$ make -j 8 -t 3")) == Unreadable(
        "not looked at", "nobody looked"
    )


def test_the_phase_whose_line_stands_last_counts() -> None:
    assert log_of("load_tensors: x\nsrv  llama_server: model loaded\nload_tensors: y").phase is Phase.WEIGHTS
    assert log_of("load_tensors: x\nsrv  update_slots: all slots are idle").phase is Phase.SERVING


@pytest.mark.parametrize(
    ("text", "size"), [("28.9 GiB", int(28.9 * GIB)), ("0 B", 0), ("215.1 MiB", int(215.1 * MIB))]
)
def test_sizes_of_ollama(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "8G", "1 GB", "GiB", "-1 GiB"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


def failures(text: str) -> tuple[FailedAllocation, ...]:
    return find_failed_allocations(lines_of(text))


CUDA = (
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating {} MiB on device 0: cudaMalloc failed:"
    " out of memory\n"
)


@pytest.mark.parametrize(
    ("after", "consumer"),
    [
        ("llama_model_load: error loading model: unable to allocate CUDA0 buffer", Consumer.WEIGHTS),
        ("llama_model_load: error loading model: unable to allocate backend buffer", Consumer.WEIGHTS),
        ("llama_kv_cache_init: failed to allocate buffer for kv cache", Consumer.KV_CACHE),
        ("ggml_gallocr_reserve_n_impl: failed to allocate CUDA0 buffer of size 1", Consumer.COMPUTE),
        ("graph_reserve: failed to allocate compute buffers", Consumer.COMPUTE),
    ],
)
def test_the_line_after_names_the_consumer(after: str, consumer: Consumer) -> None:
    (failure,) = failures(
        CUDA.format("8148.22") + "alloc_tensor_range: failed to allocate CUDA0 buffer of size 1\n" + after
    )
    assert (failure.consumer, failure.place, failure.named) == (consumer, Place.GPU, True)
    assert failure.size_bytes == int(8148.22 * MIB)


def test_the_step_before_speaks_where_no_line_after_does() -> None:
    (failure,) = failures("0.11.1 I sched_reserve: reserving ...\n" + CUDA.format("14656.12"))
    assert (failure.consumer, failure.named) == (Consumer.COMPUTE, False)


def test_a_pool_that_grows_in_a_request_is_scratch() -> None:
    (failure,) = failures(
        "CUDA error: out of memory\n  current device: 0, in function alloc at ggml-cuda.cu:424\n"
    )
    assert failure.consumer is Consumer.SCRATCH


def test_pinned_and_repacked_buffers_are_main_memory() -> None:
    (failure,) = failures(
        "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9925767168\n"
        "alloc_tensor_range: failed to allocate CUDA_Host buffer of size 9925767168\n"
    )
    assert (failure.place, failure.size_bytes) == (Place.RAM, 9925767168)


def test_a_failure_that_was_retried_with_success_was_survived_and_the_second_was_not() -> None:
    retry = (
        CUDA.format("2")
        + "graph_reserve: failed to allocate compute buffers\nretrying without pipeline parallelism\n"
    )
    (survived,) = failures(retry + "srv load_model: initializing, n_slots = 4\n")
    assert survived.survived
    first, second = failures(retry + CUDA.format("1") + "graph_reserve: failed to allocate compute buffers\n")
    assert (first.survived, second.survived) == (True, False)


@given(st.text(max_size=400))
def test_no_text_breaks_the_readers(text: str) -> None:
    read_engine_log(lines_of(text))
    find_failed_allocations(lines_of(text))


def test_a_long_word_in_a_line_of_ollama_is_read_once() -> None:
    line = 'msg="inference compute" '.ljust(4000, "0")
    started_s = process_time()
    found = read_engine_log(Lines(tuple(Line(n, line, "test") for n in range(60))))
    assert not isinstance(found, Known) or found.value.devices == ()
    assert process_time() - started_s < 2.0
