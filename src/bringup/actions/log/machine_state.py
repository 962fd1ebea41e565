"""Keep what the machine looked like whenever it differs, and put it together again for any moment.

Kept are the facts, and the answers to all looks, so that better rules can judge an old day anew. Whether
something differs is seen from the facts that stay as they are between two looks at an unchanged machine;
free memory, temperatures and running processes are kept with a difference and do not make one.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.diagnosis.facts import Fact, Seen, list_facts, plain
from bringup.journal import state
from bringup.journal.digest import blake2b
from bringup.journal.entry import Kind
from bringup.machine import files, process
from bringup.machine.folders import Folders
from bringup.patterns import regex
from bringup.reading import Known, parse_json
from bringup.records import dataclass, replace
from bringup.stack.pending_upgrades import cover_list

if TYPE_CHECKING:
    from bringup.journal.entry import Entry
    from bringup.journal.store import Journal
    from bringup.machine.recording import Recording
    from bringup.machine.redaction import Redactor
    from bringup.stack.stack import Stack

WHOLE_EVERY: Final = 32
"""Each so many states one is stored whole, so that reading one never takes longer."""

_CHAIN_LIMIT: Final = 4 * WHOLE_EVERY
_PART_LIMIT_CHARACTERS: Final = 1_000_000
_LARGE_BYTES: Final = 1_000_000
_SECTIONS: Final = ("read", "list", "stat", "environment", "disk_space")

_PASSING: Final = regex(
    r"memory (?:floors|pressure|oom_kills|kills|group_free_bytes)"
    r"|hardware disks\["
    r"|hardware pci_devices\[\d+\]\.(?:link_now|power_state)"
    r"|kernel (?:modules|holders|log_text|log|own_groups|changes)"
    r"|nvml cards\[\d+\]\.(?:memory|temperature_c|power_mw|clock_mhz|clock_reasons|processes|link_generation)"
    r"|runtime engines|userspace loader\.cache"
)
"""Facts that change from look to look on a machine that nobody touched, as `layer name`.

Package changes are among them: they are told by themselves, and what they did is seen in other facts.
"""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a machine, as it is to be kept.

    Attributes:
        facts: what was seen.
        recording: every answer, as it was given.
        roots: ids of the root faults.
        verdict: what was made of it, plain JSON.
    """

    facts: tuple[Fact, ...]
    recording: Recording
    roots: tuple[str, ...]
    verdict: Mapping[str, Any]


def fingerprint(look: Look) -> str:
    """A word that is the same for two looks at an unchanged machine."""
    hashed = blake2b(digest_size=12)
    for fact in look.facts:
        if not is_passing(fact.layer, fact.name):
            hashed.update(
                repr((fact.layer, fact.name, fact.seen.value, fact.value)).encode("utf-8", "replace")
            )
    hashed.update(repr(look.roots).encode())
    return hashed.hexdigest()


def is_passing(layer: str, name: str) -> bool:
    """Whether a fact changes by itself."""
    return _PASSING.match(f"{layer} {name}") is not None


def salt(place: Folders) -> bytes:
    """The key of the marks of this user; made once."""
    path = place.journal_salt
    if not files.exists(path):
        files.create_once(path, process.random_bytes(32))
    return files.read_small(path, limit_bytes=64) or b"no salt"


def newest(journal: Journal) -> Entry | None:
    """The last state without its body: its subject is the fingerprint."""
    found = journal.entries(kinds=(Kind.STATE,), last=1, with_bodies=False)
    return found[0] if found else None


def snapshot_at(journal: Journal, seq: int) -> state.Snapshot | None:
    """The machine as a state entry left it; `None` where a part of the chain that leads to it is lost."""
    differences: list[state.Difference] = []
    for _ in range(_CHAIN_LIMIT):
        entry = journal.entry(seq)
        if entry is None or entry.kind is not Kind.STATE or not entry.data:
            return None
        try:
            difference = state.from_data(entry.data["difference"])
            base = int(entry.data["base"])
        except (KeyError, ValueError, TypeError):
            return None
        differences.append(difference)
        if difference.is_whole:
            return state.fold(reversed(differences))
        seq = base
    return None


def difference_to(
    before: state.Snapshot | None, look: Look, redactor: Redactor, key: bytes, *, is_whole: bool = False
) -> state.Difference:
    """What leads from a kept snapshot to a look; only what changed is redacted."""
    raw = _raw_marks(look, key)
    known = {} if before is None else before.marks
    changed = {name for hashed, (mark, name) in raw.items() if known.get(hashed, ("",))[0] != mark}
    parts, names = _redacted_parts(look, changed, redactor)
    marks = {
        hashed: (mark, names[name])
        for hashed, (mark, name) in raw.items()
        if name in changed and name in names
    }
    gone_marks = tuple(sorted(hashed for hashed in known if hashed not in raw))
    gone = tuple(sorted({known[hashed][1] for hashed in gone_marks} - set(parts)))
    difference = state.Difference(before is None, parts, gone, marks, gone_marks)
    if before is None or not is_whole:
        return difference
    after = state.apply(before, difference)
    return state.Difference(True, after.parts, (), after.marks, ())


def facts_of(snapshot: state.Snapshot) -> dict[str, Any]:
    """The facts of a snapshot: `layer name` -> what was seen."""
    prefix = state.FACT + state.SEPARATOR
    return {
        name.removeprefix(prefix).replace(state.SEPARATOR, " ", 1): value
        for name, value in snapshot.parts.items()
        if name.startswith(prefix)
    }


def recording_of(snapshot: state.Snapshot) -> Recording:
    """The machine of a snapshot, to be looked at again.

    Raises:
        FileTrouble: it is damaged.
    """
    from bringup.machine.recording import load_tables

    looks: dict[str, Any] = {"schema": 1, "clock": None, **{section: {} for section in _SECTIONS}}
    commands = []
    for name, value in snapshot.parts.items():
        kind, _, rest = name.partition(state.SEPARATOR)
        section, _, asked = rest.partition(state.SEPARATOR)
        if kind != state.LOOK:
            continue
        if section == "command":
            commands.append({"argv": parse_json(asked), **value})
        elif section == "clock":
            looks["clock"] = value
        elif section in _SECTIONS:
            looks[section][asked] = _with_base64(value) if section == "read" else value
    members = {
        "looks.json": memoryview(json.dumps(looks).encode()),
        "commands.json": memoryview(json.dumps(commands).encode()),
    }
    return load_tables(members, name="the journal")


def fact_value(fact: Fact) -> list[Any]:
    """A fact as plain JSON: how it was seen, its value, its source, why not."""
    value = plain(fact.value) if fact.seen is Seen.KNOWN else ""
    if fact.name == "log_text":
        value = f"{len(str(value)):,} characters"
    return [fact.seen.value, value, fact.source, fact.why]


def fact_parts(stack: Stack) -> dict[str, Any]:
    """The facts of a stack as parts, unredacted: for a stack that was read from what is kept."""
    return {f"{fact.layer} {fact.name}": fact_value(fact) for fact in list_facts(stack)}


def _fact_name(fact: Fact) -> str:
    return state.part_name(state.FACT, fact.layer, fact.name)


def _raw_looks(recording: Recording) -> Iterable[tuple[str, object]]:
    tables: tuple[tuple[str, Mapping[str, object]], ...] = (
        ("read", recording.reads),
        ("list", recording.lists),
        ("stat", recording.stats),
        ("environment", recording.environment),
        ("disk_space", recording.disk_spaces),
    )
    for section, table in tables:
        for asked, reading in table.items():
            yield state.part_name(state.LOOK, section, asked), reading
    for argv, result in recording.commands.items():
        yield state.part_name(state.LOOK, "command", json.dumps(argv)), result
    if recording.clock is not None:
        yield state.part_name(state.LOOK, "clock", ""), recording.clock


def _raw_marks(look: Look, key: bytes) -> dict[str, tuple[str, str]]:
    """For each part, by the keyed hash of its name: the keyed hash of its value, and its name."""

    def hashed(data: bytes) -> str:
        return blake2b(data, key=key[:32], digest_size=8).hexdigest()

    raw = [(_fact_name(fact), repr(fact_value(fact)).encode("utf-8", "replace")) for fact in look.facts]
    raw += [(name, _raw_value(reading)) for name, reading in _raw_looks(look.recording)]
    return {hashed(name.encode("utf-8", "surrogateescape")): (hashed(value), name) for name, value in raw}


def _raw_value(reading: object) -> bytes:
    """What a look is compared by; a large file by its own bytes, as its words would be four times as long."""
    if isinstance(reading, Known) and isinstance(reading.value, bytes) and len(reading.value) > _LARGE_BYTES:
        return reading.value
    return repr(reading).encode("utf-8", "replace")


def _redacted_parts(
    look: Look, changed: set[str], redactor: Redactor
) -> tuple[dict[str, Any], dict[str, str]]:
    """Redacted parts by redacted name, and for each raw name its redacted one."""
    from bringup.actions.diagnosis.snapshot import device_ids, essential
    from bringup.machine.recorder import redacted

    parts: dict[str, Any] = {}
    names: dict[str, str] = {}
    for fact in look.facts:
        raw = _fact_name(fact)
        if raw in changed:
            names[raw] = redactor.redact(raw)
            parts[names[raw]] = _redacted_json(fact_value(fact), redactor.redact)
    for raw in changed:
        if raw.startswith(state.LOOK + state.SEPARATOR):
            names[raw] = _redacted_name(raw, redactor)
    some = _only(look.recording, changed)
    kept, _ = essential(some, redactor.redact, devices=device_ids(look.recording))
    for name, value in _look_parts(redacted(kept, redactor)):
        parts[name] = value if len(str(value)) <= _PART_LIMIT_CHARACTERS else _TOO_LARGE
    return parts, names


_TOO_LARGE: Final = {"unreadable": "left out of the journal: too large"}


def _redacted_name(raw: str, redactor: Redactor) -> str:
    kind, section, asked = raw.split(state.SEPARATOR, 2)
    if section == "command":
        return state.part_name(kind, section, json.dumps(redactor.redact_argv(tuple(parse_json(asked)))))
    covered = asked if section == "environment" else redactor.redact(cover_list(asked))
    return state.part_name(kind, section, covered)


def _redacted_json(value: Any, redact: Callable[[str], str]) -> Any:  # noqa: ANN401 - plain JSON
    if isinstance(value, str):
        return redact(value)
    return [_redacted_json(item, redact) for item in value] if isinstance(value, list) else value


def _only(recording: Recording, changed: set[str]) -> Recording:
    """The looks of a recording whose part is among the changed ones."""

    def is_changed(section: str, asked: str) -> bool:
        return state.part_name(state.LOOK, section, asked) in changed

    return replace(
        recording,
        reads={asked: one for asked, one in recording.reads.items() if is_changed("read", asked)},
        lists={asked: one for asked, one in recording.lists.items() if is_changed("list", asked)},
        stats={asked: one for asked, one in recording.stats.items() if is_changed("stat", asked)},
        environment={
            name: one for name, one in recording.environment.items() if is_changed("environment", name)
        },
        disk_spaces={
            asked: one for asked, one in recording.disk_spaces.items() if is_changed("disk_space", asked)
        },
        commands={
            argv: one for argv, one in recording.commands.items() if is_changed("command", json.dumps(argv))
        },
        clock=recording.clock if is_changed("clock", "") else None,
    )


def _look_parts(recording: Recording) -> Iterable[tuple[str, Any]]:
    from bringup.machine.recording import stored_files

    tables = stored_files(recording, accept=lambda _: False)
    looks = parse_json(tables["looks.json"])
    for section in _SECTIONS:
        for asked, value in looks[section].items():
            yield state.part_name(state.LOOK, section, asked), _with_text(value)
    if looks["clock"] is not None:
        yield state.part_name(state.LOOK, "clock", ""), looks["clock"]
    for command in parse_json(tables["commands.json"]):
        argv = command.pop("argv")
        yield state.part_name(state.LOOK, "command", json.dumps(argv)), command


def _with_text(value: dict[str, Any]) -> dict[str, Any]:
    """A file's bytes as text where they are text: that packs better."""
    if "base64" not in value:
        return value
    try:
        return {"utf8": binascii.a2b_base64(value["base64"]).decode()}
    except (binascii.Error, UnicodeDecodeError):
        return value


def _with_base64(value: dict[str, Any]) -> dict[str, Any]:
    if "utf8" not in value:
        return value
    return {"base64": binascii.b2a_base64(str(value["utf8"]).encode(), newline=False).decode()}
