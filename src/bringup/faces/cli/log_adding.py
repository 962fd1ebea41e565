"""Adding an entry of one's own: by options, or in an editor."""

from __future__ import annotations

from collections.abc import Mapping

import click

from bringup.actions.log.notes import (
    DEBUG,
    LEARNING,
    OwnEntry,
    add_with_state,
    may_open_editor,
    parse_template,
    template_for,
    today,
)
from bringup.errors import WrongUse
from bringup.faces.cli.journal_warning import say_journal_trouble
from bringup.faces.render.console import Console
from bringup.machine import folders


def add(console: Console, said: Mapping[str, str | None]) -> None:
    """Keep what was said, or what an editor gives back.

    Raises:
        WrongUse: nothing was said and no editor can be opened.
    """
    texts = {name: text.strip() for name, text in said.items() if text is not None and text.strip()}
    fault = texts.get("fault", "")
    if "learned" in texts:
        entry: OwnEntry | None = OwnEntry(LEARNING, today(), texts["learned"])
    elif set(texts) <= {"fault"}:
        entry = _edited(console, fault)
    else:
        title = texts.get("title") or texts.get("symptom") or texts.get("reason", "")
        symptom = texts.get("symptom", "") if "title" in texts else ""
        parts = {name: texts.get(name, "") for name in ("output", "reason", "solution")}
        entry = OwnEntry(DEBUG, today(), title.partition("\n")[0], symptom=symptom, fault=fault, **parts)
    if entry is None:
        console.line("Nothing was filled in, so nothing is kept.")
        return
    warning = add_with_state(folders.our_folders(), entry)
    say_journal_trouble(console, warning)
    if not warning:
        console.line("Kept.")


def _edited(console: Console, fault: str) -> OwnEntry | None:
    if not may_open_editor():
        raise WrongUse(
            "as root no editor is opened",
            hint="Say it by options: bringup log add --symptom ... --reason ...",
        )
    if not console.is_interactive:
        raise WrongUse(
            "there is nothing to keep", hint="Say it by options: bringup log add --symptom ... --reason ..."
        )
    start = template_for(fault)
    text = click.edit(start, extension=".md")
    return None if text is None or text == start else parse_template(text, fault=fault)
