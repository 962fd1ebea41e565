"""Let llama.cpp itself check a plan; what it said is kept and corrects the next plan of that file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from bringup.engine.build import EngineBuild
from bringup.engine.dry_run import DraftCopy, DryRun, HeaderCopy, dry_run
from bringup.engine.environment import clean_environment
from bringup.errors import EngineError, FileTrouble
from bringup.machine import files, paths, tree
from bringup.machine import folders as machine_folders
from bringup.machine.folders import Folders, our_folders
from bringup.model.gguf import GgufHeader
from bringup.model.shards import Model
from bringup.plan.anatomy import Anatomy, take_apart
from bringup.plan.companions import Companions, Draft
from bringup.plan.differences import Differences, compare, from_json, to_json
from bringup.plan.memory import Planner
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import CPU
from bringup.records import dataclass, replace
from bringup.store.header import FileSource

ReadHead = Callable[[GgufHeader], bytes]
"""Bytes of a file up to its weights."""

_FILES_LIMIT: Final = 256
_LIMIT_BYTES: Final = 64 * 1024


def read_local_head(header: GgufHeader) -> bytes:
    """Head of a file on the disk.

    Raises:
        FileTrouble: it cannot be opened or read.
    """
    return FileSource(header.name, header.file_size_bytes).read_at(0, header.data_offset)


@dataclass(frozen=True, slots=True)
class Drafting:
    """What drafts for a model: as it was planned, its headers, and how they are read."""

    draft: Draft
    model: Model
    read_head: ReadHead = read_local_head

    def copy(self) -> DraftCopy:
        """What an engine is asked with."""
        types = self.draft.cache_type_k or "f16", self.draft.cache_type_v or "f16"
        return DraftCopy(_copies(self.model, self.read_head), self.draft.n_max, *types)


def check_plan(
    plan: MemoryPlan,
    model: Model,
    build: EngineBuild,
    *,
    read_head: ReadHead = read_local_head,
    folders: Folders | None = None,
    drafting: Drafting | None = None,
) -> Differences:
    """Ask an engine what a plan takes, and keep the answer for the next plan of these files.

    An engine that knows no card checks the same run in main memory: its caches and its graph are the same.

    Args:
        plan: as chosen.
        model: its headers.
        build: the engine that is asked.
        read_head: gives the bytes of a file up to its weights; the default reads files on the disk.
        folders: ours.
        drafting: what drafts for it.

    Raises:
        EngineError: the engine says no figures.
        FileTrouble: no room for a copy of the header, or a header that cannot be read.
    """
    ours = folders or our_folders()
    copies = _copies(model, read_head)
    plan, answer = _ask(plan, take_apart(model), copies, build, ours, drafting)
    told = compare(plan, answer.measured, engine=engine_name(build), has_cards=answer.has_cards)
    if drafting is None:  # the next plan may be one without a draft
        keep_differences(told, model, build, is_flash=plan.run.flash_attention, folders=ours)
    return told


def _copies(model: Model, read_head: ReadHead) -> tuple[HeaderCopy, ...]:
    return tuple(
        HeaderCopy(paths.basename(header.name), read_head(header), header.file_size_bytes)
        for header in model.headers
    )


def known_differences(
    model: Model, build: EngineBuild, *, is_flash: bool, folders: Folders | None = None
) -> Differences | None:
    """What this build said of these files before; `None` where it was not asked."""
    try:
        data = files.read_small(
            _entry(folders or our_folders(), model, build, is_flash=is_flash), limit_bytes=_LIMIT_BYTES
        )
    except FileTrouble:
        return None
    return None if data is None else from_json(data.decode("utf-8", "replace"))


def _ask(
    plan: MemoryPlan,
    anatomy: Anatomy,
    copies: tuple[HeaderCopy, ...],
    build: EngineBuild,
    ours: Folders,
    drafting: Drafting | None,
) -> tuple[MemoryPlan, DryRun]:
    """The figures, and the plan that they are to be held against."""
    beside = None if drafting is None else drafting.copy()
    environment = clean_environment(
        machine_folders.all_variables(), is_external=build.is_external, keep_engine_variables=False
    ).variables
    try:
        answer = dry_run(plan, copies, build, scratch=ours.dry_runs, environment=environment, draft=beside)
    except EngineError:
        if not (build.is_external and plan.placement.cards):
            raise
        plan = _in_main_memory(plan, anatomy, drafting)  # the build may know no card at all
        answer = dry_run(plan, copies, build, scratch=ours.dry_runs, environment=environment)
    return (plan if answer.has_cards else _in_main_memory(plan, anatomy, drafting)), answer


def _in_main_memory(plan: MemoryPlan, anatomy: Anatomy, drafting: Drafting | None) -> MemoryPlan:
    """The same run without any card."""
    main = tuple(device for device in plan.devices if device.name == CPU)
    request = replace(plan.request, cards=(), n_gpu_layers=0, n_cpu_moe=0, overrides=(), tensor_split=())
    beside = Companions() if drafting is None else Companions(drafting.draft)
    return Planner(anatomy, main, companions=beside).plan(request)


def engine_name(build: EngineBuild) -> str:
    """A build in words."""
    return f"{build.kind.value} llama.cpp {build.version}".rstrip()


def _entry(ours: Folders, model: Model, build: EngineBuild, *, is_flash: bool) -> str:
    """Where an answer is kept: a changed file or another build has another name."""
    words = [build.path, build.version, str(is_flash)]
    for header in model.headers:
        words += [header.name, str(header.file_size_bytes), str(header.data_offset)]
        words.append(str(tree.look_at(header.name)))
    digest = hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()
    return paths.join(ours.dry_runs, f"{digest[:32]}.json")


def keep_differences(
    told: Differences, model: Model, build: EngineBuild, *, is_flash: bool, folders: Folders
) -> None:
    """Keep an answer for the next plan of these files; one that cannot be kept is asked for again."""
    path = _entry(folders, model, build, is_flash=is_flash)
    folder = paths.dirname(path)
    try:
        files.make_private_folder(folder)
        kept = [name for name in files.list_names(folder) if name.endswith(".json")]
        for name in kept[: max(0, len(kept) - _FILES_LIMIT + 1)]:
            files.remove(paths.join(folder, name))
        files.write_atomic(path, to_json(told).encode())
    except FileTrouble:
        return
