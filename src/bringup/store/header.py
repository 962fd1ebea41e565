"""From paths on the disk to a `Model`: every way in which a file can fail to be one has its own error."""

from __future__ import annotations

from collections.abc import Sequence

from bringup.errors import ModelFileError
from bringup.machine import files, paths, tree
from bringup.machine.folders import Folders, our_folders
from bringup.model.gguf import GgufHeader, read_header
from bringup.model.shards import Model, assemble, shard_names
from bringup.reading import Known
from bringup.records import dataclass
from bringup.store import header_index

_LISTED_FILES = 5


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file as a `ByteSource`: opened for each read, so that nothing stays open behind a header."""

    path: str
    size: int

    @property
    def size_bytes(self) -> int:
        """Size of the file when it was looked at, in bytes."""
        return self.size

    @property
    def name(self) -> str:
        """Its path."""
        return self.path

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`; fewer only where the file ends.

        Raises:
            FileTrouble: it cannot be opened or read.
        """
        with files.file_errors("read", self.path), files.open_binary(self.path) as handle:
            handle.seek(offset)
            return handle.read(max(length, 0))


def load_model(
    model_paths: str | Sequence[str], *, folders: Folders | None = None, allow_cut_short: bool = False
) -> Model:
    """The headers of a model on the disk, from the index where its files have not changed.

    Args:
        model_paths: the file, or any or all files of a split model.
        folders: ours; for the index.
        allow_cut_short: give also a model whose weights are not whole (see `Model.missing_bytes`).

    Raises:
        ModelFileError: not a model, not a whole one, or a part is missing; says which and what to do.
        FileTrouble: no rights, or the disk fails.
    """
    first = model_paths if isinstance(model_paths, str) else model_paths[0]
    names = (
        shard_names(first) if isinstance(model_paths, str) or len(model_paths) == 1 else tuple(model_paths)
    )
    index = (folders or our_folders()).header_index
    _check_parts(first, names)
    model = assemble(tuple(load_header(name, index_folder=index) for name in names))
    if model.missing_bytes and not allow_cut_short:
        raise cut_short(model)
    return model


def load_header(path: str, *, index_folder: str) -> GgufHeader:
    """Header of one file.

    Raises:
        ModelFileError: not a GGUF file, or a damaged one.
        FileTrouble: no rights, or the disk fails.
    """
    identity = _look(path)
    source = FileSource(path, identity.size_bytes)
    kept = header_index.load(index_folder, identity, source)
    if kept is not None:
        return kept
    header = read_header(source)
    if tree.look_at(path) == identity:  # else it is being written: keep nothing
        header_index.save(index_folder, identity, header)
    return header


def cut_short(model: Model) -> ModelFileError:
    """The error for a model whose weights are not all there."""
    header = next(header for header in model.headers if header.missing_bytes)
    return ModelFileError(
        f"{header.name}: cut short, {header.missing_bytes:,} of {header.needed_bytes:,} bytes are missing",
        context=(f"size of the file: {header.file_size_bytes:,} bytes",),
        hint="Pull the model again; what was fetched by bringup is continued, not fetched twice.",
        reference="gguf-cut-short",
    )


def _look(path: str) -> tree.Entry:
    """What is at a path, when it is a file that can be opened."""
    entry = tree.look_at(path)
    if entry is None:
        files.open_binary(path).close()  # raises with the reason: not there, no rights, a link in circles
        raise ModelFileError(f"{path}: cannot be looked at", reference="file-trouble")
    if entry.is_folder:
        raise _is_a_folder(path)
    if not entry.is_file:
        raise ModelFileError(
            f"{path}: not a regular file",
            hint="A device, socket or pipe holds no model that an engine could map.",
            reference="not-a-file",
        )
    files.open_binary(path).close()
    return entry


def _is_a_folder(path: str) -> ModelFileError:
    listing = tree.list_entries(path)
    inside = listing.value if isinstance(listing, Known) else ()
    models = [entry.name for entry in inside if entry.is_file and entry.name.lower().endswith(".gguf")]
    context = tuple(paths.join(path, name) for name in models[:_LISTED_FILES])
    more = len(models) - len(context)
    return ModelFileError(
        f"{path}: a folder, not a model file",
        context=(*context, f"and {more:,} more") if more > 0 else context,
        hint="Name the file." if models else "There is no .gguf file in it.",
        reference="is-a-folder",
    )


def _check_parts(first: str, names: Sequence[str]) -> None:
    """Tell missing parts of a split model by name, before the others are read."""
    if len(names) == 1:
        return
    missing = [name for name in names if tree.look_at(name) is None]
    if not missing:
        return
    shown = tuple(f"missing: {paths.basename(name)}" for name in missing[:_LISTED_FILES])
    more = len(missing) - len(shown)
    raise ModelFileError(
        f"{first}: {len(missing):,} of the {len(names):,} files of this model "
        f"{'is' if len(missing) == 1 else 'are'} missing",
        context=(*shown, f"and {more:,} more") if more > 0 else shown,
        hint="All files of a split model belong in one folder: pull it again, finished parts are kept.",
        reference="missing-shard",
    )
