"""Options that several commands share, and values as people type them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bringup.units import parse_tokens

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])


class TokenCount(click.ParamType[int]):
    """A number of tokens: `8192` or `8k`."""

    name = "TOKENS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read it; click shows the `ValueError`'s words."""
        if isinstance(value, int):
            return value
        try:
            return parse_tokens(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class FiniteRange(click.FloatRange):
    """A range of numbers that `nan` is not in: click compares, and it is neither above nor below."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Read it."""
        number: float = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def complete_fault(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ids of faults that begin so, each with its title."""
    from click.shell_completion import CompletionItem

    from bringup.actions.diagnosis.faults import list_faults

    wanted = incomplete.lower()
    return [CompletionItem(one.id, help=one.title) for one in list_faults() if one.id.startswith(wanted)]


_ENGINE_OPTIONS = (
    click.option(
        "--ctx-size", type=TokenCount(), help="Context window in tokens (8192, 8k); 0: the trained one."
    ),
    click.option("--engine", help="embedded, external, or the path of a llama-server or its folder."),
    click.option(
        "--reasoning",
        type=click.Choice(["low", "medium", "high"]),
        help="How much the model thinks, where its template knows it (gpt-oss).",
    ),
    click.option("--threads", type=click.IntRange(1, 4096), help="Threads of the engine."),
    click.option("--port", type=click.IntRange(1, 65535), help="Port of the engine."),
    click.option("--explain", is_flag=True, help="Show the plan that is followed, and why."),
    click.option(
        "--keep-engine-environment", is_flag=True, help="Honour inherited LLAMA_* and GGML_* variables."
    ),
)


def engine_options(command: Command) -> Command:
    """Add the options that say what an engine is started with."""
    for option in reversed(_ENGINE_OPTIONS):
        command = option(command)
    return command
