"""What is private by its shape: a table of patterns, and what of their matches stays all the same.

A table: each entry is one kind of private thing; secrets have a table of their own.
"""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.redaction_secrets import PRIVATE_KEY, SECRETS, Pattern
from bringup.patterns import regex

_COMMON: Final = """
root user users admin guest nobody daemon runner shared public default ubuntu debian fedora arch
linux nvidia cuda docker video render localhost localdomain home host container test dev proc sys vm
kernel fs net bus pci devices device drivers driver class block module modules firmware efi etc usr
lib lib32 lib64 bin sbin local share include src var log cache opt run boot mnt media srv tmp self
status maps modprobe conf config apt dpkg dkms cdi containers security pressure memory gpu cpu card
model models server client engine llama ollama gguf ggml python pip conda nvcc gcc total free used
version library libraries error failed out of in on no not is it the and to
"""
COMMON_NAMES: Final = frozenset(_COMMON.split())
"""Names that name nobody: of accounts that many have, of folders that every system has, words of every log.

Replacing them would only spoil the text: on a machine called `vm` nothing below /proc/sys/vm would be found.
"""

WELL_KNOWN: Final = frozenset(
    (
        "8be4df61-93ca-11d2-aa0d-00e098032b8c",  # EFI global variables (SecureBoot-...)
        "d719b2cb-3d3a-4596-a3bc-dad00e67656f",  # EFI image security database
        "605dab50-e046-4300-abb6-3dd810dd8b23",  # shim's variables (MokListRT-...)
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",  # EFI system partition
        "0fc63daf-8483-4772-8e79-3d69d8477de4",  # Linux file system partition
        "00000000-0000-0000-0000-000000000000",
    )
)
"""UUIDs that are the same on every machine."""

_VERSION_BEFORE: Final = regex(
    r"(?i)(?:version|release|\bver|\.so)[\s:=(.]{0,3}$|(?:cudnn|cuda|\blib\w{0,20})[-\s:=(]{0,3}$|(?<![a-z])v$"
)
_NO_SERIAL: Final = regex(r"(?i)n/?a|none|unknown|not|default|to|system|0+|number|no|8250.*")
_NO_MAIL: Final = regex(
    r"secret-\d+@|.*\.(?:service|socket|target|slice|mount|timer|scope|device|path|swap)$"
)


def _is_version_or_local(match: re.Match[str]) -> bool:
    address = match["value"]
    before = match.string[max(0, match.start() - 32) : match.start()]
    if address.startswith(("127.", "0.", "255.")) or _VERSION_BEFORE.search(before) is not None:
        return True
    return any(len(part) > 1 and part.startswith("0") for part in address.split("."))


def _is_no_private_address(match: re.Match[str]) -> bool:
    from ipaddress import IPv6Address

    try:
        address = IPv6Address(match["value"])
    except ValueError:
        return True
    is_code = not any(character.isdigit() for character in match["value"])  # a::b
    # The end of a pseudonym whose first letters belong to a word before it, as in \f2001:db8::1.
    is_ours = match["value"].startswith("db8::") and match.string[: match.start("value")].endswith("2001:")
    return is_code or is_ours or address.is_loopback or address.is_unspecified


PATTERNS: Final = (
    PRIVATE_KEY,
    *SECRETS,
    Pattern(
        "email",
        regex(
            r"(?<![\w.%+-])(?P<value>[\w.%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})(?![\w-])",
            re.ASCII,
        ),
        anchors=("@",),
        stays=lambda match: _NO_MAIL.match(match["value"]) is not None,
    ),
    Pattern(
        "uuid",
        regex(
            r"(?<![0-9A-Fa-f])(?P<value>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?![0-9A-Fa-f])"
        ),
        stays=lambda match: match["value"].lower() in WELL_KNOWN,
        marks=("----",),
    ),
    Pattern(
        "mac",
        regex(
            r"(?<![0-9A-Fa-f])(?P<value>[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\2[0-9A-Fa-f]{2}){4,18})(?![0-9A-Fa-f])"
        ),
        stays=lambda match: len(set(match["value"].lower()) - set(":-")) == 1,
        marks=(":::::", "-----"),
    ),
    Pattern(
        "mac",
        regex(r"(?<![\w.])(?P<value>(?=[0-9.]{0,13}[A-Fa-f])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4})(?![\w.])"),
        marks=("..",),
    ),
    Pattern(
        "ipv6",
        regex(
            r"(?<![\w.])(?<!\w::)(?P<value>(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"
            r"|(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}|(?:[0-9A-Fa-f]{1,4}:){1,7}:"
            r"|::(?:[0-9A-Fa-f]{1,4}:){0,5}[0-9A-Fa-f]{1,4})(?!\w|\.\d)"
        ),
        stays=_is_no_private_address,
        marks=("::",),
    ),
    Pattern(
        "ipv4",
        regex(
            r"(?<![\w.])(?P<value>(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d))(?!\.?\w)(?![-+~]\d)"
        ),
        stays=_is_version_or_local,
        marks=("...",),
    ),
    Pattern(
        "host",
        regex(
            r"(?<![\w-])(?P<value>[A-Za-z]\w{0,20}(?:-[A-Za-z]{1,20}){0,3}(?:-(?:25[0-5]|2[0-4]\d|1?\d?\d)){4})(?![\w-])"
        ),
        marks=("----",),
    ),
    Pattern("host", regex(r"(?i)nfs: server (?P<value>[\w.-]{1,250})"), anchors=("nfs: ",)),
    Pattern(
        "host",
        regex(
            r"(?<![\w./@-])(?P<value>[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,5}\.(?!so:|ko:)[a-z]{2,12})(?=:/[^/])"
        ),
        anchors=(":/",),
    ),
    Pattern(
        "serial",
        regex(r"/by-(?:id|uuid|partuuid|label)/(?P<value>[^\s\"',:;)]{3,200})"),
        anchors=("/by-",),
    ),
    Pattern(
        "serial",
        regex(r"(?<!\w)(?:wwn-0x|eui\.|naa\.|nguid\.|uuid\.)(?P<value>[0-9A-Fa-f]{16,32})(?!\w)"),
        anchors=("wwn-", "eui.", "naa.", "uid."),
    ),
    Pattern(
        "serial",
        regex(r"(?i)asset[ _-]?tag\"?\s{0,40}[:=]\s{0,4}\"?(?P<value>[\w./-]{3,60})"),
        anchors=("asset",),
        stays=lambda match: _NO_SERIAL.fullmatch(match["value"]) is not None,
    ),
    Pattern(
        "serial",
        regex(
            r"(?i)serial(?:[ _-]?(?:number|no|num|short))?[\"']?\s{0,40}[:=]\s{0,4}"
            r"[\"']?(?P<value>[A-Za-z0-9][\w./-]{3,60})"
        ),
        anchors=("serial",),
        stays=lambda match: _NO_SERIAL.fullmatch(match["value"]) is not None,
    ),
    Pattern(
        "user",
        regex(
            r"(?:/(?:var/)?home|/Users|\\Users|/run/media|/media)[/\\]{1,8}(?P<value>[^\s/\\\"':;,<>]{1,64})"
        ),
        anchors=("home", "users", "media"),
        stays=lambda match: match["value"].lower() in COMMON_NAMES,
    ),
    Pattern(
        "user",
        regex(
            r"(?:\buser[ =]|\b[eg]?[ug]id=\d{1,10}|[Rr]equested-[Bb]y: |\b(?:password|publickey) for "
            r"|sudo(?:\[\d{1,9}\])?:\s{1,4}|\bacct=\"?)\(?"
            r"(?P<value>[a-z_][\w.-]{0,31})(?=\((?:uid=)?\d|\) ?|\)$| \(\d{1,10}\)| : TTY=| from \d|\")"
        ),
        anchors=("user", "id=", "requested-by", "password", "publickey", "sudo", "acct="),
        stays=lambda match: match["value"] in COMMON_NAMES,
    ),
    Pattern(
        "user",
        regex(r"(?<![\w.@-])(?P<value>[a-z_][\w-]{0,31})(?=@[\w.-]{1,64}:[~/])", re.ASCII),
        anchors=("@",),
        stays=lambda match: match["value"] in COMMON_NAMES,
    ),
    Pattern(
        "host",
        regex(r"(?<=@)(?P<value>[A-Za-z0-9][A-Za-z0-9.-]{0,63})(?=:[~/])"),
        anchors=("@",),
        stays=lambda match: match["value"].lower() in COMMON_NAMES,
    ),
)
