"""What a shell may complete an argument with: models, running engines, terms. The network is not asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_model(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Short names and the models on this disk; files where a path was begun."""
    from click.shell_completion import CompletionItem

    if incomplete.startswith(("/", ".", "~")):
        return [CompletionItem(incomplete, type="file")]
    from bringup.actions.models.on_disk import list_catalogue, list_models

    names = {entry.name: "a short name" for entry in list_catalogue()}
    names.update((model.name, "on this disk") for model in list_models().survey.models)
    wanted = incomplete.lower()
    near = [
        CompletionItem(name, help=what) for name, what in names.items() if name.lower().startswith(wanted)
    ]
    return near or [CompletionItem(incomplete, type="file")]


def complete_engine(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ports of the engines that run, each with its model."""
    from click.shell_completion import CompletionItem

    from bringup.actions.running.engines import engine_ports
    from bringup.machine.folders import our_folders

    ports = engine_ports(our_folders())
    return [CompletionItem(port, help=alias) for port, alias in ports if port.startswith(incomplete)]


def complete_term(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Terms by the name of their page."""
    from click.shell_completion import CompletionItem

    from bringup.actions.explaining.terms_reader import load_terms

    wanted = incomplete.lower()
    return [CompletionItem(term.id, help=term.title) for term in load_terms() if term.id.startswith(wanted)]
