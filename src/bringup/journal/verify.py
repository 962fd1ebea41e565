"""Whether history is as it was written: headers by their chain, bodies by their digests, nothing missing."""

from __future__ import annotations

from bringup.journal import schema
from bringup.journal.entry import FIRST_PREVIOUS, Header, Kind, unpack_body, words_of
from bringup.journal.store import Journal
from bringup.journal.trouble import JournalTrouble
from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of the whole journal found.

    Attributes:
        n_entries: how many entries there are.
        head: hash of the newest entry in hexadecimal; written down elsewhere it proves all before it.
        problems: what is not as it was written, one line each.
        lost: numbers that were lost to a damage which was said when it was mended.
        forgotten: numbers whose text was taken out on request.
    """

    n_entries: int
    head: str
    problems: tuple[str, ...]
    lost: tuple[int, ...]
    forgotten: tuple[int, ...]


def verify(journal: Journal) -> Verified:
    """Read everything and compare."""
    try:
        headers = list(journal.headers())
        forgotten, lost = _declared(journal)
        problems = [
            *_chain_problems(headers, lost),
            *_tail_problems(headers, journal.highest_number_given(), lost),
            *_body_problems(headers, journal, forgotten),
            *_object_problems(journal),
        ]
    except (JournalTrouble, ValueError, TypeError, AttributeError, KeyError) as problem:
        return Verified(0, "", (f"it cannot be read to its end: {problem}",), (), ())
    head = headers[-1].hash.hex() if headers else ""
    return Verified(len(headers), head, tuple(problems), tuple(sorted(lost)), tuple(sorted(forgotten)))


def _declared(journal: Journal) -> tuple[set[int], set[int]]:
    """Numbers that entries themselves say were forgotten, and lost to damage."""
    forgotten: set[int] = set()
    lost: set[int] = set()
    for entry in journal.entries(kinds=(Kind.FORGOTTEN, Kind.MENDED)):
        if entry.kind is Kind.FORGOTTEN:
            forgotten.add(int(entry.data["seq"]))
        else:
            for first, last in entry.data["lost"]:
                lost.update(range(int(first), int(last) + 1))
            forgotten.update(map(int, entry.data["lost_bodies"]))
    return forgotten, lost


def _chain_problems(headers: list[Header], lost: set[int]) -> list[str]:
    problems = []
    before: Header | None = None
    for header in headers:
        if not header.is_sound:
            problems.append(f"entry {header.seq} was changed after it was written")
        first = 1 if before is None else before.seq + 1
        gap = [number for number in range(first, header.seq) if number not in lost]
        if gap:
            problems.append(f"entry {gap[0]} is missing" + (f" and {len(gap) - 1} more" if gap[1:] else ""))
        expected = FIRST_PREVIOUS if before is None else before.hash
        is_after_loss = header.seq != first
        if not is_after_loss and header.previous != expected:
            problems.append(f"entry {header.seq} does not follow the entry before it")
        before = header
    return problems


def _tail_problems(headers: list[Header], highest: int, lost: set[int]) -> list[str]:
    last = headers[-1].seq if headers else 0
    gone = [number for number in range(last + 1, highest + 1) if number not in lost]
    if gone:
        return [f"entries {gone[0]} to {gone[-1]} at the end are missing"]
    return [f"the count of entries was set back to {highest}"] if highest < last else []


def _body_problems(headers: list[Header], journal: Journal, forgotten: set[int]) -> list[str]:
    by_number = {header.seq: header for header in headers}
    words = journal.words()
    missing = set(by_number)
    problems = []
    for body in journal.bodies():
        header = by_number.get(body.seq)
        missing.discard(body.seq)
        if header is None:
            problems.append(f"there is a text for entry {body.seq}, which is none")
        elif body.digest != header.digest:
            problems.append(f"the text of entry {body.seq} was changed after it was written")
        elif words.pop(body.seq, None) != words_of(header.kind, header.subject, unpack_body(body.body)[0]):
            problems.append(f"what the search knows of entry {body.seq} was changed")
    problems += [f"the text of entry {number} is missing" for number in sorted(missing - forgotten)]
    return problems + [
        f"the search knows words of entry {number}, which has none" for number in sorted(words)
    ]


def _object_problems(journal: Journal) -> list[str]:
    expected = schema.expected_objects()
    there = journal.objects()
    wrong = sorted(name for name in expected.keys() | there.keys() if expected.get(name) != there.get(name))
    return [f"{name} in the file is not as bringup makes it" for name in wrong]
