"""Builds of llama.cpp on the disk: real ELF files made here by a small writer, and the system's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases._make.elf_file import elf_file

from bringup.machine.recorded import RecordedMachine
from bringup.reading import Absent, Known
from bringup.stack.build import EngineFiles, backend_name, parse_build_number, parse_cache_entry, probe_build
from bringup.stack.elf import DynamicInfo, parse_dynamic


def make_build(root: Path, folder: str, files: dict[str, tuple[str, ...]]) -> None:
    target = root / folder.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    for name, needed in files.items():
        (target / name).write_bytes(elf_file(needed))


def machine_of(tmp_path: Path, **environment: str) -> RecordedMachine:
    (tmp_path / "root").mkdir(exist_ok=True)
    lines = "\n".join(f'{name} = "{value}"' for name, value in environment.items())
    (tmp_path / "machine.toml").write_text(f"[environment]\n{lines}\n")
    return RecordedMachine(str(tmp_path))


def first_of(machine: RecordedMachine) -> EngineFiles:
    engines = probe_build(machine).engines
    assert isinstance(engines, Known)
    return engines.value[0]


SERVER = ("libllama.so.0", "libggml.so.0", "libc.so.6")


def test_a_build_with_linked_backends_has_those_that_its_registry_needs(tmp_path: Path) -> None:
    make_build(
        tmp_path / "root",
        "/home/user/llama.cpp/build/bin",
        {
            "llama-server": SERVER,
            "libllama.so.0": (),
            "libggml.so.0": ("libggml-cpu.so.0", "libggml-cuda.so.0"),
            "libggml-cuda.so.0": ("libcudart.so.12",),
            "libggml-cpu.so.0": (),
        },
    )
    build = tmp_path / "root/home/user/llama.cpp/build"
    (build / "common").mkdir()
    (build / "common/build-info.cpp").write_text("int LLAMA_BUILD_NUMBER = 5518;\n")
    (build / "CMakeCache.txt").write_text("CMAKE_CUDA_ARCHITECTURES:STRING=86;120\n")
    engine = first_of(machine_of(tmp_path, HOME="/home/user", PATH="/usr/bin"))
    assert isinstance(engine.backends, Known)
    assert engine.backends.value == ("cpu", "cuda")
    assert engine.stale_backends == ()
    assert isinstance(engine.number, Known)
    assert engine.number.value == 5518
    assert isinstance(engine.cuda_archs, Known)
    assert engine.cuda_archs.value == "86;120"
    assert (engine.origin, engine.needs.value if isinstance(engine.needs, Known) else ()) == ("home", SERVER)


def test_a_cuda_library_that_the_registry_no_longer_needs_is_stale(tmp_path: Path) -> None:
    files = {
        "llama-server": SERVER,
        "libggml.so.0": ("libggml-cpu.so.0",),
        "libggml-cuda.so.0": (),
        "libggml-cpu.so.0": (),
    }
    make_build(tmp_path / "root", "/opt/llama.cpp/build/bin", files)
    engine = first_of(machine_of(tmp_path, PATH="/opt/llama.cpp/build/bin"))
    assert isinstance(engine.backends, Known)
    assert engine.backends.value == ("cpu",)
    assert engine.stale_backends == ("cuda",)


def test_a_release_with_loadable_backends_has_what_lies_beside_it(tmp_path: Path) -> None:
    files = {"llama-server": SERVER, "libggml.so": (), "libggml-cuda.so": (), "libggml-cpu-haswell.so": ()}
    make_build(tmp_path / "root", "/opt/llama-b6988-bin-ubuntu-x64", files)
    engine = first_of(machine_of(tmp_path, PATH="/opt/llama-b6988-bin-ubuntu-x64"))
    assert isinstance(engine.backends, Known)
    assert engine.backends.value == ("cpu", "cuda")
    assert isinstance(engine.number, Known)
    assert engine.number.value == 6988


def test_a_static_build_shows_cuda_by_what_it_needs(tmp_path: Path) -> None:
    make_build(tmp_path / "root", "/usr/local/bin", {"llama-server": ("libcudart.so.12", "libcuda.so.1")})
    engine = first_of(machine_of(tmp_path, PATH="/usr/local/bin"))
    assert isinstance(engine.backends, Known)
    assert engine.backends.value == ("cpu", "cuda")


def test_a_library_that_the_environment_serves_from_elsewhere_has_strayed(tmp_path: Path) -> None:
    make_build(tmp_path / "root", "/opt/a", {"llama-server": SERVER, "libllama.so.0": (), "libggml.so.0": ()})
    make_build(tmp_path / "root", "/opt/whisper", {"libggml.so.0": ()})
    engine = first_of(machine_of(tmp_path, PATH="/opt/a", LD_LIBRARY_PATH="/opt/whisper"))
    assert engine.strayed == (("libggml.so.0", "/opt/whisper"),)


def test_one_build_behind_two_links_counts_once(tmp_path: Path) -> None:
    make_build(tmp_path / "root", "/opt/a", {"llama-server": ()})
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/usr/bin/llama-server").symlink_to("/opt/a/llama-server")
    engines = probe_build(machine_of(tmp_path, PATH="/usr/bin:/opt/a")).engines
    assert isinstance(engines, Known)
    assert [engine.program for engine in engines.value] == ["/opt/a/llama-server"]


def test_no_engine_is_an_absence_where_path_is_known(tmp_path: Path) -> None:
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    assert isinstance(probe_build(machine_of(tmp_path, PATH="/usr/bin")).engines, Absent)


def test_the_systems_own_programs_are_read_as_they_are() -> None:
    info = parse_dynamic(Path("/bin/sh").resolve().read_bytes())
    assert "libc.so.6" in info.needed


def test_the_written_library_is_read_back() -> None:
    assert parse_dynamic(elf_file(("liba.so", "libb.so.1"), "$ORIGIN:/opt/x")) == DynamicInfo(
        ("liba.so", "libb.so.1"), ("$ORIGIN", "/opt/x")
    )


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_damaged_files_are_refused_and_never_more(noise: bytes, place: int, value: int) -> None:
    whole = bytearray(elf_file(("liba.so",)))
    whole[place % len(whole)] = value
    for data in (noise, bytes(whole), bytes(whole[: place % len(whole)])):
        try:
            parse_dynamic(data)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("libggml-cuda.so.0", "cuda"),
        ("libggml-cpu-haswell.so", "cpu"),
        ("libggml-base.so", ""),
        ("libggml.so", ""),
    ],
)
def test_backend_names(file: str, name: str) -> None:
    assert backend_name(file) == name


def test_generated_files() -> None:
    assert parse_build_number("char const *X;\nint LLAMA_BUILD_NUMBER = 9049;\n") == 9049
    assert parse_cache_entry("A:BOOL=ON\nGGML_CUDA:BOOL=OFF\n", "GGML_CUDA") == "OFF"
    assert parse_cache_entry("A:BOOL=ON\n", "GGML_CUDA") is None
