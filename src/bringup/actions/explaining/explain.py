"""A term with this machine's own figures, what went wrong with it here, and notes kept beside its page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from bringup.actions.diagnosis.facts import Fact, list_facts
from bringup.actions.explaining.terms_reader import Term, find_term, load_terms
from bringup.actions.log.notes import keep_term_note, term_notes
from bringup.actions.log.standing import Episode, episodes, standings
from bringup.errors import BringupError, WrongUse
from bringup.faults._catalogue import find_fault
from bringup.journal.entry import Entry, Kind
from bringup.machine.folders import Folders
from bringup.machine.protocol import Machine
from bringup.records import dataclass
from bringup.units import GIB, MIB

if TYPE_CHECKING:
    from bringup.journal.store import Journal
    from bringup.stack.stack import Stack

_FACTS_EACH: Final = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of this machine that is no fact of the stack: its name, its value, the command that shows it.

    `value` is empty where there is none; `command` then says how to get one.
    """

    name: str
    value: str
    command: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page on this machine.

    Attributes:
        term: the page.
        facts: what was seen; absent and unreadable ones, too.
        missing: beginnings of facts of which this machine has none.
        figures: from the last run and the models that are here.
        episodes: times that a fault of this term was there.
        faults: id and title of what goes wrong with it.
        notes: date and text of notes kept beside the page.
        see: id and title of other terms.
    """

    term: Term
    facts: tuple[Fact, ...]
    missing: tuple[str, ...]
    figures: tuple[Figure, ...]
    episodes: tuple[Episode, ...]
    faults: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    see: tuple[tuple[str, str], ...]


def explain(words: str, *, machine: Machine, place: Folders | None) -> tuple[Explanation, str]:
    """The page of a term on a machine; and a warning.

    `place` are our folders, for figures of runs and for what happened here; `None` for another machine.

    Raises:
        WrongUse: there is no such page.
    """
    from bringup.actions.journal.reading import with_journal_if_it_can_be_read
    from bringup.stack.probe import probe_stack

    term = find_term(words)
    stack = probe_stack(machine).stack
    if place is None:
        return explain_on(term, stack, figures=tuple(_unknown_figures(term))), ""
    past, warning = with_journal_if_it_can_be_read(place, lambda journal: _past(journal, term))
    told, notes, run = past or ((), (), None)
    figures = tuple(_figures(term, run, place))
    return explain_on(term, stack, figures=figures, episodes=told, notes=notes), warning


def explain_seen(term: Term, stack: Stack, place: Folders) -> Explanation:
    """The page of a term on this machine as it was last looked at; without a journal, what the stack says."""
    from bringup.actions.journal.reading import with_journal_if_it_can_be_read

    past, _ = with_journal_if_it_can_be_read(place, lambda journal: _past(journal, term))
    told, notes, run = past or ((), (), None)
    return explain_on(term, stack, figures=tuple(_figures(term, run, place)), episodes=told, notes=notes)


def explain_on(
    term: Term,
    stack: Stack,
    *,
    figures: tuple[Figure, ...] = (),
    episodes: tuple[Episode, ...] = (),
    notes: tuple[tuple[str, str], ...] = (),
) -> Explanation:
    """The page of a term on a stack that was looked at."""
    return explain_with(term, list_facts(stack), figures=figures, episodes=episodes, notes=notes)


def explain_with(
    term: Term,
    facts: tuple[Fact, ...],
    *,
    figures: tuple[Figure, ...] = (),
    episodes: tuple[Episode, ...] = (),
    notes: tuple[tuple[str, str], ...] = (),
) -> Explanation:
    """The page of a term with all facts of a machine."""
    chosen: list[Fact] = []
    missing: list[str] = []
    for wanted in term.facts:
        found = [fact for fact in facts if is_of(fact, wanted)]
        chosen += found[:_FACTS_EACH]
        if not found:
            missing.append(wanted)
    titles = {one.id: one.title for one in load_terms()}
    known = ((fault_id, find_fault(fault_id)) for fault_id in term.faults)
    return Explanation(
        term=term,
        facts=tuple(chosen),
        missing=tuple(missing),
        figures=figures,
        episodes=episodes,
        faults=tuple((fault_id, fault.title) for fault_id, fault in known if fault is not None),
        notes=notes,
        see=tuple((name, titles[name]) for name in term.see if name in titles),
    )


def is_of(fact: Fact, wanted: str) -> bool:
    """Whether a fact is the wanted one, or a part of it: `nvml cards` has the part `nvml cards[0].name`."""
    name = f"{fact.layer} {fact.name}"
    return name.startswith(wanted) and not re.match(r"\w", name[len(wanted) :])


def term_map(place: Folders) -> tuple[tuple[tuple[Term, int], ...], str]:
    """Every term in the order of learning, with how often a fault of it was there; and a warning."""
    from bringup.actions.journal.reading import with_journal_if_it_can_be_read

    stood, warning = with_journal_if_it_can_be_read(place, standings)
    seen = [episode.fault.id for episode in episodes(stood or ())]
    counted = tuple((term, sum(fault in term.faults for fault in seen)) for term in load_terms())
    return counted, warning


def add_note(words: str, text: str) -> tuple[Term, str]:
    """Keep a note beside the page of a term; the term, and a warning where it could not be kept.

    Raises:
        WrongUse: there is no such page, or no text.
    """
    term = find_term(words)
    if not text.strip():
        raise WrongUse("there is nothing to keep", hint="bringup learn note TERM TEXT")
    return term, keep_term_note(term.id, text.strip())


def _past(
    journal: Journal, term: Term
) -> tuple[tuple[Episode, ...], tuple[tuple[str, str], ...], Entry | None]:
    told = tuple(one for one in episodes(standings(journal)) if one.fault.id in term.faults)
    notes = tuple((date, text) for _, date, text in term_notes(journal, term.id))
    runs = [run for run in journal.entries(kinds=(Kind.RUN,), last=200) if run.data.get("phase") == "ended"]
    whole = [run for run in runs if run.data.get("plan") and not run.data.get("is_noticed_later")]
    return told, notes, whole[-1] if whole else None


def _figures(term: Term, run: Entry | None, place: Folders) -> Iterable[Figure]:
    for name in term.here:
        if name == "models":
            yield _models(place)
        else:
            yield _of_run(name.removeprefix("run."), run)


def _unknown_figures(term: Term) -> Iterable[Figure]:
    """The figures of another machine, which only its own journal and folders hold."""
    for name in term.here:
        title = "models on its disk" if name == "models" else _RUN_NAMES[name.removeprefix("run.")]
        yield Figure(title, "known on that machine only", "bringup explain " + term.id)


def _models(place: Folders) -> Figure:
    from bringup.store.local import list_models

    try:
        models = list_models(place)
    except BringupError as problem:
        return Figure("models on this disk", f"could not be listed: {problem.message}", "bringup models")
    if not models:
        return Figure("models on this disk", "", "bringup pull smollm2-135m")
    shown = ", ".join(f"{model.name} ({model.size_bytes / GIB:.1f} GiB)" for model in models[:3])
    more = f" and {len(models) - 3} more" if len(models) > 3 else ""
    return Figure("models on this disk", shown + more, "bringup models")


_RUN_NAMES: Final = {
    "weights": "weights of the last run",
    "kv_cache": "KV cache of the last run",
    "compute": "compute buffers of the last run",
    "n_ctx": "context window of the last run",
    "speed": "writing, in the last run",
    "prompt_speed": "reading the prompt, in the last run",
    "tokens": "tokens written in the last run",
    "engine": "engine of the last run",
    "threads": "threads of the last run",
    "slots": "slots of the last run",
    "ubatch": "micro-batch of the last run",
    "flash_attention": "flash attention in the last run",
    "temperature": "temperature of the last run",
}


def _of_run(name: str, run: Entry | None) -> Figure:
    title = _RUN_NAMES[name]
    if run is None:
        return Figure(title, "", 'bringup run --prompt "Hi"')
    value = _run_value(name, run.data)
    model = str(run.data.get("model", ""))
    return Figure(title, f"{value} ({model})" if value else "", f"bringup log show {run.seq}")


def _run_value(name: str, data: Any) -> str:  # noqa: ANN401 - plain JSON of the journal
    settings: dict[str, Any] = data.get("settings") or {}
    if name in ("weights", "kv_cache", "compute"):
        parts = [int(part["bytes"]) for part in data.get("plan") or () if part.get("name") == name]
        return f"{sum(parts) / MIB:,.0f} MiB" if parts else ""
    if name in ("speed", "prompt_speed"):
        rate = data.get("predicted_tokens_per_s" if name == "speed" else "prompt_tokens_per_s")
        return f"{rate:.1f} tokens/s" if isinstance(rate, float) and rate > 0 else ""
    plain: dict[str, Any] = {
        "n_ctx": f"{data['n_ctx']:,} tokens" if data.get("n_ctx") else "",
        "tokens": data.get("predicted_tokens"),
        "engine": data.get("engine"),
        "slots": data.get("n_slots"),
        "threads": settings.get("n_threads"),
        "ubatch": settings.get("n_ubatch"),
        "flash_attention": settings.get("flash_attention"),
        "temperature": settings.get("temperature"),
    }
    value = plain.get(name)
    return "" if value in (None, "") else str(value)
