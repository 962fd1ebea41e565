"""From a typed name to a model that is on this disk already."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from bringup.errors import WrongUse
from bringup.machine import files, paths
from bringup.machine.folders import Folders, our_folders
from bringup.store import quants
from bringup.store.catalogue import look_up
from bringup.store.local import LocalModel, OriginKind, list_models, model_at, short_ollama_name
from bringup.store.names import HubName, LocalPath, Name, OllamaName, ShortName, Url


def find_local(name: Name, folders: Folders | None = None) -> LocalModel | None:
    """The model that a name means, if it is on this disk; `None` when it would have to be fetched.

    A repository without a quantisation is any model of it that is here, llama.cpp's default first.

    Raises:
        WrongUse: a short name that is neither here nor in the catalogue.
        FileTrouble: a path that cannot be looked at.
    """
    if isinstance(name, LocalPath):
        return model_at(name.path) if files.is_there(name.path) else None
    return pick(name, list_models(folders or our_folders()))


def no_such_file(path: str) -> WrongUse:
    """The error for a typed path at which nothing is."""
    return WrongUse(
        f"{path}: no such file",
        hint="`bringup models` lists what is on this disk; a repository of the hub is user/repo.",
        reference="no-such-file",
    )


def find_here(name: Name, folders: Folders) -> LocalModel | None:
    """As `find_local`; of a model of ours it also removes what killed runs left beside it."""
    local = find_local(name, folders)
    if local is not None and local.is_ours:
        from bringup.store.landing import clear_left_behind

        for path in local.paths:
            clear_left_behind(path)
    return local


def pick(name: Name, models: tuple[LocalModel, ...]) -> LocalModel | None:
    """The one of these models that a name means. As `find_local`, for a list that was made already."""
    if isinstance(name, HubName):
        return _pick_hub(name, models)
    if isinstance(name, Url):
        wanted = {first_shard_address(name), name.url.partition("?")[0]}
        return _first(model for model in models if model.is_ours and model.name in wanted)
    if isinstance(name, OllamaName):
        return _pick_ollama(name, models)
    if isinstance(name, ShortName):
        return _pick_short(name, models)
    return None


def url_file_name(name: Url) -> str:
    """Where below our models folder a web file goes: `HOST/last/components/file.gguf`.

    Raises:
        WrongUse: the address holds names that are no safe file names.
    """
    address = urlsplit(name.url)
    path = unquote(address.path).strip("/")
    relative = f"{address.hostname}{f'_{address.port}' if address.port else ''}/{path}"
    if not paths.is_safe_relative(relative):
        raise WrongUse(
            f"refused the file name in {name.url.partition('?')[0][:200]}",
            context=("a name from outside must be a plain relative path",),
            reference="unsafe-file-name",
        )
    return relative


def first_shard_address(name: Url) -> str:
    """The address without its query; of the first shard where it names a shard."""
    folder, _, last = name.url.partition("?")[0].rpartition("/")
    return f"{folder}/{quants.shard_files(last)[0]}"


def _pick_hub(name: HubName, models: tuple[LocalModel, ...]) -> LocalModel | None:
    flat = name.place.lower().replace("/", "_") + "_"
    of_repo = [
        model
        for model in models
        if (model.repository or "").lower() == name.place.lower()
        or (model.origin is OriginKind.LLAMA_CACHE and model.name.lower().startswith(flat))
    ]
    if name.filename is not None:
        # One shard of a split model means the whole model, so all its names are compared.
        wanted = {quants.basename(file) for file in quants.shard_files(name.filename)}
        return _first(m for m in of_repo if any(_file_name(m, flat) == file for file in wanted))
    chosen = quants.choose_variant(quants.variants_of(model.name for model in of_repo), name.quant)
    return _first(model for model in of_repo if chosen is not None and model.name == chosen.files[0])


def _file_name(model: LocalModel, flat: str) -> str:
    last = quants.basename(model.name)
    return last[len(flat) :] if last.lower().startswith(flat) else last


def _pick_ollama(name: OllamaName, models: tuple[LocalModel, ...]) -> LocalModel | None:
    wanted = f"ollama:{short_ollama_name(name.model)}:{name.tag}".lower()
    return _first(model for model in models if model.name.lower() == wanted)


def _pick_short(name: ShortName, models: tuple[LocalModel, ...]) -> LocalModel | None:
    """By catalogue, else by the name of a file that is here (`my-model` for `my-model.gguf`)."""
    try:
        entry, hub_name = look_up(name)
    except WrongUse:
        stem = f"{name.name}.gguf"
        by_file = _first(model for model in models if quants.basename(model.name).lower() == stem)
        if by_file is None:
            raise
        return by_file
    found = _pick_hub(hub_name, models)
    if found is None and entry.file is not None and hub_name.quant is None:
        wanted = entry.file.lower()
        found = _first(model for model in models if quants.basename(model.name).lower() == wanted)
    return found


def _first(models: Iterable[LocalModel]) -> LocalModel | None:
    return next(iter(models), None)
