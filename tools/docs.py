"""Writes the generated documentation; `--check` compares instead and names the command to run."""

from __future__ import annotations

import difflib
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH_COLUMNS = 100
TABLE_START = "<!-- import table: written by scripts/docs -->"
TABLE_END = "<!-- end of import table -->"


def command_reference() -> str:
    """docs/cli.md: the help of every command, exactly as the program prints it."""
    import click

    from bringup.faces.cli.main import COMMANDS, PROGRAM, cli

    def helped(command: click.Command, name: str, parent: click.Context | None) -> str:
        context = command.make_context(
            name, [], parent=parent, resilient_parsing=True, terminal_width=WIDTH_COLUMNS
        )
        return f"```\n{command.get_help(context)}\n```\n"

    top = cli.make_context(PROGRAM, [], resilient_parsing=True, terminal_width=WIDTH_COLUMNS)
    parts = [
        f"# {PROGRAM} on the command line\n",
        "<!-- Written by scripts/docs from the program's own help; do not edit. -->\n",
        "Exit codes: 0 done, 1 could not be done (the reason is said), 2 wrong use, 3 could not tell,",
        "4 a mistake of ours, 130 interrupted. stdout is the answer, stderr is progress and errors.\n",
        helped(cli, PROGRAM, None),
    ]
    for entry in COMMANDS:
        command = cli.get_command(top, entry.name)
        assert command is not None, f"{entry.name} is listed and cannot be loaded"
        parts += [f"## {PROGRAM} {entry.name}\n", helped(command, entry.name, top)]
        if isinstance(command, click.Group):
            context = command.make_context(entry.name, [], parent=top, resilient_parsing=True)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None, f"{entry.name} {name} is listed and cannot be loaded"
                parts += [f"### {PROGRAM} {entry.name} {name}\n", helped(below, name, context)]
    return "\n".join(parts)


def term_pages() -> str:
    """docs/explain.md: every page of `bringup explain` in the order of learning, without figures."""
    from bringup.actions.explaining.terms_reader import LEVELS, load_terms

    terms = load_terms()
    titles = {term.id: term.title for term in terms}
    parts = [
        "# Terms\n",
        "<!-- Written by scripts/docs from src/bringup/actions/explaining/terms; do not edit. -->\n",
        "`bringup explain TERM` shows each of these with the figures of the machine that it runs on.\n",
    ]
    for level in LEVELS:
        parts.append(f"## {level.capitalize()}\n")
        for term in [one for one in terms if one.level == level]:
            see = ", ".join(titles[name] for name in term.see)
            faults = ", ".join(f"`{name}`" for name in term.faults)
            parts += [f"### {term.title}\n", f"{term.text}\n", f"**Try it.** {term.try_it}\n"]
            if term.look:
                parts.append(f"To see it: `{term.look}`\n")
            if faults:
                parts.append(f"What goes wrong with it: {faults}\n")
            parts.append(f"See also: {see}. Source: <{term.source}>\n")
    return "\n".join(parts)


def import_table(pyproject: str) -> str:
    """The import table of pyproject.toml as Markdown."""
    imports: dict[str, list[str]] = tomllib.loads(pyproject)["tool"]["bringup"]["architecture"]["imports"]
    rows = ["| package | may import |", "| --- | --- |"]
    for package, allowed in imports.items():
        if (ROOT / "src/bringup" / package).is_dir():
            shown = ", ".join(f"`{name}`" for name in allowed) or "nothing of ours"
            rows.append(f"| `{package}/` | {shown} |")
    return "\n".join(rows)


def with_table(text: str, table: str) -> str:
    """A hand-written page with the table between its two marks replaced."""
    before, _, rest = text.partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    return f"{before}{TABLE_START}\n{table}\n{TABLE_END}{after}"


def generate() -> dict[Path, str]:
    """Every generated file and the text that it should have."""
    contributing = ROOT / "CONTRIBUTING.md"
    table = import_table((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        ROOT / "docs/cli.md": command_reference(),
        ROOT / "docs/explain.md": term_pages(),
        contributing: with_table(contributing.read_text(encoding="utf-8"), table),
    }


def main(arguments: list[str]) -> int:
    """0 when all is written or up to date; 1 and a difference when `--check` finds a stale file."""
    stale = 0
    for path, wanted in generate().items():
        there = path.read_text(encoding="utf-8") if path.is_file() else ""
        if there == wanted:
            continue
        name = str(path.relative_to(ROOT))
        if "--check" in arguments:
            stale += 1
            difference = difflib.unified_diff(
                there.splitlines(), wanted.splitlines(), name, "generated", lineterm=""
            )
            print("\n".join(list(difference)[:40]), file=sys.stderr)
            print(f"{name} is stale; run: scripts/docs", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
