"""The model hub: which files a repository holds, their sizes and hashes. Names and metadata only.

`huggingface_hub` asks and understands; every request of it goes through our own guarded client (bounded
answers, redirects under guard, no telemetry, no token unless one is passed). Bytes never come this way.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from bringup.errors import DownloadError
from bringup.machine import clock, paths
from bringup.machine.folders import set_variable, variable
from bringup.records import dataclass
from bringup.store.web import HostUnreachable, Interrupted, Timing, Token, Web, site_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository. `sha256` is the published hash, `None` for a file outside of LFS."""

    name: str
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit. `files` are those whose names are safe and end in `.gguf`."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]
    refused_names: tuple[str, ...]


class TokenNeeded(DownloadError):
    """The hub answered 401 or 403: private, gated, or no such repository (it does not tell these apart)."""

    default_reference = "hub-token-needed"


def endpoint() -> str:
    """The hub's address; `HF_ENDPOINT` of the user's environment names another one.

    Raises:
        DownloadError: the variable holds no web address.
    """
    text = (variable("HF_ENDPOINT") or _DEFAULT_ENDPOINT).rstrip("/")
    try:
        address = urlsplit(text)
        host, _ = address.hostname, address.port
    except ValueError as problem:
        raise _bad_endpoint(text) from problem
    if address.scheme not in ("http", "https") or not host or address.username is not None:
        raise _bad_endpoint(text)
    return text


def _bad_endpoint(text: str) -> DownloadError:
    return DownloadError(f"HF_ENDPOINT={text[:100]} is not a web address", reference="bad-hub-address")


def is_offline() -> bool:
    """Whether the user told the hub's tools to stay off the network (`HF_HUB_OFFLINE`)."""
    return (variable("HF_HUB_OFFLINE") or "").upper() in ("1", "ON", "YES", "TRUE")


def file_address(repo: str, revision: str, name: str) -> str:
    """Where a file's bytes are asked for."""
    return f"{endpoint()}/{repo}/resolve/{quote(revision, safe='')}/{quote(name)}"


def read_repository(repo: str, revision: str, *, timing: Timing, token: Token | None) -> Repository:
    """What a repository holds.

    Raises:
        HostUnreachable: no connection to the hub within the limit, or the user set HF_HUB_OFFLINE.
        TokenNeeded: private or gated, or not there.
        DownloadError: no such repository or revision, or an answer that makes no sense.
    """
    host = urlsplit(endpoint()).hostname or ""
    if is_offline():
        raise HostUnreachable(host, "HF_HUB_OFFLINE is set")
    site = frozenset({site_of(endpoint())})
    with Web(timing=timing, typed_sites=site, token=token) as web:
        for attempt in range(_TRIES):
            try:
                return _ask(web, repo, revision)
            except Interrupted as problem:
                if attempt + 1 == _TRIES:
                    raise DownloadError(
                        f"{host} does not answer properly: {problem}",
                        hint="Try again in a while.",
                        reference="hub-failing",
                    ) from problem
                pause_s = problem.retry_after_s or timing.pauses_s[min(attempt, len(timing.pauses_s) - 1)]
                clock.sleep_s(min(pause_s, timing.retry_after_limit_s))
    raise AssertionError("the last try either returns or raises")


def _ask(web: Web, repo: str, revision: str) -> Repository:
    try:
        info = _api(web, repo, revision).model_info(repo, revision=revision, files_metadata=True)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise DownloadError(
            f"{urlsplit(endpoint()).hostname} answers something that is no repository listing",
            context=(f"{type(problem).__name__}: {str(problem)[:200]}",),
            hint="A captive portal or a proxy may have answered in its place.",
            reference="hub-answer-senseless",
        ) from problem
    commit = str(info.sha or "")
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        commit = revision
    files: list[HubFile] = []
    refused: list[str] = []
    for sibling in info.siblings or ():
        name, size = str(sibling.rfilename), sibling.size
        if not name.lower().endswith(".gguf"):
            continue
        if not paths.is_safe_relative(name) or type(size) is not int or size < 0:
            refused.append(repr(name)[:80])
            continue
        files.append(HubFile(name, size, _published_hash(sibling.lfs)))
    return Repository(repo, commit, tuple(files), tuple(refused))


def _published_hash(lfs: Any) -> str | None:  # noqa: ANN401 - whatever the hub's library made of foreign JSON
    found = getattr(lfs, "sha256", None)
    return found if isinstance(found, str) and _SHA256.fullmatch(found) else None


def _api(web: Web, repo: str, revision: str) -> HfApi:
    # Read by the library when it is imported, so they are set before.
    set_variable("HF_HUB_DISABLE_TELEMETRY", "1")
    set_variable("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    import huggingface_hub

    # The library speaks httpx up to its version 1 and httpx2 from 2 on; its own client tells which.
    library = importlib.import_module(type(huggingface_hub.get_session()).__module__.partition(".")[0])

    def handle(request: Any) -> Any:  # noqa: ANN401 - a request of one of two libraries with one interface
        status, headers, body = web.get_bounded(str(request.url), {"Accept": "application/json"})
        _refuse_status(status, headers, repo, revision)
        return library.Response(status, content=body, request=request)

    # Named for tests, but simply a transport made of a function: every request ends in our guarded client.
    transport = library.MockTransport(handle)
    huggingface_hub.set_client_factory(lambda: library.Client(transport=transport))
    return huggingface_hub.HfApi(endpoint=endpoint(), token=False)


def _refuse_status(status: int, headers: dict[str, str], repo: str, revision: str) -> None:
    """Tell what an answer other than 200 means, before the hub's library sees it."""
    host = urlsplit(endpoint()).hostname
    code = headers.get("x-error-code", "")
    if status == 200:
        return
    if status in (401, 403):
        gated = code == "GatedRepo"
        raise TokenNeeded(
            f"{host} refuses {repo} without a token"
            if gated
            else f"{host} shows no repository {repo} without a token",
            context=(f"it answered {status}{f' ({code[:40]})' if code else ''}",),
            hint=f"{'Accept its terms on its page' if gated else 'Check the spelling'}; "
            "if it is private or gated, `bringup pull --use-token` sends your hub token to this one host.",
        )
    if status == 404 and code == "RevisionNotFound":
        raise DownloadError(f"{repo} has no revision {revision!r}", reference="no-such-revision")
    if status == 404:
        raise DownloadError(
            f"{host} has no repository {repo}",
            hint="Check the spelling of user and repository.",
            reference="no-such-repository",
        )
    if status in (408, 429) or status >= 500:
        raise Interrupted(
            f"{host} answered {status}", retry_after_s=retry_after_s(headers.get("retry-after"))
        )
    raise DownloadError(f"{host} answered {status} about {repo}", reference="hub-failing")


def retry_after_s(text: str | None) -> float | None:
    """Seconds of a Retry-After header; dates and nonsense count as not said."""
    if text is None or not re.fullmatch(r"\d{1,6}", text.strip()):
        return None
    return float(text)
