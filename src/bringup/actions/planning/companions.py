"""What the user wants beside a model, a drafting model or a projector: looked into, and its arguments."""

from __future__ import annotations

from bringup.actions.planning.source import ModelSource, find_source
from bringup.errors import ModelFileError, WrongUse
from bringup.machine.folders import our_folders
from bringup.model.families import NOT_LANGUAGE_MODELS
from bringup.model.other_kinds import refuse_other_kinds
from bringup.model.window import NATIVE_ORDER
from bringup.plan.anatomy import Anatomy, take_apart
from bringup.plan.companions import DRAFTED_TOKENS, Companions, Draft, Projector, read_projector
from bringup.plan.own_draft import own_draft
from bringup.records import dataclass

OWN_DRAFTING = "draft-mtp"
"""llama-server's word for drafting with the file's own layers."""

_EVERY_LAYER = 999


@dataclass(frozen=True, slots=True)
class Beside:
    """The user's words, by the names of llama-server's options.

    Attributes:
        mmproj: the projector's file or name; `None` for none.
        is_mmproj_offloaded: it lies on the card.
        draft: the drafting model's file or name; `None` for none.
        draft_gpu_layers: of its layers on the card; `None` or a negative number for all.
        draft_type_k: element type of its keys.
        draft_type_v: of its values.
        draft_max: tokens that it drafts at once.
        drafts_itself: with the drafting layers of its own file.
    """

    mmproj: str | None = None
    is_mmproj_offloaded: bool = True
    draft: str | None = None
    draft_gpu_layers: int | None = None
    draft_type_k: str | None = None
    draft_type_v: str | None = None
    draft_max: int = DRAFTED_TOKENS
    drafts_itself: bool = False


@dataclass(frozen=True, slots=True)
class Accompanied:
    """What was found of it.

    Attributes:
        companions: for the planner.
        arguments: of llama-server.
        notes: what a person should know, one sentence each.
        draft_source: the drafting model.
    """

    companions: Companions
    arguments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    draft_source: ModelSource | None = None


def look_beside(beside: Beside, model: Anatomy) -> Accompanied:
    """Look into what runs beside a model.

    Raises:
        WrongUse: a file that is not there, or is of the wrong kind; or the model cannot draft for itself.
        ModelFileError: what is there is no sound model.
        DownloadError: it is not here and cannot be looked into from afar.
    """
    projector: Projector | None = None
    draft: Draft | None = None
    words: list[str] = []
    notes: list[str] = []
    drafts: ModelSource | None = None
    if beside.mmproj is not None:
        source = _find(beside.mmproj, "--mmproj", is_projector=True)
        projector = read_projector(source.model, is_offloaded=beside.is_mmproj_offloaded)
        words += [
            "--mmproj",
            _path(source),
            *(() if beside.is_mmproj_offloaded else ("--no-mmproj-offload",)),
        ]
        notes.append(
            "The projector's buffer is an estimate for the picture that the engine lays out when it loads; "
            "a larger picture takes more."
        )
    if beside.draft is not None:
        source = drafts = _find(beside.draft, "--model-draft", is_projector=False)
        layers = beside.draft_gpu_layers
        draft = Draft(
            take_apart(source.model),
            None if layers is None or layers < 0 else layers,
            beside.draft_type_k,
            beside.draft_type_v,
            beside.draft_max,
        )
        words += _draft_words(beside, source, draft)
    elif beside.drafts_itself:
        types = (beside.draft_type_k, beside.draft_type_v)
        draft = Draft(own_draft(model), None, *types, n_max=beside.draft_max, is_own=True)
        words += ["--spec-type", OWN_DRAFTING, *_settings_words(beside)]
    if draft is not None:
        notes.append("Speeds are told without drafting: what it gains depends on how often it guesses right.")
    return Accompanied(Companions(draft, projector), tuple(words), tuple(notes), drafts)


def check_language_model(source: ModelSource) -> None:
    """Refuse what an engine could not load in the place of a language model.

    Raises:
        WrongUse: a projector; says where it belongs.
        GgufError: another kind of file, such as an adapter.
        ModelFileError: of the other byte order, or without weights.
    """
    if source.model.metadata.text("general.architecture") in NOT_LANGUAGE_MODELS:
        raise WrongUse(
            f"{source.typed} is a projector: it makes tokens of pictures or sound for a language model",
            hint="Name its language model, and the projector beside it: --mmproj FILE.",
        )
    if source.model.header.byte_order is not NATIVE_ORDER:
        raise ModelFileError(
            f"{source.typed}: written for machines of the other byte order",
            context=(f"its numbers are {source.model.header.byte_order.name.lower()}-endian",),
            hint="Get the usual conversion of this model: llama.cpp loads no other on this machine.",
            reference="byte-swapped",
        )
    refuse_other_kinds(source.model.header)
    if not source.model.tensors:
        raise ModelFileError(
            f"{source.typed}: a header without tensors",
            context=("a vocabulary alone, or the first part of a model whose weights are in the others",),
            hint="Name a file that holds weights, all its parts beside it.",
            reference="no-tensors",
        )


def _find(typed: str, option: str, *, is_projector: bool) -> ModelSource:
    source = find_source(typed, our_folders(), may_send_token=lambda _: False)
    kind = source.model.metadata.text("general.architecture") or ""
    if (kind in NOT_LANGUAGE_MODELS) != is_projector:
        other = "a language model" if is_projector else "a projector"
        raise WrongUse(
            f"{option} {typed}: that is {other}",
            hint="--mmproj takes a projector (mmproj-*.gguf), --model-draft a small model of the family.",
        )
    return source


def _path(source: ModelSource) -> str:
    return source.argument[1] if source.is_local else source.title


def _draft_words(beside: Beside, source: ModelSource, draft: Draft) -> list[str]:
    option = "--spec-draft-model" if source.is_local else "--spec-draft-hf"
    layers = _EVERY_LAYER if draft.n_gpu_layers is None else draft.n_gpu_layers
    words = [option, source.argument[1], "--spec-draft-ngl", str(layers)]
    figures = draft.anatomy.architecture
    # A plain model drafts only where the engine is told so; of the others it sees by itself what they are.
    if figures.name != "dflash" and not figures.n_layer_nextn:
        words += ["--spec-type", "draft-simple"]
    return words + _settings_words(beside)


def _settings_words(beside: Beside) -> list[str]:
    words = []
    for option, value in (
        ("--spec-draft-type-k", beside.draft_type_k),
        ("--spec-draft-type-v", beside.draft_type_v),
    ):
        words += [option, value] if value is not None else []
    if beside.draft_max != DRAFTED_TOKENS:
        words += ["--spec-draft-n-max", str(beside.draft_max)]
    return words
