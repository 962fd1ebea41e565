"""Running engines out of /proc."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known, Unreadable
from bringup.stack.engines import EngineProcess, option, probe_engines, read_command, without_secrets


def make_process(
    root: Path, number: int, command: tuple[str, ...], *, maps: str, rss_kib: int = 5_242_880
) -> None:
    folder = root / "proc" / str(number)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_text("\x00".join(command) + "\x00")
    (folder / "status").write_text(f"Name:\tx\nVmRSS:\t{rss_kib} kB\n")
    (folder / "maps").write_text(maps)


def engines_of(tmp_path: Path) -> tuple[EngineProcess, ...]:
    reading = probe_engines(RecordedMachine(str(tmp_path)))
    assert isinstance(reading, Known)
    return reading.value


def test_an_engine_is_found_with_its_model_port_and_libraries(tmp_path: Path) -> None:
    root = tmp_path / "root"
    command = (
        "/app/llama-server",
        "-m",
        "/m/a.gguf",
        "--port=9000",
        "-t",
        "8",
        "-ngl",
        "99",
        "--mlock",
        "--api-key",
        "geheim",
    )
    make_process(root, 42, command, maps="7f0a r-xp 0 08:01 1 /usr/lib/libcuda.so.570.169\n")
    make_process(root, 7, ("/usr/bin/bash",), maps="")
    (engine,) = engines_of(tmp_path)
    assert (engine.process_id, engine.program, engine.model_path) == (42, "llama-server", "/m/a.gguf")
    assert (engine.port, engine.threads, engine.gpu_layers, engine.locks_memory) == (9000, 8, "99", True)
    assert engine.resident_bytes == Known(5_242_880 * 1024, "/proc/42/status")
    assert isinstance(engine.has_cuda, Known)
    assert engine.has_cuda.value
    assert "geheim" not in repr(engine)


def test_maps_of_somebody_else_are_unreadable_and_not_without_cuda(tmp_path: Path) -> None:
    make_process(tmp_path / "root", 42, ("ollama", "serve"), maps="")
    (engine,) = engines_of(tmp_path)
    assert isinstance(engine.has_cuda, Unreadable)


def test_a_machine_without_engines_has_an_empty_list(tmp_path: Path) -> None:
    make_process(tmp_path / "root", 1, ("/sbin/init",), maps="")
    assert engines_of(tmp_path) == ()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("llama-server -m a.gguf", "llama-server"),
        ("/usr/local/bin/ollama runner --model /b", "ollama"),
        ("python3.11 -m llama_cpp.server --model a.gguf", "llama-cpp-python"),
        ("python3 koboldcpp.py --model a.gguf", "koboldcpp"),
        ("./Llama-3.2.llamafile", "llamafile"),
        ("python3 -m http.server", ""),
        ("grep llama-server", ""),
        ("", ""),
    ],
)
def test_which_command_lines_are_engines(command: str, name: str) -> None:
    assert read_command(tuple(command.split())) == name


def test_the_module_option_of_python_is_no_model(tmp_path: Path) -> None:
    command = ("python3", "-m", "llama_cpp.server", "--model", "/m/b.gguf")
    make_process(tmp_path / "root", 9, command, maps="x")
    assert engines_of(tmp_path)[0].model_path == "/m/b.gguf"


def test_options_with_and_without_an_equals_sign() -> None:
    assert option(("a", "--port", "1"), "--port") == "1"
    assert option(("a", "--port=2"), "--port") == "2"
    assert option(("a", "--port"), "--port") == ""
    assert option(("a",), "--port") == ""


def test_secrets_are_left_out_in_both_spellings() -> None:
    assert without_secrets(("x", "--api-key", "k1", "--hf-token=k2", "-m", "a")) == (
        "x",
        "--api-key",
        "(hidden)",
        "--hf-token=(hidden)",
        "-m",
        "a",
    )


@pytest.mark.parametrize(
    ("answer", "cached"),
    [
        ({"exit_code": 0, "stdout": "4920733696\n", "stderr": ""}, 4920733696),
        ({"exit_code": 1, "stdout": "", "stderr": "fincore: failed to open: /m/a.gguf"}, None),
        ({"absent": True}, None),
    ],
)
def test_how_much_of_the_model_is_in_the_page_cache(
    tmp_path: Path, answer: dict[str, object], cached: int | None
) -> None:
    make_process(tmp_path / "root", 42, ("llama-server", "-m", "/m/a.gguf"), maps="x")
    argv = ["fincore", "--bytes", "--noheadings", "--output", "RES", "/m/a.gguf"]
    (tmp_path / "commands.json").write_text(json.dumps([{"argv": argv, **answer}]))
    reading = engines_of(tmp_path)[0].model_cached_bytes
    assert (reading.value if isinstance(reading, Known) else None) == cached
