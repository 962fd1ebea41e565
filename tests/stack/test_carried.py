"""A paste reads the same however it was carried."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import diagnose
from bringup.faults._scene import Scene
from bringup.reading import Known, Reading
from bringup.stack.carried import pieces, plain_characters, uncarried, whole_lines
from bringup.stack.kernel import LoadedDriver
from bringup.stack.pasted import read_pasted
from bringup.stack.raw_text import split_lines

TYPED = """$ nvidia-smi
Failed to initialize NVML: Driver/library version mismatch
NVML library version: 570.172
$ cat /proc/driver/nvidia/version
NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.169  Thu Jun 12 18:53:45 UTC 2025
$ lspci -k
01:00.0 VGA compatible controller: NVIDIA Corporation GA102 [GeForce RTX 3080 Ti] (rev a1)
\tKernel driver in use: nvidia"""


def value_of(reading: Reading[LoadedDriver]) -> object:
    return reading.value if isinstance(reading, Known) else type(reading)


def each(before: str, after: str = "") -> Callable[[str], str]:
    return lambda text: "\n".join(before + line + after for line in text.split("\n"))


def in_json(text: str) -> str:
    return "\n".join(json.dumps({"log": line + "\n", "stream": "stderr"}) for line in text.split("\n"))


CARRIED = {
    "quoted": each("> "),
    "quoted twice": each("> > "),
    "indented": each("    "),
    "list": each("- "),
    "diff": each("+"),
    "escaped colours": each("\x1b[1;31m", "\x1b[0m"),
    "colours spelled out": each("^[[31m", "^[[0m"),
    "colours without their escape": each("[31m", "[0m"),
    "timestamps": each("2026-03-04T05:06:07.123456789Z "),
    "logger": each("2026-03-04 05:06:07,123 - llama - ERROR - "),
    "kubernetes": each("2026-03-04T05:06:07.1Z stderr F "),
    "clock": each("05:06:07 "),
    "kernel's date": each("[Wed Mar  4 05:06:07 2026] "),
    "compose with timestamps": each("llama-1  | 2026-03-04T05:06:07.1Z "),
    "French journal": each("f\u00e9vr. 04 05:06:07 box sh[42]: "),
    "German journal": each("M\u00e4r 04 05:06:07 box sh[42]: "),
    "Chinese journal": each("3\u6708 04 05:06:07 box sh[42]: "),
    "grep in a file": each("/var/log/syslog:"),
    "editor's build": each("[build] "),
    "image build": each("#16 64.58 "),
    "older image build": each("442.3 "),
    "line numbers": lambda text: "\n".join(f"{n:4d} {x}" for n, x in enumerate(text.split("\n"), 1)),
    "web page's spaces": lambda text: text.replace(" ", "\u00a0"),
    "web page's entities": lambda text: (
        text.replace("<", "&lt;").replace("'", "&#39;").replace('"', "&quot;")
    ),
    "container's JSON": in_json,
    "one JSON value": lambda text: json.dumps({"error": text}),
    "invisible characters": lambda text: "\ufeff" + text.replace("\n", "\u200b\n"),
}


@pytest.mark.parametrize("carrier", CARRIED.values(), ids=CARRIED)
def test_what_carried_a_paste_changes_nothing(carrier: Callable[[str], str]) -> None:
    plain, _ = read_pasted(TYPED)
    stack, lines = read_pasted(carrier(TYPED))
    assert value_of(stack.kernel.loaded_driver) == value_of(plain.kernel.loaded_driver)
    diagnosis = diagnose(Scene(stack, lines), load_catalogue())
    assert [finding.fault.id for finding in diagnosis.roots] == ["driver-library-mismatch"]


def test_a_log_whose_own_lines_begin_alike_stays() -> None:
    """Near misses: what looks like a carrier and belongs to the program."""
    for text in (
        "2025-07-14 06:32:11 upgrade libnvidia-ml1:amd64 570.169 570.172\n" * 3,
        "[2025-07-14T06:32:11+0200] [ALPM] upgraded nvidia (570.169-1 -> 570.172-1)\n" * 3,
        "2025-07-14T06:32:11+0200 SUBDEBUG Upgraded: nvidia-driver-570.169\n" * 3,
        "-- Detecting CUDA compiler ABI info\n-- CUDA Toolkit found\n",
        "01:00.0 VGA compatible controller: NVIDIA\n02:00.0 3D controller: NVIDIA\n03:00.0 Audio\n",
        "+ set -e\nllama_model_load: error\nllama_load: error\n",
        "0.00.129.365 I srv init\n0.00.129.367 I device_info\n0.00.228.419 I CUDA0\n",
        "[ 45%] Building CUDA object a.cu.o\n[ 46%] Building CUDA object b.cu.o\n",
    ):
        lines = split_lines(text, source="test")
        assert uncarried(lines) is lines


def test_numbers_that_do_not_count_up_are_no_line_numbers() -> None:
    lines = split_lines("3 cards\n1 error\n2 warnings\n7 more\n", source="test")
    assert uncarried(lines) is lines


def test_a_windows_path_is_not_taken_apart() -> None:
    raw = r"C:\new\models\name.gguf: not found"
    assert list(pieces(raw)) == [raw]


def test_broken_and_deep_json_stays_as_it_is() -> None:
    for raw in ('{"log":"half\\n', "[" * 5_000 + '"\\n', '{"a": 1, "b": "x\\ty"}'):
        assert next(iter(pieces(raw))) == raw.replace('\\"', '"')


def test_a_line_cut_at_80_columns_is_read_whole() -> None:
    line = (
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 15120.00 MiB on device 0: cudaMalloc failed"
    )
    cut = [line[:80], line[80:], "next"]
    assert whole_lines(cut)[0][0] == line
    by_words = [
        "/server: error while loading shared libraries: libcuda.so.1: cannot open shared",
        "object file",
        "",
    ]
    assert f"{by_words[0]} {by_words[1]}" in whole_lines(by_words)[0]


def test_short_lines_and_tables_are_not_put_together() -> None:
    table = ["+" + "-" * 78 + "+", "| NVIDIA-SMI" + " " * 66 + " |", "| GPU" + " " * 73 + " |"]
    assert whole_lines(table) == {}
    assert whole_lines(["index, pcie.link.gen.current, " + "x" * 60, "0, 4, 4"]) == {}


def test_characters_keep_the_number_of_lines() -> None:
    text = "a\u00a0b\u2019\n&quot;c&quot;\n\u200b\n"
    assert plain_characters(text) == 'a b\'\n"c"\n\n'
