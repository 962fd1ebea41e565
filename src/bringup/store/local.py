"""Models that are on this disk already, wherever a tool has put them. Nothing is copied, nothing changed.

Ours, the hub's cache, llama.cpp's cache, Ollama's store and LM Studio's folder. Their manifests, links
and file names are foreign input: a name becomes a path only after its shape was checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum

from bringup.errors import FileTrouble, ModelFileError
from bringup.machine import files, partial, paths, tree
from bringup.machine.folders import Folders, home, our_folders, variable
from bringup.machine.hashing import sha256_of
from bringup.reading import Absent, Known, parse_json
from bringup.records import dataclass, replace
from bringup.store import quants, records

_MANIFEST_LIMIT_BYTES = 1024**2
_DEPTH_LIMIT = 6
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_OLLAMA_MODEL = "application/vnd.ollama.image.model"


class OriginKind(Enum):
    """Whose a model on the disk is; only PULLED ones are ours to remove."""

    PULLED = "bringup"
    HUB_CACHE = "hub cache"
    LLAMA_CACHE = "llama.cpp cache"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    PATH = "path"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A whole model on this disk.

    Attributes:
        name: can be typed to get it again.
        paths: all shards, first first.
        size_bytes: of all shards.
        origin: whose it is.
        verified: SHA-256 of a single file that we checked against a published one.
        claimed_sha256: what our record or another tool's file name says it is.
        repository: `user/repo` where known.
        quant: what the file name tells, empty where it tells nothing.
        is_verified: whether every file was checked against a published hash by us, and not written to since.
        is_changed: whether a file of ours was written to since its bytes were checked; its size is the same.
    """

    name: str
    paths: tuple[str, ...]
    size_bytes: int
    origin: OriginKind
    verified: str | None = None
    claimed_sha256: str | None = None
    repository: str | None = None
    quant: str = ""
    is_verified: bool = False
    is_changed: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether `bringup` fetched it and may remove it."""
        return self.origin is OriginKind.PULLED


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that was looked into: `why` is empty, "not there", or why it could not be read.

    `troubles` are folders below it that could not be read, with the reason: there may be more models.
    """

    path: str
    origin: OriginKind
    why: str
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A partial file of ours. `size_bytes` is what it will be, `None` when its record is lost."""

    path: str
    name: str
    address: str
    done_bytes: int
    size_bytes: int | None
    in_use_by_pid: int | None


@dataclass(frozen=True, slots=True)
class Survey:
    """All that is here and where it was looked for."""

    models: tuple[LocalModel, ...]
    places: tuple[Place, ...]
    unfinished: tuple[Unfinished, ...]


def places(folders: Folders) -> tuple[tuple[OriginKind, str], ...]:
    """Folders in which models may lie, ours first; each once, though several variables may name it."""
    at_home = home()
    hub_home = variable("HF_HOME") or paths.join(
        variable("XDG_CACHE_HOME") or f"{at_home}/.cache", "huggingface"
    )
    hub = variable("HF_HUB_CACHE") or variable("HUGGINGFACE_HUB_CACHE") or paths.join(hub_home, "hub")
    llama = variable("LLAMA_CACHE") or paths.join(
        variable("XDG_CACHE_HOME") or f"{at_home}/.cache", "llama.cpp"
    )
    found = [
        (OriginKind.PULLED, folders.models),
        (OriginKind.HUB_CACHE, hub),
        (OriginKind.LLAMA_CACHE, llama),
        (OriginKind.OLLAMA, variable("OLLAMA_MODELS") or f"{at_home}/.ollama/models"),
        (OriginKind.OLLAMA, "/usr/share/ollama/.ollama/models"),
        (OriginKind.OLLAMA, "/var/lib/ollama"),
        (OriginKind.LM_STUDIO, f"{at_home}/.lmstudio/models"),
        (OriginKind.LM_STUDIO, f"{at_home}/.cache/lm-studio/models"),
    ]
    unique: dict[str, tuple[OriginKind, str]] = {}
    for kind, path in found:
        unique.setdefault(paths.absolute(path), (kind, paths.absolute(path)))
    return tuple(unique.values())


def survey(folders: Folders | None = None) -> Survey:
    """Look everywhere: models, where was looked, what is unfinished."""
    folders = folders or our_folders()
    models: list[LocalModel] = []
    looked: list[Place] = []
    for kind, path in places(folders):
        there = tree.list_entries(path)
        if isinstance(there, Known):
            models += _READERS[kind](path)
            looked.append(Place(path, kind, "", tree.unreadable_below(path, depth=_DEPTH_LIMIT)))
        elif isinstance(there, Absent):
            looked.append(Place(path, kind, "not there"))
        else:
            looked.append(Place(path, kind, there.why))
    return Survey(tuple(models), tuple(looked), find_unfinished(folders))


def list_models(folders: Folders | None = None) -> tuple[LocalModel, ...]:
    """All models on this disk, ours first."""
    return survey(folders).models


def list_ours(folders: Folders) -> tuple[LocalModel, ...]:
    """Models that we fetched."""
    return tuple(_from_ours(folders.models))


def find_unfinished(folders: Folders) -> tuple[Unfinished, ...]:
    """Partial files in our models folder."""
    found = (partial.parse_partial_name(entry.path) for entry in _walk(folders.models, with_hidden=True))
    return tuple(_unfinished(one) for one in found if one is not None)


def _unfinished(one: partial.PartialFolder) -> Unfinished:
    record = records.read_partial_record(one.record_path)
    return Unfinished(
        path=one.path,
        name=record.name if record else one.base,
        address=record.address if record else "",
        done_bytes=tree.total_bytes(one.path),
        size_bytes=record.size_bytes if record else None,
        in_use_by_pid=one.pid if one.is_owner_alive else None,
    )


def model_at(path: str) -> LocalModel:
    """The model whose file (or one shard) is at a path; missing shards are left for the reader to name."""
    folder, name = paths.dirname(path), paths.basename(path)
    shards = tuple(paths.join(folder, shard) for shard in quants.shard_files(name))
    entries = [tree.look_at(shard) for shard in shards]
    size = sum(entry.size_bytes for entry in entries if entry is not None)
    return LocalModel(path, shards, size, OriginKind.PATH, quant=quants.quant_of(name))


def _walk(folder: str, *, with_hidden: bool = False, depth: int = 0) -> Iterator[tree.Entry]:
    """Everything below a folder to a bounded depth; linked folders that lead upward end there too."""
    there = tree.list_entries(folder)
    if not isinstance(there, Known) or depth > _DEPTH_LIMIT:
        return
    for entry in there.value:
        hidden = entry.name.startswith(".")
        if with_hidden or not hidden:
            yield entry
        if entry.is_folder and not hidden:
            yield from _walk(entry.path, with_hidden=with_hidden, depth=depth + 1)


def _relative(path: str, root: str) -> str:
    return path[len(root.rstrip("/")) + 1 :]


def _from_tree(root: str, kind: OriginKind) -> Iterator[LocalModel]:
    """Folders of the form user/repo/file.gguf: ours and LM Studio's."""
    entries = {_relative(entry.path, root): entry for entry in _walk(root) if entry.is_file}
    for variant in quants.variants_of(entries):
        if variant.missing:
            continue
        first = variant.files[0]
        parts = first.split("/")
        yield _model(
            first,
            [entries[name] for name in variant.files],
            kind,
            repository="/".join(parts[:2]) if len(parts) > 2 else None,
        )


def _from_ours(root: str) -> Iterator[LocalModel]:
    for model in _from_tree(root, OriginKind.PULLED):
        origins = [_origin_of(path) for path in model.paths]
        if any(origin is _DAMAGED for origin in origins):
            continue  # not the size it was verified at: `damaged_files` names it, nothing uses it
        first = origins[0] if len(origins) == 1 else None
        is_changed = any(map(_was_written_to, model.paths, origins))
        yield LocalModel(
            name=origins[0].name if origins[0] is not None else model.name,
            paths=model.paths,
            size_bytes=model.size_bytes,
            origin=model.origin,
            verified=first.sha256 if first is not None and first.verified and not is_changed else None,
            claimed_sha256=first.sha256 if first is not None and not is_changed else None,
            repository=model.repository,
            quant=model.quant,
            is_verified=all(origin is not None and origin.verified for origin in origins) and not is_changed,
            is_changed=is_changed,
        )


_DAMAGED = records.Origin("", "", 0, "", verified=False)


def _origin_of(path: str) -> records.Origin | None:
    try:
        origin = records.read_origin(records.origin_path(path))
    except FileTrouble:
        return None
    entry = tree.look_at(path)
    if origin is not None and (entry is None or entry.size_bytes != origin.size_bytes):
        return _DAMAGED
    return origin


def _was_written_to(path: str, origin: records.Origin | None) -> bool:
    entry = tree.look_at(path)
    known = None if origin is None else origin.modified_s
    return known is not None and entry is not None and entry.modified_s != known


def check_again(model: LocalModel) -> LocalModel:
    """Read a changed model of ours whole; where its bytes are the old ones, it is as it was before.

    Raises:
        ModelFileError: they are not.
        FileTrouble: it cannot be read.
    """
    for path in model.paths:
        origin = _origin_of(path)
        entry = tree.look_at(path)
        if origin is None or entry is None or not _was_written_to(path, origin):
            continue
        if sha256_of(path) != origin.sha256:
            raise ModelFileError(
                f"{path} was written to since it was fetched: its bytes are others now",
                context=(f"SHA-256 when it came: {origin.sha256}",),
                hint=f"Have it anew: bringup models remove {model.name}, then bringup pull {model.name}",
                reference="model-changed",
            )
        records.write_record(records.origin_path(path), replace(origin, modified_s=entry.modified_s))
    verified = [origin is not None and origin.verified for origin in map(_origin_of, model.paths)]
    return replace(model, is_changed=False, is_verified=all(verified))


def damaged_files(folders: Folders) -> tuple[str, ...]:
    """Files of ours whose size is no longer the one that was verified: cut, or written over by somebody."""
    root = folders.models
    return tuple(entry.path for entry in _walk(root) if entry.is_file and _origin_of(entry.path) is _DAMAGED)


def _from_hub_cache(root: str) -> Iterator[LocalModel]:
    """`models--user--repo/snapshots/REVISION/file`, links to `blobs/HASH`."""
    there = tree.list_entries(root)
    for folder in there.value if isinstance(there, Known) else ():
        parts = folder.name.split("--")
        if parts[0] != "models" or len(parts) != 3 or not folder.is_folder:
            continue
        yield from _from_snapshots(folder, "/".join(parts[1:]))


def _from_snapshots(folder: tree.Entry, repository: str) -> Iterator[LocalModel]:
    there = tree.list_entries(paths.join(folder.path, "snapshots"))
    seen: set[tuple[tuple[int, int], ...]] = set()
    for snapshot in there.value if isinstance(there, Known) else ():
        entries = {
            _relative(entry.path, snapshot.path): entry
            for entry in _walk(snapshot.path)
            if entry.is_file and paths.is_inside(entry.path, folder.path)
        }
        for variant in quants.variants_of(entries):
            if variant.missing:
                continue
            these = [entries[name] for name in variant.files]
            identity = tuple((entry.device, entry.inode) for entry in these)
            if identity not in seen:  # revisions share the blobs of files that did not change
                seen.add(identity)
                name = f"{repository}/{variant.files[0]}"
                yield _model(name, these, OriginKind.HUB_CACHE, repository=repository)


def _from_llama_cache(root: str) -> Iterator[LocalModel]:
    """Flat files `user_repo_file.gguf`; newer llama.cpp keeps the hub's layout in the same folder."""
    yield from _from_hub_cache(root)
    there = tree.list_entries(root)
    entries = (
        {entry.name: entry for entry in there.value if entry.is_file} if isinstance(there, Known) else {}
    )
    for variant in quants.variants_of(entries):
        if not variant.missing:
            yield _model(variant.files[0], [entries[name] for name in variant.files], OriginKind.LLAMA_CACHE)


def _model(
    name: str, entries: list[tree.Entry], kind: OriginKind, *, repository: str | None = None
) -> LocalModel:
    blob = paths.basename(paths.real(entries[0].path))
    return LocalModel(
        name=name,
        paths=tuple(entry.path for entry in entries),
        size_bytes=sum(entry.size_bytes for entry in entries),
        origin=kind,
        claimed_sha256=blob if len(entries) == 1 and _HEX_64.fullmatch(blob) else None,
        repository=repository,
        quant=quants.quant_of(name),
    )


def _from_ollama(root: str) -> Iterator[LocalModel]:
    """`manifests/HOST/NAMESPACE/MODEL/TAG` names blobs by digest."""
    manifests = paths.join(root, "manifests")
    for entry in _walk(manifests):
        relative = _relative(entry.path, manifests)
        if not entry.is_file or relative.count("/") != 3 or entry.size_bytes > _MANIFEST_LIMIT_BYTES:
            continue
        digest = _model_digest(entry.path)
        blob = tree.look_at(paths.join(root, "blobs", f"sha256-{digest}")) if digest else None
        if digest is None or blob is None or not blob.is_file:
            continue
        model, _, tag = relative.rpartition("/")
        yield LocalModel(
            name=f"ollama:{short_ollama_name(model)}:{tag}",
            paths=(blob.path,),
            size_bytes=blob.size_bytes,
            origin=OriginKind.OLLAMA,
            claimed_sha256=digest,
        )


def short_ollama_name(model: str) -> str:
    """`host/namespace/model` without the parts that Ollama fills in itself."""
    return model.removeprefix("registry.ollama.ai/").removeprefix("library/")


def _model_digest(path: str) -> str | None:
    """Hex digest of a manifest's model layer; `None` for any other shape of JSON."""
    try:
        data = files.read_small(path, limit_bytes=_MANIFEST_LIMIT_BYTES)
        manifest = parse_json(data or b"null")
    except (FileTrouble, ValueError, RecursionError):
        return None
    layers = manifest.get("layers") if isinstance(manifest, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict) and layer.get("mediaType") == _OLLAMA_MODEL:
            match = _DIGEST.fullmatch(str(layer.get("digest")))
            return match[1] if match else None
    return None


def _from_lm_studio(root: str) -> Iterable[LocalModel]:
    return _from_tree(root, OriginKind.LM_STUDIO)


_READERS = {
    OriginKind.PULLED: _from_ours,
    OriginKind.HUB_CACHE: _from_hub_cache,
    OriginKind.LLAMA_CACHE: _from_llama_cache,
    OriginKind.OLLAMA: _from_ollama,
    OriginKind.LM_STUDIO: _from_lm_studio,
}
