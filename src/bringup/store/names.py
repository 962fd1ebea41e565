"""Model names as people type them.

./file.gguf  ~/m/file.gguf                     a path
user/repo[:QUANT|:file.gguf]                   a repository of the model hub
hf:user/repo  hf://user/repo  hf.co/user/repo  the same
https://huggingface.co/user/repo/blob/main/f   the same, copied from the browser
https://example.org/file.gguf                  a file on the web
ollama:name[:tag]                              what Ollama has on this disk
qwen3-4b[:QUANT]                               a short name of the catalogue
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from bringup.errors import WrongUse
from bringup.machine import files, paths
from bringup.patterns import regex
from bringup.records import dataclass
from bringup.store.quants import basename

_HUB_HOSTS: Final = ("huggingface.co", "hf.co", "www.huggingface.co")
_HUB_PREFIXES: Final = ("hf://", "hf:", *(f"{host}/" for host in _HUB_HOSTS))
_PAGES: Final = ("blob", "resolve", "raw", "tree")
_PART: Final = regex(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_-])?")
_SHORT: Final = regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?::[A-Za-z0-9._-]{1,64})?")
_REVISION: Final = regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OLLAMA: Final = regex(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,79}/){0,2}[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
_TAG: Final = regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A file of this machine (absolute path); it may not exist."""

    path: str


@dataclass(frozen=True, slots=True)
class HubName:
    """A repository of the model hub; `quant` or `filename` (or neither) says which file."""

    repo: str
    quant: str | None = None
    filename: str | None = None
    revision: str = "main"

    @property
    def place(self) -> str:
        """`user/repo`, or `user/repo@revision` where another than the main branch was asked for."""
        return self.repo if self.revision == "main" else f"{self.repo}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Url:
    """A `.gguf` file on the web."""

    url: str


@dataclass(frozen=True, slots=True)
class OllamaName:
    """A model in Ollama's store: `host/namespace/model` (with Ollama's own defaults filled in) and tag."""

    model: str
    tag: str


@dataclass(frozen=True, slots=True)
class ShortName:
    """A name to look up in the catalogue; what follows a colon is a quantisation or part of the name."""

    name: str
    variant: str | None = None


Name: TypeAlias = LocalPath | HubName | Url | OllamaName | ShortName


def parse_name(text: str, *, path_exists: Callable[[str], bool] = files.exists) -> Name:
    """What a typed name means. A path that exists wins over every other reading of the same text.

    Raises:
        WrongUse: not a name of any kind; the message says what was expected.
    """
    if text.strip() and "\0" not in text and (_leads_like_path(text) or path_exists(paths.absolute(text))):
        return LocalPath(paths.absolute(text.removeprefix("file://")))  # whatever bytes its user gave it
    text = text.strip()
    if not text or len(text) > 2000 or not text.isprintable():
        raise _not_a_name(text, "a name is one line of printable text")
    if text.startswith("ollama:"):
        return _ollama(text.removeprefix("ollama:"))
    if text.startswith(("https://", "http://")):
        return _from_url(text)
    for prefix in _HUB_PREFIXES:
        if text.lower().startswith(prefix):
            return _hub(text[len(prefix) :], text)
    if _looks_like_path(text):
        return LocalPath(paths.absolute(text.removeprefix("file://")))
    if "/" in text:
        return _hub(text, text)
    if _SHORT.fullmatch(text):
        name, _, variant = text.partition(":")
        return ShortName(name.lower(), variant or None)
    raise _not_a_name(text, "expected a path, user/repo, an https address or a short name")


def is_hub_repository(text: str) -> bool:
    """Whether text is `user/repo` in the hub's own alphabet."""
    user, _, repo = text.partition("/")
    return all(_PART.fullmatch(part) and ".." not in part and "--" not in part for part in (user, repo))


def _leads_like_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~", "file://")) or text in (".", "..")


def _looks_like_path(text: str) -> bool:
    if _leads_like_path(text):
        return True
    # `a.gguf` and `a/b.gguf` are files; a repository with a file has at least three parts or a colon.
    return text.lower().endswith(".gguf") and text.count("/") < 2 and ":" not in text


def _hub(rest: str, typed: str) -> HubName:
    rest, _, query = rest.partition("?")
    main, _, choice = rest.strip("/").partition(":")
    parts = main.split("/")
    if len(parts) < 2:
        raise _not_a_name(typed, "a hub name is user/repo, optionally with :QUANT or :file.gguf")
    repo, at, revision = parts[1].partition("@")
    revision, tail = revision or "main", parts[2:]
    if tail and tail[0] in _PAGES and len(tail) > 1:
        revision, tail = tail[1], tail[2:]
    if at and not parts[1].partition("@")[2]:
        raise _not_a_name(typed, "nothing follows the @")
    repository = f"{parts[0]}/{repo}"
    if not is_hub_repository(repository) or not _REVISION.fullmatch(revision) or ".." in revision:
        raise _not_a_name(typed, "a hub name is user/repo: letters, digits, dot, dash and underscore")
    filename = "/".join(tail) or _shown_file(query)
    if filename and choice:
        raise _not_a_name(typed, "name the file or the quantisation, not both")
    if choice.lower().endswith(".gguf"):
        filename, choice = choice, ""
    return _checked(HubName(repository, choice or None, filename or None, revision), typed)


def _shown_file(query: str) -> str:
    """The file that a page of the hub shows, by its address; mostly there is none."""
    if not query:
        return ""
    from urllib.parse import parse_qs

    return (parse_qs(query).get("show_file_info") or [""])[0]


def _checked(name: HubName, typed: str) -> HubName:
    if name.filename is not None:
        if not paths.is_safe_relative(name.filename):
            raise _not_a_name(typed, "the file name would leave the model folder")
        if not name.filename.lower().endswith(".gguf"):
            raise _only_gguf(typed)
    if name.quant is not None and not _TAG.fullmatch(name.quant):
        raise _not_a_name(typed, "a quantisation is a word such as Q4_K_M")
    return name


def _from_url(text: str) -> Name:
    from urllib.parse import unquote, urlsplit  # a costly import, which the name of a file need not pay

    try:
        address = urlsplit(text)
        host = (address.hostname or "").lower()
        port = address.port
    except ValueError as problem:
        raise _not_a_name(text, f"not a web address: {problem}") from problem
    if not host:
        raise _not_a_name(text, "a web address names a host")
    if address.username is not None or address.password is not None:
        raise WrongUse(
            "a web address with a user name or password in it is not accepted",
            hint="It would be kept in records and shown in messages.",
            reference="credentials-in-address",
        )
    if host in _HUB_HOSTS and port is None:
        query = f"?{address.query}" if address.query else ""
        return _hub(unquote(address.path).lstrip("/") + query, text)
    if not basename(unquote(address.path)).lower().endswith(".gguf"):
        raise _only_gguf(text.partition("?")[0])
    return Url(text.partition("#")[0])


def _ollama(rest: str) -> OllamaName:
    model, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        model, tag = rest, "latest"
    parts = model.split("/")
    unusable = any(part in ("", ".", "..") for part in parts)
    if not _OLLAMA.fullmatch(model) or not _TAG.fullmatch(tag) or unusable:
        raise _not_a_name(f"ollama:{rest}", "an Ollama name is model, model:tag or user/model:tag")
    if len(parts) == 1:
        parts = ["library", *parts]
    if len(parts) == 2:
        parts = ["registry.ollama.ai", *parts]
    return OllamaName("/".join(parts), tag)


def _only_gguf(text: str) -> WrongUse:
    return WrongUse(
        f"{text[:200]} is not a .gguf file",
        hint="Only GGUF model files are fetched, nothing else that a repository holds.",
        reference="not-a-gguf-name",
    )


def _not_a_name(text: str, why: str) -> WrongUse:
    return WrongUse(
        f"{text[:120]!r} is not a model name",
        context=(why,),
        hint="Examples: smollm2-135m, Qwen/Qwen3-4B-GGUF:Q4_K_M, ./model.gguf, ollama:qwen3",
        reference="bad-model-name",
    )
