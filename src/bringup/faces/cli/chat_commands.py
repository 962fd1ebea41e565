"""What was typed into the chat: a message for the model or a command for the program."""

from __future__ import annotations

import difflib
import re
from enum import Enum
from typing import Final

from bringup.records import dataclass


class ChatCommand(Enum):
    """Commands of the chat, by their names."""

    HELP = "help"
    SYSTEM = "system"
    CONTEXT = "context"
    CLEAR = "clear"
    SAVE = "save"
    LOAD = "load"
    MODEL = "model"
    THINKING = "thinking"
    QUIT = "quit"


HELP: Final = (
    ("/help", "this list"),
    ("/system [TEXT | none]", "show, set or remove the system prompt"),
    ("/context [TOKENS]", "what fills the context window; with a number: restart with that size"),
    ("/clear", "forget the conversation, keep the system prompt"),
    ("/save [NAME or PATH]", "save the conversation"),
    ("/load [NAME or PATH]", "load a saved one; without a name: list them"),
    ("/model [MODEL]", "show the model, or change it and keep the conversation"),
    ("/thinking [show | hide]", "the last answer's thinking; show or fold it from now on"),
    ("/quit", "leave (also Ctrl-D)"),
    ("", ""),
    ("Enter", "send"),
    ("Alt-Enter, or \\ at the end", "a new line"),
    ("Ctrl-C", "stop the answer; at the prompt: drop the line"),
)
"""What `/help` prints: keys and their meaning."""

_ALIASES: Final = {
    "exit": ChatCommand.QUIT,
    "bye": ChatCommand.QUIT,
    "q": ChatCommand.QUIT,
    "?": ChatCommand.HELP,
}
_NAMES: Final = {command.value: command for command in ChatCommand} | _ALIASES
_COMMAND: Final = re.compile(r"/([A-Za-z?]\w*|\?)?(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Message:
    """Text for the model."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its argument (stripped, may be empty)."""

    command: ChatCommand
    argument: str


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """A slash and a word that is no command; `nearest` may be empty."""

    word: str
    nearest: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """An empty line."""


Typed = Message | Command | UnknownCommand | Nothing


def parse_typed(text: str) -> Typed:
    """Tell commands from messages.

    A command begins with a slash in the first column and has no further slash in its first word, so that
    `/etc/fstab looks odd` is a message; a space in front makes a message of anything.
    """
    if not text.strip():
        return Nothing()
    match = _COMMAND.fullmatch(text.rstrip()) if text.startswith("/") else None
    if match is None:
        return Message(text.strip())
    word = (match.group(1) or "").lower()
    command = _NAMES.get(word)
    if command is None:
        near = difflib.get_close_matches(word, list(_NAMES), n=1)
        return UnknownCommand(f"/{word}", f"/{near[0]}" if near else "")
    return Command(command, (match.group(2) or "").strip())
