"""The command line's frame: which commands there are, and what every way out of one looks like."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from bringup import __version__
from bringup.errors import BringupError, WrongUse
from bringup.faces.render.clean import clean
from bringup.faces.render.console import OUTPUT_FAILED, Console, OutputClosed, Style, Styled, output_trouble
from bringup.faces.render.errors import render_error
from bringup.faces.render.format import truncate
from bringup.machine import folders, terminal
from bringup.records import dataclass

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM: Final = "bringup"
_COMMANDS_PACKAGE: Final = "bringup.faces.cli.commands"
COMPLETION_VARIABLE: Final = "_BRINGUP_COMPLETE"
_LEAST_HELP_COLUMNS: Final = 52
"""On a narrower terminal click would write its help for this width."""
EXIT_CRASH: Final = 4
EXIT_INTERRUPTED: Final = 130
EXIT_OUTPUT_CLOSED: Final = 141


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command known by name; its module is imported when it is called, not before.

    Attributes:
        name: as it is typed.
        help: one line.
        module: where `command` stands; empty for the module of the same name among ours.
    """

    name: str
    help: str
    module: str = ""


COMMANDS: Final = (
    CommandEntry("run", "Chat with a model, or get one answer."),
    CommandEntry("serve", "Serve a model as an OpenAI-compatible API."),
    CommandEntry("setup", "Get the right llama.cpp for this machine and prove it."),
    CommandEntry("ps", "List the running engines."),
    CommandEntry("stop", "Stop a running engine."),
    CommandEntry("logs", "Show what an engine wrote to its log."),
    CommandEntry("top", "Watch cards, memory and engines live."),
    CommandEntry("plan", "Say what fits, what it costs and how fast it will be."),
    CommandEntry("web", "Show the stack, memory and engines in a browser."),
    CommandEntry("pull", "Fetch a model and verify it."),
    CommandEntry("models", "List the models on this machine."),
    CommandEntry("show", "Show what is in a model file."),
    CommandEntry("prompt", "Show what a model is really sent for a text."),
    CommandEntry("doctor", "Find the one root cause, its reason and its cure."),
    CommandEntry("diagnose", "Find the cause behind pasted output."),
    CommandEntry("fix", "Walk through a fault's steps: show, ask, run, verify."),
    CommandEntry("faults", "List the faults that the doctor knows, or show one."),
    CommandEntry("snapshot", "Write what the doctor read, redacted, to one file."),
    CommandEntry("log", "Show what happened on this machine, and what changed since it worked."),
    CommandEntry("watch", "Keep the log without holes; hooks that tell after an upgrade."),
    CommandEntry("explain", "Explain a term with this machine's own figures."),
    CommandEntry("learn", "Keep notes beside the terms."),
    CommandEntry("completion", "Print a shell completion script."),
)


class LazyGroup(click.Group):
    """A group whose commands are data until one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table, which is the order of a first day."""
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        for entry in COMMANDS:
            if entry.name == cmd_name:
                module = entry.module or f"{_COMMANDS_PACKAGE}.{entry.name}"
                command: click.Command = importlib.import_module(module).command
                return command
        return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table, or one of the group's own options."""
        from click.shell_completion import CompletionItem

        near = [entry for entry in COMMANDS if entry.name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(entry.name, help=entry.help) for entry in near] + options

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.help) for entry in COMMANDS])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is told with the nearest ones."""
        if args and not ctx.resilient_parsing and args[0] not in self.list_commands(ctx):
            raise _unknown_command(args[0])
        return super().resolve_command(ctx, args)


def _unknown_command(name: str) -> WrongUse:
    from difflib import get_close_matches

    shown = truncate(clean(name, keep_newlines=False), 60) or "''"
    near = get_close_matches(name.lower(), [entry.name for entry in COMMANDS], n=2, cutoff=0.6)
    if any(sign in name for sign in "/:.") or any(character.isdigit() for character in name):
        hint = f"To chat with a model: {PROGRAM} run {shown}"
    elif near:
        hint = f"Did you mean {' or '.join(near)}?"
    else:
        hint = f"{PROGRAM} --help lists the commands."
    return WrongUse(f"no such command: {shown}", hint=hint, reference="unknown-command")


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> int | None:
    """Bring up a local LLM on your own machine, and know why when it won't.

    Without a command: this machine's stack on one screen, bottom up, and the next step.
    """
    if context.invoked_subcommand is not None:
        return None
    from bringup.faces.cli.overview import show_stack

    return show_stack(context.obj)


def run(arguments: Sequence[str], *, console: Console | None = None) -> int:
    """Run one command line; its exit code.

    0 done, 1 could not be done, 2 wrong use, 3 could not tell, 4 a mistake of ours, 130 interrupted,
    141 nobody reads the output any more. Commands get the console as click's context object.
    """
    console = console or Console.of_process()
    code = _guarded(arguments, console)
    return _flushed(console) or code


def _guarded(arguments: Sequence[str], console: Console) -> int:
    """The guard around a command: everything that can come out of one becomes words and an exit code."""
    try:
        return _invoke(arguments, console)
    except click.exceptions.Exit as way_out:
        return way_out.exit_code
    except SystemExit as way_out:
        return way_out.code if isinstance(way_out.code, int) else int(way_out.code is not None)
    except (KeyboardInterrupt, click.Abort):
        console.end_status()
        return EXIT_INTERRUPTED
    except click.ClickException as problem:
        _show(console, _translated(problem))
        return problem.exit_code
    except BringupError as problem:
        if problem.reference == OUTPUT_FAILED:
            terminal.silence(console.stdout)
        _show(console, problem)
        return problem.exit_code
    except OutputClosed:
        return _silence(console)
    except Exception as problem:  # noqa: BLE001 - the outermost guard: nothing leaves it as a bare traceback
        if isinstance(problem, OSError) and _was_clicks_own_writing(problem):
            return _output_failed(console, problem)
        _show_crash(console, problem)
        return EXIT_CRASH


def _invoke(arguments: Sequence[str], console: Console) -> int:
    instruction = folders.variable(COMPLETION_VARIABLE)
    if instruction is not None:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    if not all(map(_is_text, arguments)):
        from bringup.actions.arguments import refuse_bytes

        refuse_bytes(arguments)
    columns = console.answer_terminal.width_columns
    narrow = max(columns - 1, 20) if columns < _LEAST_HELP_COLUMNS else None
    with cli.make_context(PROGRAM, list(arguments), obj=console, terminal_width=narrow) as context:
        answer = cli.invoke(context)
    return answer if isinstance(answer, int) else 0


def _is_text(argument: str) -> bool:
    """Whether all its bytes could be decoded; those that could not came as halves of characters."""
    return argument.isascii() or not any("\ud800" <= character <= "\udfff" for character in argument)


def _translated(problem: click.ClickException) -> WrongUse:
    """A usage error of click in the shape of ours."""
    near = getattr(problem, "possibilities", None)
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        return _command_missing(problem)
    message = (problem.message if near else problem.format_message()).strip().rstrip(".")
    message = re.sub(r"\. Choose from:\s+", ": ", message)
    message = " ".join(message.split())
    message = re.sub(r"(?:a )?valid (?:integer|float)(?: range)?$", "a number", message)
    context = getattr(problem, "ctx", None)
    hint = ""
    usage: tuple[str, ...] = ()
    if context is not None:
        usage = (" ".join(context.get_usage().split()).replace("Usage:", "usage:", 1),)
        hint = f"{context.command_path} --help says what it takes."
    if near:
        hint = f"Did you mean {' or '.join(sorted(near)[:3])}?"
    return WrongUse(message[:1].lower() + message[1:], context=usage, hint=hint)


def _command_missing(problem: click.exceptions.NoArgsIsHelpError) -> WrongUse:
    """A group of commands was called without one."""
    context = problem.ctx
    group = context.command
    names = group.list_commands(context) if isinstance(group, click.Group) else []
    return WrongUse(
        f"{context.command_path} wants a command: {', '.join(names)}",
        hint=f"{context.command_path} --help says what it takes.",
    )


def _show(console: Console, problem: BringupError) -> None:
    try:
        for line in render_error(problem, console.note_terminal):
            console.line(*line)
    except (OutputClosed, BringupError):
        terminal.silence(console.stderr)


def _show_crash(console: Console, problem: BaseException) -> None:
    from bringup.actions.crash_report import CrashReport, report_crash

    try:
        report = report_crash(problem)
    except Exception as second:  # noqa: BLE001 - the guard's own last one: what broke the command may break its report
        report = CrashReport(
            type(problem).__name__, "", None, f"could not be written: {type(second).__name__}"
        )
    if report.path is not None:
        where = f"the traceback is in {report.path}"
        hint = "A report of it with that file helps; it holds neither your key nor your home's path."
    else:
        place = f"at {report.where}; " if report.where else ""
        where = f"{place}the traceback {report.problem}"
        hint = "A report of it with these lines helps."
    try:
        console.line(Styled("error:", Style.RED), f" {PROGRAM} itself failed: {report.summary}")
        console.line(f"  {where}")
        console.line(Styled("hint:", Style.CYAN), f" {hint}")
        console.line(Styled("[crash]", Style.DIM))
    except (OutputClosed, BringupError):
        terminal.silence(console.stderr)


def _flushed(console: Console) -> int:
    """0 where all output is out; otherwise the exit code, said once, and nothing more is tried."""
    try:
        console.flush()
    except OutputClosed:
        return _silence(console)
    except BringupError as problem:
        terminal.silence(console.stdout)
        _show(console, problem)
        return problem.exit_code
    return 0


def _was_clicks_own_writing(problem: OSError) -> bool:
    """Whether click's echo failed: help and version texts go to stdout without the console."""
    step = problem.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and str(step.tb_frame.f_globals.get("__name__")) == "click.utils"


def _output_failed(console: Console, problem: OSError) -> int:
    if isinstance(problem, BrokenPipeError):
        return _silence(console)
    terminal.silence(console.stdout)
    trouble = output_trouble(problem)
    _show(console, trouble)
    return trouble.exit_code


def _silence(console: Console) -> int:
    terminal.silence(console.stdout)
    return EXIT_OUTPUT_CLOSED
