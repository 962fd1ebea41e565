"""Files that were looked through for what ends engines and are sound: they are not looked through again.

Looking through a vocabulary of 200,000 tokens takes longer than all the rest before a start. One small mark
for each model, beside its kept headers, valid for the same files and the same rules only. What cannot be read
or written is as good as no mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bringup import __version__
from bringup.errors import FileTrouble
from bringup.machine import files, paths, process, tree
from bringup.machine.folders import Folders
from bringup.reading import Known
from bringup.store.header_index import MARK_SUFFIX

_LIMIT_BYTES: Final = 64 * 1024


def is_known_sound(model_paths: Sequence[str], folders: Folders) -> bool:
    """Whether exactly these files were found sound by exactly these rules."""
    mark = _mark(model_paths)
    if mark is None:
        return False
    try:
        return files.read_small(_path(model_paths, folders), limit_bytes=_LIMIT_BYTES) == mark
    except FileTrouble:
        return False


def keep_sound(model_paths: Sequence[str], folders: Folders) -> None:
    """Remember that these files are sound."""
    mark = _mark(model_paths)
    if mark is None:
        return
    try:
        files.write_atomic(_path(model_paths, folders), mark)
    except FileTrouble:
        return


def _mark(model_paths: Sequence[str]) -> bytes | None:
    """All that the finding rests on, as text: the files, and the modules that read and judge them.

    `None` where it cannot be seen.
    """
    modules = tree.list_entries(process.own_modules("model"))
    models = [tree.look_at(path) for path in model_paths]
    if not isinstance(modules, Known) or None in models:
        return None
    rules = [entry for entry in modules.value if entry.is_file]
    lines = [
        f"{entry.device} {entry.inode} {entry.size_bytes} {entry.modified_s!r}"
        for entry in (*rules, *models)
        if entry is not None
    ]
    return "\n".join([f"bringup {__version__}", *lines]).encode()


def _path(model_paths: Sequence[str], folders: Folders) -> str:
    first = tree.look_at(model_paths[0])
    name = "none" if first is None else f"{first.device:x}-{first.inode:x}"
    return paths.join(folders.header_index, name + MARK_SUFFIX)
