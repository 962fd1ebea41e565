"""Real ends of real engines, made here: each must be named for what it was.

The embedded engine is used unless the case needs a program of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bringup.engine.answer_errors import EngineGone, StreamCutOff
from bringup.engine.build import EngineBuild
from bringup.engine.command import EngineSettings, FlashAttention
from bringup.engine.exits import EngineStopped, ExitKind, ExitReason
from bringup.engine.server import RunningEngine
from bringup.engine.start import start_engine
from bringup.engine.watch import find_cause
from bringup.machine.process import is_alive

MakeEnvironment = Callable[..., dict[str, str]]
EndOf = Callable[..., ExitReason]

TAIL = re.compile(r"failed to load model(?:,|$| ')|exiting due to|unable to load|check the input params")


@pytest.fixture
def end_of(
    settings: EngineSettings, environment: MakeEnvironment, log_path: str, embedded: EngineBuild
) -> Callable[..., ExitReason]:
    """Start with changed settings, expect an end while loading, give its reason."""

    def run(
        *, build: EngineBuild = embedded, limit: int | None = None, fake: str = "", **changes: object
    ) -> ExitReason:
        variables = {"FAKE": fake} if fake else {}
        engine = start_engine(
            build,
            replace(settings, **changes),  # type: ignore[arg-type]
            log_path=log_path,
            environment=environment(**variables),
            memory_limit_bytes=limit,
        )
        with engine, pytest.raises(EngineStopped) as caught:
            engine.wait_ready()
        return checked(caught.value.reason)

    return run


def checked(reason: ExitReason) -> ExitReason:
    """Whatever the cause, no tail stands for it."""
    for line in reason.evidence:
        assert not TAIL.search(line), line
    return reason


def change(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new) and old in data
    return data.replace(old, new)


def u32(data: bytes, key: bytes, value: int) -> bytes:
    """Overwrite a uint32 of the header (key, type 4, value)."""
    at = data.index(key) + len(key)
    assert data[at : at + 4] == b"\x04\x00\x00\x00"
    return data[: at + 4] + value.to_bytes(4, "little") + data[at + 8 :]


FILES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "cut-in-the-tensors": ("gguf-truncated", lambda d: d[:50_000_000]),
    "cut-in-the-header": ("gguf-truncated", lambda d: d[:100_000]),
    "empty": ("gguf-truncated", lambda _: b""),
    "web-page": ("gguf-bad-magic", lambda _: b"<!DOCTYPE html><html>" + b"x" * 5000),
    "lfs-pointer": (
        "gguf-bad-magic",
        lambda _: b"version https://git-lfs.github.com/spec/v1\noid 0\n",
    ),
    "safetensors": ("gguf-bad-magic", lambda _: b'\x10\x00\x00\x00\x00\x00\x00\x00{"a":{}}' + b"x" * 100),
    "old-ggml": ("gguf-version-unsupported", lambda _: b"tjgg\x03\x00\x00\x00" + b"x" * 5000),
    "gguf-1": ("gguf-version-unsupported", lambda d: d[:4] + b"\x01\x00\x00\x00" + d[8:]),
    "other-byte-order": ("gguf-version-unsupported", lambda d: d[:4] + b"\x00\x00\x00\x03" + d[8:]),
    "unknown-architecture": ("model-architecture-unknown", lambda d: change(d, b"llama", b"lxama")),
    "unknown-tokenizer": ("tokenizer-unknown", lambda d: change(d, b"smollm", b"smxllm")),
    "renamed-tensor": (
        "model-tensors-wrong",
        lambda d: change(d, b"blk.3.attn_q.w", b"blk.3.attn_x.w"),
    ),
    "too-many-layers": ("model-tensors-wrong", lambda d: u32(d, b"llama.block_count", 40)),
}


@pytest.mark.parametrize("case", FILES)
def test_a_broken_file(case: str, end_of: EndOf, small_model: Path, tmp_path: Path, log_path: str) -> None:
    reference, spoil = FILES[case]
    path = tmp_path / "model.gguf"
    path.write_bytes(spoil(small_model.read_bytes()))
    reason = end_of(model_path=str(path))
    assert reason.reference == reference, Path(log_path).read_text()
    assert reason.kind is ExitKind.MODEL_BROKEN
    assert reason.evidence and reason.hint
    path.unlink()


def test_no_file(end_of: EndOf, tmp_path: Path) -> None:
    reason = end_of(model_path=str(tmp_path / "nothing.gguf"))
    assert reason.reference == "model-file-unreadable" and "No such file" in reason.cause


def test_a_value_cache_that_needs_flash_attention(end_of: EndOf) -> None:
    reason = end_of(cache_type_v="q8_0", flash_attention=FlashAttention.OFF)
    assert reason.reference == "kv-quant-needs-flash-attn" and reason.kind is ExitKind.WRONG_SETTINGS


def test_no_memory_for_the_buffers(end_of: EndOf) -> None:
    reason = end_of(limit=170 * 1024**2, n_ctx=8192)
    assert reason.reference == "address-space-or-mmap" and reason.kind is ExitKind.OUT_OF_MEMORY


def test_no_memory_for_threads(end_of: EndOf) -> None:
    reason = end_of(limit=60 * 1024**2)
    assert reason.reference == "address-space-or-mmap" and reason.kind is ExitKind.OUT_OF_MEMORY


def test_a_port_that_is_taken(end_of: EndOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        reason = end_of(port=holder.getsockname()[1])
    assert reason.reference == "port-in-use" and reason.kind is ExitKind.PORT_TAKEN


def test_an_address_that_is_not_ours(end_of: EndOf) -> None:
    assert end_of(host="192.0.2.7").reference == "port-in-use"


def test_no_key_file(end_of: EndOf, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("# nothing\n")
    assert end_of(api_key_file=str(empty)).reference == "auth-failed"


def test_no_program(end_of: EndOf, fake: EngineBuild, tmp_path: Path) -> None:
    """It answered --help, and is gone or not executable when it is to be started."""
    once = tmp_path / "once"
    once.write_text(f'#!/bin/sh\n"{fake.path}" "$@"; chmod 600 "$0"\n')
    once.chmod(0o700)
    reason = end_of(build=replace(fake, path=str(once)))
    assert reason.kind is ExitKind.CANNOT_RUN and reason.reference == "engine-not-usable"
    assert "ermission denied" in reason.evidence[0]


def test_no_log(settings: EngineSettings, environment: MakeEnvironment, embedded: EngineBuild) -> None:
    engine = start_engine(embedded, settings, log_path="/proc/self/log", environment=environment())
    with engine, pytest.raises(EngineStopped) as caught:
        engine.wait_ready()
    assert caught.value.reason.kind is ExitKind.CANNOT_RUN
    assert "/proc/self/log" in caught.value.reason.evidence[0]


def test_a_missing_library(end_of: EndOf, fake: EngineBuild, tmp_path: Path) -> None:
    """A real program of this machine whose C library was renamed inside it."""
    broken = tmp_path / "broken"
    broken.write_bytes(
        Path(shutil.which("ls") or "/bin/ls").read_bytes().replace(b"libc.so.6\0", b"libc.so.9\0")
    )
    broken.chmod(0o700)
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\n[ "$1" = --help ] && exec "{fake.path}" --help\nexec "{broken}"\n')
    program.chmod(0o700)
    reason = end_of(build=replace(fake, path=str(program)))
    assert reason.kind is ExitKind.CANNOT_RUN and reason.reference == "engine-library-missing"
    assert "libc.so.9" in reason.cause


@pytest.mark.parametrize("name", ["libgomp.so.9", "libm.so.9"])
def test_a_missing_library_of_the_embedded_engine(name: str, tmp_path: Path) -> None:
    """The real wheel, with one library renamed inside it: a bare system has no libgomp."""
    real = importlib.util.find_spec("xllamacpp")
    assert real is not None and real.origin is not None
    copy = shutil.copytree(Path(real.origin).parent, tmp_path / "xllamacpp")
    (program,) = copy.glob("*.so")
    old = name.replace(".9", ".1" if "gomp" in name else ".6").encode()
    program.write_bytes(program.read_bytes().replace(old + b"\0", name.encode() + b"\0"))
    done = subprocess.run(
        [sys.executable, "-m", "bringup.engine.embedded"],
        input="{}",
        env={"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    cause = find_cause(done.stderr.splitlines())
    assert cause is not None and cause.sign.reference == "engine-library-missing"
    assert name in cause.sentence


@pytest.mark.parametrize(
    ("number", "reference", "kind"),
    [
        (signal.SIGSEGV, "engine-crashed", ExitKind.CRASHED),
        (signal.SIGABRT, "engine-assertion", ExitKind.CRASHED),
        (signal.SIGILL, "illegal-instruction", ExitKind.CRASHED),
        (signal.SIGFPE, "engine-crashed", ExitKind.CRASHED),
        (signal.SIGKILL, "engine-killed", ExitKind.KILLED),
        (signal.SIGTERM, "stopped", ExitKind.STOPPED),
    ],
)
def test_a_signal(number: signal.Signals, reference: str, kind: ExitKind, ready: RunningEngine) -> None:
    os.kill(ready.pid or 0, number)
    reason = wait_end(ready)
    assert (reason.reference, reason.kind) == (reference, kind)
    assert reason.signal_number == number and reason.exit_code is None


@pytest.fixture
def ready(
    settings: EngineSettings, environment: MakeEnvironment, log_path: str, embedded: EngineBuild
) -> RunningEngine:
    engine = start_engine(embedded, settings, log_path=log_path, environment=environment())
    engine.wait_ready()
    return engine


def wait_end(engine: RunningEngine) -> ExitReason:
    until = time.monotonic() + 60
    while engine.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    reason = engine.poll()
    assert reason is not None
    engine.stop()
    return checked(reason)


def test_a_killed_keeper_takes_the_engine_along(ready: RunningEngine) -> None:
    engine, keeper = ready.identity, ready.keeper_identity
    assert engine is not None and keeper is not None
    os.kill(keeper.pid, signal.SIGKILL)
    reason = wait_end(ready)
    assert reason.kind is ExitKind.KILLED and "keeper" in reason.cause
    until = time.monotonic() + 60
    while is_alive(engine):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_model_file_that_shrinks_under_the_engine(
    settings: EngineSettings,
    environment: MakeEnvironment,
    log_path: str,
    embedded: EngineBuild,
    small_model: Path,
    tmp_path: Path,
) -> None:
    copy = tmp_path / "model.gguf"
    shutil.copyfile(small_model, copy)
    wanted = replace(settings, model_path=str(copy))
    with start_engine(embedded, wanted, log_path=log_path, environment=environment()) as engine:
        engine.wait_ready()
        os.truncate(copy, 2_000_000)
        with pytest.raises((StreamCutOff, EngineGone)):
            list(engine.api().chat([{"role": "user", "content": "hello"}]))
        reason = wait_end(engine)
    assert reason.reference == "model-file-unreadable" and reason.signal_number == signal.SIGBUS


def test_a_failed_check_of_the_engine(end_of: EndOf, small_model: Path, tmp_path: Path) -> None:
    """A layer count above llama.cpp's fixed bound ends the process by an assertion of its own."""
    path = tmp_path / "model.gguf"
    path.write_bytes(u32(small_model.read_bytes(), b"llama.block_count", 100_000))
    reason = end_of(model_path=str(path))
    assert reason.kind in (ExitKind.CRASHED, ExitKind.MODEL_BROKEN)
    assert reason.reference in ("engine-assertion", "model-tensors-wrong") and reason.evidence


def test_a_broken_template(end_of: EndOf, small_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(change(small_model.read_bytes(), b"{% for message in", b"{% fxx message in"))
    assert end_of(model_path=str(path)).reference == "chat-template-failed"


def test_a_bad_option(end_of: EndOf, external: EngineBuild) -> None:
    reason = end_of(build=external, extra=("--seed", "many"))
    assert reason.reference == "engine-flag-changed" and "--seed" in reason.cause


def test_a_silent_end_says_that_it_is_silent(end_of: EndOf, fake: EngineBuild) -> None:
    reason = end_of(
        build=fake, fake='{"exit": 7, "print": "loading\\nexiting due to model loading error\\n"}'
    )
    assert reason.kind is ExitKind.FAILED and reason.exit_code == 7 and "7" in reason.cause
    assert reason.evidence == () and "log" in reason.hint


# Memory groups: a real kill by the kernel.


@pytest.fixture
def memory_group(tmp_path: Path):  # noqa: ANN201
    """A memory group of our own (v1 or v2) and the name of its bound."""
    if os.geteuid() != 0:
        pytest.skip("not root")
    for base, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(base) / f"bringup-test-{os.getpid()}"
        if not (Path(base) / "cgroup.procs").exists():
            continue
        try:
            group.mkdir()
            (group / limit).write_text(str(1024**4))
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
            continue
        yield group, limit
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                group.rmdir()
                return
            except OSError:
                time.sleep(0.05)
        return
    pytest.skip("no memory cgroup")


def test_the_kernel_s_memory_killer_is_named(
    memory_group: tuple[Path, str],
    embedded: EngineBuild,
    settings: EngineSettings,
    environment: MakeEnvironment,
    log_path: str,
) -> None:
    """The engine is started inside a group that then becomes smaller than the model."""
    group, limit = memory_group
    home = own_group(group)
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        wanted = replace(settings, n_ctx=8192)
        engine = start_engine(embedded, wanted, log_path=log_path, environment=environment())
        while engine.pid is None:
            time.sleep(0.001)
    finally:
        (home / "cgroup.procs").write_text(str(os.getpid()))
    with engine, pytest.raises(EngineStopped) as caught:
        (group / limit).write_text(str(70 * 1024**2))
        engine.wait_ready()
    reason = caught.value.reason
    assert reason.kind is ExitKind.KILLED_OUT_OF_MEMORY and reason.reference == "ram-oom-killed"
    assert any("oom_kill" in line or "Killed process" in line for line in reason.evidence)
    assert "MiB" in reason.cause


def own_group(group: Path) -> Path:
    """The group that this process is in, of the same hierarchy."""
    is_first = group.parent.name == "memory"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if ("memory" in controllers.split(",")) if is_first else (number == "0"):
            return group.parent / path.lstrip("/")
    return group.parent
