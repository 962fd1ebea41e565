"""For which cards a CUDA library was compiled: headers that nvcc wrote, its work here, noise."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases._make.elf_file import elf_file
from tests.stack.test_build import SERVER, first_of, machine_of

from bringup.actions.diagnosis.snapshot import take_snapshot
from bringup.machine.archive import unpack_recording
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.stack.build import probe_build
from bringup.stack.fatbin import find_code, pack_code, parse_architectures

# Headers of entries as nvcc 13.0 wrote them (length of the code: the eight bytes from the ninth on).
CUBIN_86 = (
    "0200010140000000c00500000000000000000000000000000800010056000000"
    "0000000000000000110000000000000000000000000000000000000000000000"
)
CUBIN_90A = (
    "020001014000000010060000000000000000000000000000080001005a000000"
    "0000000000000000110010000000000000000000000000000000000000000000"
)
PACKED_86 = (
    "0200010140000000f801000000000000f7010000000000000800010056000000"
    "000000000000000011800000000000000000000000000000c005000000000000"
)
PTX_120 = (
    "0100010150000000080100000000000002010000400000000000090078000000"
    "0000000000000000118000000000000000000000000000009601000000000000"
    "48000000000000000000000000000000"
)


def has_nvcc_13() -> bool:
    """Older ones know neither the card nor the way to compress that are asked for."""
    if shutil.which("nvcc") is None:
        return False
    told = subprocess.run(
        ["nvcc", "--version"], capture_output=True, text=True, timeout=30, check=False
    ).stdout
    return "release 13" in told


def container(*headers: str) -> bytes:
    """A fat binary of these entries, with nothing where the code was."""
    entries = b""
    for text in headers:
        header = bytes.fromhex(text)
        entries += header + bytes(struct.unpack_from("<Q", header, 8)[0])
    return struct.pack("<4sHHQ", b"\x50\xed\x55\xba", 1, 16, len(entries)) + entries


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (container(CUBIN_86), "86-real"),
        (container(PACKED_86, PTX_120), "86-real;120-virtual"),
        (
            b"before" + container(CUBIN_90A) + bytes(50) + container(PTX_120, CUBIN_86),
            "86-real;90a-real;120-virtual",
        ),
        (container(CUBIN_86, CUBIN_86.replace("0200", "0100", 1)), "86"),
    ],
)
def test_headers_tell_the_architectures(data: bytes, found: str) -> None:
    assert parse_architectures(data) == found
    assert parse_architectures(pack_code(find_code(data))) == found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"sm_86 compute_86 .target sm_86",
        container(),
        container(CUBIN_86)[:-1],
        container(CUBIN_86)[:12],
        container(CUBIN_86.replace("0200", "1000", 1)),
        container(CUBIN_86.replace("56000000", "56000001", 1)),
        container(CUBIN_86).replace(b"\x50\xed\x55\xba\x01", b"\x50\xed\x55\xba\x02"),
        container(CUBIN_86) + b"\x50\xed\x55\xba",
    ],
)
def test_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="fat binary"):
        parse_architectures(data)


@given(st.binary(max_size=300), st.integers(0, 1500))
def test_noise_is_read_or_refused(noise: bytes, at: int) -> None:
    whole = container(CUBIN_86)
    for data in (noise, b"\x50\xed\x55\xba" + noise, whole[:at] + noise + whole[at + len(noise) :]):
        try:
            parse_architectures(data)
        except ValueError:
            continue


def archs(tmp_path: Path, library: bytes | None, cache: str = "") -> tuple[RecordedMachine, Reading[str]]:
    """What is said of a build with this CUDA library and this CMake cache."""
    build = tmp_path / "root/home/user/llama.cpp/build"
    (build / "bin").mkdir(parents=True)
    (build / "bin/llama-server").write_bytes(elf_file(SERVER))
    (build / "bin/libggml.so.0").write_bytes(elf_file(("libggml-cuda.so.0",)))
    if library is not None:
        (build / "bin/libggml-cuda.so.0").write_bytes(library)
    if cache:
        (build / "CMakeCache.txt").write_text(f"CMAKE_CUDA_ARCHITECTURES:STRING={cache}\n")
    machine = machine_of(tmp_path, HOME="/home/user", PATH="/usr/bin")
    return machine, first_of(machine).cuda_archs


LIBRARY = elf_file(("libcublas.so.12", "libcudart.so.12")) + container(PACKED_86, PTX_120)


@pytest.mark.parametrize("cache", ["", "native", "all-major"])
def test_a_build_tells_by_its_library_and_its_snapshot_says_the_same(tmp_path: Path, cache: str) -> None:
    machine, found = archs(tmp_path, LIBRARY, cache)
    assert found == Known("86-real;120-virtual", "/home/user/llama.cpp/build/bin/libggml-cuda.so.0")
    recording = unpack_recording(take_snapshot(machine, subject="x").data, name="x")
    again = probe_build(RecordedMachine.from_recording(recording)).engines
    assert isinstance(again, Known)
    assert isinstance(again.value[0].cuda_archs, Known)
    assert again.value[0].cuda_archs.value == found.value


@pytest.mark.parametrize(
    ("library", "why"),
    [
        (elf_file(("libcudart.so.12",)) + container(CUBIN_86), "it does not take cuBLAS from a library"),
        (elf_file(("libcublas.so.12",)), "no fat binary in it"),
        (elf_file(("libcublas.so.12",)) + container(CUBIN_86)[:-1], "another form"),
        (b"\x7fELF", "not an ELF-64 file"),
        (LIBRARY + bytes(64 * 1024**2), "larger than"),
    ],
)
def test_what_cannot_be_told_says_what_would_decide(tmp_path: Path, library: bytes, why: str) -> None:
    _, found = archs(tmp_path, library)
    assert isinstance(found, Unreadable)
    assert why in found.why
    assert found.why.endswith("cuobjdump --list-elf /home/user/llama.cpp/build/bin/libggml-cuda.so.0 would")


def test_numbers_in_the_cache_need_no_library_and_words_stand_where_it_tells_nothing(tmp_path: Path) -> None:
    assert archs(tmp_path / "a", LIBRARY, "75;80")[1] == Known(
        "75;80", "/home/user/llama.cpp/build/CMakeCache.txt"
    )
    assert isinstance(archs(tmp_path / "b", None)[1], Absent)
    told = archs(tmp_path / "c", elf_file(("libcublas.so.12",)), "native")[1]
    assert isinstance(told, Known)
    assert told.value == "native"


@pytest.mark.skipif(not has_nvcc_13(), reason="no nvcc 13")
@pytest.mark.parametrize("mode", [("--no-compress",), ("-compress-mode=size",)])
def test_what_nvcc_writes_here_is_read(tmp_path: Path, mode: tuple[str, ...]) -> None:
    (tmp_path / "a.cu").write_text("__global__ void k(float *a) { a[threadIdx.x] *= 2.f; }\n")
    wanted = ("compute_86,code=sm_86", "compute_90a,code=sm_90a", "compute_120,code=[sm_120,compute_120]")
    codes = [word for one in wanted for word in ("-gencode", f"arch={one}")]
    command = ["nvcc", *mode, *codes, "-c", "-o", str(tmp_path / "a.o"), str(tmp_path / "a.cu")]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    assert parse_architectures((tmp_path / "a.o").read_bytes()) == "86-real;90a-real;120"
