"""CUDA toolkits and compilers: this machine's own, made trees, raw lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.machine.live import LiveMachine
from bringup.machine.protocol import CommandResult
from bringup.machine.rooted import RootedMachine
from bringup.reading import Known, Unreadable
from bringup.stack.raw_text import split_lines
from bringup.stack.toolkit import (
    find_on_path,
    parse_architectures,
    parse_dump_version,
    parse_getconf,
    parse_glibc,
    parse_wrapper,
    probe_toolkit,
    recognise,
)
from bringup.stack.toolkit_files import (
    parse_clash,
    parse_cuda_header,
    parse_gcc_most,
    parse_version_json,
    probe_toolkits,
)


def test_this_machines_own_c_library_and_compiler_are_told_as_they_tell_themselves() -> None:
    found = probe_toolkit(LiveMachine())
    printed = subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=True).stdout
    assert isinstance(found.glibc, Known)
    assert printed.splitlines()[0].endswith(f" {found.glibc.value[0]}.{found.glibc.value[1]}")
    if isinstance(find_on_path(LiveMachine(), "g++"), Known):
        asked = subprocess.run(["g++", "-dumpversion"], capture_output=True, text=True, check=True).stdout
        assert isinstance(found.host_compiler, Known)
        assert isinstance(found.host_compiler.value.version, Known)
        assert found.host_compiler.value.version.value == int(asked.split(".")[0])


def test_the_c_library_on_a_mounted_disk_is_read_from_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    (folder / "libc.so.6").write_bytes(
        b"\x7fELF\x00GNU C Library (Ubuntu GLIBC 2.39-0ubuntu8.4) stable release version 2.39.\n"
    )
    found = probe_toolkit(RootedMachine(str(tmp_path)))
    assert found.glibc == Known((2, 39), "/usr/lib/x86_64-linux-gnu/libc.so.6")
    assert isinstance(found.nvcc, Unreadable), "nobody knows PATH on a mounted disk"


def test_toolkits_are_found_once_whatever_links_lead_there(tmp_path: Path) -> None:
    for version in ("12.4", "12.8"):
        (tmp_path / f"usr/local/cuda-{version}/bin").mkdir(parents=True)
        (tmp_path / f"usr/local/cuda-{version}/bin/nvcc").write_text("")
    (tmp_path / "usr/local/cuda-12.4/version.json").write_text('{"cuda": {"version": "12.4.1"}}')
    (tmp_path / "usr/local/cuda").symlink_to("cuda-12.8")
    (tmp_path / "usr/local/cuda-12").symlink_to("/etc/alternatives/cuda-12")
    found = probe_toolkits(RootedMachine(str(tmp_path)))
    assert isinstance(found, Known)
    versions = {toolkit.folder: toolkit.version for toolkit in found.value}
    assert versions == {
        "/usr/local/cuda-12.8": Known((12, 8), "/usr/local/cuda-12.8"),
        "/usr/local/cuda-12.4": Known((12, 4), "/usr/local/cuda-12.4/version.json"),
    }


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (
            '#!/bin/sh\nexec /usr/lib/nvidia-cuda-toolkit/bin/nvcc "$@"\n',
            "/usr/lib/nvidia-cuda-toolkit/bin/nvcc",
        ),
        ("#!/bin/bash\n# wrapper\n  /opt/cuda/bin/nvcc $@\n", "/opt/cuda/bin/nvcc"),
        ('#!/bin/sh\nexec ccache /opt/cuda/bin/nvcc "$@"\n', None),
        ("\x7fELF", None),
    ],
)
def test_a_wrapper_gives_away_the_compiler(text: str, program: str | None) -> None:
    assert parse_wrapper(text) == program


def test_raw_lines_of_headers_and_tools() -> None:
    assert parse_version_json('{"cuda": {"name": "CUDA SDK", "version": "12.8.1"}}') == (12, 8)
    assert parse_cuda_header("#define X 1\n#define CUDA_VERSION 11050\n") == (11, 5)
    assert (
        parse_gcc_most("#error -- unsupported GNU version! gcc versions later than 13 are not supported!")
        == 13
    )
    assert parse_architectures("compute_90\ncompute_75\ncompute_100\n") == (75, 90, 100)
    assert parse_dump_version(CommandResult((), 0, "7.5.0\n", "")) == 7
    assert parse_getconf(CommandResult((), 0, "glibc 2.41\n", "")) == (2, 41)


CLASH = "extern __DEVICE_FUNCTIONS_DECL__ __device_builtin__ double                 {0}(double x){1};\n"


@pytest.mark.parametrize(
    ("header", "from_version"),
    [
        (CLASH.format("cospi", "") + CLASH.format("rsqrt", ""), (2, 41)),
        (
            CLASH.format("cospi", " __NV_IEC_60559_FUNCS_EXCEPTION_SPECIFIER") + CLASH.format("rsqrt", ""),
            (2, 42),
        ),
        (CLASH.format("cospi", " noexcept (true)") + CLASH.format("rsqrt", " noexcept (true)"), None),
        ("", None),
    ],
)
def test_headers_clash_from_the_c_library_that_declares_the_same(
    header: str, from_version: tuple[int, int] | None
) -> None:
    assert parse_clash(header) == from_version


@given(st.text(max_size=200))
def test_no_text_breaks_a_parser(text: str) -> None:
    for parse in (parse_version_json, parse_cuda_header, parse_gcc_most, parse_clash, parse_wrapper):
        parse(text)
    for strict in (parse_architectures, lambda words: parse_glibc(words.encode())):
        try:
            strict(text)
        except ValueError:
            continue


def test_a_paste_tells_nvcc_gcc_and_the_c_library() -> None:
    text = (
        "$ nvcc --version\nnvcc: NVIDIA (R) Cuda compiler driver\n"
        "Cuda compilation tools, release 12.0, V12.0.140\n"
        "$ g++ --version\ng++ (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0\n"
        "$ ldd --version\nldd (Ubuntu GLIBC 2.39-0ubuntu8.4) 2.39\n"
        "$ nvcc --list-gpu-arch\ncompute_50\ncompute_90\n"
    )
    found = recognise(split_lines(text, source="test"))
    assert isinstance(found.nvcc, Known)
    assert isinstance(found.nvcc.value.version, Known)
    assert found.nvcc.value.version.value == (12, 0)
    assert isinstance(found.nvcc.value.architectures, Known)
    assert found.nvcc.value.architectures.value == (50, 90)
    assert isinstance(found.host_compiler, Known)
    assert isinstance(found.glibc, Known)
    assert found.glibc.value == (2, 39)
