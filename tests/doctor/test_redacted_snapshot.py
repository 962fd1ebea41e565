"""Promise 31: what leaves is clean. Each kind of secret in each place behind each encoding."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from tests.doctor.secrets import KINDS, Kind
from tests.faults.cases import CASES

from bringup.actions.diagnosis.doctor import examine
from bringup.actions.diagnosis.snapshot import take_snapshot
from bringup.machine import files, folders
from bringup.machine.archive import UNPACKED_LIMIT_BYTES, read_members
from bringup.machine.protocol import CommandResult, FileKind, FileStat
from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder
from bringup.machine.recording import Recording
from bringup.machine.unpack import unpack
from bringup.reading import Known, Unreadable
from bringup.stack.essence import label_of_program
from bringup.stack.loader import CacheEntry, pack_cache
from bringup.stack.module_file import pack_module

MACHINE = "driver-library-mismatch/morning"
KEY = "k3y-0f-0ur-own-server"


def _spaced(kind: Kind, seed: str) -> tuple[str, str]:
    """A value of several words where such are usual; otherwise the text between two words."""
    value = kind.make(seed)
    if kind.can_have_spaces:
        return f"\n{kind.text.format(value + ' ' + value[::-1] + ' and more')}\n", value[::-1]
    return f"one {kind.text.format(value)} two", value


ENCODINGS: dict[str, Callable[[str], str]] = {
    "URL": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(f"some text {text} more".encode()).decode(),
    "JSON": lambda text: json.dumps({"ü": f"ü {text}/"}),
    "quoted": lambda text: "'" + text + "'" if '"' in text else f'"{text}"',
}


def _texts(place: str) -> tuple[list[str], dict[str, str]]:
    """All kinds behind all encodings, for one place; and what must not be left of them, with its kind."""
    texts: list[str] = []
    telling: dict[str, str] = {}
    for kind in KINDS:
        for name, encode in ENCODINGS.items():
            value = kind.make(f"{place} {name}")
            texts.append(encode(kind.text.format(value)))
            telling[value] = kind.name
        text, value = _spaced(kind, place)
        texts.append(text)
        telling[value] = kind.name
    return texts, telling


def _lines(texts: list[str], before: str = "") -> bytes:
    return "".join(f"{before}{text}\n" for text in texts).encode()


def _result(recording: Recording, argv: tuple[str, ...], stdout: str = "", stderr: str = "") -> None:
    recording.commands[argv] = Known(CommandResult(argv, 0, stdout, stderr), " ".join(argv))


def _more(recording: Recording, path: str, data: bytes) -> None:
    old = recording.reads.get(path)
    recording.reads[path] = Known((old.value if isinstance(old, Known) else b"") + data, path)


def _gz(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def _link(recording: Recording, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        recording.stats[f"/boot/link{number}"] = Known(
            FileStat(FileKind.LINK, 1, 0o777, 0, 0, 0.0, 1, number, text), "/boot"
        )


DMESG = ("dmesg", "--color=never")
PLACES: dict[str, Callable[[Recording, list[str]], None]] = {
    "kernel log": lambda r, t: _result(r, DMESG, _lines(t, "[   12.345678] thing: ").decode()),
    "error output": lambda r, t: _result(r, ("nvcc", "--version"), "", _lines(t).decode()),
    "kernel's command line": lambda r, t: _more(r, "/proc/cmdline", " ".join(t).encode()),
    "engine's arguments": lambda r, t: _more(
        r,
        "/proc/4242/cmdline",
        "\0".join(("llama-server", "-m", "/m.gguf", *" ".join(t).split(" "))).encode(),
    ),
    "package log": lambda r, t: _more(r, "/var/log/apt/history.log", _lines(t, "Commandline: apt nvidia ")),
    "packed package log": lambda r, t: _more(
        r, "/var/log/apt/history.log.1.gz", _gz(_lines(t, "Commandline: apt nvidia "))
    ),
    "module settings": lambda r, t: _more(r, "/etc/modprobe.d/blacklist.conf", _lines(t, "# ")),
    "boot settings": lambda r, t: _more(r, "/etc/default/grub", _lines(t, "# ")),
    "system's name": lambda r, t: _more(r, "/etc/os-release", _lines(t)),
    "search path": lambda r, t: r.environment.update(
        PATH=Known("/usr/bin:" + ":".join(t), "environment variable PATH")
    ),
    "library path": lambda r, t: r.environment.update(
        LD_LIBRARY_PATH=Known("\n".join(t), "environment variable LD_LIBRARY_PATH")
    ),
    "names in a folder": lambda r, t: r.lists.update({"/etc/modprobe.d": Known(tuple(t), "/etc/modprobe.d")}),
    "targets of links": _link,
    "reasons of failed looks": lambda r, t: r.reads.update(
        {f"/x{n}": Unreadable(f"/x{n}", text) for n, text in enumerate(t)}
    ),
    "paths of files": lambda r, t: r.reads.update({f"/srv/x/{text}": Known(b"", "x") for text in t}),
    "container settings": lambda r, t: _more(
        r, "/etc/docker/daemon.json", json.dumps({"runtimes": {}, "more": t}).encode()
    ),
    "CDI specification": lambda r, t: _more(r, "/etc/cdi/nvidia.yaml", _lines(t, "  - name: ")),
    "a program's run path": lambda r, t: _more(
        r, "/usr/local/bin/llama-server", label_of_program(tuple(t), tuple(t))
    ),
    "loader's cache": lambda r, t: r.reads.update(
        {
            "/etc/ld.so.cache": Known(
                pack_cache(tuple(CacheEntry(f"libcuda{n}", x) for n, x in enumerate(t))), ""
            )
        }
    ),
    "a module's label": lambda r, t: _more(
        r,
        "/lib/modules/1/nvidia.ko",
        pack_module({"version": "570.169", "vermagic": " ".join(t)}, is_signed=True),
    ),
    "a process's memory": lambda r, t: _more(
        r, "/proc/4242/maps", _lines(t, "7f00-7f01 r-xp 00000000 08:02 1  /opt/libcuda.so ")
    ),
    "system log": lambda r, t: _more(r, "/var/log/messages", _lines(t, "Jul 15 06:00:00 box kernel: ")),
    "driver's answer": lambda r, t: _result(r, ("bringup-nvml",), json.dumps({"processes": t})),
    "build settings": lambda r, t: _more(
        r, "/b/CMakeCache.txt", _lines(t, "CMAKE_CUDA_ARCHITECTURES:STRING=")
    ),
}


@pytest.fixture(scope="module")
def recorded() -> Callable[[], Recording]:
    """A fresh copy of what the doctor reads on the founding machine, with its people."""

    def make() -> Recording:
        recorder = Recorder(RecordedMachine(str(CASES / MACHINE)))
        examine(recorder, subject="x")
        recording = recorder.recording
        for path, text in (
            ("/etc/passwd", "zoltan:x:1000:1000:Zoltan Quimby,,,:/home/zoltan:/bin/bash\n"),
            ("/etc/hostname", "grumpy-box.lab.example-corp.net\n"),
            ("/etc/machine-id", "d3adb33f0123456789abcdef01234567\n"),
        ):
            recording.reads[path] = Known(text.encode(), path)
        return recording

    return make


def everything_in(archive: bytes) -> str:
    """All texts of an archive, and what is behind each encoded word of them."""
    members = read_members(unpack(archive, limit_bytes=UNPACKED_LIMIT_BYTES, name="x"), name="x")
    texts = []
    for name, data in members.items():
        raw = bytes(data)
        plain = zlib.decompressobj(31).decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
        text = plain.decode("utf-8", "replace")
        texts += [name, text, *(json.dumps(text)[1:-1], _unescaped(text))]
    return _decoded("\n".join(texts))


def _decoded(whole: str) -> str:
    words = [unquote(whole)]
    for word in set(re.findall(r"[A-Za-z0-9+/_-]{12,}={0,2}", whole)):
        standard = word.rstrip("=").replace("-", "+").replace("_", "/")
        if len(standard) % 4 != 1:
            decoded = base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("utf-8", "replace")
            words.append(decoded)
    return "\n".join((whole, *words)).casefold()


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text).replace("\\\\", "\\")


def test_there_are_sixty_kinds_and_twenty_places() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 60
    assert len(PLACES) >= 20
    assert len(ENCODINGS) + 1 == 5


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_left_and_the_verdict_stays(place: str, recorded: Callable[[], Recording]) -> None:
    files.write_atomic(folders.our_folders().key_file, KEY.encode())
    recording = recorded()
    texts, telling = _texts(place)
    PLACES[place](recording, texts)
    snapshot = take_snapshot(RecordedMachine.from_recording(recording), subject="x")
    text = everything_in(snapshot.data)
    assert sorted({kind for value, kind in telling.items() if value.casefold() in text}) == []
    assert snapshot.is_faithful
    assert [root.fault.id for root in snapshot.examination.diagnosis.roots] == ["driver-library-mismatch"]


def test_the_secrets_are_there_before() -> None:
    """The search below the encodings finds them where nobody redacts."""
    texts, telling = _texts("anywhere")
    plain = _decoded("\n".join(texts))
    assert sorted({kind for value, kind in telling.items() if value.casefold() not in plain}) == []


def test_the_map_is_not_inside(recorded: Callable[[], Recording]) -> None:
    snapshot = take_snapshot(RecordedMachine.from_recording(recorded()), subject="x")
    members = read_members(unpack(snapshot.data, limit_bytes=UNPACKED_LIMIT_BYTES, name="x"), name="x")
    assert {name for name in members if not name.startswith("root/")} == {"looks.json", "commands.json"}
    for table in ("looks.json", "commands.json"):
        assert "zoltan" not in bytes(members[table]).decode()
