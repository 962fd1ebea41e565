"""An engine that can be started: which one it is and what it knows."""

from __future__ import annotations

from enum import Enum

from bringup.engine.command import EngineSettings, arguments, parameters
from bringup.engine.help_text import HelpText, parse_help
from bringup.errors import EngineError
from bringup.machine.commands import run_bounded
from bringup.machine.process import python_argv
from bringup.records import dataclass

_HELP_TIMEOUT_S = 20.0


class EngineKind(Enum):
    """The two ways to have llama.cpp."""

    EMBEDDED = "embedded"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """One engine of this machine.

    Attributes:
        kind: see `EngineKind`.
        path: the program; for the embedded engine the folder of its Python package.
        version: as it says itself, such as `b6325` or `2026.10.11549`; empty when it does not say.
        origin: where it was found, in words: `PATH`, `configuration`, `our build`, `Python package`.
        site: folder that an embedded engine's package is taken from; empty for the one beside bringup.
        backend: what a wheel of ours was proved to compute on; empty for all other engines.
    """

    kind: EngineKind
    path: str
    version: str
    origin: str
    site: str = ""
    backend: str = ""

    @property
    def is_external(self) -> bool:
        """Whether it is a program of its own."""
        return self.kind is EngineKind.EXTERNAL

    @property
    def number(self) -> int | None:
        """Number of the llama.cpp build, 6325 of `b6325`; `None` where it says none."""
        digits = self.version.removeprefix("b")
        return int(digits) if self.version.startswith("b") and digits.isdecimal() else None


@dataclass(frozen=True, slots=True)
class StartLine:
    """What is run: argv, and the text on its stdin."""

    argv: tuple[str, ...]
    stdin: str


def read_options(build: EngineBuild, *, environment: dict[str, str]) -> HelpText:
    """Options of an external build, asked of its own `--help`.

    Raises:
        EngineError: it does not run or prints no help.
    """
    text = run_bounded((build.path, "--help"), environment=environment, timeout_s=_HELP_TIMEOUT_S)
    known = parse_help(text or "")
    if not known.has("--model"):
        raise EngineError(
            f"{build.path} does not answer --help as a llama-server does",
            hint=f"Run it by hand to see why: {build.path} --help",
            reference="engine-not-usable",
        )
    return known


def start_line(
    build: EngineBuild,
    settings: EngineSettings,
    *,
    environment: dict[str, str],
    known: HelpText | None = None,
) -> StartLine:
    """The command that starts this build with these settings.

    Args:
        build: the engine.
        settings: what with.
        environment: its whole environment.
        known: options of an external build, where it was asked already.

    Raises:
        EngineError, WrongUse: as `arguments` and `parameters`.
    """
    if build.is_external:
        known = known or read_options(build, environment=environment)
        return StartLine((build.path, *arguments(settings, known)), "")
    import json

    return StartLine(embedded_argv(build), json.dumps(parameters(settings)))


def embedded_argv(build: EngineBuild | None = None, *words: str) -> tuple[str, ...]:
    """What the embedded engine's process is run with; all else it reads from its stdin.

    `None` is the engine beside bringup. Words make it answer a question instead.
    """
    site = ("--site", build.site) if build is not None and build.site else ()
    return python_argv("bringup.engine.embedded", *site, *words)
