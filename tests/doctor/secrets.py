"""Sixty kinds of private things, each as it stands in real texts; every value is made up.

`Kind.text` has the place of the value marked by `{}`; `alphabet` makes a fresh value for each use, so that a
value that was found once is no help elsewhere. A kind without an alphabet is a name that the machine knows.
"""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Kind:
    """One kind: the text around it, and how its values look."""

    name: str
    text: str
    alphabet: str = ""
    length: int = 0
    value: str = ""
    can_have_spaces: bool = False

    def make(self, seed: str) -> str:
        """A value of its own for each seed; a known name is always the same."""
        if not self.alphabet:
            return self.value
        digest = b"".join(hashlib.sha256(f"{self.name} {seed} {n}".encode()).digest() for n in range(4))
        return "".join(self.alphabet[byte % len(self.alphabet)] for byte in digest[: self.length])


NAMES = (
    Kind("user", "started by {}", value="zoltan"),
    Kind("user in a path", "/srv/data/{}/models/x.gguf", value="zoltan"),
    Kind("user in capitals", "USER {}", value="ZOLTAN"),
    Kind("full name", "owner: {}", value="Zoltan Quimby"),
    Kind("host", "node {} is up", value="grumpy-box"),
    Kind("host with its domain", "at {}:8080", value="grumpy-box.lab.example-corp.net"),
    Kind("machine id", "id {}", value="d3adb33f0123456789abcdef01234567"),
    Kind("our own key", "key {}", value="k3y-0f-0ur-own-server"),
)
PLACES_OF_NAMES = (
    Kind("home of somebody", "/home/{}/models", LETTERS, 9),
    Kind("home on a Mac", "/Users/{}/models", LETTERS, 9),
    Kind("home on Windows", "C:\\Users\\{}\\models", LETTERS, 9),
    Kind("home seen from WSL", "/mnt/c/Users/{}/models", LETTERS, 9),
    Kind("mounted disk", "/media/{}/disk", LETTERS, 9),
    Kind("prompt", "{}@workstation:~$ ls", string.ascii_lowercase, 9),
    Kind(
        "session", "pam_unix(sudo:session): session opened for user {}(uid=1000)", string.ascii_lowercase, 9
    ),
    Kind("uid", "uid=1000({}) gid=1000", string.ascii_lowercase, 9),
    Kind("who asked apt", "Requested-By: {} (1000)", string.ascii_lowercase, 9),
    Kind("file server", "nfs: server {}.corp.example.com not responding", string.ascii_lowercase, 9),
    Kind("mount source", "{}.corp.example.com:/export/models", string.ascii_lowercase, 9),
    Kind("mail", "{}@mail.example-corp.com", string.ascii_lowercase, 9),
)
ADDRESSES = (
    Kind("IPv4", "from {}", value="203.14.7.19"),
    Kind("private IPv4", "from {}", value="192.168.178.23"),
    Kind("IPv4 in a name", "host abc-{}", value="10.159.14.21"),
    Kind("IPv4 with dashes", "host dhcp-{}", value="192-168-77-66"),
    Kind("cloud name", "host ip-{}", value="10-0-33-44"),
    Kind("IPv6", "from {}", value="2a02:8108:1:2::3f"),
    Kind("link-local", "from {}%eth0", value="fe80::642:1aff:fe0b:c0d"),
    Kind("IPv4 in IPv6", "from ::ffff:{}", value="192.168.5.117"),
    Kind("MAC", "eth0: {}", value="04:42:1a:0b:0c:0d"),
    Kind("MAC with dashes", "eth0: {}", value="04-42-1A-0B-0C-0D"),
    Kind("MAC with dots", "eth0: {}", value="0442.1a0b.0c0d"),
)
NUMBERS = (
    Kind("serial", "Serial Number: {}", UPPER, 13),
    Kind("USB serial", "usb 1-1: SerialNumber: {}", UPPER, 13),
    Kind("board serial", "board_serial={}", UPPER, 13),
    Kind("asset tag", "Asset Tag: {}", UPPER, 10),
    Kind("GPU UUID", "GPU-5f3c2a10-9b7e-4c1d-8a2f-{}", HEX, 12),
    Kind("UUID", "root=UUID=5f3c2a10-9b7e-4c1d-8a2f-{}", HEX, 12),
    Kind("disk by id", "/dev/disk/by-id/ata-Samsung_SSD_860_{}", UPPER, 15),
    Kind("WWN", "/dev/disk/by-id/wwn-0x{}", HEX, 16),
    Kind("NVMe", "/dev/disk/by-id/nvme-eui.{}", HEX, 16),
)
TOKENS = (
    *(
        Kind(f"token {start}", start + "{}", LETTERS, 34)
        for start in ("hf_", "ghp_", "github_pat_", "glpat-")
    ),
    *(Kind(f"token {start}", start + "{}", LETTERS, 34) for start in ("nvapi-", "sk-", "sk-proj-", "xoxb-")),
    *(Kind(f"token {start}", start + "{}", UPPER, 16) for start in ("AKIA", "AIza")),
    *(
        Kind(f"token {start}", start + "{}", LETTERS, 34)
        for start in ("gsk_", "r8_", "pypi-", "hvs.", "tskey-")
    ),
    Kind("web token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{}", LETTERS, 40),
)
NAMED = (
    Kind("password", "password={}", LETTERS, 7, can_have_spaces=True),
    Kind("password of a database", "db_password: {}", LETTERS, 12, can_have_spaces=True),
    Kind("passphrase", "passphrase={}", LETTERS, 12, can_have_spaces=True),
    Kind("API key", "OPENAI_API_KEY={}", LETTERS, 24),
    Kind("cloud secret", "aws_secret_access_key = {}", LETTERS, 40),
    Kind("account key", "AccountKey={}", LETTERS, 44),
    Kind("wireless key", "wpa_psk={}", LETTERS, 16),
    Kind("option", "--api-key {}", LETTERS, 12),
    Kind("option with a sign", "--hf-token={}", LETTERS, 12),
    Kind("bearer", "Authorization: Bearer {}", LETTERS, 24),
    Kind("basic", "Authorization: Basic {}", LETTERS, 24),
    Kind("cookie", "Cookie: session={}", LETTERS, 24),
    Kind("URL with a password", "https://me:{}@models.example.net/x", LETTERS, 12),
    Kind("signed URL", "https://models.example.net/x?X-Amz-Signature={}", HEX, 32),
    Kind(
        "private key", "-----BEGIN OPENSSH PRIVATE KEY-----{}-----END OPENSSH PRIVATE KEY-----", LETTERS, 60
    ),
    Kind("public key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{}", LETTERS, 44),
    Kind("age key", "AGE-SECRET-KEY-1{}", UPPER, 58),
    Kind("hook", "https://hooks.slack.com/services/T0123/B0123/{}", LETTERS, 24),
)
KINDS = (*NAMES, *PLACES_OF_NAMES, *ADDRESSES, *NUMBERS, *TOKENS, *NAMED)
