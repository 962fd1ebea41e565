"""What `doctor` and `diagnose` share: reading a paste, showing what came out."""

from __future__ import annotations

from bringup.actions.diagnosis.doctor import PASTE_LIMIT_BYTES, Examination, decode_paste, read_paste_file
from bringup.actions.diagnosis.facts import list_facts
from bringup.actions.fixing.unfinished import UnfinishedFixes
from bringup.errors import CannotTell, WrongUse
from bringup.faces.cli.journal_warning import say_journal_trouble
from bringup.faces.render.console import Console


def read_paste(console: Console, name: str) -> tuple[str, str]:
    """The text of a file, or of standard input for `-`, and what to call it.

    Raises:
        WrongUse: no text is given.
        CannotTell: the file cannot be read, or is larger than 256 MiB.
    """
    if name != "-":
        return read_paste_file(name), name
    if console.stdin is None:
        raise WrongUse("there is no standard input to read", hint="Give a file, or pipe the text in.")
    if console.is_interactive:
        console.line("Paste what was printed, then press Ctrl-D.")
    data = console.stdin.buffer.read(PASTE_LIMIT_BYTES + 1)
    if len(data) > PASTE_LIMIT_BYTES:
        raise CannotTell(f"standard input is longer than the {PASTE_LIMIT_BYTES:,} bytes that are read")
    return decode_paste(data, name="standard input"), "pasted text"


def show_examination(
    console: Console,
    examination: Examination,
    *,
    as_json: bool,
    with_facts: bool = False,
    unfinished: UnfinishedFixes | None = None,
) -> int:
    """Print it, with every fact below where that is wanted; the exit code that says what came out.

    Fixes that were cut short on this machine stand before all else.
    """
    facts = list_facts(examination.stack) if with_facts else ()
    if as_json:
        from bringup.faces.render.diagnosis_json import examination_json
        from bringup.faces.render.facts import facts_json
        from bringup.faces.render.unfinished import unfinished_json

        more: dict[str, object] = {}
        if with_facts:
            more["facts"] = facts_json(facts, examination.took_s)
        if unfinished is not None:
            more["unfinished"] = unfinished_json(unfinished)
        console.answer_json(examination_json(examination) | more)
    else:
        from bringup.faces.render.diagnosis import render_examination
        from bringup.faces.render.facts import render_facts
        from bringup.faces.render.sentences import lay_out
        from bringup.faces.render.unfinished import render_unfinished

        if unfinished is not None:
            console.answer_lines(render_unfinished(unfinished, console.reading_columns))
        console.answer_lines(render_examination(examination, console.reading_columns))
        if unfinished is not None and examination.diagnosis.roots:
            first = examination.diagnosis.roots[0].fault.id
            told = f"bringup fix {first} walks through these steps; it asks before each."
            console.answer(lay_out(told, 0, console.reading_columns, indent=""))
        if facts:
            console.answer_lines([("",), *render_facts(facts, examination.took_s)])
    say_journal_trouble(console, examination.journal_trouble)
    return examination.verdict.value
