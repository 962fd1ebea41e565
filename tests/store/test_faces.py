"""`bringup pull` and `bringup models` as a person and a script meet them."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.model.writing import tiny_llama
from tests.store.behaviours import answer
from tests.store.conftest import FILE, REPO
from tests.store.test_local import put, put_in_hub_cache
from tests.stubs.hub import Handler, StubFile, StubHub, gguf_bytes

from bringup.faces.cli import main
from bringup.faces.render.console import Console
from bringup.faces.render.format import display_width
from bringup.faces.render.pull import progress_line
from bringup.store.progress import TransferProgress, TransferState

MIB = 1024 * 1024


def called(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command line."""
    stdout, stderr = io.StringIO(), io.StringIO()
    code = main.run(arguments, console=Console(stdin=None, stdout=stdout, stderr=stderr))
    return code, stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def tiny_hub(hub: StubHub) -> StubHub:
    """The hub's file is a sound tiny model."""
    hub.repos[REPO][FILE] = StubFile(bytes(tiny_llama().data))
    return hub


def test_in_a_pipe_there_is_a_line_at_the_start_and_one_at_the_end(tiny_hub: StubHub, own_home: Path) -> None:
    code, out, err = called("pull", REPO)
    assert code == 0
    path = own_home / ".cache/bringup/models" / REPO / FILE
    assert out == f"{path}\n"
    first, last = err.splitlines()
    assert first.startswith(f"Fetching {REPO}:Q4_K_M: ")
    assert last.startswith(f"Fetched {REPO}/{FILE}: ")
    assert last.endswith("SHA-256 verified")
    assert "\r" not in err and "\x1b" not in err


def test_what_is_here_is_said_and_not_asked_for(tiny_hub: StubHub) -> None:
    called("pull", REPO)
    asked = len(tiny_hub.asked)
    code, out, err = called("pull", f"{REPO}:q4_k_m", "--json")
    assert (code, len(tiny_hub.asked)) == (0, asked)
    assert "is here already" in err
    result = json.loads(out)
    assert result["schema"] == 1
    assert result["fetched"] is False
    assert result["verified"] is True
    assert Path(result["paths"][0]).is_file()


def test_a_model_that_was_written_to_is_not_called_verified_until_its_bytes_were_read_again(
    tiny_hub: StubHub, own_home: Path
) -> None:
    called("pull", REPO)
    path = own_home / ".cache/bringup/models" / REPO / FILE
    came, times = path.read_bytes(), path.stat()
    path.chmod(0o600)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    assert "written to since it was fetched" in called("models")[1]
    assert json.loads(called("models", "--json")[1])["models"][0]["verified"] is False
    assert called("pull", REPO)[0] == 0  # the bytes are the old ones: only their time was another
    assert "  verified" in called("models")[1]
    path.write_bytes(came[:-1] + bytes([came[-1] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 2 * 10**9))
    code, out, err = called("pull", REPO)
    assert (code, out) == (1, "")
    assert "its bytes are others now" in err
    assert "bringup models remove" in err
    path.write_bytes(came[:-1])
    code, _, err = called("pull", REPO)
    assert code == 0
    assert "not of the size that it came with; it is fetched anew" in err
    assert path.read_bytes() == came


def test_what_a_killed_pull_left_beside_a_whole_model_goes(tiny_hub: StubHub, own_home: Path) -> None:
    called("pull", REPO)
    folder = own_home / ".cache/bringup/models" / REPO
    put(folder / f".{FILE}.1-1-0123abcd.partial/record.json", b"{}")
    assert (folder / FILE).stat().st_mode & 0o222 == 0, "guarded against being written into"
    assert called("pull", REPO)[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == [f".{FILE}.origin.json", FILE]


def test_a_web_file_is_called_not_verified(tiny_hub: StubHub) -> None:
    code, out, err = called("pull", f"{tiny_hub.url}/{REPO}/resolve/main/{FILE}", "--json")
    assert code == 0
    assert "not verified" in err.splitlines()[-1]
    assert json.loads(out)["verified"] is False


@pytest.mark.parametrize(
    ("status", "reference"),
    [
        (401, "access-refused"),
        (403, "access-refused"),
        (404, "no-such-file"),
        (416, "unexpected-answer"),
        (429, "server-busy"),
        (500, "server-busy"),
    ],
)
def test_a_bare_address_that_is_refused_is_no_absent_file(
    tiny_hub: StubHub, status: int, reference: str
) -> None:
    tiny_hub.behave = answer(status)
    code, out, err = called("pull", f"{tiny_hub.url}/{REPO}/resolve/main/{FILE}")
    assert (code, out) == (1, "")
    assert f"[{reference}]" in err and str(status) in err


@pytest.mark.parametrize(
    ("arguments", "code", "reference"),
    [
        (("pull",), 2, "wrong-use"),
        (("pull", "qwen9"), 2, "unknown-model"),
        (("pull", f"{REPO}:Q2_K"), 2, "no-such-quantisation"),
        (("pull", "someone/nothing"), 1, "no-such-repository"),
        (("pull", "./nothing.gguf"), 2, "no-such-file"),
        (("pull", "ollama:nothing"), 2, "not-on-this-disk"),
        (("pull", "https://example.org/x.zip"), 2, "not-a-gguf-name"),
        (("models", "remove", "someone/nothing"), 2, "not-on-this-disk"),
        (("models", "--unfinished", "--catalogue"), 2, "wrong-use"),
        (("models", "--remove-unfinished", "--json"), 2, "wrong-use"),
    ],
)
def test_mistakes_have_words_and_codes(
    arguments: tuple[str, ...], code: int, reference: str, hub: StubHub
) -> None:
    found, out, err = called(*arguments)
    assert (found, out) == (code, "")
    assert f"[{reference}]" in err
    assert "Traceback" not in err
    log = called("log", "--json")[1]
    assert ("could not be pulled" in log) is (code == 1), "what names nothing was never to be pulled"


@pytest.mark.parametrize(
    "address", ["http://localhost:abc", "http://[::1", "http://localhost:99999", "ftp://x"]
)
def test_a_hub_address_that_is_none_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    code, _, err = called("pull", REPO)
    assert (code, "[bad-hub-address]" in err) == (1, True)


def test_the_query_of_an_address_is_not_journaled() -> None:
    code, _, _ = called("pull", "http://127.0.0.1:1/x.gguf?pass=open-sesame")
    assert code == 1
    _, journal, _ = called("log", "--json")
    assert "127.0.0.1:1/x.gguf" in journal
    assert "sesame" not in journal


def test_a_published_file_that_is_no_model_is_told_right_after_the_pull(hub: StubHub) -> None:
    hub.repos[REPO][FILE] = StubFile(bytes(tiny_llama().data)[:-1000])
    code, _, err = called("pull", REPO)
    assert code == 1
    assert "missing" in err
    assert "its bytes are the published ones" in err
    hub.repos[REPO]["page-Q8_0.gguf"] = StubFile(b"<!DOCTYPE html><html>" + b"x" * 3000)
    code, _, err = called("pull", f"{REPO}:Q8_0")
    assert (code, "[html-page]" in err) == (1, True)


def test_a_token_is_sent_only_after_a_refusal_and_a_word(
    tiny_hub: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gated(handler: Handler, _: object) -> bool:
        if handler.asked.headers.get("authorization") == "Bearer hf_right":
            return False
        handler.plain(401, b"", {"X-Error-Code": "GatedRepo"})
        return True

    tiny_hub.answer_api = tiny_hub.behave = gated
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    code, _, err = called("pull", REPO)
    assert (code, "[hub-token-needed]" in err) == (1, True)
    assert all("authorization" not in one.headers for one in tiny_hub.asked)
    code, _, err = called("pull", REPO, "--use-token")
    assert code == 0, err
    assert "hf_right" not in err
    assert "authorization" not in tiny_hub.asked[1].headers, "asked without it first, every time"


def test_models_lists_by_place_and_says_where_it_looked(tiny_hub: StubHub, own_home: Path) -> None:
    code, out, _ = called("models")
    assert code == 0
    assert "No models are here yet" in out
    called("pull", REPO)
    data = (own_home / ".cache/bringup/models" / REPO / FILE).read_bytes()
    put_in_hub_cache(own_home / ".cache/huggingface/hub", "u/Twin-GGUF", "Twin-Q4_0.gguf", data)
    put(own_home / ".cache/bringup/models/u/P-GGUF/.P-Q4_0.gguf.1-1-0123abcd.partial/data", b"12345")
    code, out, _ = called("models")
    assert code == 0
    for word in (
        f"{REPO}/{FILE}",
        "verified",
        "u/Twin-GGUF/Twin-Q4_0.gguf",
        "Twice: the same SHA-256",
        "Unfinished",
    ):
        assert word in out, word
    assert str(own_home / ".cache/llama.cpp") in out
    assert "\x1b" not in out
    listed = json.loads(called("models", "--json")[1])
    assert [model["origin"] for model in listed["models"]] == ["pulled", "hub_cache"]
    assert listed["duplicates"][0]["sameness"] == "hash"
    assert listed["unfinished"][0]["done_bytes"] == 5
    assert len(listed["looked_in"]) >= 6
    assert str(own_home) in called("models", "--paths")[1]


def test_removing_needs_a_yes(tiny_hub: StubHub, own_home: Path) -> None:
    called("pull", REPO)
    part = put(own_home / ".cache/bringup/models/u/P-GGUF/.P-Q4_0.gguf.1-1-0123abcd.partial/data", b"12345")
    for asked in (("remove", REPO), ("--remove-unfinished",)):
        code, out, err = called("models", *asked)
        assert (code, out, "[no-terminal]" in err) == (2, "", True)
    assert part.exists() and json.loads(called("models", "--json")[1])["models"]
    assert called("models", "--remove-unfinished", "--yes")[0] == 0
    assert called("models", "remove", REPO, "--yes")[0] == 0
    listed = json.loads(called("models", "--json")[1])
    assert (listed["models"], listed["unfinished"]) == ([], [])
    assert not (own_home / ".cache/bringup/models/u").exists()


def test_a_model_is_listed_with_the_name_to_type(own_home: Path) -> None:
    path = own_home / ".cache/bringup/models/Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf"
    put(path, bytes(tiny_llama().data))
    assert "  qwen3-4b, not verified" in called("models")[1]
    assert called("models", "remove", "qwen3-4b", "--yes")[0] == 0
    assert not path.exists()


def test_models_and_their_catalogue_ask_nobody(hub: StubHub) -> None:
    for options in ((), ("--json",), ("--unfinished",), ("--catalogue",), ("--paths",)):
        assert called("models", *options)[0] == 0
    listed = json.loads(called("models", "--catalogue", "--json")[1])
    assert {"name": "qwen3-4b", "repo": "Qwen/Qwen3-4B-GGUF", "file": None, "quant": "Q4_K_M"} in listed[
        "catalogue"
    ]
    assert hub.asked == []


@pytest.mark.parametrize("width", range(20, 140, 7))
@pytest.mark.parametrize("state", TransferState)
def test_the_progress_line_fits_any_width(width: int, state: TransferState) -> None:
    for done, total, rate in (
        (0, 10**11, 0.0),
        (5 * 10**9, 12 * 10**9, 3.3e7),
        (10**6, None, 1e3),
        (7, 7, 0.0),
    ):
        moment = TransferProgress("gpt-oss-20b-mxfp4-00001-of-00002.gguf\x1b[2J", done, total, rate, state)
        line = progress_line(moment, width)
        assert display_width(line) < width
        assert "\x1b" not in line


def test_the_progress_line_says_rate_and_time_left() -> None:
    moment = TransferProgress(
        "m.gguf", 3 * 1024 * MIB, 12 * 1024 * MIB, 50.0 * MIB, TransferState.DOWNLOADING
    )
    line = progress_line(moment, 80)
    for part in ("m.gguf", "━", "25 %", "3.0/12.0 GiB", "50.0 MiB/s", "3 min 04 s left"):
        assert part in line


@pytest.fixture
def slow_hub(hub: StubHub) -> Iterator[StubHub]:
    """About three seconds for a file that begins like a model."""
    hub.repos[REPO][FILE] = StubFile(gguf_bytes(30 * MIB))
    hub.bytes_per_s = 10 * MIB
    yield hub


def on_terminal(argv: list[str], *, stop_after: str = "") -> tuple[int, str]:
    """Exit code and all that a program wrote on a terminal of 80 columns; Ctrl-C once that matches."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, {**os.environ, "TERM": "xterm", "COLUMNS": "80"})
    written, stopped = b"", not stop_after
    while True:
        if not stopped and re.search(stop_after.encode(), written):
            os.write(terminal, b"\x03")
            stopped = True
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break
            if not piece:
                break
            written += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written.decode()


def test_on_a_terminal_there_is_a_bar_and_ctrl_c_says_how_to_go_on(slow_hub: StubHub) -> None:
    argv = [sys.executable, "-m", "bringup", "pull", REPO]
    code, text = on_terminal(argv, stop_after=r"\d/30\.0 MiB [^\r]* left")
    assert code == 130, text
    assert ("━" in text or "╌" in text) and "MiB/s" in text and " left" in text
    assert "Traceback" not in text
    kept = re.search(r"Stopped; ([\d.]+) MiB of 30.0 MiB are kept. To go on:\r\n  bringup pull (\S+)", text)
    assert kept is not None, text
    assert kept[2] == REPO
    slow_hub.bytes_per_s = 0
    called("pull", kept[2])
    assert slow_hub.file_requests()[-1].range_start >= float(kept[1]) * MIB * 0.9 - MIB


def test_a_terminated_pull_keeps_what_came(slow_hub: StubHub, own_home: Path) -> None:
    child = subprocess.Popen([sys.executable, "-m", "bringup", "pull", REPO], stderr=subprocess.PIPE)
    while sum(path.stat().st_size for path in own_home.rglob("data")) < 5 * MIB:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    child.communicate()
    assert child.returncode != 0
    (listed,) = json.loads(called("models", "--unfinished", "--json")[1])["unfinished"]
    assert listed["done_bytes"] >= 5 * MIB
    assert listed["in_use_by_pid"] is None
