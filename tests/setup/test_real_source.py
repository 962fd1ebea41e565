"""CMake configures the real llama.cpp, for this processor and for cards with the toolkit that is here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bringup.actions.setting_up.setup import diagnosed
from bringup.engine.compiling import BuildFailed, configure
from bringup.engine.source_build import Backend, BuildJob

NO_CUDA = "no nvcc"


@pytest.fixture(scope="session")
def stub_libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty stand-ins of cuBLAS, which CMake wants to find and nothing here links: made."""
    folder = tmp_path_factory.mktemp("stubs")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    for name in ("cublas", "cublasLt", "cuda"):
        argv = ["gcc", "-shared", "-x", "c", "/dev/null", "-o", str(folder / f"lib{name}.so")]
        subprocess.run(argv, check=True, timeout=60)
    return folder


def configured(source: Path, folder: Path, environment: dict[str, str], **more: object) -> str:
    """Configure; the commands of the build."""
    if shutil.which("cmake") is None or shutil.which("ninja") is None:
        pytest.skip("no cmake and ninja")
    job = BuildJob(str(source), str(folder), build_number=11434, **more)  # type: ignore[arg-type]
    configure(job, environment=environment, log_path=str(folder) + ".log")
    return (folder / "build.ninja").read_text()


def cuda(source: Path, folder: Path, stubs: Path, arch: str, **variables: str) -> str:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip(NO_CUDA)
    environment = {**os.environ, "CMAKE_LIBRARY_PATH": str(stubs), **variables}
    return configured(source, folder, environment, backend=Backend.CUDA, cuda_archs=(arch,), nvcc=nvcc)


def test_for_this_processor(llama_cpp: Path, tmp_path: Path) -> None:
    commands = configured(llama_cpp, tmp_path / "cpu", dict(os.environ), backend=Backend.CPU)
    assert "-march=native" in commands
    assert "bin/llama-server" in commands and "ggml-cuda" not in commands


@pytest.mark.parametrize("arch", ["86", "120"])
def test_for_a_card(llama_cpp: Path, tmp_path: Path, stub_libraries: Path, arch: str) -> None:
    commands = cuda(llama_cpp, tmp_path / arch, stub_libraries, arch)
    # CMake writes 120 as 120a, with the instructions that only this very architecture has.
    assert f"arch=compute_{arch}" in commands
    assert "ggml-cuda/mmq" in commands or "mmq.cu" in commands


@pytest.mark.parametrize(
    ("arch", "reference"),
    [("130", "nvcc-too-old-for-gpu"), ("35", "nvcc-too-new-for-gpu")],
)
def test_nvcc_refuses_a_card(
    llama_cpp: Path, tmp_path: Path, stub_libraries: Path, arch: str, reference: str
) -> None:
    with pytest.raises(BuildFailed) as caught:
        cuda(llama_cpp, tmp_path / "build", stub_libraries, arch)
    assert diagnosed(caught.value).reference == reference


def test_nvcc_refuses_a_compiler(llama_cpp: Path, tmp_path: Path, stub_libraries: Path) -> None:
    """A g++ that calls itself 99: nvcc's own header says no."""
    real = shutil.which("g++")
    if real is None:
        pytest.skip("no gcc")
    newer = tmp_path / "g++"
    newer.write_text(f'#!/bin/sh\nexec {real} -U__GNUC__ -D__GNUC__=99 "$@"\n')
    newer.chmod(0o755)
    with pytest.raises(BuildFailed) as caught:
        cuda(llama_cpp, tmp_path / "build", stub_libraries, "86", CUDAHOSTCXX=str(newer))
    assert diagnosed(caught.value).reference == "host-compiler-unsupported"


def test_without_nvcc_and_without_cublas(llama_cpp: Path, tmp_path: Path, stub_libraries: Path) -> None:
    job = {"backend": Backend.CUDA, "cuda_archs": ("86",), "nvcc": str(tmp_path / "nvcc")}
    with pytest.raises(BuildFailed) as caught:
        configured(llama_cpp, tmp_path / "one", dict(os.environ), **job)
    assert diagnosed(caught.value).reference == "nvcc-not-found"
    if not list(Path("/usr/local").glob("cuda*/lib64/libcublas.so*")):
        with pytest.raises(BuildFailed) as caught:
            cuda(llama_cpp, tmp_path / "two", tmp_path, "86")
        assert diagnosed(caught.value).reference == "build-tool-missing"
