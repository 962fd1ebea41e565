"""Which model a plan is for: a file of this machine, read where it lies, or the header of one from afar.

What is on this disk is never asked about on the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bringup.errors import BringupError, WrongUse
from bringup.machine import files, paths
from bringup.machine.folders import Folders
from bringup.model.shards import Model
from bringup.patterns import regex
from bringup.records import dataclass
from bringup.store.header import load_model
from bringup.store.names import HubName, LocalPath, Name, OllamaName, parse_name

if TYPE_CHECKING:
    from bringup.model.gguf import GgufHeader
    from bringup.store.local import LocalModel
    from bringup.store.prepare import PullPlan, VariantSize

_HUB_CACHE: Final = regex(r"/models--(?P<user>[\w.-]+?)--(?P<repo>[\w.-]+)/snapshots/")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that was looked into.

    Attributes:
        typed: its name as typed.
        title: a short name for tables: the file's without its ending, or the repository's and quantisation.
        model: the headers of its files.
        origin: where the headers are from, in words.
        argument: how llama-server is told of it: `("--model", path)` or `("--hf-repo", "user/repo:QUANT")`.
        is_local: it is on this disk.
        repository: `user/repo` where known.
        variants: all models of the repository with their sizes; empty where nobody asked.
        fetched_bytes: what was fetched to look into it.
        n_requests: in so many requests for parts of files.
        read_head: gives the bytes of a file up to its weights; `None` for files on the disk.
    """

    typed: str
    title: str
    model: Model
    origin: str
    argument: tuple[str, ...]
    is_local: bool
    repository: str | None = None
    variants: tuple[VariantSize, ...] = ()
    fetched_bytes: int = 0
    n_requests: int = 0
    read_head: Callable[[GgufHeader], bytes] | None = None


def find_source(
    typed: str, folders: Folders, *, may_send_token: Callable[[BringupError], bool]
) -> ModelSource:
    """Look into the model that a typed name means.

    Args:
        typed: path, repository, address, short name.
        folders: ours.
        may_send_token: asked once, after the hub refused, where the user has a token.

    Raises:
        WrongUse: no such name, or a file that is not there.
        ModelFileError: what is there is no sound model.
        DownloadError: it is not here and cannot be looked into from afar.
    """
    name = parse_name(typed)
    if isinstance(name, LocalPath):
        if not files.is_there(name.path):
            from bringup.store.resolve import no_such_file

            raise no_such_file(name.path)
        return _local(typed, (name.path,), folders, repository=_repository_of(name.path, folders))
    # What follows costs imports that a plan for a file need not pay.
    from bringup.store import resolve

    local = resolve.find_local(name, folders)
    if local is not None:
        return of_local(typed, local, folders)
    return _from_afar(typed, name, folders, may_send_token=may_send_token)


def _repository_of(path: str, folders: Folders) -> str | None:
    """`user/repo` of a file that lies where a tool keeps what it fetched; `None` where its path says none."""
    hub = _HUB_CACHE.search(path)
    if hub is not None:
        return f"{hub['user']}/{hub['repo']}"
    parts = path.removeprefix(f"{folders.models.rstrip('/')}/").split("/")
    return "/".join(parts[:2]) if parts[0] and len(parts) > 2 else None


def _from_afar(
    typed: str, name: Name, folders: Folders, *, may_send_token: Callable[[BringupError], bool]
) -> ModelSource:
    from bringup.store import hub, prepare, token

    if isinstance(name, OllamaName):
        prepare.prepare(name, folders=folders)  # says that Ollama has none
    try:
        return _remote(typed, name, folders, None)
    except hub.TokenNeeded as refused:
        secret = token.find_user_token()
        if secret is None or not may_send_token(refused):
            raise
        return _remote(typed, name, folders, secret)


def of_local(typed: str, local: LocalModel, folders: Folders) -> ModelSource:
    """Look into a model that was found on this disk.

    Raises:
        ModelFileError: it is no sound model.
    """
    return _local(typed, local.paths, folders, repository=local.repository)


def of_headers(local: LocalModel, headers: Model) -> ModelSource:
    """A model on this disk whose headers were read already."""
    return _read(local.name, headers, repository=local.repository)


def _local(
    typed: str, model_paths: tuple[str, ...], folders: Folders, *, repository: str | None = None
) -> ModelSource:
    # A file that is still being fetched can be planned for: its header is there.
    return _read(typed, load_model(model_paths, folders=folders, allow_cut_short=True), repository=repository)


def _read(typed: str, model: Model, *, repository: str | None) -> ModelSource:
    path = model.headers[0].name
    return ModelSource(
        typed=typed,
        title=_stem(path),
        model=model,
        origin="on this disk",
        argument=("--model", path),
        is_local=True,
        repository=repository or _repository_named(model),
    )


def _repository_named(model: Model) -> str | None:
    """The repository of quantised files that the header names; that of the original has no such files."""
    for key in ("general.repo_url", "general.source.repo_url"):
        address = (model.metadata.text(key) or "").strip()
        try:
            name = parse_name(address) if address.startswith("https://") else None
        except WrongUse:  # a page of something else
            continue
        if isinstance(name, HubName) and "gguf" in name.repo.lower():
            return name.repo
    return None


def _remote(typed: str, name: Name, folders: Folders, secret: str | None) -> ModelSource:
    from bringup.store import prepare
    from bringup.store.remote import load_remote_model

    plan = prepare.prepare(name, folders=folders, token=secret)
    looked = load_remote_model(plan, token=secret)
    repository = plan.name.partition(":")[0] if plan.variants else None
    return ModelSource(
        typed=typed,
        title=_stem(plan.files[0][0].name),
        model=looked.model,
        origin=f"header alone, from {plan.host}",
        argument=_argument(plan, repository),
        is_local=False,
        repository=repository,
        variants=plan.variants,
        fetched_bytes=looked.fetched_bytes,
        n_requests=looked.n_requests,
        read_head=looked.read_head,
    )


def _argument(plan: PullPlan, repository: str | None) -> tuple[str, ...]:
    """How llama-server fetches it by itself; it takes a quantisation or a file, and the main branch only."""
    address = plan.files[0][0].address
    if repository is None or "@" in repository:
        return ("--model-url", address)
    label = plan.name.partition(":")[2]
    if label.lower().endswith(".gguf"):
        return ("--hf-repo", repository, "--hf-file", label)
    return ("--hf-repo", plan.name)


def _stem(path: str) -> str:
    name = paths.basename(path)
    return name[: -len(".gguf")] if name.lower().endswith(".gguf") else name
