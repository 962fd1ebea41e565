"""nvidia-smi's table in pasted text: driver, CUDA, cards with their memory, and who holds it."""

from __future__ import annotations

import re
from typing import Final

from bringup.patterns import regex
from bringup.reading import NOT_LOOKED, Absent, Known, Reading
from bringup.stack.lines import Lines
from bringup.stack.nvml import Card, GpuMemory, GpuProcess, Nvml
from bringup.stack.nvml_errors import LIB_RM_VERSION_MISMATCH, NvmlError, find_nvml_error
from bringup.stack.version import DriverVersion, find_driver_version
from bringup.units import MIB

_HEADER: Final = (
    r"Driver Version:\s{0,6}(\d{2,4}\.[\d.]{2,10})(?:\s+CUDA Version:\s{0,4}(\d{1,2})\.(\d{1,2}))?"
)
_CARD: Final = (
    r"^\|\s{1,5}(\d{1,2})\s{1,4}(\S.{1,40}?)\s{1,20}(?:On|Off|N/A)\s{1,4}\|\s{1,4}([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:"
    r"[0-9A-Fa-f]{2}\.\d)"
)
_MEMORY: Final = r"\|\s{1,12}(\d{1,7})MiB\s{1,3}/\s{1,3}(\d{1,7})MiB\s{1,3}\|"
_PROCESS: Final = (
    r"^\|\s{1,6}(\d{1,2})\s{1,6}(?:(?:N/A|\d{1,2})\s{1,5}(?:N/A|\d{1,2})\s{1,5})?(\d{1,8})\s{1,8}([CG+M]{1,3})\s{1,6}"
    r"(\S.{0,80}?)\s{1,60}(\d{1,7})MiB\s{1,3}\|"
)
_ERRORS: Final = regex(r"(?i)failed to initialize nvml: (.{4,60})$")
_CODES: Final = (*range(1, 31), 999)


def parse_smi_table(lines: Lines) -> Nvml:
    """Everything of the last table.

    Raw lines: `| NVIDIA-SMI 570.169   Driver Version: 570.169   CUDA Version: 12.8 |`, then
    `|   0  NVIDIA GeForce RTX 3080 Ti   Off |   00000000:01:00.0  On | N/A |` and
    `| 30%   41C  P8   21W / 350W |  812MiB / 12288MiB |  1%  Default |`.
    """
    header = lines.last(_HEADER, anchor="driver version:")
    if header is None:
        return Nvml(error=_recognise_error(lines))
    line, match = header
    source = f"{line.source}, line {line.number}"
    version = find_driver_version(match[1])
    driver: Reading[DriverVersion] = Known(version, source) if version is not None else NOT_LOOKED
    cuda: Reading[tuple[int, int]] = NOT_LOOKED
    if match[2] is not None:
        cuda = Known((int(match[2]), int(match[3])), source)
    cards = _parse_cards(lines, line.number)
    return Nvml(
        error=_recognise_error(lines),
        driver_version=driver,
        cuda_version=cuda,
        cards=Known(cards, source) if cards else NOT_LOOKED,
    )


def _parse_cards(lines: Lines, start: int) -> tuple[Card, ...]:
    processes = _parse_processes(lines, start)
    cards: list[Card] = []
    waiting: re.Match[str] | None = None
    for line in lines.lines:
        if line.number <= start:
            continue
        row = re.match(_CARD, line.text)
        if row is not None:
            waiting = row
            continue
        memory = re.search(_MEMORY, line.text) if waiting is not None else None
        if waiting is not None and memory is not None:
            source = f"{line.source}, line {line.number}"
            used, total = int(memory[1]) * MIB, int(memory[2]) * MIB
            index = int(waiting[1])
            cards.append(
                Card(
                    index=index,
                    name=Known(waiting[2].strip(), source),
                    bus_address=Known(waiting[3].lower()[-12:], source),
                    memory=Known(GpuMemory(total, used, total - used), source),
                    processes=Known(tuple(p for i, p in processes if i == index), source),
                )
            )
            waiting = None
    return tuple(cards)


def _parse_processes(lines: Lines, start: int) -> list[tuple[int, GpuProcess]]:
    """Rows of the lower table.

    Raw line: `|    0   N/A  N/A      2211      C   python3                  9814MiB |`.
    """
    found = []
    for line in lines.lines:
        if line.number > start and "mib |" in line.text.lower():
            row = re.match(_PROCESS, line.text)
            if row is not None:
                used = Known(int(row[5]) * MIB, f"{line.source}, line {line.number}")
                found.append((int(row[1]), GpuProcess(int(row[2]), used, row[3] == "G", row[4].strip())))
    return found


def _recognise_error(lines: Lines) -> Reading[NvmlError]:
    """NVML's words after "Failed to initialize NVML:"."""
    for line in reversed(lines.with_anchor("failed to initialize nvml: ")):
        match = _ERRORS.search(line.text)
        words = match[1].strip().lower() if match is not None else ""
        for code in _CODES:
            error = find_nvml_error(code)
            if words.startswith(error.words.lower()):
                return Known(error, f"{line.source}, line {line.number}")
    if lines.has("nvml library version:") and lines.has("version mismatch"):
        return Known(find_nvml_error(LIB_RM_VERSION_MISMATCH), lines.lines[0].source)
    return Absent("nvidia-smi") if lines.has("driver version:") else NOT_LOOKED
