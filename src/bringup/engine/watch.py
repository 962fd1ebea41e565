"""Reading an engine's log for the line that says why it ended.

The last lines of a log are hardly ever the cause: llama.cpp says what failed, and then each caller says that
its callee failed. So lines are judged by what they say (`signs`), in the last attempt that the log shows, and
never by being last. What the engine got over is no cause: whatever stands before "model loaded" is forgotten.

Time is linear in the size of the log, and a line is looked at up to a bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import BinaryIO, Final

from bringup.engine.sign import Sign
from bringup.engine.signs import SIGNS
from bringup.machine import files
from bringup.records import dataclass, replace

LINE_LIMIT: Final = 2000
_CHUNK_BYTES: Final = 256 * 1024
_START_BYTES: Final = 4 * 1024**2
"""An engine has loaded before its log is that long."""

# Which rows a line with this plain text may match; the many lines that have none cost a few searches.
_NEEDLES: Final = tuple((needle, row) for row, sign in enumerate(SIGNS) for needle in sign.needles)
# The engine of 2026 puts a level behind the time: `0.00.596.004 I srv  init: model loaded`.
_LEVEL = re.compile(r"^(?:\S+ +\| )?(?:\[\d+\] )?\d+\.\d\d\.\d{3}\.\d{3} (?P<level>[IWED]) ")
_LOADED = re.compile(r"\b(?:init|main|llama_server): model loaded|server is listening on|\blistening on http")
# Before the real load the engine tries a dry one; what fails there may not fail later.
_DRY: Final = (
    "common_fit_params: encountered an error",
    "common_fit_params: failed to fit",
    "retrying without pipeline parallelism",
)
_CARD = re.compile(r"CUDA\d+ +: .{0,80}\((?P<total>\d+) MiB, (?P<free>\d+) MiB free\)")
_TAKEN_MIB: Final = 2048
# What the engine was at when the GPU's memory ran out, where the failing line does not say.
_PHASES: Final = (
    ("load_tensors:", "weights"),
    ("llama_kv_cache", "kv-cache"),
    ("sched_reserve", "compute"),
    ("reserving", "compute"),
)


@dataclass(frozen=True, slots=True)
class LogCause:
    """A cause that the log names: its sign, the sentence filled in, the lines that show it as printed."""

    sign: Sign
    sentence: str
    evidence: tuple[str, ...]


@dataclass(slots=True)
class _Attempt:
    """Signs seen in one attempt to load, or since the engine was ready."""

    exact: LogCause | None = None
    general: LogCause | None = None

    def note(self, found: LogCause) -> None:
        if found.sign.is_general:
            self.general = self.general or found
        else:
            self.exact = self.exact or found

    def best(self) -> LogCause | None:
        if self.exact is not None and self.general is not None and self.exact is not self.general:
            lines = dict.fromkeys((*self.general.evidence, *self.exact.evidence))
            return LogCause(self.exact.sign, self.exact.sentence, tuple(lines))
        return self.exact or self.general


@dataclass(slots=True)
class LogReader:
    """Takes lines in their order and keeps what matters.

    Attributes:
        foreign: lines that the model's own strings could have put into the log; they are passed over.
    """

    foreign: frozenset[str] = frozenset()
    _now: _Attempt = field(default_factory=_Attempt)
    _before: _Attempt = field(default_factory=_Attempt)
    _taken: tuple[str, int] | None = None
    _phase: str = ""

    def take(self, line: str) -> None:
        """One line, without its end."""
        if self.foreign and line.strip() in self.foreign:
            return
        if ("oaded" in line or "listening" in line) and _LOADED.search(line):
            self._now, self._before = _Attempt(), _Attempt()
        elif any(mark in line for mark in _DRY):
            self._before, self._now = self._now, _Attempt()
        elif rows := [row for needle, row in _NEEDLES if needle in line]:
            self._judge(line, rows)
        elif phase := next((name for mark, name in _PHASES if mark in line), ""):
            self._phase = phase
        elif "MiB free" in line and (card := _CARD.search(line)) is not None:
            taken_mib = int(card["total"]) - int(card["free"])
            if taken_mib > _TAKEN_MIB:
                self._taken = (line, taken_mib)

    def _judge(self, line: str, rows: list[int]) -> None:
        if _is_talk(line):
            return
        for row in rows:
            sign = SIGNS[row]
            if (match := sign.pattern.search(line)) is not None:
                if sign.is_general and sign.reference.startswith("vram-oom") and self._phase:
                    sign = replace(sign, reference=f"vram-oom-{self._phase}")
                self._now.note(LogCause(sign, _fill(sign, match), (line,)))
                return

    def cause(self) -> LogCause | None:
        """The cause so far; `None` when no line names one."""
        found = self._now.best() or self._before.best()
        if found is None or not found.sign.reference.startswith("vram-oom") or self._taken is None:
            return found
        line, taken_mib = self._taken
        sentence = f"{found.sentence}; {taken_mib:,} MiB of it were taken by other programs before the start"
        return LogCause(found.sign, sentence, (line, *found.evidence))


def _is_talk(line: str) -> bool:
    level = _LEVEL.match(line)
    return level is not None and level["level"] in "ID"


def _fill(sign: Sign, match: re.Match[str]) -> str:
    words = {name: (value or "?").strip() for name, value in match.groupdict().items()}
    return sign.sentence.format(**words)


def find_cause(lines: Iterable[str], *, foreign: frozenset[str] = frozenset()) -> LogCause | None:
    """The cause that these lines name.

    Args:
        lines: the log, oldest first.
        foreign: see `LogReader`.
    """
    reader = LogReader(foreign)
    for line in lines:
        reader.take(line)
    return reader.cause()


def log_lines(log: BinaryIO) -> Iterator[str]:
    """Lines of a log, without their ends, each cut at `LINE_LIMIT` characters; bad UTF-8 becomes U+FFFD."""
    rest, is_skipping = b"", False
    while chunk := log.read(_CHUNK_BYTES):
        *whole, last = chunk.split(b"\n")
        for piece in whole:
            if not is_skipping:
                yield _line(rest + piece)
            rest, is_skipping = b"", False
        if not is_skipping:
            rest += last
            if len(rest) > 4 * LINE_LIMIT:
                yield _line(rest)
                rest, is_skipping = b"", True
    if rest:
        yield _line(rest)


def lines_at_start(log_path: str) -> tuple[str, ...]:
    """The first lines of a log, those of loading among them; of one that was turned over, where they now are.

    Raises:
        FileTrouble: it cannot be opened.
    """
    from io import BytesIO

    before = f"{log_path}.1"
    with files.open_binary(before if files.exists(before) else log_path) as log:
        return tuple(log_lines(BytesIO(log.read(_START_BYTES))))


def _line(data: bytes) -> str:
    return data[: 4 * LINE_LIMIT].decode("utf-8", "replace")[:LINE_LIMIT].rstrip("\r")


def foreign_lines(texts: Iterable[str]) -> frozenset[str]:
    """Lines that a model's strings could start in a log: what follows a line break inside one of them."""
    found: set[str] = set()
    for text in texts:
        found.update(line.strip() for line in re.split(r"[\r\n]+", text)[1:] if line.strip())
    return frozenset(found)
