"""What is in a model file: read it, sum it up, check it. No network, no engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bringup.errors import GgufError, WrongUse
from bringup.machine import files
from bringup.machine.folders import Folders, our_folders
from bringup.model.architecture import Architecture
from bringup.model.gguf import Tensor
from bringup.model.preflight import check_model
from bringup.model.problem import Gravity, Problem
from bringup.model.quants import TensorType
from bringup.model.shards import Model
from bringup.model.sizes import Share, TensorKind, by_kind, by_type
from bringup.model.tokenizer import CHAT_TEMPLATE, SpecialToken, special_tokens
from bringup.model.values import ArrayValue, Metadata
from bringup.records import dataclass
from bringup.store.header import load_model
from bringup.store.names import LocalPath, parse_name
from bringup.store.resolve import find_local, no_such_file

_ABOUT: Final = (
    "license",
    "author",
    "organization",
    "basename",
    "finetune",
    "quantized_by",
    "url",
    "repo_url",
)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What a model's files say.

    Attributes:
        paths: the files, the first one first.
        origin: which tool put it there, as words.
        model: headers of the files.
        architecture: figures; `None` when they cannot be had, see `problems`.
        name: what the model calls itself, empty when it does not.
        about: further words of the file about itself (`license`, `author`, ...), only those it has.
        kinds: sums by kind of tensor.
        types: sums by storage type.
        total: sum of all tensors.
        special: special tokens of the tokenizer.
        templates: chat templates by name; the default one has the name `default`.
        problems: what pre-flight found.
    """

    paths: tuple[str, ...]
    origin: str
    model: Model
    architecture: Architecture | None
    name: str
    about: tuple[tuple[str, str], ...]
    kinds: Mapping[TensorKind, Share]
    types: Mapping[TensorType, Share]
    total: Share
    special: tuple[SpecialToken, ...]
    templates: Mapping[str, str]
    problems: tuple[Problem, ...]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, in the order of the files."""
        return self.model.tensors

    @property
    def bits_per_weight(self) -> float | None:
        """Mean bits of one parameter, `None` for a file without tensors."""
        return 8 * self.total.size_bytes / self.total.n_elements if self.total.n_elements else None

    @property
    def is_refused(self) -> bool:
        """Whether no engine should see this file."""
        return any(problem.gravity is Gravity.REFUSED for problem in self.problems)


def show_model(text: str, folders: Folders | None = None) -> ModelReport:
    """Read a model that is on this disk.

    Args:
        text: its name as typed.
        folders: ours.

    Raises:
        WrongUse: no such name, or not on this disk.
        ModelFileError: not a model file, or damaged.
        FileTrouble: no rights.
    """
    folders = folders or our_folders()
    paths, origin = find_on_disk(text, folders)
    model = load_model(paths, folders=folders, allow_cut_short=True)
    return report_on(model, paths=tuple(header.name for header in model.headers), origin=origin)


def find_on_disk(text: str, folders: Folders) -> tuple[tuple[str, ...], str]:
    """Files of the model that a typed name means, and which tool put them there. No network.

    Raises:
        WrongUse: no such name, or not on this disk.
    """
    name = parse_name(text)
    if isinstance(name, LocalPath):
        if not files.is_there(name.path):
            raise no_such_file(name.path)
        return (name.path,), "path"
    found = find_local(name, folders)
    if found is None:
        raise WrongUse(
            f"{text} is not on this disk",
            hint=f"To fetch it: bringup pull {text}    To see what is here: bringup models",
            reference="not-on-this-disk",
        )
    return found.paths, found.origin.value


def report_on(model: Model, *, paths: tuple[str, ...], origin: str) -> ModelReport:
    """Sum up a model whose headers were read.

    Raises:
        GgufError: the file no longer holds what its header says.
    """
    problems = check_model(model)
    try:
        architecture = model.architecture
    except GgufError:  # pre-flight has it among its problems
        architecture = None
    tensors, metadata = model.tensors, model.metadata
    return ModelReport(
        paths=paths,
        origin=origin,
        model=model,
        architecture=architecture,
        name=_text(metadata, "general.name"),
        about=tuple((word, value) for word in _ABOUT if (value := _text(metadata, f"general.{word}"))),
        kinds=by_kind(tensors),
        types=by_type(tensors),
        total=Share(len(tensors), sum(t.n_elements for t in tensors), model.weights_bytes),
        special=special_tokens(metadata, architecture.tokenizer) if architecture else (),
        templates=_templates(metadata),
        problems=problems,
    )


def _text(metadata: Metadata, key: str) -> str:
    value = metadata.get(key)
    return value if isinstance(value, str) else ""


def _templates(metadata: Metadata) -> dict[str, str]:
    """`tokenizer.chat_template` and its named variants (`tokenizer.chat_template.tool_use`)."""
    found = {}
    for key in metadata:
        value = _text(metadata, key) if key == CHAT_TEMPLATE or key.startswith(CHAT_TEMPLATE + ".") else ""
        if value:
            found[key.removeprefix(CHAT_TEMPLATE).removeprefix(".") or "default"] = value
    return found


def metadata_summary(metadata: Metadata) -> dict[str, str | int | float | bool | dict[str, str | int]]:
    """All keys with their values; an array is told by the type and number of its elements."""
    summary: dict[str, str | int | float | bool | dict[str, str | int]] = {}
    for key in metadata:
        value = metadata[key]
        if isinstance(value, ArrayValue):
            summary[key] = {"array_of": value.element_type.name.lower(), "count": value.count}
        else:
            summary[key] = value
    return summary
