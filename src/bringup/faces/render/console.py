"""The one place that writes to the terminal: it decides colour, width, redrawing, and cleans all text.

stdout is the answer, stderr is everything else (notes, progress, questions). No other module of the
faces prints. Text is cleaned here whether or not its maker did, and only the styles below and
the status line add escape sequences of our own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Final, TextIO

from bringup.errors import FileTrouble, WrongUse
from bringup.faces.render.clean import Cleaner, clean
from bringup.faces.render.format import truncate
from bringup.faces.render.sentences import lay_out
from bringup.machine import terminal
from bringup.records import dataclass

READING_COLUMNS: Final = 78
"""How wide sentences run where a terminal is wider than that."""

OUTPUT_FAILED: Final = "output-failed"
"""Reference of the error for an output that cannot be written."""

_ERASE_LINE = "\r\x1b[K"
_RESET = "\x1b[0m"


class Style(Enum):
    """How a piece of a line looks; the value is its SGR code."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    ITALIC = "3"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    BLUE = "34"
    MAGENTA = "35"
    CYAN = "36"


@dataclass(frozen=True, slots=True)
class Styled:
    """A piece of text with its look; without colour the text stands alone."""

    text: str
    style: Style


class Reply(Enum):
    """What a person said to a question that only a typed `yes` answers."""

    YES = "yes"
    NO = "no"
    END = "end"
    """No more answers: the end of input."""


class OutputClosed(Exception):
    """Nobody reads our output any more (`| head` has enough): end quietly."""


class Console:
    """Output and questions of one command.

    A stream that is `None` (closed before we started, as by `>&-`) swallows what is written to it.
    """

    def __init__(self, *, stdin: TextIO | None, stdout: TextIO | None, stderr: TextIO | None) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._has_status = False
        self._answer_cleaner = Cleaner()

    @classmethod
    def of_process(cls) -> Console:
        """The process's own streams, made to write `?` for what their encoding lacks."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        return cls(stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)

    @property
    def answer_terminal(self) -> terminal.Terminal:
        """What stdout can show now."""
        return terminal.look_at_terminal(self.stdout)

    @property
    def reading_columns(self) -> int:
        """How wide sentences of the answer may run."""
        return min(READING_COLUMNS, self.answer_terminal.width_columns)

    @property
    def note_terminal(self) -> terminal.Terminal:
        """What stderr can show now."""
        return terminal.look_at_terminal(self.stderr)

    @property
    def is_interactive(self) -> bool:
        """Whether a person can type to us and see what we ask: stdin and stdout are terminals."""
        return terminal.is_a_terminal(self.stdin) and terminal.is_a_terminal(self.stdout)

    @property
    def can_ask(self) -> bool:
        """Whether a question would be seen and could be answered: stdin and stderr are terminals."""
        return terminal.is_a_terminal(self.stdin) and self.note_terminal.is_terminal

    def can_show(self, characters: str) -> bool:
        """Whether stdout's encoding has these characters."""
        try:
            characters.encode(getattr(self.stdout, "encoding", None) or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    # The answer, to stdout.

    def answer(self, *pieces: str | Styled) -> None:
        """One line (or block) of the answer."""
        self.end_status()
        self._write(self.stdout, self._draw(pieces, self.answer_terminal) + "\n")

    def answer_lines(self, lines: Iterable[Sequence[str | Styled]]) -> None:
        """Many lines of the answer at once: stdout is looked at, and written to, once."""
        self.end_status()
        shown = self.answer_terminal
        self._write(self.stdout, "".join(self._draw(pieces, shown) + "\n" for pieces in lines))

    def answer_piece(self, *pieces: str | Styled) -> None:
        """Further pieces of a streamed answer, no line end added; sequences split over pieces are caught."""
        self.end_status()
        colour = self.answer_terminal.can_colour
        drawn = (_piece(piece, self._answer_cleaner, colour=colour) for piece in pieces)
        self._write(self.stdout, "".join(drawn))

    def answer_pieces(self, *pieces: str | Styled) -> None:
        """Further pieces of a streamed answer with looks; text cut from a stream must be clean already."""
        self.end_status()
        self._write(self.stdout, self._draw(pieces, self.answer_terminal))

    def answer_json(self, value: object) -> None:
        """One JSON document, ASCII only, so that nothing in it can drive a terminal."""
        self.end_status()
        self._write(self.stdout, json.dumps(value, ensure_ascii=True, indent=2) + "\n")

    def answer_bytes(self, data: bytes) -> None:
        """A file as the answer, byte for byte; never to be given to a terminal."""
        self.end_status()
        if self.stdout is None:
            return
        try:
            self.stdout.flush()
            self.stdout.buffer.write(data)
            self.stdout.buffer.flush()
        except BrokenPipeError as problem:
            raise OutputClosed from problem
        except OSError as problem:
            raise output_trouble(problem) from problem

    # Everything else, to stderr.

    def line(self, *pieces: str | Styled) -> None:
        """One line (or block) beside the answer: a note, a warning, what is being done."""
        self.end_status()
        self._write(self.stderr, self._draw(pieces, self.note_terminal) + "\n")

    def note(self, text: str, style: Style = Style.PLAIN, *, lead: str = "") -> None:
        """A sentence beside the answer, laid out for the terminal; a lead has the style if there is one."""
        shown = self.note_terminal
        laid = lay_out(text, len(lead), shown.width_columns if shown.is_terminal else None)
        self.line(*((Styled(lead, style), laid) if lead else (Styled(laid, style),)))

    def status(self, text: str) -> None:
        """Show one line of progress in place of the one before; nothing at all where it cannot be redrawn."""
        shown = self.note_terminal
        if not shown.can_redraw:
            return
        line = truncate(clean(text, keep_newlines=False), shown.width_columns - 1)
        self._write(self.stderr, _ERASE_LINE + line)
        self._has_status = True

    def end_status(self) -> None:
        """Take the progress line away; nothing to do where none is shown."""
        if self._has_status:
            self._has_status = False
            self._write(self.stderr, _ERASE_LINE)

    def hidden_typing(self) -> AbstractContextManager[None]:
        """While it lasts, what a person types is not shown; it stays to be read."""
        return terminal.hidden_typing(self.stdin)

    def forget_typed(self) -> None:
        """Throw away what was typed before a question that could not be foreseen."""
        terminal.forget_typed(self.stdin)

    def confirm(self, question: str) -> bool:
        """Whether a person at a terminal typed y or yes; no terminal, no answer or anything else is a no."""
        if self.stdin is None or not self.can_ask:
            return False
        self.end_status()
        self.forget_typed()
        self._write(self.stderr, clean(question, keep_newlines=False) + " [y/N] ")
        return self.stdin.readline().strip().lower() in ("y", "yes")

    def agrees(self, question: str, *, done: str) -> bool:
        """As `confirm`, for what `--yes` says too; a no is told with what was not `done` (`removed`).

        Raises:
            WrongUse: nobody can be asked.
        """
        if not self.can_ask:
            raise WrongUse(
                f"without a terminal nobody can say yes, so nothing was {done}",
                hint="--yes says it.",
                reference="no-terminal",
            )
        agreed = self.confirm(question)
        if not agreed:
            self.line(f"Nothing was {done}.")
        return agreed

    def ask_typed_yes(self, question: str) -> Reply:
        """Ask what only the word yes, typed after the question stands there, answers; a paste is a no.

        Without a terminal for the question and the answer the reply is the end of input.
        """
        if self.stdin is None or not terminal.is_a_terminal(self.stdin) or not self.note_terminal.is_terminal:
            return Reply.END
        self.end_status()
        marks = (terminal.MARK_PASTES, terminal.LEAVE_PASTES) if self.note_terminal.can_redraw else ("", "")
        self.forget_typed()
        self._write(self.stderr, marks[0] + clean(question, keep_newlines=False) + " ")
        line = terminal.read_typed_line(self.stdin)
        self._write(self.stderr, marks[1] + ("" if line is not None else "\n"))
        if line is None:
            return Reply.END
        return Reply.YES if line.strip().lower() == "yes" else Reply.NO

    def flush(self) -> None:
        """Bring out what is buffered.

        Raises:
            OutputClosed: nobody reads it any more.
            FileTrouble: it cannot be written (a full disk).
        """
        self._write(self.stdout, "")
        self._write(self.stderr, "")

    def _draw(self, pieces: Sequence[str | Styled], shown: terminal.Terminal) -> str:
        return "".join(_piece(piece, Cleaner(), colour=shown.can_colour) for piece in pieces)

    def _write(self, stream: TextIO | None, text: str) -> None:
        if stream is None:
            return
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError as problem:
            raise OutputClosed from problem
        except OSError as problem:
            raise output_trouble(problem) from problem


def output_trouble(problem: OSError) -> FileTrouble:
    """The error for an output that cannot be written (a full disk)."""
    reason = problem.strerror or str(problem)
    return FileTrouble(f"could not write the output: {reason}", reference=OUTPUT_FAILED)


def _piece(piece: str | Styled, cleaner: Cleaner, *, colour: bool) -> str:
    if isinstance(piece, str):
        return cleaner.feed(piece)
    text = cleaner.feed(piece.text)
    if not colour or piece.style is Style.PLAIN or not text:
        return text
    return f"\x1b[{piece.style.value}m{text}{_RESET}"
