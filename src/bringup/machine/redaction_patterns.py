"""What is private by its shape: a table of patterns, and what of their matches stays all the same.

A table: each entry is one kind of private thing. The group `value` is what is taken out. No pattern
begins with an unbounded repetition, so that reading stays linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of private thing.

    Attributes:
        kind: names the pseudonyms.
        shape: finds it; the group `value` is private.
        stays: whether a match is known to be harmless.
    """

    kind: str
    shape: re.Pattern[str]
    stays: Callable[[re.Match[str]], bool] = lambda _match: False


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

SECRET_NAME: Final = re.compile(
    r"(?i)(?:token(?!iz|s)|secret|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credential|cookie)"
)
"""A variable, a field or an option of such a name holds a secret."""

SECRET_OPTION: Final = re.compile(rf"--?{SECRET_NAME.pattern[4:]}(?![\w-]*file)[\w-]*", re.IGNORECASE)
"""An option whose value, in the next argument, is a secret; one that names a file is not."""

_VERSION_BEFORE: Final = re.compile(
    r"(?i)(?:version|release|\bver|\.so)[\s:=(.]{0,3}$|(?:cudnn|cuda|\blib\w{0,20})[-\s:=(]{0,3}$|(?<![a-z])v$"
)
_NO_SERIAL: Final = re.compile(r"(?i)n/?a|none|unknown|not|default|to|system|0+|number|no|8250.*")
_NO_MAIL: Final = re.compile(
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
    return is_code or address.is_loopback or address.is_unspecified


_ASSIGNED: Final = r"""[\w.-]{0,40}["']?\s{0,4}(?:=>|[=:])\s{0,4}["']?(?P<value>[^\s"',;&\\]{8,})"""

PATTERNS: Final = (
    Pattern(
        "secret",
        re.compile(
            r"(?P<value>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}-----|\Z))",
            re.DOTALL,
        ),
    ),
    Pattern("secret", re.compile(r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\w{1,20}) (?P<value>AAAA[\w+/=]+)")),
    Pattern(
        "secret",
        re.compile(
            r"(?i)\bauthorization\\?[\"']?\s?[:=]\s?[\"']?"
            r"(?P<value>(?:(?:bearer|basic|token|digest|negotiate) )?[^\s\"',]+)"
        ),
    ),
    Pattern("secret", re.compile(r"(?i)\bbearer\s(?P<value>[\w.~+/=-]{12,})")),
    Pattern("secret", re.compile(r"(?i)[a-z]://(?P<value>[^\s/@\"']{1,400})@")),
    Pattern(
        "secret",
        re.compile(
            r"(?i)[?&](?:[\w-]{0,20}(?:token|key|sig|signature|password|secret|credential))=(?P<value>[^&\s\"'#]+)"
        ),
    ),
    Pattern(
        "secret",
        re.compile(
            r"(?<![A-Za-z0-9])(?P<value>(?:hf_|gh[pousr]_|github_pat_|glpat-|nvapi-|npm_|dckr_pat_|xox[abprs]-|sk-|pk-"
            r"|AKIA|ASIA|AIza|ya29\.|eyJ[\w-]{8,}\.)[\w.-]{12,})"
        ),
    ),
    Pattern(
        "secret",
        re.compile(SECRET_NAME.pattern + _ASSIGNED),
        stays=lambda match: match["value"].isdecimal(),
    ),
    Pattern(
        "secret", re.compile(SECRET_OPTION.pattern + r"[\"',\s=]{1,4}(?P<value>[^\s\"',]{4,})", re.IGNORECASE)
    ),
    Pattern(
        "email",
        re.compile(
            r"(?<![\w.%+-])(?P<value>[\w.%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})(?![\w-])",
            re.ASCII,
        ),
        stays=lambda match: _NO_MAIL.match(match["value"]) is not None,
    ),
    Pattern(
        "uuid",
        re.compile(
            r"(?<![0-9A-Fa-f])(?P<value>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(?![0-9A-Fa-f])"
        ),
        stays=lambda match: match["value"].lower() in WELL_KNOWN,
    ),
    Pattern(
        "mac",
        re.compile(
            r"(?<![0-9A-Fa-f:.-])(?P<value>[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\2[0-9A-Fa-f]{2}){4,18})(?![0-9A-Fa-f:-])"
        ),
        stays=lambda match: len(set(match["value"].lower()) - set(":-")) == 1,
    ),
    Pattern(
        "ipv6",
        re.compile(r"(?<![\w:.])(?P<value>[0-9A-Fa-f:]{2,39})(?![\w:]|\.\d)"),
        stays=_is_no_private_address,
    ),
    Pattern(
        "ipv4",
        re.compile(
            r"(?<![\w.])(?P<value>(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d))(?!\.?\w)(?![-+~]\d)"
        ),
        stays=_is_version_or_local,
    ),
    Pattern("host", re.compile(r"(?<![\w-])(?P<value>ip(?:-\d{1,3}){4})(?![\w-])")),
    Pattern(
        "serial",
        re.compile(
            r"(?i)serial(?:[ _-]?(?:number|no|num|short))?[\"']?\s{0,40}[:=]\s{0,4}"
            r"[\"']?(?P<value>[A-Za-z0-9][\w./-]{3,60})"
        ),
        stays=lambda match: _NO_SERIAL.fullmatch(match["value"]) is not None,
    ),
    Pattern(
        "user",
        re.compile(
            r"(?:/(?:var/)?home|/Users|\\Users|/run/media|/media)[/\\](?P<value>[^\s/\\\"':;,<>]{1,64})"
        ),
        stays=lambda match: match["value"].lower() in COMMON_NAMES,
    ),
    Pattern(
        "user",
        re.compile(r"(?<![\w.@-])(?P<value>[a-z_][\w-]{0,31})(?=@[\w.-]{1,64}:[~/])", re.ASCII),
        stays=lambda match: match["value"] in COMMON_NAMES,
    ),
    Pattern(
        "host",
        re.compile(r"(?<=@)(?P<value>[A-Za-z0-9][A-Za-z0-9.-]{0,63})(?=:[~/])"),
        stays=lambda match: match["value"].lower() in COMMON_NAMES,
    ),
)
