"""Running engines out of /proc."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bringup.actions.diagnosis.facts import list_facts
from bringup.machine.live import LiveMachine
from bringup.machine.recorded import RecordedMachine
from bringup.reading import Known, Unreadable
from bringup.stack.engines import (
    EngineProcess,
    option,
    probe_cached_bytes,
    probe_engines,
    read_command,
    split_files,
    without_secrets,
)
from bringup.stack.runtime import Runtime
from bringup.stack.stack import Stack


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


_PARTS = [f"/m/big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("answer", "cached"),
    [
        ({"exit_code": 0, "stdout": "4096\n   8192\n0\n", "stderr": ""}, 12288),
        ({"exit_code": 0, "stdout": "4096\n8192\n", "stderr": ""}, None),
        ({"exit_code": 1, "stdout": "4096\n0\n", "stderr": "fincore: failed to open: /m/big-00003"}, None),
    ],
)
def test_all_files_of_a_split_model_count(
    tmp_path: Path, answer: dict[str, object], cached: int | None
) -> None:
    make_process(tmp_path / "root", 42, ("llama-server", "-m", _PARTS[0]), maps="x")
    argv = ["fincore", "--bytes", "--noheadings", "--output", "RES", *_PARTS]
    (tmp_path / "commands.json").write_text(json.dumps([{"argv": argv, **answer}]))
    engines = engines_of(tmp_path)
    reading = engines[0].model_cached_bytes
    assert (reading.value if isinstance(reading, Known) else None) == cached
    shown = {fact.name: fact for fact in list_facts(Stack(runtime=Runtime(engines=Known(engines, "/proc"))))}
    assert shown["engines[0].model_cached_bytes"].value == cached


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/m/big-00002-of-00003.gguf", 3),
        ("/m/a\nb-00001-of-00002.gguf", 2),
        ("/m/big-00001-of-00001.gguf", 1),
        ("/m/big-1-of-3.gguf", 1),
        ("/m/big-00001-of-99999.gguf", 1),
        ("/m/big-00001-of-00003.gguf.part", 1),
    ],
)
def test_names_of_split_models(path: str, count: int) -> None:
    files = split_files(path)
    assert len(set(files)) == count
    assert path in files


@pytest.mark.skipif(shutil.which("fincore") is None, reason="no fincore")
def test_fincore_itself_tells_of_two_files(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"m-0000{number}-of-00002.gguf").write_bytes(bytes(100_000 * number))
    (tmp_path / "whole.gguf").write_bytes(b"")
    machine = LiveMachine()
    split = probe_cached_bytes(machine, str(tmp_path / "m-00001-of-00002.gguf"))
    whole = probe_cached_bytes(machine, str(tmp_path / "whole.gguf"))
    missing = probe_cached_bytes(machine, str(tmp_path / "m-00001-of-00003.gguf"))
    assert isinstance(split, Known)
    assert 0 <= split.value <= 102_400 + 200_704
    assert isinstance(whole, Known)
    assert isinstance(missing, Unreadable)
