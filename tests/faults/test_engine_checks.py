"""Checks that judge figures: each with the figure just inside and just outside."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bringup.faults._catalogue import find_fault
from bringup.faults._diagnose import judge
from bringup.faults._fault import Certainty, Evidence
from bringup.faults._scene import Scene
from bringup.faults.build._options import refused_option
from bringup.faults.model._magic import Found, found_magic
from bringup.machine.protocol import DiskSpace
from bringup.reading import Known, Unreadable
from bringup.stack.build import Build, EngineFiles
from bringup.stack.engines import EngineProcess
from bringup.stack.hardware import Hardware
from bringup.stack.nvml import Card, GpuMemory, GpuProcess, Nvml
from bringup.stack.pasted import read_pasted
from bringup.stack.raw_text import split_lines
from bringup.stack.runtime import Runtime
from bringup.stack.stack import Stack

GIB = 1024**3


def judged(fault_id: str, text: str) -> Evidence | None:
    fault = find_fault(fault_id)
    assert fault is not None
    stack, lines = read_pasted(text)
    return judge(fault, Scene(stack, lines))


def judged_stack(fault_id: str, stack: Stack) -> Evidence | None:
    fault = find_fault(fault_id)
    assert fault is not None
    return judge(fault, Scene(stack=stack))


def disks(free_bytes: int, *, total_bytes: int = 500 * GIB, path: str = "/home") -> Stack:
    return Stack(hardware=Hardware(disks=((path, Known(DiskSpace(total_bytes, free_bytes), path)),)))


def test_a_full_disk_is_sure_and_a_nearly_full_one_likely() -> None:
    full = judged_stack("disk-full", disks(100 * 1024**2))
    nearly = judged_stack("disk-full", disks(4 * GIB))
    assert full is not None
    assert nearly is not None
    assert (full.certainty, nearly.certainty) == (Certainty.SURE, Certainty.LIKELY)


@pytest.mark.parametrize(
    "stack",
    [
        disks(6 * GIB),
        disks(1 * GIB, total_bytes=2 * GIB, path="/tmp"),
        disks(50 * 1024**2, path="/boot"),
        Stack(hardware=Hardware(disks=(("/home", Unreadable("/home", "not recorded")),))),
    ],
)
def test_room_enough_a_small_tmp_boot_and_the_unknown_are_no_full_disk(stack: Stack) -> None:
    assert judged_stack("disk-full", stack) is None


OUT_OF_MEMORY = (
    "E ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4656.12 MiB on device 0: cudaMalloc failed:"
    " out of memory\nE llama_model_load: error loading model: unable to allocate CUDA0 buffer\n"
)


@pytest.mark.parametrize(
    ("free_mib", "certainty"),
    [(2000, Certainty.SURE), (5900, Certainty.LIKELY), (7400, None)],
)
def test_who_holds_the_memory_is_judged_by_what_is_missing(
    free_mib: int, certainty: Certainty | None
) -> None:
    text = f"I   - CUDA0   : NVIDIA GeForce RTX 4060 (8150 MiB, {free_mib} MiB free)\n" + OUT_OF_MEMORY
    found = judged("vram-taken-by-others", text)
    assert (found.certainty if found else None) == certainty


def test_shared_memory_of_a_small_board_says_nothing() -> None:
    text = "I   - CUDA0   : Orin (62800 MiB, 20000 MiB free)\n" + OUT_OF_MEMORY
    assert judged("vram-taken-by-others", text) is None


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("invalid magic number 4f44213c", Found.WEB_PAGE),
        ("invalid magic characters: '<htm', expected 'GGUF'", Found.WEB_PAGE),
        ("invalid magic characters 'vers'", Found.LFS_POINTER),
        ("invalid magic number 73726576", Found.LFS_POINTER),
        ("invalid magic number 04034b50", Found.OTHER_FORMAT),
        ("invalid magic number 67676a74", Found.OLD_GGML),
        ("invalid magic characters 'tjgg'", Found.OLD_GGML),
        ("unknown (magic, version) combination: 46554747, 00000002", Found.GGUF),
        ("invalid magic characters '\ufffd'", Found.NOTHING),
        ("invalid magic characters: '', expected 'GGUF'", Found.NOTHING),
        ("invalid magic number 00000000", Found.ZEROS),
        ("invalid magic characters 'Entr'", Found.ERROR_TEXT),
        ("invalid magic characters 'xyzw'", Found.STRANGE),
    ],
)
def test_magics_are_decoded(printed: str, found: Found) -> None:
    magic = found_magic(split_lines(f"gguf_init_from_file: {printed}", source="test"))
    assert magic is not None
    assert magic.found is found


@pytest.mark.parametrize(
    ("text", "option", "changed"),
    [
        ("llama-server\nerror: invalid argument: --no-mmap", "--no-mmap", True),
        ("llama-server\nerror: unknown argument: -hf", "-hf", False),
        ("error while handling argument \"-fa\": error: unkown value for --flash-attn: '-c'", "-fa", True),
        ('error while handling argument "--draft-max": the argument has been removed.', "--draft-max", True),
        ('error while handling argument "--spec-type": unknown type', "--spec-type", False),
    ],
)
def test_refused_options(text: str, option: str, changed: bool) -> None:
    refused = refused_option(split_lines(text, source="test"))
    assert refused is not None
    assert (refused.option, refused.changed) == (option, changed)


@pytest.mark.parametrize(
    "text",
    ["git: unknown option: --foo", 'error while handling argument "-c": stoi', "llama-server: listening"],
)
def test_other_programs_and_plain_typing_errors_are_no_refused_option(text: str) -> None:
    assert refused_option(split_lines(text, source="test")) is None


def test_a_library_from_elsewhere_is_named_with_its_folder() -> None:
    engine = EngineFiles(
        program="/opt/a/llama-server",
        origin="PATH",
        number=Unreadable("x", "y"),
        backends=Known(("cpu", "cuda"), "x"),
        stale_backends=(),
        cuda_archs=Unreadable("x", "y"),
        needs=Known(("libggml.so.0",), "x"),
        strayed=(("libggml.so.0", "/opt/whisper"),),
    )
    found = judged_stack("shared-library-mismatch", Stack(build=Build(Known((engine,), "x"))))
    assert found is not None
    assert "/opt/whisper" in found.saw


@pytest.mark.parametrize(("full_gib", "fires"), [("68.3", True), ("50.0", False)])
def test_what_ollama_leaves_to_main_memory_against_what_is_free(full_gib: str, fires: bool) -> None:
    text = (
        'msg="system memory" total="62.6 GiB" free="59.1 GiB" free_swap="215.1 MiB"\n'
        f'msg=offload library=cuda layers.model=49 layers.offload=4 memory.required.full="{full_gib} GiB"'
        ' memory.required.partial="10.9 GiB"\n'
    )
    assert (judged("ram-oom-killed", text) is not None) == fires


def test_a_likely_sign_names_the_look_that_would_decide() -> None:
    likely = judged("engine-too-old", "unknown speculative type: draft-mtp")
    assert likely is not None
    assert likely.decides == "llama-server --version"
    sure = judged("port-in-use", "bind: address already in use")
    assert sure is not None
    assert sure.decides == ""


KILL = "Out of memory: Killed process 4242 ({}) total-vm:48123456kB, anon-rss:30123456kB"


@pytest.mark.parametrize(
    ("source", "victim", "certainty"),
    [
        ("pasted text", "llama-server", Certainty.SURE),
        ("pasted text", "nautilus", Certainty.SURE),
        ("dmesg --color=never", "llama-server", Certainty.LIKELY),
        ("dmesg --color=never", "chrome", None),
    ],
)
def test_an_old_kill_in_this_machines_log_counts_less(
    source: str, victim: str, certainty: Certainty | None
) -> None:
    fault = find_fault("ram-oom-killed")
    assert fault is not None
    found = judge(fault, Scene(lines=split_lines(KILL.format(victim), source=source)))
    assert (found.certainty if found else None) == certainty


def card_with(*processes: GpuProcess, source: str = "NVML") -> Nvml:
    card = Card(
        index=0,
        memory=Known(GpuMemory(24 * GIB, 20 * GIB, 4 * GIB), "NVML"),
        processes=Known(processes, source),
    )
    return Nvml(cards=Known((card,), source))


def process(number: int, used_gib: int, name: str = "") -> GpuProcess:
    return GpuProcess(number, Known(used_gib * GIB, "NVML"), is_graphics=False, name=name)


ENGINE = EngineProcess(
    process_id=42,
    program="llama-server",
    command=("llama-server",),
    model_path="",
    port=None,
    threads=None,
    gpu_layers="",
    locks_memory=False,
    resident_bytes=Known(GIB, "x"),
    has_cuda=Known(value=True, source="x"),
)


@pytest.mark.parametrize(
    ("holder", "fires"),
    [
        (process(77, 18, "python3"), True),
        (process(77, 8, "python3"), False),
        (process(42, 20), False),
    ],
)
def test_on_a_running_machine_only_what_strangers_hold_counts(holder: GpuProcess, fires: bool) -> None:
    stack = Stack(nvml=card_with(holder), runtime=Runtime(engines=Known((ENGINE,), "/proc")))
    assert (judged_stack("vram-taken-by-others", stack) is not None) == fires


def test_a_table_without_a_failure_in_pasted_text_accuses_nobody() -> None:
    pasted = card_with(process(77, 18, "python3"), source="pasted text, line 3")
    assert judged_stack("vram-taken-by-others", Stack(nvml=pasted)) is None


def test_beside_a_failed_load_a_forgotten_engine_counts_too() -> None:
    stack, lines = read_pasted(OUT_OF_MEMORY)
    scene = Scene(replace(stack, nvml=card_with(process(99, 5, "llama-server"))), lines)
    fault = find_fault("vram-taken-by-others")
    assert fault is not None
    found = judge(fault, scene)
    assert found is not None
    assert "llama-server (99)" in found.saw
