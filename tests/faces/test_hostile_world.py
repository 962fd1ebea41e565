"""Promise 20 end to end: real commands on logs, records, files and names that try to drive the terminal."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from tests.faces.hostile import FORBIDDEN, OUR_SGR, hostile_texts
from tests.model.writing import TensorSpec, build, llama_pairs, llama_tensors, tiny_llama

from bringup.engine.registry import EngineRecord, EngineState, write_record
from bringup.faces.cli.main import run
from bringup.faces.render.console import Console
from bringup.machine.folders import our_folders
from bringup.machine.process import ProcessIdentity
from bringup.machine.terminal import Terminal
from bringup.model.values import ValueType

FUZZED = 10_000 if os.environ.get("BRINGUP_SOAK") else 200


@pytest.fixture(autouse=True)
def colourful_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal(is_terminal=True, can_redraw=True, can_colour=True, width_columns=80)
    for name in ("answer_terminal", "note_terminal"):
        monkeypatch.setattr(Console, name, property(lambda _self: shown))


def shown_by(*arguments: str) -> tuple[int, str]:
    """Exit code and all that a command wrote, checked for what no terminal may get."""
    pipe = io.StringIO()
    code = run(arguments, console=Console(stdin=None, stdout=pipe, stderr=pipe))
    written = pipe.getvalue()
    found = FORBIDDEN.search(OUR_SGR.sub("", written.replace("\r\x1b[K", "")))
    assert found is None, (arguments, found and written[max(0, found.start() - 40) : found.end() + 40])
    assert code != 4, written
    return code, written


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def test_a_log() -> None:
    log = Path(our_folders().logs) / "9999.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"\n".join(map(raw, hostile_texts(FUZZED * 10))) + b"\nthe end\n")
    code, written = shown_by("logs", "9999", "-n", str(FUZZED * 20))
    assert code == 0
    assert written.endswith("the end\n")


def test_records_of_engines() -> None:
    gone = ProcessIdentity(2**22 - 1, 1, "no-such-boot")
    texts = hostile_texts(FUZZED)
    for number, text in enumerate(texts[:400]):
        write_record(
            our_folders(),
            EngineRecord(
                port=10_000 + number,
                host="127.0.0.1",
                alias=text,
                model_path=f"/models/{text}",
                log_path="/nowhere",
                started_s=0.0,
                state=EngineState.FAILED,
                owner=gone,
                cause=text,
                reference=text,
            ),
        )
    code, written = shown_by("ps")
    assert code == 0
    assert written.count("failed") >= min(len(texts), 400)
    shown_by("ps", "--json")
    shown_by("stop", texts[0] or "x")


@pytest.mark.parametrize("options", [(), ("--tensors",), ("--json",)])
def test_a_model_file(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = tmp_path / "model.gguf"
    codes = set()
    for text in hostile_texts(max(20, FUZZED // 10)):
        name = (ValueType.STRING, text.encode("utf-8", "replace").decode())
        pairs = llama_pairs(
            **{"general.name": name, "general.license": name, "tokenizer.chat_template": name}
        )
        path.write_bytes(bytes(build(pairs, [*llama_tensors(), TensorSpec(name[1][:60], (32,))]).data))
        codes.add(shown_by("show", str(path), *options)[0])
    assert codes <= {0, 1}
    assert 0 in codes, "no file was shown at all"


def test_typed_names_and_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "llama-cache"
    cache.mkdir()
    monkeypatch.setenv("LLAMA_CACHE", str(cache))
    model = bytes(tiny_llama().data)
    for text in hostile_texts(FUZZED):
        name = raw(text.replace("/", "").replace("\0", ""))
        if 0 < len(name) < 200:
            Path(os.fsdecode(os.path.join(os.fsencode(cache), name + b".gguf"))).write_bytes(model)
        shown_by("show", f"./{text}")
        shown_by(text or "-")
    code, written = shown_by("models")
    assert code == 0
    assert written.count("\n") > FUZZED // 4
    shown_by("models", "--json")
