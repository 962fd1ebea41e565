"""Which engines this machine has. Looking runs nothing but `llama-server --version`."""

from __future__ import annotations

import importlib.util
import re
from typing import Final

from bringup.engine.build import EngineBuild, EngineKind
from bringup.errors import EngineError
from bringup.machine import files, paths
from bringup.machine.protocol import FileKind, Machine
from bringup.reading import Known, parse_json
from bringup.units import KIB

PROGRAM: Final = "llama-server"
PACKAGE: Final = "xllamacpp"
SITE: Final = "site"
"""Folder of a wheel's files in its build."""
_VERSION_TIMEOUT_S: Final = 10.0

# `version: 6325 (4fd1242b)`; since 2026 also `version: 0.6.0-dev (build 11434, commit 4fd1242b)`
_BUILD = re.compile(r"version: (?:(?P<number>\d+) \(|\S+ \(build (?P<build>\d+),)")
_ANY_VERSION = re.compile(r"version: (?P<text>[^\s(]{1,40})")


def find_engines(
    machine: Machine, *, configured_path: str | None, builds_folder: str
) -> tuple[EngineBuild, ...]:
    """All engines, the one to be preferred first.

    Order: the one of the configuration, our current build, `llama-server` on PATH, the Python package. A
    program that the user put on PATH comes before the package: it may well be built for
    the card.

    Args:
        machine: whose PATH and files are looked at.
        configured_path: a llama-server or the folder that holds it, from the configuration.
        builds_folder: where our builds lie, one folder each, beside a file that names the current one.
    """
    programs = find_programs(machine, configured_path=configured_path, builds_folder=builds_folder)
    found = [
        EngineBuild(EngineKind.EXTERNAL, program, read_version(machine, program), origin)
        for program, origin in programs.items()
    ]
    wheel = find_wheel(machine, builds_folder)
    if wheel is not None:
        found.insert(1 if found and found[0].origin == "configuration" else 0, wheel)
    embedded = find_embedded()
    return (*found, *((embedded,) if embedded else ()))


def find_programs(machine: Machine, *, configured_path: str | None, builds_folder: str) -> dict[str, str]:
    """The llama-servers of this machine and where each was found, as `find_engines`; nothing is run."""
    places: list[tuple[str, str]] = []
    if configured_path:
        places.append((paths.absolute(configured_path), "configuration"))
    current = _current_build(machine, builds_folder)
    if current is not None:
        places.append((current, "our build"))
    variable = machine.environment("PATH")
    if isinstance(variable, Known):
        places += [(folder, "PATH") for folder in variable.value.split(":") if folder.startswith("/")]
    found: dict[str, str] = {}
    for place, origin in places:
        program = _program_at(machine, place)
        if program is not None and program not in found:
            found[program] = origin
    return found


def _current_build(machine: Machine, builds_folder: str) -> str | None:
    current = machine.read_text(paths.join(builds_folder, "current"), limit_bytes=4096)
    name = current.value.strip() if isinstance(current, Known) else ""
    return paths.join_foreign(builds_folder, name) if name else None


def find_wheel(machine: Machine, builds_folder: str) -> EngineBuild | None:
    """Our current build, where it is a wheel."""
    current = _current_build(machine, builds_folder)
    return None if current is None else wheel_at(machine, current)


def wheel_at(machine: Machine, folder: str) -> EngineBuild | None:
    """The engine of a build of ours that is a wheel; `None` where its record says otherwise or is none."""
    record = machine.read_text(paths.join(folder, "build.json"), limit_bytes=64 * KIB)
    if not isinstance(record, Known):
        return None

    try:
        said = parse_json(record.value)
        is_wheel, backend = said["method"] == "wheel", str(said["backend"])
    except (ValueError, KeyError, TypeError):
        return None
    return wheel_engine(paths.join(folder, SITE), backend) if is_wheel else None


def wheel_engine(site: str, backend: str) -> EngineBuild | None:
    """The engine of a wheel that was unpacked into a folder of its own; `None` where none is."""
    folder = paths.join(site, PACKAGE)
    if not files.is_folder(folder):
        return None
    version = _package_version(site)
    return EngineBuild(EngineKind.EMBEDDED, folder, version, "our build", site, backend)


def find_embedded() -> EngineBuild | None:
    """The engine in our own Python, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = paths.dirname(spec.origin)
    return EngineBuild(EngineKind.EMBEDDED, folder, _package_version(paths.dirname(folder)), "Python package")


def _package_version(site: str) -> str:
    """Version from the name of the wheel's own folder: importlib.metadata takes 20 ms to import."""
    for name in files.list_names(site):
        if name.startswith(f"{PACKAGE}-") and name.endswith(".dist-info"):
            return name.removeprefix(f"{PACKAGE}-").removesuffix(".dist-info")
    return ""


def read_version(machine: Machine, program: str) -> str:
    """The build of a llama-server in its own words, such as `b6325`; empty when it does not say."""
    told = machine.run((program, "--version"), timeout_s=_VERSION_TIMEOUT_S)
    if not isinstance(told, Known):
        return ""
    text = told.value.stdout + told.value.stderr
    match = _BUILD.search(text)
    number = (match["number"] or match["build"]) if match else "0"
    # Build 0 is what a build from a source archive calls itself: no number at all.
    if number != "0":
        return f"b{number}"
    words = _ANY_VERSION.search(text)
    return words["text"] if words and words["text"] != "0" else ""


def choose_engine(engines: tuple[EngineBuild, ...], wanted: str | None = None) -> EngineBuild:
    """The engine to use.

    Args:
        engines: from `find_engines`.
        wanted: `embedded`, `external`, the path of a llama-server that was found or of the folder that
            holds it, or `None` for the first.

    Raises:
        EngineError: there is none, or not the wanted one.
    """
    named = {paths.real(place) for place in _places(paths.absolute(wanted))} if wanted else set()
    for engine in engines:
        if wanted in (None, engine.kind.value) or paths.real(engine.path) in named:
            return engine
    raise EngineError(
        "no engine was found" if wanted is None else f"the engine {wanted} was not found",
        context=tuple(f"found: {engine.path} ({engine.origin})" for engine in engines),
        hint="bringup setup gets the right one for this machine; a llama-server on PATH does as well."
        if wanted is None or not engines
        else "Leave --engine out to take what was found; bringup setup gets another.",
        reference="engine-not-found",
    )


def _program_at(machine: Machine, place: str) -> str | None:
    for path in _places(place):
        stat = machine.stat(paths.real(path))
        if isinstance(stat, Known) and stat.value.kind is FileKind.FILE and stat.value.mode & 0o111:
            return path
    return None


def _places(place: str) -> tuple[str, str, str]:
    """Where the program can be that somebody means by a path: the path itself, or in that folder."""
    return place, paths.join(place, PROGRAM), paths.join(place, "bin", PROGRAM)
