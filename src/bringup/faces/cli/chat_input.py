"""The line editor of the chat: history, several lines, paste; loaded only where a person types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

_PROMPT: Final = "> "
_CONTINUED: Final = "… "


class ChatInput(Protocol):
    """Where the chat's lines come from."""

    def read(self) -> str:
        """One message or command, possibly of several lines.

        Raises:
            EOFError: the person leaves (Ctrl-D, a closed terminal).
            KeyboardInterrupt: Ctrl-C; what was typed is dropped.
        """

    def choose(self, question: str, keys: str) -> str:
        """One of the letters in `keys`; the last of them when the person types none of them or leaves."""


class TerminalInput:
    """A person at a terminal, through prompt_toolkit."""

    def __init__(self, history_file: str, *, colour: bool) -> None:
        """Lines are kept in `history_file`, which is there already and readable by its owner only."""
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import FileHistory
        from prompt_toolkit.output import ColorDepth

        self._depth = None if colour else ColorDepth.MONOCHROME
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(history_file),
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation=lambda width, number, is_soft: "" if is_soft else _CONTINUED,  # noqa: ARG005
            color_depth=self._depth,
            enable_open_in_editor=False,
        )

    def read(self) -> str:
        """See `ChatInput.read`."""
        return self._session.prompt(_PROMPT)

    def choose(self, question: str, keys: str) -> str:
        """See `ChatInput.choose`."""
        from prompt_toolkit import prompt

        while True:
            try:
                typed = prompt(question, color_depth=self._depth).strip().lower()
            except (EOFError, KeyboardInterrupt):
                return keys[-1]
            if typed[:1] and typed[:1] in keys:
                return typed[:1]


def _keys() -> KeyBindings:
    """Enter sends; Alt-Enter, or a backslash at the end, makes a new line; a paste keeps its own."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def send_or_go_on(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end:
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
