"""The models on this disk: list them, remove ours."""

from __future__ import annotations

from bringup.errors import WrongUse
from bringup.machine.folders import Folders, our_folders
from bringup.records import dataclass
from bringup.store import catalogue, local, removal, resolve
from bringup.store.catalogue import CatalogueEntry
from bringup.store.duplicates import Duplicate, find_duplicates
from bringup.store.local import LocalModel, Survey, Unfinished
from bringup.store.names import LocalPath, parse_name


@dataclass(frozen=True, slots=True)
class ModelsReport:
    """All that is here. `damaged` are paths of ours whose size is no longer the verified one."""

    survey: Survey
    duplicates: tuple[Duplicate, ...]
    damaged: tuple[str, ...]


def list_models(folders: Folders | None = None) -> ModelsReport:
    """Look everywhere. No network; nothing is changed."""
    folders = folders or our_folders()
    found = local.survey(folders)
    return ModelsReport(found, find_duplicates(found.models), local.damaged_files(folders))


def list_catalogue() -> tuple[CatalogueEntry, ...]:
    """The short names."""
    return catalogue.catalogue()


def short_name(model: LocalModel) -> str:
    """The short name that this model is had by; empty where the catalogue has none."""
    names = (entry.name for entry in catalogue.catalogue())
    return next((name for name in names if resolve.pick(parse_name(name), (model,)) is model), "")


def find_removable(text: str, folders: Folders | None = None) -> LocalModel:
    """The model of ours that a typed name means.

    Raises:
        WrongUse: not here, or not ours to remove.
    """
    folders = folders or our_folders()
    name = parse_name(text)
    if isinstance(name, LocalPath):
        ours = next((model for model in local.list_ours(folders) if name.path in model.paths), None)
        found = ours or resolve.find_local(name, folders)
    else:
        found = resolve.pick(name, local.list_ours(folders)) or resolve.find_local(name, folders)
    if found is None:
        raise WrongUse(
            f"{text} is not on this disk",
            hint="`bringup models` lists what is here.",
            reference="not-on-this-disk",
        )
    removal.refuse_foreign(found, folders)
    return found


def remove_model(model: LocalModel, folders: Folders | None = None) -> int:
    """Remove a model that we fetched; the bytes that were freed.

    Raises:
        WrongUse: not ours.
        FileTrouble: no rights.
    """
    return removal.remove_model(model, folders or our_folders())


def remove_unfinished(unfinished: tuple[Unfinished, ...], folders: Folders | None = None) -> int:
    """Remove partial files that nobody works on; the bytes that were freed."""
    return removal.remove_unfinished(unfinished, folders or our_folders())
