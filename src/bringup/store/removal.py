"""Removing what is ours: a model that we fetched, partial files. Never anything of another tool."""

from __future__ import annotations

from bringup.errors import WrongUse
from bringup.machine import files, partial, paths
from bringup.machine.folders import Folders
from bringup.machine.tree import remove_empty_folders
from bringup.store import records
from bringup.store.local import LocalModel, Unfinished


def refuse_foreign(model: LocalModel, folders: Folders) -> None:
    """Refuse a model that is not ours to remove.

    Raises:
        WrongUse: another tool put it there, or it is just a file.
    """
    if model.is_ours and all(paths.is_inside(path, folders.models) for path in model.paths):
        return
    raise WrongUse(
        f"{model.name} was not fetched by bringup and is not ours to remove",
        context=(f"it belongs to: {model.origin.value}", f"at: {model.paths[0]}"),
        hint="Remove it with the tool that put it there.",
        reference="not-ours",
    )


def remove_model(model: LocalModel, folders: Folders) -> int:
    """Remove a model's files and their origin records; the bytes that were freed.

    Raises:
        WrongUse: it is not one that we fetched.
        FileTrouble: no rights.
    """
    refuse_foreign(model, folders)
    for path in model.paths:
        files.remove(path)
        files.remove(records.origin_path(path))
        remove_empty_folders(paths.dirname(path), below=folders.models)
    return model.size_bytes


def remove_unfinished(unfinished: tuple[Unfinished, ...], folders: Folders) -> int:
    """Remove partial files that no process is working on; the bytes that were freed."""
    freed = 0
    for one in unfinished:
        folder = partial.parse_partial_name(one.path)
        if folder is None or folder.is_owner_alive:
            continue
        partial.remove_partial(folder)
        remove_empty_folders(paths.dirname(one.path), below=folders.models)
        freed += one.done_bytes
    return freed
