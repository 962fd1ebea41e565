"""The log as a Markdown document, in and out: `## Learning`, `## Debug`, numbered and dated entries. Pure.

    ## Debug

    1. **16/9/25** nvidia-smi fails

       ```
       Failed to initialize NVML: Driver/library version mismatch
       ```

       **Reason**: ...

       **Solution**: ...

Documents that people wrote by hand differ: entries are headings, list items or lines that begin with a date;
labels stand with or without bold; dates are written in many ways. What is read is what they have in common,
and nothing of a text is dropped.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from bringup.actions.log.notes import DEBUG, LEARNING, OwnEntry
from bringup.records import dataclass, replace

TITLE: Final = "# Learning and debug log"
_LABELS: Final = {
    "symptom": "symptom",
    "symptoms": "symptom",
    "problem": "symptom",
    "output": "output",
    "reason": "reason",
    "cause": "reason",
    "why": "reason",
    "solution": "solution",
    "fix": "solution",
    "cure": "solution",
    "fault": "fault",
}
_LABEL: Final = re.compile(
    r"\s*(?:[-*+]\s+)?(?:(?:\*\*|__)(?P<bold>[A-Za-z]+)\s*:?\s*(?:\*\*|__)\s*:?|(?P<plain>[A-Za-z]+)\s*:)"
    r"[ \t]*(?P<rest>.*)"
)
_FENCE: Final = re.compile(r"\s*(`{3,}|~{3,})")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE: Final = (
    r"(?P<date>\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.]\d{1,2}[/.](?:\d{4}|\d{2})"
    r"|\d{1,2}\.? [A-Z][a-z]{2,8}\.?,? \d{4}|[A-Z][a-z]{2,8} \d{1,2},? \d{4})"
)
_START: Final = re.compile(
    r"(?P<hashes>#{3,6}[ \t]+)?(?:[*_]{2})?(?:(?P<number>\d{1,4})[.)][ \t]+)?(?P<bullet>[-*+][ \t]+)?"
    rf"(?:[*_]{{2}})?[\[(]?(?:{_DATE})?[\])]?(?:[*_]{{2}})?[ \t]*[:\u2013\u2014-]?[ \t]*(?P<title>.*)"
)


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    lines: tuple[str, ...]


def read_document(text: str) -> list[OwnEntry]:
    """The entries of a document, in its order."""
    entries: list[OwnEntry] = []
    for section in _sections(text):
        if section.name == DEBUG:
            entries += _debug_entries(section.lines)
        else:
            entries += [OwnEntry(section.name, "", block) for block in _blocks(section.lines)]
    return entries


def is_log(text: str) -> bool:
    """Whether a document has a part for what was learned or debugged; any other text is no log."""
    return any(section.name in (LEARNING, DEBUG) for section in _sections(text))


def write_document(entries: Sequence[OwnEntry]) -> str:
    """Entries as a document; the same entries give the same text, and reading it gives the same entries."""
    parts = [TITLE]
    others = dict.fromkeys(entry.section for entry in entries if entry.section not in (LEARNING, DEBUG))
    for section in (LEARNING, DEBUG, *others):
        chosen = [entry for entry in entries if entry.section == section]
        if not chosen and section in others:
            continue
        heading = section.capitalize() if section in (LEARNING, DEBUG) else section
        parts.append(f"## {heading}")
        if section == DEBUG:
            numbered = enumerate(in_order(chosen), start=1)
            parts += [_written(number, entry) for number, entry in numbered]
        else:
            parts += [_written_block(entry) for entry in chosen]
    return "\n\n".join(parts) + "\n"


def in_order(entries: Iterable[OwnEntry]) -> list[OwnEntry]:
    """By date; an entry without one stays behind the entry that it followed."""
    keyed = []
    last = ""
    for entry in entries:
        last = entry.date or last
        keyed.append((last, entry))
    return [entry for _, entry in sorted(keyed, key=lambda pair: pair[0])]


def parse_date(text: str) -> str:
    """ISO date of `16/9/25`, `16.09.2025`, `2025-9-16`, `16 Sep 2025` or `Sep 16, 2025`; empty for none.

    Of two numbers the day comes first, unless only the other order is a date.
    """
    words = re.findall(r"[A-Za-z]+|\d+", text)
    if len(words) != 3:
        return ""
    named = [word for word in words if word.isalpha()]
    numbers = [int(word) for word in words if word.isdigit()]
    if named:
        if named[0][:3].lower() not in _MONTHS or len(numbers) != 2:
            return ""
        return _iso(numbers[1], _MONTHS.index(named[0][:3].lower()) + 1, numbers[0])
    first, second, third = numbers
    if len(words[0]) == 4:
        return _iso(first, second, third)
    year = third if len(words[2]) == 4 else 2000 + third
    return _iso(year, second, first) or _iso(year, first, second)


def _iso(year: int, month: int, day: int) -> str:
    from datetime import date

    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""


def short_date(iso: str) -> str:
    """`2025-09-16` -> `16/9/25`; another century in full."""
    if not re.fullmatch(r"20\d\d-\d\d-\d\d", iso):
        return iso
    return f"{int(iso[8:])}/{int(iso[5:7])}/{iso[2:4]}"


def _sections(text: str) -> list[_Section]:
    """Parts under headings of the first two levels (or any heading that says learning or debug)."""
    sections: list[tuple[str, list[str]]] = []
    fence = ""
    for line in text.replace("\r\n", "\n").expandtabs(4).split("\n"):
        fence = _fence_after(line, fence)
        match = None if fence else re.match(r"(#{1,6})[ \t]+(.*?)[ \t#]*$", line)
        name = "" if match is None else _section_name(match[1], match[2])
        if match is not None and name:
            sections.append((name, []))
        elif sections:
            sections[-1][1].append(line)
        elif line.strip() and match is None:
            sections.append((LEARNING, [line]))
    return [_Section(name, tuple(lines)) for name, lines in sections]


def _section_name(hashes: str, title: str) -> str:
    words = title.casefold()
    is_title = len(hashes) == 1 and "log" in words
    if is_title or not title:
        return ""
    if re.fullmatch(r"[\W\d]*learn(?:ing|ed|t)?s?[\W\d]*", words):
        return LEARNING
    if re.fullmatch(r"[\W\d]*debug(?:ging)?(?: log)?[\W\d]*", words):
        return DEBUG
    return title if len(hashes) <= 2 else ""


def _fence_after(line: str, fence: str) -> str:
    """The fence that is open after a line; a closing one is at least as long and of the same kind."""
    match = _FENCE.match(line)
    if match is None:
        return fence
    if not fence:
        return match[1]
    return "" if match[1].startswith(fence) and not line.strip().strip(fence[0]) else fence


def _blocks(lines: Sequence[str]) -> list[str]:
    """List items of the first level with what is nested in them, and paragraphs, headings, tables."""
    blocks: list[list[str]] = []
    fence = ""
    is_new = True
    for line in lines:
        was_open = bool(fence)
        fence = _fence_after(line, fence)
        is_item = re.match(r"(?:[-*+]|\d{1,4}[.)])[ \t]+\S", line) is not None
        is_heading = line.startswith("#")
        if not line.strip() and not was_open:
            is_new = True
            if blocks:
                blocks[-1].append("")
            continue
        is_inside = line.startswith(" ") and bool(blocks)
        if not was_open and not is_inside and (is_item or is_heading or is_new):
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
        else:
            blocks.append([line])
        is_new = is_heading
    return [text for text in (_without_bullet(block) for block in blocks) if text]


def _without_bullet(block: Sequence[str]) -> str:
    match = re.match(r"((?:[-*+]|\d{1,4}[.)])[ \t]+)(.*)", block[0])
    if match is None:
        return "\n".join(block).strip()
    rest = textwrap.dedent("\n".join(line if line.strip() else "" for line in block[1:]))
    return f"{match[2]}\n{rest}".strip()


def _written_block(entry: OwnEntry) -> str:
    text = entry.title
    if entry.date:
        text = f"**{short_date(entry.date)}** {text}"
    if text.startswith(("#", "|", "```", "~~~", ">")):
        return text
    return "- " + _indented(text, "  ")


def _indented(text: str, indent: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *(indent + line if line.strip() else "" for line in rest)])


def _debug_entries(lines: Sequence[str]) -> list[OwnEntry]:
    starts = _starts(lines)
    if not starts:
        return [OwnEntry(DEBUG, "", block) for block in _blocks(lines)]
    entries = []
    before = "\n".join(lines[: starts[0]]).strip()
    if before:
        entries.append(OwnEntry(DEBUG, "", before))
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        match = _START.match(lines[start])
        assert match is not None, "a start matches"
        title = re.sub(r"^(?:\*\*|__)|(?:\*\*|__)$", "", match["title"].strip()).strip()
        entries.append(_entry(parse_date(match["date"] or ""), title, lines[start + 1 : end]))
    return entries


def _starts(lines: Sequence[str]) -> list[int]:
    """Where entries begin, by the most telling form that the section uses."""
    found: dict[str, list[int]] = {"heading": [], "dated number": [], "number": [], "date": []}
    fence = ""
    expected = 1
    for number, line in enumerate(lines):
        was_open = bool(fence)
        fence = _fence_after(line, fence)
        match = _START.match(line) if not was_open and not fence and line[:1].strip() else None
        if match is None:
            continue
        if match["hashes"]:
            found["heading"].append(number)
        elif match["number"] and match["date"]:
            found["dated number"].append(number)
        elif match["date"]:
            found["date"].append(number)
        if match["number"] and not match["hashes"] and int(match["number"]) == expected:
            found["number"].append(number)
            expected += 1
    if found["dated number"] and len(found["number"]) > len(found["dated number"]):
        return sorted({*found["dated number"], *found["number"]})
    return next((places for places in found.values() if places), [])


def _entry(date: str, title: str, lines: Sequence[str]) -> OwnEntry:
    body = textwrap.dedent("\n".join(line if line.strip() else "" for line in lines)).split("\n")
    parts: dict[str, list[str]] = {name: [] for name in ("symptom", "output", "reason", "solution", "fault")}
    current = "symptom"
    fence = ""
    for line in body:
        was_open = bool(fence)
        fence = _fence_after(line, fence)
        match = None if was_open or fence else _LABEL.fullmatch(line)
        label = _LABELS.get((match["bold"] or match["plain"]).lower()) if match is not None else None
        if match is not None and label is not None:
            current = label
            parts[current].append(match["rest"])
        elif current == "symptom" and (was_open or fence):
            parts["output"].append(line)
        else:
            parts[current].append(line)
    said = {name: _trimmed("\n".join(text)) for name, text in parts.items()}
    said["output"] = _without_fences(said["output"])
    said["fault"] = said["fault"].strip("` \n")
    if said["fault"] and not re.fullmatch(r"[a-z0-9-]{1,60}", said["fault"]):
        said["reason"] = f"{said['reason']}\n\nFault: {said['fault']}".strip()
        said["fault"] = ""
    return OwnEntry(DEBUG, date, title, **said)


def _trimmed(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n").rstrip()


def _without_fences(text: str) -> str:
    """The insides of code blocks, one after the other."""
    kept = [line for line in text.split("\n") if _FENCE.match(line) is None]
    return textwrap.dedent("\n".join(kept)).strip("\n")


def _written(number: int, entry: OwnEntry) -> str:
    date = f"**{short_date(entry.date)}** " if entry.date else ""
    indent = " " * (len(str(number)) + 2)
    parts = [f"{number}. {date}{entry.title}".rstrip()]
    if entry.symptom:
        parts.append(entry.symptom)
    if entry.output:
        fence = "```" if "```" not in entry.output else "~~~~"
        parts.append(f"{fence}\n{entry.output}\n{fence}")
    for label, text in (("Reason", entry.reason), ("Solution", entry.solution)):
        if text:
            separator = "\n\n" if text.startswith(("```", "~~~", "- ", "1. ")) else " "
            parts.append(f"**{label}**:{separator}{text}")
    if entry.fault:
        parts.append(f"**Fault**: `{entry.fault}`")
    first, *rest = parts
    return "\n\n".join([first, *(indent + _indented(part, indent) for part in rest)])


def matched(entry: OwnEntry, fault_id: str | None) -> OwnEntry:
    """The entry with the known fault that it tells of, where it names none itself."""
    return entry if entry.fault or fault_id is None else replace(entry, fault=fault_id)
