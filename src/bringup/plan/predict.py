"""Speed of a placed model, each figure with its band."""

from __future__ import annotations

from typing import TypeAlias

from bringup.plan.run import Run
from bringup.plan.speed import Cost, CostKind, band_name, generation_costs, prompt_costs
from bringup.plan.speed_calibration import BANDS, FAR_BANDS, MEASURED_FAMILIES, SHARES, UNSEEN_BANDS
from bringup.plan.work import DeviceWork, RunTraits, SpeedDevice
from bringup.records import dataclass

Band: TypeAlias = tuple[float, float]
"""Factors around a prediction that eight of ten measurements are expected between."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the band that eight of ten measurements are expected in."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        """The same, scaled."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Prediction:
    """How fast a placed model will be for a prompt of some length behind some context.

    Attributes:
        prompt_tokens_per_s: while the prompt is read.
        generation_tokens_per_s: behind the prompt.
        time_to_first_token_s: from the request to its first token; the prompt's length sets it.
        bottleneck: what generation waits for most, one sentence.
        formula: the parts of one generated token's time.
        prompt_formula: the parts of the prompt's time.
        sources: where the rates and the measured shares come from.
    """

    prompt_tokens_per_s: Estimate
    generation_tokens_per_s: Estimate
    time_to_first_token_s: Estimate
    bottleneck: str
    formula: str
    prompt_formula: str
    sources: tuple[str, ...]


def traits_of(run: Run, *, is_mapped: bool = True) -> RunTraits:
    """What of a run changes its speed, for the newest engine; `is_mapped` as in `Request`."""
    return RunTraits(
        n_ubatch=run.n_ubatch,
        is_flash=run.flash_attention,
        offloads_ops=run.offloads_ops,
        is_mapped=is_mapped,
    )


def predict_works(
    works: tuple[DeviceWork, ...], traits: RunTraits, *, n_prompt: int, n_past: int
) -> Prediction:
    """Speed of what is already worked out for each device."""
    if traits.n_embd_exchanged:
        return _predict_shared(works, traits, n_prompt=n_prompt, n_past=n_past)
    prompt = prompt_costs(works, n_prompt=n_prompt, depth_tokens=n_past, run=traits, shares=SHARES)
    generation = generation_costs(works, n_past + n_prompt, traits, SHARES)
    bands = [band_of(works, n_prompt=tokens, run=traits) for tokens in (n_prompt, 0)]
    return _told(works, (prompt, generation), (bands[0], bands[1]), n_prompt)


def band_of(works: tuple[DeviceWork, ...], *, n_prompt: int, run: RunTraits) -> Band:
    """The band around a prompt's speed, or around that of generation where `n_prompt` is 0.

    It is wider where a card was never measured, so that only cards of its generation speak for it, and wider
    still where these were not measured either.
    """
    unmeasured = _unmeasured(works)
    is_far = any(device.family.value not in MEASURED_FAMILIES for device in unmeasured)
    bands = FAR_BANDS if is_far else UNSEEN_BANDS if unmeasured else BANDS
    return bands[band_name(works, n_prompt=n_prompt, run=run)]


def _unmeasured(works: tuple[DeviceWork, ...]) -> tuple[SpeedDevice, ...]:
    """Cards of which no measurement is behind the shares, each once."""
    cards = {work.device.card: work.device for work in works if work.device.card}
    return tuple(device for name, device in cards.items() if f"read/card/{name}" not in SHARES)


def _beside_measured(device: SpeedDevice) -> str:
    """What speaks for a card that was never measured."""
    if device.family.value in MEASURED_FAMILIES:
        return f"{device.card}: never measured, told by cards of its generation"
    return f"{device.card}: never measured, nor any card of its generation: its band is wide"


def _predict_shared(
    works: tuple[DeviceWork, ...], traits: RunTraits, *, n_prompt: int, n_past: int
) -> Prediction:
    from bringup.plan import shared_speed  # most plans have no use for it

    prompt = shared_speed.shared_prompt_costs(
        works, n_prompt=n_prompt, depth_tokens=n_past, run=traits, shares=SHARES
    )
    generation = shared_speed.shared_generation_costs(works, n_past + n_prompt, traits, SHARES)
    bands = shared_speed.BAND["prompt"], shared_speed.BAND["generation"]
    return _told(works, (prompt, generation), bands, n_prompt)


def _told(
    works: tuple[DeviceWork, ...],
    costs: tuple[tuple[Cost, ...], tuple[Cost, ...]],
    bands: tuple[Band, Band],
    n_prompt: int,
) -> Prediction:
    """What the costs of a prompt and of a token behind it come to."""
    prompt, generation = costs
    prompt_seconds, token_seconds = _seconds(prompt), _seconds(generation)
    reading = _with_band(n_prompt / prompt_seconds, bands[0])
    return Prediction(
        prompt_tokens_per_s=reading,
        generation_tokens_per_s=_with_band(1 / token_seconds, bands[1]),
        time_to_first_token_s=Estimate(prompt_seconds, n_prompt / reading.high, n_prompt / reading.low),
        bottleneck=_bottleneck(generation),
        formula=_formula(generation, "one token"),
        prompt_formula=_formula(prompt, f"a prompt of {n_prompt:,} tokens"),
        sources=(
            *dict.fromkeys(work.device.source for work in works if work.device.source),
            "shares of these rates: measured, see docs/speed.md",
            *(_beside_measured(device) for device in _unmeasured(works)),
        ),
    )


def generation_rate(works: tuple[DeviceWork, ...], traits: RunTraits, *, n_past: int) -> float:
    """Tokens a second behind so much context, alone: what a search compares placements by."""
    if traits.n_embd_exchanged:
        from bringup.plan.shared_speed import shared_generation_costs  # most plans have no use for it

        return 1 / _seconds(shared_generation_costs(works, n_past, traits, SHARES))
    return 1 / _seconds(generation_costs(works, n_past, traits, SHARES))


def _seconds(costs: tuple[Cost, ...]) -> float:
    return sum(cost.seconds for cost in costs)


def _with_band(value: float, band: Band) -> Estimate:
    low, high = band
    return Estimate(value, value * low, value * high)


_WAITS = {
    CostKind.WEIGHTS: "reading the weights from {device}'s memory",
    CostKind.CACHE: "reading the KV cache from {device}'s memory",
    CostKind.STARTS: "starting the many small steps of a token on {device}",
    CostKind.COPY: "copying weights over the link to {device}",
    CostKind.COMPUTE: "arithmetic on {device}",
    CostKind.ATTENTION: "attention on {device}",
    CostKind.EXCHANGE: "exchanging results between {device}",
}


def _bottleneck(costs: tuple[Cost, ...]) -> str:
    largest = max(costs, key=lambda cost: cost.seconds)
    share = largest.seconds / _seconds(costs)
    return f"{share * 100:.0f} % of the time goes into {_WAITS[largest.kind].format(device=largest.device)}"


def _formula(costs: tuple[Cost, ...], what: str) -> str:
    total = _seconds(costs)
    parts = [
        f"{cost.device} {cost.kind.value} {cost.seconds * 1e3:.3g} ms"
        for cost in costs
        if cost.seconds > 0.005 * total
    ]
    return f"{what}: {' + '.join(parts)} = {total * 1e3:.3g} ms"
