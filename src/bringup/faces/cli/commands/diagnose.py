"""`bringup diagnose`: the cause behind pasted output."""

from __future__ import annotations

import click


@click.command(name="diagnose", short_help="Find the cause behind pasted output.")
@click.argument("file", default="-", metavar="[FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, file: str, *, as_json: bool) -> int:
    """Read what programs printed, from FILE or standard input, and name the cause.

    Any length and mixture: terminal scrollback, nvidia-smi, dmesg, dkms, apt, cmake, nvcc, docker,
    llama-server, ollama, Python. Exit code: 0 nothing found, 1 faults.
    """
    from bringup.actions.diagnosis.doctor import examine_text
    from bringup.faces.cli.examination import read_paste, show_examination

    text, subject = read_paste(context.obj, file)
    return show_examination(context.obj, examine_text(text, subject=subject), as_json=as_json)
