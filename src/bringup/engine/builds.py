"""Our engine builds: a folder each, with its record; one of them is the current one.

A build gets its name below `builds` only after it was proved. The one before it stays.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from bringup.engine.find import SITE
from bringup.engine.proof import Proof
from bringup.engine.unproved import Unproved
from bringup.errors import FileTrouble, WrongUse
from bringup.machine import files, paths, scratch
from bringup.machine.folders import Folders
from bringup.reading import parse_json
from bringup.records import dataclass

SCHEMA: Final = 1
PROGRAM: Final = "llama-server"
RECORD: Final = "build.json"
CURRENT: Final = "current"
"""A file beside the builds; it holds the name of the one to use."""


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """One proved build.

    Attributes:
        name: of its folder, such as `b11434-cuda-86`.
        version: as the engine says itself.
        backend: cuda, vulkan or cpu.
        cuda_archs: compute capabilities times ten that it was built for; empty without CUDA or where a
            ready-made build does not say.
        method: how it came here: source, release or wheel.
        source: what from: a folder, an archive, a repository, a package.
        made_s: Unix time when it was proved.
        devices: graphics cards that it listed.
        layers_on_gpu: layers of the small model on the card.
        layers: all its layers, 0 where no card was used.
        tokens_per_s: of the small model's answer.
        survived: how many hard requests it survived.
        refused: how many of them only the key kept out.
    """

    name: str
    version: str
    backend: str
    cuda_archs: tuple[str, ...]
    method: str
    source: str
    made_s: float
    devices: tuple[str, ...]
    layers_on_gpu: int
    layers: int
    tokens_per_s: float | None
    survived: int
    refused: int


@dataclass(frozen=True, slots=True)
class NewBuild:
    """A build that was proved and has no name yet: what it is, and the folder where it lies."""

    name: str
    folder: str
    backend: str
    cuda_archs: tuple[str, ...]
    method: str
    source: str


def list_builds(folders: Folders) -> tuple[BuildRecord, ...]:
    """All builds that have a record we can read, by name."""
    found = []
    for name in files.list_names(folders.builds):
        data = (
            files.read_small(paths.join(folders.builds, name, RECORD)) if _is_build(folders, name) else None
        )
        record = _parse(data) if data is not None else None
        if record is not None and record.name == name:
            found.append(record)
    return tuple(found)


def list_damaged(folders: Folders) -> tuple[Unproved, ...]:
    """Folders among our builds that cannot be used: without a readable record, or with their engine gone."""
    known = {record.name: record for record in list_builds(folders)}
    found = []
    for name in files.list_names(folders.builds):
        place = paths.join(folders.builds, name)
        if not files.is_folder(place):
            continue
        record = known.get(name)
        engine = SITE if record is not None and record.method == "wheel" else PROGRAM
        if record is None:
            found.append(Unproved(name, f"its record {RECORD} cannot be read", place))
        elif not files.exists(paths.join(place, engine)):
            found.append(Unproved(name, "its engine is gone", place))
    return tuple(found)


def _is_build(folders: Folders, name: str) -> bool:
    return files.is_folder(paths.join(folders.builds, name))


def current_name(folders: Folders) -> str | None:
    """Name of the build in use; `None` when there is none."""
    data = files.read_small(paths.join(folders.builds, CURRENT), limit_bytes=4096)
    name = (data or b"").decode("utf-8", "replace").strip()
    return name if name and paths.basename(name) == name and _is_build(folders, name) else None


def publish(folders: Folders, new: NewBuild, proof: Proof, *, now_s: float) -> BuildRecord:
    """Give a proved build its name and make it the current one; one of the same name is replaced.

    Raises:
        FileTrouble: no rights, disk full; the current build stays what it was.
    """
    record = BuildRecord(
        name=new.name,
        version=proof.version,
        backend=new.backend,
        cuda_archs=new.cuda_archs,
        method=new.method,
        source=new.source,
        made_s=now_s,
        devices=proof.devices,
        layers_on_gpu=proof.layers_on_gpu,
        layers=proof.layers,
        tokens_per_s=proof.tokens_per_s,
        survived=len(proof.survived),
        refused=len(proof.refused),
    )
    data = json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1).encode() + b"\n"
    files.write_atomic(paths.join(new.folder, RECORD), data)
    files.make_private_folder(folders.builds)
    scratch.replace_folder(new.folder, paths.join(folders.builds, new.name))
    use_build(folders, new.name)
    return record


def use_build(folders: Folders, name: str) -> BuildRecord:
    """Make a build the current one.

    Raises:
        WrongUse: no such build.
    """
    record = find_build_record(folders, name)
    files.write_atomic(paths.join(folders.builds, CURRENT), name.encode() + b"\n")
    return record


def remove_build(folders: Folders, name: str) -> bool:
    """Remove a build; whether it was the current one (then there is none any more).

    Raises:
        WrongUse: no such build.
    """
    record = find_build_record(folders, name)
    was_current = current_name(folders) == record.name
    if was_current:
        files.remove(paths.join(folders.builds, CURRENT))
    scratch.remove_tree(paths.join(folders.builds, record.name))
    return was_current


def find_build_record(folders: Folders, name: str) -> BuildRecord:
    """The record of a build.

    Raises:
        WrongUse: no such build.
    """
    builds = list_builds(folders)
    for record in builds:
        if record.name == name:
            return record
    raise WrongUse(
        f"there is no build called {name}",
        context=tuple(f"there is: {record.name}" for record in builds),
        hint="bringup setup --list shows them.",
        reference="unknown-build",
    )


def _parse(data: bytes) -> BuildRecord | None:
    try:
        given: dict[str, Any] = parse_json(data)
        if given.pop("schema") != SCHEMA:
            return None
        for key in ("cuda_archs", "devices"):
            given[key] = tuple(given[key])
        return BuildRecord(**given)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def check_not_worse(folders: Folders, backend: str) -> None:
    """Refuse to put a build that uses no card in the place of one that does, unless that was said.

    Raises:
        WrongUse: the current build uses a card and the new one would not.
    """
    name = current_name(folders)
    try:
        current = find_build_record(folders, name) if name else None
    except (WrongUse, FileTrouble):
        return
    if current is not None and current.backend != "cpu" and backend == "cpu":
        raise WrongUse(
            f"the current engine {current.name} uses the card ({current.backend}), the new one would not",
            hint="If you want that: bringup setup --backend cpu. The old one stays; --use changes back.",
            reference="engine-lost-cuda",
        )
