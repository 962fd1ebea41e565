"""Errors that a person sees: one tree.

    BringupError                 every error of ours; carries its exit code
    |-- WrongUse                 exit 2: the command was typed wrong (name, option, port, path)
    |   `-- UnknownCard          no card, or more than one, is known under the name that was typed
    |-- Failure                  exit 1: rightly asked, could not be done, and we know why
    |   |-- FileTrouble          a file of the user's machine cannot be read or written (rights, disk full)
    |   |-- ModelFileError       the model file is not what it should be
    |   |   `-- GgufError        a GGUF header is wrong at one offset
    |   |-- DownloadError        a model could not be fetched whole and verified
    |   |-- DoesNotFit           the model needs more memory than there is
    |   `-- EngineError          the engine did not start, answered wrong or died
    `-- CannotTell               exit 3: the look that would decide was not possible

Each has a kebab-case `reference`, a one-line message, context lines (what was seen, where, what was
expected) and a hint (what to do next). A traceback is for our own mistakes only.
"""

from __future__ import annotations

from typing import ClassVar


class BringupError(Exception):
    """An error for people: what happened, where, what was expected, what to do.

    Attributes:
        reference: kebab-case name of the kind of error; stable, printed last and usable as a search term.
        message: one line, without a full stop at the end where it names a file.
        context: further lines: where it happened, what was found, what was expected.
        hint: the next step for the user; empty where there is none.
        exit_code: what the command exits with.
    """

    exit_code: ClassVar[int] = 1
    default_reference: ClassVar[str] = "failure"

    def __init__(
        self,
        message: str,
        *,
        context: tuple[str, ...] = (),
        hint: str = "",
        reference: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.context = context
        self.hint = hint
        self.reference = reference or self.default_reference


class WrongUse(BringupError):
    """The command line cannot be followed as typed."""

    exit_code = 2
    default_reference = "wrong-use"


class UnknownCard(WrongUse):
    """No card, or more than one, is known under the name that was typed; the hint lists the near ones."""

    default_reference = "unknown-card"


class Failure(BringupError):
    """A rightly asked thing that could not be done, with a known reason."""


class FileTrouble(Failure):
    """A file or folder of the user's machine could not be read or written."""

    default_reference = "file-trouble"


class ModelFileError(Failure):
    """A file that should hold a model does not, or not a whole one."""

    default_reference = "model-file"


class GgufError(ModelFileError):
    """A GGUF header that breaks the format.

    Attributes:
        source: name of the file, URL or buffer.
        offset_bytes: where in it the reader stood.
        expected: what the format wants there.
        found: what is there.
    """

    default_reference = "gguf-damaged"

    def __init__(
        self,
        *,
        source: str,
        offset_bytes: int,
        expected: str,
        found: str,
        hint: str = "",
        reference: str = "",
    ) -> None:
        super().__init__(
            f"{source}: not a sound GGUF file at byte {offset_bytes:,}",
            context=(f"expected: {expected}", f"found: {found}"),
            hint=hint or "Fetch the file again; if its checksum is right, its maker has to mend it.",
            reference=reference,
        )
        self.source = source
        self.offset_bytes = offset_bytes
        self.expected = expected
        self.found = found


class DownloadError(Failure):
    """A file could not be fetched whole and verified; what was fetched is kept for the next try."""

    default_reference = "download-failed"


class DoesNotFit(Failure):
    """The model needs more memory than this machine has free."""

    default_reference = "does-not-fit"


class EngineError(Failure):
    """The engine did not start, answered something unexpected, or ended."""

    default_reference = "engine-failed"


class CannotTell(BringupError):
    """The look that would decide was not possible; `hint` says which look that is."""

    exit_code = 3
    default_reference = "cannot-tell"
