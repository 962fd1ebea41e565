"""What names a person, a machine or a secret goes; what a diagnosis needs stays."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bringup.machine.recorded import RecordedMachine
from bringup.machine.recorder import Recorder
from bringup.machine.redaction import Redactor, parse_people, redactor_for
from bringup.machine.rooted import RootedMachine
from bringup.reading import Known

KNOWN = (("user", "alice"), ("user", "Alice Example"), ("host", "box-7"), ("secret", "0f1e2d3c4b5a"))

SECRETS = {
    "user": "alice",
    "full name": "Alice Example",
    "host": "box-7",
    "our key": "0f1e2d3c4b5a",
    "mail": "bob.b+x@mail.example-corp.com",
    "IPv4": "203.14.7.19",
    "private IPv4": "192.168.178.23",
    "IPv6": "2a02:8108:1:2::3f",
    "link-local": "fe80::642:1aff:fe0b:c0d",
    "MAC": "04:42:1a:0b:0c:0d",
    "hub token": "hf_AbCdEfGhIjKlMnOpQrSt",
    "forge token": "ghp_AbCdEfGhIjKlMnOpQrStUvWx",
    "API key": "sk-AbCdEfGhIjKlMnOpQrStUvWx",
    "UUID": "5f3c2a10-9b7e-4c1d-8a2f-4444aaaa6666",
    "assignment": "db_password=hunter2hunter2",
    "header": "Authorization: Bearer abcdefghijklmnop",
    "URL": "https://me:pass9word@models.example.net/x",
    "signed URL": "https://models.example.net/x?X-Amz-Signature=abcdef0123456789",
    "serial": "Serial Number: 1322621012345",
    "home": "/home/charlotte/models",
    "prompt": "charlotte@workstation9:~$ ls",
}
TELLING = {
    "assignment": "hunter2hunter2",
    "header": "abcdefghijklmnop",
    "URL": "pass9word",
    "signed URL": "abcdef0123456789",
    "serial": "1322621012345",
    "home": "charlotte",
    "prompt": "charlotte",
}
PLACES = (
    "{}",
    "before {} after",
    "({})",
    '"{}"',
    "x={}\n",
    "{}, {}",
    "[ 12.3] llama: {}",
    "-v {} /data",
    "\t{}\r\n",
)
ENCODINGS = {
    "plain": lambda text: text,
    "URL": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(f"some text {text} more".encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(f"text {text} more".encode()).decode().rstrip("="),
    "JSON": lambda text: json.dumps(f"ü {text}/"),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
}


def all_readings(text: str) -> str:
    """A text and what is behind each encoded word of it."""
    from urllib.parse import unquote

    seen = [text, unquote(text), text.replace("\\/", "/")]
    for word in re.findall(r"[A-Za-z0-9+/_-]{12,}", text):
        standard = word.replace("-", "+").replace("_", "/")
        seen.append(
            base64.b64decode(standard + "=" * (-len(standard) % 4)).decode("utf-8", "replace")
            if len(standard) % 4 != 1
            else ""
        )
    return "\n".join(seen).casefold()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("what", SECRETS)
def test_no_secret_is_left_in_any_place_behind_any_encoding(what: str, encoding: str) -> None:
    for place in PLACES:
        text = place.replace("{}", ENCODINGS[encoding](SECRETS[what]))
        kept = Redactor(KNOWN).redact(text)
        assert TELLING.get(what, SECRETS[what]).casefold() not in all_readings(kept), (text, kept)


@pytest.mark.parametrize(
    "needed",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.172.08  Thu Jun 12 12:34:56 UTC 2025",
        "Linux 6.8.0-51-generic #52~22.04.1-Ubuntu SMP PREEMPT_DYNAMIC",
        "01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA102 [10de:2208] (rev a1)",
        "pci:v000010DEd00002208sv00001043sd0000882Dbc03sc00i00",
        "NVRM: GPU 0000:01:00.0: GPU has fallen off the bus. Xid (PCI:0000:01:00): 79, pid=1234",
        "libcudnn.so.8.9.2.26 cudnn 8.9.2.26 version: 12.4.5.8 libcublas-12-4 12.4.5.8-1",
        "VBIOS Version : 94.02.42.00.A9",
        "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "http://127.0.0.1:8080/v1 listening on 0.0.0.0 and [::1]:8080",
        "n_tokens = 512, BOS token = 1 '<s>', tokenizer.ggml.pre = smollm-bpe-v2, tokens/s: 12345678",
        "Started user@1000.service, getty@tty1.service and dev-disk.device",
        "Serial Number : N/A",
        "Serial: 8250/16550 driver, 1 ports, IRQ sharing disabled",
        "drwxr-xr-x 2 root root 4096 /home/user/.cache /root/.ssh /dev/nvidia-uvm",
        "std::string ggml::f(a::b) 12:34:56 1:2:3",
        "00:00:00:00:00:00 ff:ff:ff:ff:ff:ff",
        "--api-key-file /etc/key --port 8080 --ctx-size 8192",
        "blk.0.attn_q.weight Q4_1 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899",
    ],
)
def test_what_a_diagnosis_needs_stays(needed: str) -> None:
    assert Redactor(KNOWN).redact(needed) == needed


def test_a_value_has_one_pseudonym_of_its_own_shape() -> None:
    redactor = Redactor(KNOWN)
    kept = redactor.redact(
        "192.168.1.5 -> 192.168.1.6 -> 192.168.1.5; 04:42:1a:0b:0c:0d; a@b.example a@b.example"
    )
    first, second, third = re.findall(r"(?:\d+\.){3}\d+", kept)
    assert first == third != second
    assert re.search(r"; [0-9a-f]{2}(:[0-9a-f]{2}){5};", kept)
    assert kept.count("person1@example.org") == 2
    assert redactor.redact("192.168.1.6") == second


def test_arguments_and_variables_of_secret_names() -> None:
    redactor = Redactor()
    argv = ("llama-server", "--api-key", "abc", "--hf-token=xyz", "--api-key-file", "/k", "-m", "x.gguf")
    kept = redactor.redact_argv(argv)
    assert "abc" not in kept
    assert "xyz" not in " ".join(kept)
    assert (kept[0], *kept[4:]) == (argv[0], *argv[4:])
    assert redactor.redact_variable("HF_TOKEN", "1234") not in ("1234", "")
    assert redactor.redact_variable("CUDA_VISIBLE_DEVICES", "0,1") == "0,1"
    nul = redactor.redact("PATH=/bin\0MY_SECRET=a b\0HOME=/home/zoe\0")
    assert nul == "PATH=/bin\0MY_SECRET=secret-4\0HOME=/home/user1\0"


def test_private_key_blocks_go_whole_even_when_cut_short() -> None:
    block = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\nBBBB\n"
    for text in (block + "-----END OPENSSH PRIVATE KEY-----\n", block):
        kept = Redactor().redact(f"before {text}")
        assert kept.startswith("before secret-1")
        assert "BBBB" not in kept


@example("\\", ["fe80::642:1aff:fe0b:c0d"])
@given(st.text(max_size=80), st.lists(st.sampled_from(sorted(SECRETS.values())), max_size=3))
def test_redacting_again_changes_nothing(text: str, secrets: list[str]) -> None:
    redactor = Redactor(KNOWN)
    once = redactor.redact(text + " ".join(secrets))
    assert redactor.redact(once) == once
    assert Redactor(KNOWN).redact(once) == Redactor(KNOWN).redact(Redactor(KNOWN).redact(once))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_text_stay(data: bytes) -> None:
    clean = bytes(byte for byte in data if byte >= 0x80)
    assert Redactor(KNOWN).redact_bytes(clean) == clean


def test_a_private_word_is_found_beside_bytes_that_are_no_text() -> None:
    kept = Redactor(KNOWN).redact_bytes(b"\xff%2Fhome%2Falice and \xe9 stays")
    assert b"alice" not in kept
    assert kept.endswith(b" and \xe9 stays")


UNITS = ["a", "a@", "1.", "::", "%41", "\\u0041", "aA0_", "token=", "/home/", "alice ", "--"]


@pytest.mark.parametrize("unit", [*UNITS, "-token", "-api-key-", "password ", "secret=a ", "?sig"])
def test_time_grows_with_the_length_only(unit: str) -> None:
    def seconds(count: int) -> float:
        start = time.process_time()
        Redactor(KNOWN).redact(unit * count)
        return time.process_time() - start

    small = min(seconds(10_000 // len(unit)) for _ in range(3))
    assert min(seconds(80_000 // len(unit)) for _ in range(2)) < max(small, 0.002) * 8 * 4


def test_people_are_found_in_passwd() -> None:
    text = (
        "root:x:0:0:root:/root:/bin/sh\nsvc:x:999:1::/srv:/x\nbad\n"
        "alice:x:1000:1000:Alice Example,,,:/home/al:/bin/sh\n"
    )
    assert parse_people(text) == [("user", "alice"), ("user", "al"), ("user", "Alice Example")]


def test_a_saved_recording_holds_nothing_private_and_no_map(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for path, text in (
        ("etc/passwd", "alice:x:1000:1000:Alice Example,,,:/home/alice:/bin/bash\n"),
        ("etc/hostname", "box-7\n"),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("home/alice/.config/note", "alice on box-7 as 0123456789abcdef0123456789abcdef, key k-secret-k\n"),
        ("srv/product_serial", "PF2XYZ12\n"),
    ):
        (disk / path).parent.mkdir(parents=True, exist_ok=True)
        (disk / path).write_text(text)
    recorder = Recorder(RootedMachine(str(disk)))
    for path in (
        "/etc/hostname",
        "/etc/machine-id",
        "/home/alice/.config/note",
        "/srv/product_serial",
        "/etc/passwd",
    ):
        assert isinstance(recorder.read(path), Known)
    recorder.list_folder("/home")
    recorder.stat("/home/alice/.config")
    recorder.run(("cat", "/home/alice/x"), timeout_s=1)
    recorder.environment("HOME")
    folder = tmp_path / "recording"
    recorder.save(str(folder), redactor_for(RootedMachine(str(disk)), secrets=("k-secret-k",)))
    everything = "".join(str(path) + path.read_text() for path in folder.rglob("*") if path.is_file())
    for private in ("alice", "Alice", "box-7", "0123456789abcdef", "PF2XYZ12", "k-secret-k"):
        assert private not in everything.replace(str(tmp_path), "")
    replay = RecordedMachine(str(folder))
    assert replay.list_folder("/home") == Known(("user1",), "/home")
    assert isinstance(replay.read("/home/user1/.config/note"), Known)
