"""What `bringup plan` found out, in one piece: every face shows this and knows no rule of its own."""

from __future__ import annotations

from enum import Enum

from bringup.actions.planning.place import Holder, Place
from bringup.actions.planning.source import ModelSource
from bringup.model.architecture import Architecture
from bringup.plan.plan import Part
from bringup.plan.predict import Estimate
from bringup.plan.request import Device
from bringup.records import dataclass


class Group(Enum):
    """Parts as a bar shows them."""

    WEIGHTS = "weights"
    CACHE = "KV cache"
    COMPUTE = "compute"
    OVERHEAD = "overhead"
    PROMPTS = "earlier prompts"
    MARGIN = "margin"
    OTHERS = "other programs"
    FREE = "free"


_GROUPS = {
    "weights": Group.WEIGHTS,
    "kv_cache": Group.CACHE,
    "kv_cache_swa": Group.CACHE,
    "kv_cache_index": Group.CACHE,
    "recurrent_state": Group.CACHE,
    "compute": Group.COMPUTE,
    "output": Group.COMPUTE,
    "draft_weights": Group.WEIGHTS,
    "draft_kv_cache": Group.CACHE,
    "draft_kv_cache_swa": Group.CACHE,
    "draft_recurrent_state": Group.CACHE,
    "draft_compute": Group.COMPUTE,
    "draft_output": Group.COMPUTE,
    "projector_weights": Group.WEIGHTS,
    "projector_compute": Group.COMPUTE,
    "prompt_cache": Group.PROMPTS,
    "margin": Group.MARGIN,
    "other_programs": Group.OTHERS,
}


def group_of(part: Part) -> Group:
    """Where a part is shown; what has no place of its own is overhead."""
    return _GROUPS.get(part.name, Group.OVERHEAD)


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """One device of a plan.

    Attributes:
        device: with its whole and its free memory.
        parts: what the plan puts there, margins too.
        holders: programs that hold memory of it now.
    """

    device: Device
    parts: tuple[Part, ...]
    holders: tuple[Holder, ...] = ()

    @property
    def planned_bytes(self) -> int:
        """Sum of the plan's own parts, margins too."""
        return sum(part.bytes for part in self.parts if group_of(part) is not Group.OTHERS)

    @property
    def used_bytes(self) -> int:
        """What the engine will really take: without margins."""
        return sum(part.bytes for part in self.parts if group_of(part) not in (Group.OTHERS, Group.MARGIN))

    @property
    def held_bytes(self) -> int:
        """What other programs hold."""
        return max(0, self.device.total_bytes - self.device.free_bytes)

    @property
    def left_bytes(self) -> int:
        """What nobody uses then; negative where it does not fit."""
        return self.device.free_bytes - self.planned_bytes

    def groups(self) -> dict[Group, int]:
        """Bytes of each group that has any, in the order of a bar, other programs and free memory last."""
        sums = dict.fromkeys(Group, 0)
        for part in self.parts:
            sums[group_of(part)] += part.bytes
        sums[Group.OTHERS] = self.held_bytes
        sums[Group.FREE] = max(0, self.left_bytes)
        return {group: size for group, size in sums.items() if size}


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a plan is, each figure with its band.

    Attributes:
        generation_empty: tokens a second of an answer at an empty window.
        generation_full: at a full one.
        prompt_empty: tokens a second of a prompt at an empty window.
        prompt_full: of the last prompt that the window holds.
        first_token_s: seconds to the first token of an answer to a prompt of `n_prompt` tokens.
        n_prompt: tokens of that prompt.
        bottleneck: what an answer waits for most.
        formulas: how the figures were worked out.
        sources: where rates come from.
    """

    generation_empty: Estimate
    generation_full: Estimate
    prompt_empty: Estimate
    prompt_full: Estimate
    first_token_s: Estimate
    n_prompt: int
    bottleneck: str
    formulas: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rung:
    """One context of the ladder.

    Attributes:
        n_ctx: tokens.
        fits: within the memory.
        uses: the devices with what lies there.
        speed: `None` where nothing is known of a device's speed, or it does not fit.
        gives_way: what is placed elsewhere than one would want, or what is missing; empty for nothing.
        is_chosen: the plan's own window.
        is_beyond_training: more than the model was trained for.
    """

    n_ctx: int
    fits: bool
    uses: tuple[DeviceUse, ...]
    speed: Speed | None
    gives_way: str
    is_chosen: bool = False
    is_beyond_training: bool = False

    @property
    def cache_bytes(self) -> int:
        """KV cache and recurrent state, all devices together."""
        return sum(part.bytes for use in self.uses for part in use.parts if group_of(part) is Group.CACHE)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way, or a way out.

    Attributes:
        what: what to do, as an imperative.
        options: of `bringup plan` (and llama-server) that do it; empty for something to do by hand.
        effect: what comes of it, in figures.
        fits: whether the model fits then.
        cost: the price in quality, speed or effort, in words.
    """

    what: str
    options: tuple[str, ...]
    effect: str
    fits: bool
    cost: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting of llama-server; `is_given` where the user said it."""

    option: str
    value: str
    is_given: bool


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Everything about one plan.

    Attributes:
        source: the model and where its header was read.
        architecture: its figures.
        place: the devices.
        n_ctx: tokens of all slots together.
        n_parallel: slots.
        fits: within the memory of each device.
        verdict: one sentence.
        missing: what is too little where, in words; empty where it fits.
        uses: the devices with what lies there.
        speed: `None` where nothing is known of a device's speed; `no_speed` says why.
        no_speed: see there.
        ladder: from small windows to the model's longest.
        choices: the settings.
        reasons: why they were chosen, one sentence each.
        alternatives: the cheapest first.
        command: argv of llama-server.
        warnings: what a person should know before.
        assumptions: what was taken for granted.
        checked: what the engine's own dry run says; empty where it was not asked.
    """

    source: ModelSource
    architecture: Architecture
    place: Place
    n_ctx: int
    n_parallel: int
    fits: bool
    verdict: str
    missing: tuple[str, ...]
    uses: tuple[DeviceUse, ...]
    speed: Speed | None
    no_speed: str
    ladder: tuple[Rung, ...]
    choices: tuple[Choice, ...]
    reasons: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    command: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the model's files are whole; no engine loads one that is cut or still being fetched."""
        return not self.source.model.missing_bytes

    @property
    def can_run(self) -> bool:
        """Whether the command below would work now: the model is whole and it fits."""
        return self.fits and self.is_whole

    @property
    def nearest_fit(self) -> Alternative | None:
        """Of a plan that does not fit, the cheapest way that does; `None` where none is known."""
        return None if self.fits else next((one for one in self.alternatives if one.fits), None)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, device by device."""
        return tuple(part for use in self.uses for part in use.parts)
