"""The speed of plans on one place: told where something is known of every device that is used."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import field
from typing import Final

from bringup.actions.planning.own_runs import OwnRuns
from bringup.actions.planning.place import Place
from bringup.actions.planning.report import Speed
from bringup.errors import CannotTell
from bringup.plan.anatomy import Anatomy
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.place import Placement
from bringup.plan.predict import Estimate, Prediction, generation_rate, predict_works, traits_of
from bringup.plan.rates import MEASURED_SHARE, HostRates, Origin, speed_devices
from bringup.plan.request import CPU, Request, SplitMode
from bringup.plan.run import Run
from bringup.plan.work import DeviceWork, RunTraits, SpeedDevice
from bringup.plan.workload import Reads, works_of
from bringup.records import dataclass, replace

_MOST_SHARING: Final = 4
"""Cards that share all matrices in the runs that were measured."""


@dataclass(slots=True)
class SpeedTeller:
    """Speeds of one model on one place.

    Attributes:
        anatomy: the model.
        devices: rates of the devices of which something is known.
        n_prompt: tokens of the prompt that the time to the first token is told for.
        host: rates of main memory and processor.
        offloads_cache: see `Request`.
        is_mapped: see `Request`.
        unseen_links: cards whose slots nobody saw.
        own_runs: correct what is told; placements are chosen without them.
    """

    anatomy: Anatomy
    devices: tuple[SpeedDevice, ...]
    n_prompt: int
    host: HostRates
    offloads_cache: bool = True
    is_mapped: bool = True
    unseen_links: frozenset[str] = frozenset()
    own_runs: OwnRuns = field(default_factory=OwnRuns)
    why_not: str = field(default="", init=False)
    _works: dict[Hashable, tuple[DeviceWork, ...]] = field(default_factory=dict, init=False)
    _reads: Reads = field(init=False)

    def __post_init__(self) -> None:
        self._reads = Reads(self.anatomy)

    def judge(self, placement: Placement, run: Run) -> float:
        """Tokens a second of an answer in the middle of the window: what placements are chosen by.

        Raises:
            CannotTell: nothing is known of a device that is used.
        """
        n_past = max(0, run.n_ctx_seq // 2) + 1
        return generation_rate(self._works_of(placement, run), self._traits(placement, run), n_past=n_past)

    def assumptions(self, plan: MemoryPlan) -> tuple[str, ...]:
        """What the speed of a plan stands on beside what the machine and the user told."""
        return (
            *self._memory_rate(plan),
            *self._links(plan),
            *self._unknown_help(plan),
            *self._corrected(plan),
        )

    def _unknown_help(self, plan: MemoryPlan) -> tuple[str, ...]:
        """A card that reads prompts for main memory, of which nothing is known."""
        cards = plan.placement.cards
        is_known = not cards or cards[0] in {device.name for device in self.devices}
        if is_known or not plan.run.offloads_ops:
            return ()
        return (
            f"Nothing is known of {cards[0]}'s speed: prompts are told as if the processor read them alone, "
            "and the engine sends them to that card.",
        )

    def _links(self, plan: MemoryPlan) -> tuple[str, ...]:
        """Links that were taken for the whole of the card's, where weights are copied over them."""
        if not _uses_main_memory(plan):
            return ()
        found = {
            device.card: device.link_bytes_per_s
            for device in self.devices
            if device.name in self.unseen_links and device.name in plan.placement.cards
        }
        return tuple(
            f"The slot gives {card} its whole PCIe link, {link / 1e9:.0f} GB/s (x16 where the card has it)."
            for card, link in found.items()
            if link
        )

    def _corrected(self, plan: MemoryPlan) -> tuple[str, ...]:
        known = self.own_runs.runs or self.own_runs.prompts
        speed = self.tell_uncorrected(plan) if known else None
        if speed is None:
            return ()
        prompts = self.own_runs.prompt_correction(speed.sources, speed.prompt_empty.value)
        value = speed.generation_empty.value
        correction = self.own_runs.correction(speed.sources, value)
        n_wild = len(self.own_runs.alike(speed.sources, value)) - correction.n_runs
        said = []
        if correction.n_runs:
            said.append(
                f"Generation is corrected by {_runs(correction.n_runs)} of yours on this machine: "
                f"{correction.factor:.2f} times what was predicted without."
            )
        if prompts.n_runs:
            said.append(
                f"The reading of prompts is corrected by {_runs(prompts.n_runs)} of yours on this machine: "
                f"{prompts.factor:.2f} times what was predicted without."
            )
        if n_wild:
            said.append(
                f"{_runs(n_wild)} of yours on this machine left out: too far from what was predicted "
                "(was it busy?)."
            )
        return tuple(said)

    def _memory_rate(self, plan: MemoryPlan) -> tuple[str, ...]:
        rate, origin = self.host.bandwidth_bytes_per_s / 1e9, self.host.origin
        if not _uses_main_memory(plan):
            return ()
        if origin is Origin.MEASURED:
            read = rate * MEASURED_SHARE
            return (f"Main memory is read at {read:.0f} GB/s, measured here on {self.host.day}.",)
        if origin is Origin.MODULES:
            return (f"Main memory carries {rate:.0f} GB/s by its modules' data (--measure-ram).",)
        if origin is Origin.GIVEN:
            return ()
        return (f"Main memory carries {rate:.0f} GB/s (two channels of DDR4-3200; --measure-ram).",)

    def tell(self, plan: MemoryPlan) -> Speed | None:
        """The speeds of a plan as own runs correct them; `None` where they cannot be told."""
        speed = self.tell_uncorrected(plan)
        if speed is None:
            return None
        answers = self.own_runs.correction(speed.sources, speed.generation_empty.value)
        prompts = self.own_runs.prompt_correction(speed.sources, speed.prompt_empty.value)
        prompt_empty = prompts.apply(speed.prompt_empty)
        return replace(
            speed,
            generation_empty=answers.apply(speed.generation_empty),
            generation_full=answers.apply(speed.generation_full),
            prompt_empty=prompt_empty,
            prompt_full=prompts.apply(speed.prompt_full),
            first_token_s=Estimate(
                speed.n_prompt / prompt_empty.value,
                speed.n_prompt / prompt_empty.high,
                speed.n_prompt / prompt_empty.low,
            ),
        )

    def prompt_rate(self, plan: MemoryPlan, n_prompt: int) -> float:
        """Tokens a second at which a prompt of so many tokens is read; 0 where it cannot be told."""
        try:
            told = self._predict(plan.placement, plan.run, n_prompt, 0)
        except CannotTell:
            return 0.0
        return told.prompt_tokens_per_s.value

    def tell_uncorrected(self, plan: MemoryPlan) -> Speed | None:
        """The speeds of a plan; `None` where they cannot be told, `why_not` says why then."""
        placement, run, window = plan.placement, plan.run, plan.run.n_ctx_seq
        n_prompt = max(1, min(self.n_prompt, window - 1))
        batch = max(1, min(512, window - 1))
        try:
            empty = self._predict(placement, run, n_prompt, 0)
            first = self._predict(placement, run, 1, 0)
            full = self._predict(placement, run, batch, window - batch)
        except CannotTell as problem:
            self.why_not = problem.message
            return None
        return Speed(
            generation_empty=first.generation_tokens_per_s,
            generation_full=full.generation_tokens_per_s,
            prompt_empty=empty.prompt_tokens_per_s,
            prompt_full=full.prompt_tokens_per_s,
            first_token_s=empty.time_to_first_token_s,
            n_prompt=n_prompt,
            bottleneck=first.bottleneck,
            formulas=(first.formula, empty.prompt_formula),
            sources=empty.sources,
        )

    def _predict(self, placement: Placement, run: Run, n_prompt: int, n_past: int) -> Prediction:
        works = self._works_of(placement, run)
        return predict_works(works, self._traits(placement, run), n_prompt=n_prompt, n_past=n_past)

    def _traits(self, placement: Placement, run: Run) -> RunTraits:
        traits = traits_of(run, is_mapped=self.is_mapped)
        if placement.mode is SplitMode.LAYER:
            return traits
        return replace(traits, n_embd_exchanged=self.anatomy.architecture.n_embd)

    def _works_of(self, placement: Placement, run: Run) -> tuple[DeviceWork, ...]:
        """What a token costs on each device; it does not depend on the window's length."""
        if placement.mode is not SplitMode.LAYER:
            return self._shared_works(placement, run)
        key = (placement, run.type_k, run.type_v, run.flash_attention, run.offloads_ops)
        works = self._works.get(key)
        if works is None:
            works = self._works[key] = works_of(
                self._reads, placement, run, self.devices, offloads_cache=self.offloads_cache
            )
        return works

    def _shared_works(self, placement: Placement, run: Run) -> tuple[DeviceWork, ...]:
        """Cards that share all matrices; nothing that was measured tells of more than four."""
        names, known = placement.cards, {device.name: device for device in self.devices}
        if placement.mode is SplitMode.ROW or not 2 <= len(names) <= _MOST_SHARING:
            raise CannotTell("it depends on how fast the cards exchange their shares, which nobody measured")
        works = works_of(self._reads, placement, run, self.devices, offloads_cache=self.offloads_cache)
        cards = [known[name] for name in names if name in known]
        if len(works) != 1 or len(cards) != len(names) or works[0].device.name == CPU:
            raise CannotTell("cards that share matrices beside main memory were measured by nobody")
        from bringup.plan.shared_speed import divided  # most plans have no use for it

        return divided(works[0], cards, placement.shares)


def _uses_main_memory(plan: MemoryPlan) -> bool:
    placement = plan.placement
    return CPU in (*placement.layers, placement.output) or placement.is_overridden


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def given_rates(place: Place, ram_bytes_per_s: float | None) -> HostRates:
    """Main memory as somebody gave it, else as it is assumed."""
    if ram_bytes_per_s is None:
        return HostRates(n_cores=place.n_threads)
    return HostRates(ram_bytes_per_s, Origin.GIVEN, place.n_threads)


def speed_teller(
    anatomy: Anatomy,
    place: Place,
    request: Request,
    *,
    n_prompt: int,
    host: HostRates,
    own_runs: OwnRuns | None = None,
) -> SpeedTeller:
    """A teller for a place, with the rates of its main memory; `own_runs` correct it where they are known."""
    devices = speed_devices(place.devices, host, links_bytes_per_s=place.links_bytes_per_s)
    unseen = frozenset(card.name for card in place.cards if card.name not in place.links_bytes_per_s)
    return SpeedTeller(
        anatomy,
        devices,
        n_prompt,
        host,
        request.offloads_cache,
        request.is_mapped,
        unseen,
        own_runs or OwnRuns(),
    )
