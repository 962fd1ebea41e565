"""What the kernel's log says of NVIDIA cards: refusals, Xid errors, codes of failed starts."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.machine.protocol import Machine
from bringup.patterns import regex
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable
from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.stack.version import DriverVersion, find_driver_version

LOG_LIMIT_CHARACTERS: Final = 2_000_000
_DMESG: Final = ("dmesg", "--color=never")
_JOURNAL: Final = ("journalctl", "-k", "-b", "--no-pager", "-o", "short-monotonic", "-n", "5000")


class RefusalKind(Enum):
    """Why the module did not take a card."""

    UNKNOWN_TO_DRIVER = "not supported by this driver release"
    LEGACY = "supported by an older branch only"
    NEEDS_OPEN = "needs the open modules"
    NEEDS_CLOSED = "has no GSP, which the open modules need"
    OFF_BUS = "does not answer"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message of the module about one card.

    Attributes:
        kind: why.
        device_id: the chip, where the message names it.
        driver: the driver's version, where the message names it.
        branch: for a legacy card: the branch that still drives it.
    """

    kind: RefusalKind
    device_id: int | None = None
    driver: DriverVersion | None = None
    branch: int | None = None


@dataclass(frozen=True, slots=True)
class Xid:
    """One Xid error: the code and the card."""

    code: int
    pci_address: str


@dataclass(frozen=True, slots=True)
class VersionPair:
    """An "API mismatch": the library of a client against the loaded module."""

    library: DriverVersion
    module: DriverVersion


@dataclass(frozen=True, slots=True)
class KernelLog:
    """What was found in the kernel's messages; empty tuples mean that nothing of the kind stands there."""

    refusals: tuple[Refusal, ...] = ()
    xids: tuple[Xid, ...] = ()
    start_codes: tuple[str, ...] = ()
    device_ids: tuple[int, ...] = ()
    has_slept: bool = False
    mismatch: VersionPair | None = None


def probe_log_text(machine: Machine) -> Reading[str]:
    """The kernel's messages of this boot: dmesg, else the journal, else /var/log/kern.log's last boot.

    Each may be closed to users; then the reading is unreadable and says why, and nothing is concluded.
    """
    problem: Reading[str] = Absent("kernel log")
    for argv in (_DMESG, _JOURNAL):
        result = machine.run(argv, timeout_s=2.0)
        if isinstance(result, Known) and result.value.exit_code == 0 and result.value.stdout:
            return Known(result.value.stdout[-LOG_LIMIT_CHARACTERS:], " ".join(argv))
        problem = Unreadable(" ".join(argv), "no right to read it, or it failed")
    for path in ("/var/log/kern.log", "/var/log/messages"):
        text = machine.read_text(path)
        if isinstance(text, Known):
            start = max(text.value.rfind("Linux version "), 0)
            return Known(text.value[start:][-LOG_LIMIT_CHARACTERS:], path)
    return problem


def recognise_log(lines: Lines) -> Reading[KernelLog]:
    """The same from lines of a paste or of the log; not looked at where no line is NVIDIA's."""
    nvrm = lines.with_anchor("nvrm:")
    has_slept = lines.has_any(
        "pm: suspend exit", "pm: suspend entry", "systemd-sleep", "system returned from sleep"
    )
    if not nvrm and not has_slept:
        return NOT_LOOKED
    whole = " ".join(line.text.split("NVRM:", 1)[-1].strip() for line in nvrm)[:LOG_LIMIT_CHARACTERS]
    log = KernelLog(
        refusals=parse_refusals(whole),
        xids=parse_xids(whole),
        start_codes=tuple(re.findall(r"RmInitAdapter failed! \((0x[0-9a-f]+:0x[0-9a-f]+):", whole)),
        device_ids=tuple(int(found, 16) for found in re.findall(r"\(PCI ID: 10de:([0-9a-f]{4})\)", whole)),
        has_slept=has_slept,
        mismatch=parse_mismatch(whole),
    )
    source = nvrm[0] if nvrm else lines.lines[0]
    return Known(log, f"{source.source}, line {source.number}")


_REFUSAL: Final = regex(
    r"(?:The )?NVIDIA (?:GPU )?(?P<name>[^()]{0,80}?)\s?(?:\(PCI ID: 10de:(?P<id>[0-9a-f]{4})\) )?"
    r"(?:GPU )?installed in this system (?=(?P<said>.{0,260}))"
)
_KINDS: Final = (
    (RefusalKind.NEEDS_OPEN, "requires use of the NVIDIA open"),
    (RefusalKind.NEEDS_CLOSED, "is not supported by open"),
    (RefusalKind.OFF_BUS, "has fallen off the bus"),
    (RefusalKind.LEGACY, "is supported through the NVIDIA"),
    (RefusalKind.UNKNOWN_TO_DRIVER, "is not supported by the"),
)


def parse_refusals(text: str) -> tuple[Refusal, ...]:
    """Refusals in the joined text of NVRM messages, each once.

    Raw text: `The NVIDIA GPU 0000:3c:00.0 (PCI ID: 10de:2d04) installed in this system is not supported
    by the NVIDIA 555.58.02 driver release.`
    """
    found: dict[Refusal, None] = {}
    for match in _REFUSAL.finditer(text):
        said = match["said"]
        kind = next((kind for kind, words in _KINDS if said.startswith(words)), None)
        if kind is None:
            continue
        branch = re.match(r"is supported through the NVIDIA (\d+)\.", said)
        release = _find_release(said)
        found[
            Refusal(
                kind,
                int(match["id"], 16) if match["id"] else None,
                find_driver_version(release.group(1)) if release else None,
                int(branch.group(1)) if branch else None,
            )
        ] = None
    return tuple(found)


def parse_mismatch(text: str) -> VersionPair | None:
    """The last "API mismatch" message, old and new wording.

    Raw text: `API mismatch: the client has the version 535.54.03, but this kernel module has the
    version 530.30.02.`
    """
    pattern = r"API mismatch: the client.{0,60}?has the version ([\d.]+\d),.{0,40}?has the version ([\d.]+\d)"
    found = [(find_driver_version(a), find_driver_version(b)) for a, b in re.findall(pattern, text)]
    for library, module in reversed(found):
        if library is not None and module is not None:
            return VersionPair(library, module)
    return None


def parse_xids(text: str) -> tuple[Xid, ...]:
    """Xid errors in order.

    Raw text: `Xid (PCI:0000:0b:00): 79, pid=1234, GPU has fallen off the bus.`
    """
    pattern = r"Xid \((?:PCI:)?([0-9a-fA-F:.]{4,16})\): (\d{1,3})\b"
    return tuple(Xid(int(code), address) for address, code in re.findall(pattern, text))


def _find_release(said: str) -> re.Match[str] | None:
    refused = re.match(r"is not supported by the (?:NVIDIA )?([\d.]+)", said)
    return refused or re.search(r"The ([\d.]+) NVIDIA", said)
