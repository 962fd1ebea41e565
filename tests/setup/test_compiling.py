"""Building: commands as data, progress read, interrupted and resumed, failures named by their cause."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.actions.setting_up.setup import diagnosed
from bringup.engine.compiling import (
    BuildFailed,
    BuildProgress,
    compile_all,
    configure,
    gather,
    has_broken_amx,
)
from bringup.engine.source_build import (
    AMX_TRIAL,
    MEMORY_PER_CPU_JOB_BYTES,
    MEMORY_PER_CUDA_JOB_BYTES,
    Backend,
    BuildJob,
    BuildStep,
    choose_jobs,
    compile_argv,
    configure_argv,
    parse_step,
)
from bringup.errors import EngineError

NVCC = "/usr/local/bin/nvcc"


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


def test_commands() -> None:
    job = BuildJob("/s", "/b", Backend.CUDA, n_jobs=3, cuda_archs=("86", "120"), nvcc=NVCC, build_number=9)
    words = configure_argv(job)
    assert words[:6] == ("cmake", "-S", "/s", "-B", "/b", "-G")
    assert {
        "-DGGML_CUDA=ON",
        "-DCMAKE_CUDA_ARCHITECTURES=86;120",
        "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined",
        f"-DCMAKE_CUDA_COMPILER={NVCC}",
        "-DGGML_NATIVE=ON",
        "-DLLAMA_BUILD_NUMBER=9",
        "-DCMAKE_INSTALL_RPATH=$ORIGIN",
    } <= set(words)
    assert not any("HOST_COMPILER" in word or "VULKAN=ON" in word for word in words)
    assert compile_argv(job) == ("ninja", "-C", "/b", "-j", "3", "llama-server")
    by_make = BuildJob("/s", "/b", Backend.CPU, ninja=None, n_jobs=2)
    assert "Unix Makefiles" in configure_argv(by_make)
    assert compile_argv(by_make) == ("cmake", "--build", "/b", "--target", "llama-server", "--parallel", "2")


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("[123/345] Building CXX object src/llama.cpp.o", BuildStep(123, 345)),
        ("[ 12%] Building CXX object src/llama.cpp.o", BuildStep(12, 100)),
        ("[100%] Built target llama-server", BuildStep(100, 100)),
        ("[346/345] more than all", None),
        ("[0/0] nothing", None),
        ("-- [12/30] is not a step", None),
        ("warning: x[1/2]", None),
    ],
)
def test_steps_are_read(line: str, step: BuildStep | None) -> None:
    assert parse_step(line) == step


@given(st.integers(1, 512), st.integers(0, 2**43), st.sampled_from(Backend))
def test_jobs_fit_into_memory(n_cores: int, free_bytes: int, backend: Backend) -> None:
    n_jobs = choose_jobs(n_cores=n_cores, free_bytes=free_bytes, backend=backend)
    each = MEMORY_PER_CUDA_JOB_BYTES if backend is Backend.CUDA else MEMORY_PER_CPU_JOB_BYTES
    assert 1 <= n_jobs <= n_cores
    assert n_jobs == 1 or n_jobs * each <= free_bytes


def made_job(project: Path, tmp_path: Path) -> BuildJob:
    return BuildJob(str(project), str(tmp_path / "build"), Backend.CPU, n_jobs=1)


def test_a_build_that_was_interrupted_goes_on(project: Path, tmp_path: Path) -> None:
    """SIGINT at three moments, as Ctrl-C sends it; no step is done twice but the one that was cut."""
    job, log = made_job(project, tmp_path), str(tmp_path / "log")
    configure(job, environment=environment(), log_path=log)
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from bringup.engine.compiling import compile_all\n"
        "from bringup.engine.source_build import Backend, BuildJob\n"
        "try:\n"
        "    compile_all(BuildJob(sys.argv[1], sys.argv[2], Backend.CPU), environment=dict(os.environ),\n"
        "                log_path=sys.argv[3], on_progress=lambda progress: None)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    done = tmp_path / "build" / "done"
    for n_steps in (1, 3, 5):
        argv = [sys.executable, "-c", code, job.source, job.folder, log]
        child = subprocess.Popen(argv, env=environment())
        until_s = time.monotonic() + 60
        while not done.exists() or len(done.read_text().split()) < n_steps:
            assert child.poll() is None and time.monotonic() < until_s
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
    told: list[BuildProgress] = []
    end = compile_all(job, environment=environment(), log_path=log, on_progress=told.append)
    assert end.is_good
    steps = done.read_text().split()
    assert sorted(set(steps), key=int) == [str(number) for number in range(1, 9)]
    assert len(steps) <= 8 + 3
    assert told[-1].step.done == told[-1].step.total < 9

    program = gather(job, str(tmp_path / "out"))
    assert sorted(os.listdir(tmp_path / "out")) == ["libggml.so.0", "llama-server"]
    assert subprocess.run([program], capture_output=True, check=True).stdout.startswith(b"version: 7777")


def test_nothing_is_left_running_when_a_build_is_stopped(project: Path, tmp_path: Path) -> None:
    job = made_job(project, tmp_path)
    configure(job, environment=environment(), log_path=str(tmp_path / "log"))

    def stop(_: BuildProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_all(job, environment=environment(), log_path=str(tmp_path / "log"), on_progress=stop)
    words = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [word for word in words if str(tmp_path).encode() in word and b"ninja" in word]


@pytest.mark.parametrize(
    ("more", "reference"),
    [
        ("cmake_minimum_required(VERSION 99.0)", "build-tool-missing"),
        ("enable_language(CXX)", "build-tool-missing"),
        ('add_custom_command(OUTPUT step1 COMMAND sh -c "echo c++: fatal error: Killed signal '
         'terminated program cc1plus; exit 1" APPEND)', "build-out-of-memory"),
        ('message(FATAL_ERROR "the moon is in the way")', "build-failed"),
    ],
)  # fmt: skip
def test_failures_are_named_by_their_cause(project: Path, tmp_path: Path, more: str, reference: str) -> None:
    (project / "CMakeLists.txt").write_text((project / "CMakeLists.txt").read_text() + more)
    cmake_only = tmp_path / "bin"
    cmake_only.mkdir()
    for name in ("cmake", "ninja", "sh", "sleep", "touch"):
        path = next(
            Path(folder) / name for folder in os.environ["PATH"].split(":") if (Path(folder) / name).exists()
        )
        (cmake_only / name).symlink_to(path.resolve())
    job = made_job(project, tmp_path)
    alone = environment(PATH=str(cmake_only), CXX="/nowhere/c++")
    with pytest.raises(BuildFailed) as caught:
        configure(job, environment=alone, log_path=str(tmp_path / "log"))
        compile_all(job, environment=alone, log_path=str(tmp_path / "log"), on_progress=lambda _: None)
    shown = diagnosed(caught.value)
    assert isinstance(shown, EngineError) and shown.reference == reference
    assert shown.context and str(tmp_path / "log") in shown.hint
    if reference == "build-failed":
        assert any("moon" in line or "CMake Error" in line for line in shown.context)


def test_the_trial_of_amx_code(tmp_path: Path) -> None:
    """A program that cannot be compiled says nothing; one that dies by a signal is a broken compiler."""
    for name, body, is_broken in (
        ("fails", "exit 1", False),
        ("sound", 'printf "#!/bin/sh\\nexit 0\\n" >"$4"; chmod +x "$4"', False),
        ("broken", 'printf "#!/bin/sh\\nkill -ILL \\$\\$\\n" >"$4"; chmod +x "$4"', True),
    ):
        compiler = tmp_path / name
        compiler.write_text(f"#!/bin/sh\n{body}\n")
        compiler.chmod(0o755)
        assert has_broken_amx(str(compiler), str(tmp_path), environment=environment()) is is_broken
    assert "_tile_loadconfig" in AMX_TRIAL
