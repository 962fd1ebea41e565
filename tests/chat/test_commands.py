"""What was typed: commands, messages that only look like commands, near misses."""

from __future__ import annotations

import pytest

from bringup.faces.cli.chat_commands import (
    HELP,
    ChatCommand,
    Command,
    Message,
    Nothing,
    Typed,
    UnknownCommand,
    parse_typed,
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", Nothing()),
        (" \n ", Nothing()),
        ("hello", Message("hello")),
        ("two\nlines\n", Message("two\nlines")),
        ("/help", Command(ChatCommand.HELP, "")),
        ("/?", Command(ChatCommand.HELP, "")),
        ("/QUIT", Command(ChatCommand.QUIT, "")),
        ("/exit", Command(ChatCommand.QUIT, "")),
        ("/system  You are\nterse. ", Command(ChatCommand.SYSTEM, "You are\nterse.")),
        ("/save my talk", Command(ChatCommand.SAVE, "my talk")),
        ("/load /srv/talk.json", Command(ChatCommand.LOAD, "/srv/talk.json")),
        ("/etc/fstab looks odd", Message("/etc/fstab looks odd")),
        (" /help is not a command here", Message("/help is not a command here")),
        ("/contxt 4k", UnknownCommand("/contxt", "/context")),
        ("/zzzzzz", UnknownCommand("/zzzzzz", "")),
        ("/", UnknownCommand("/", "")),
        ("/ what", UnknownCommand("/", "")),
        ("1/2", Message("1/2")),
    ],
)
def test_typed(text: str, meant: Typed) -> None:
    assert parse_typed(text) == meant


def test_help_lists_every_command_once() -> None:
    listed = [keys.split()[0] for keys, _ in HELP if keys.startswith("/")]
    assert listed == [f"/{command.value}" for command in ChatCommand]
