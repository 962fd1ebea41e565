"""The speed model against measured speeds, and the fit that makes its figures.

Rows that calibrate and rows that judge are kept apart by series (source, card, number of cards, model,
quantisation): a series whose SHA-256 begins with a byte that four divides judges, all others calibrate
(`speed_rows.Case.is_calibration`). `--folds` goes further: five fits, each judged on the fifth that it did
not see; `--folds cards` and `--folds models` leave out all rows of a card, or of a model. `--fit FILE`
writes `plan/speed_calibration.py` from the calibration rows alone (needs numpy).
`speed_more.jsonl` beside this file holds further public rows, each with its source, which only calibrate.

Run: `python benchmarks/plan_speed.py SPEED.jsonl [--fit FILE | --folds [series|cards|models] | --worst N]`
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from slopes import Sloped
from speed_divisions import cards_dealt, models_dealt, of_family
from speed_rows import Case, case_of, why_left_out

from bringup.plan import shared_speed, speed
from bringup.plan.cards import Family
from bringup.plan.work import Age, Backend, Kind

if TYPE_CHECKING:
    import numpy as np

Prior = tuple[float, float]
FIXED = 0.001
MATRIX_UNITS = frozenset((Family.VOLTA, Family.TURING, Family.AMPERE, Family.ADA, Family.BLACKWELL))
"""Families whose kernels for prompts are the same."""
SINGLE: dict[str, Prior] = {
    "token": (100e-6, 0.7),
    "hop": (50e-6, 0.7),
    "layer_recurrent/unfused": (2.0, 0.5),
    "cache/no_flash": (0.8, 0.3),
    "attention/no_flash": (0.4, 0.5),
    "read/experts": (0.8, 0.3),
    "prompt/experts": (0.7, 0.4),
    "link": (0.8, 0.2),
    "link/mapped": (0.3, 0.3),
    "prompt/unpacked": (0.7, 0.3),
    "exchange": (40e-6, 0.5),
    "exchange/link": (0.7, 0.4),
    "experts/evenness": (0.5, 0.7),
    "prompt/size": (0.15, 0.5),
    "half_tokens/growth": (0.7, 0.4),
    "prompt/untuned": (0.3, 0.5),
    "pipelining": (0.7, 0.4),
    "read/mxfp4/before_ampere": (0.8, 0.3),
    "prompt/power": (0.25, 0.5),
    "prompt/mxfp4/native": (1.5, 0.3),
    "prompt/cpu/repacked": (2.25, 0.3),
    "unpack/cpu": (0.45, 0.4),
    "unpack/metal": (0.15, 0.3),
    "unpack/metal/old": (0.8, 0.3),
    "heads/volta": (0.2, 0.5),
}
OF_CARD: dict[str, Prior] = {"read/card": (1.0, 0.12), "prompt/card": (1.0, 0.15)}
OF_FAMILY: dict[str, Prior] = {
    "read": (0.7, 0.25),
    "prompt": (0.5, 0.8),
    "prompt/experts": (1.0, 0.1),
    "prompt/f16": (1.0, 0.2),
    "attention/family": (1.0, 0.4),
    "cache/family": (1.0, 0.3),
}
OF_BACKEND: dict[str, Prior] = {
    "layer": (15e-6, 0.7),
    "layer_experts": (15e-6, 0.7),
    "layer_recurrent": (30e-6, 0.7),
    "prompt_layer": (20e-6, 0.7),
    "edges": (0.4, 0.5),
    "half_tokens": (30.0, 0.3),
    "heads": (0.05, 0.7),
    "cache": (0.7, 0.3),
    "attention": (0.5, 0.5),
    "attention/wide": (0.8, 0.3),
    "recurrent/chunked": (8.0, 0.6),
    "recurrent/scanned": (2.5, 0.5),
    "recurrent/multiplied": (5.0, 0.7),
    "prompt/bf16": (0.8, 0.4),
    "prompt/experts/backend": (1.0, 0.2),
    "read/experts": (1.0, 0.2),
    "read/mxfp4": (1.0, 0.2),
    "prompt/backend": (1.0, 0.3),
}
OF_KIND: dict[str, Prior] = {
    "read/kind": (1.0, 0.15),
    "prompt/kind": (1.0, 0.25),
    "read/cpu": (1.0, 0.2),
    "prompt/experts/kind": (1.0, 0.2),
}
PROMPT_CPU: dict[Kind, Prior] = {
    Kind.F16: (0.6, 0.3),
    Kind.BF16: (0.5, 0.3),
    Kind.Q8: (1.2, 0.3),
    Kind.Q6: (0.6, 0.3),
    Kind.Q5: (0.6, 0.3),
    Kind.Q4: (1.0, FIXED),
    Kind.Q4_0: (1.0, 0.2),
    Kind.MXFP4: (0.9, 0.3),
    Kind.Q3: (0.6, 0.3),
    Kind.Q2: (0.7, 0.3),
    Kind.IQ4: (0.9, 0.3),
    Kind.IQ: (0.2, 0.4),
}
"""What unpacking costs processors: little for plain blocks, much for what needs tables of vectors."""
OF_AGE: dict[str, tuple[Prior, Prior, Prior, Prior]] = {
    "prompt/{}": ((1.0, FIXED), (0.95, 0.1), (0.9, 0.15), (1.0, 0.2)),
    "prompt/{}/experts": ((1.0, FIXED), (0.95, 0.1), (0.9, 0.15), (0.6, 0.3)),
    "prompt/{}/f16": ((1.0, FIXED), (0.95, 0.1), (0.9, 0.15), (0.9, 0.3)),
    "layer/{}": ((1.0, FIXED), (1.1, 0.2), (1.2, 0.3), (1.5, 0.3)),
    "layer_experts/{}": ((1.0, FIXED), (1.1, 0.2), (1.2, 0.3), (1.5, 0.3)),
}
"""For new, late, mid and old engines; prompts on CUDA."""
ELSEWHERE_OF_AGE: tuple[Prior, Prior, Prior, Prior] = ((1.0, FIXED), (0.95, 0.1), (0.85, 0.2), (0.7, 0.3))
"""The same for prompts on other backends of cards."""


def priors() -> dict[str, Prior]:
    """Name -> what physics lets expect, and how far (in logarithms) a measurement may move it."""
    found = dict(SINGLE)
    for family in Family:
        found |= {f"{name}/{family.value}": prior for name, prior in OF_FAMILY.items()}
        if family in MATRIX_UNITS:
            found[f"prompt/{family.value}"] = (0.5, 0.3)
    found["prompt/gtx16"] = (0.4, 0.4)  # usual builds take kernels for matrix units, which these cards lack
    for backend in Backend:
        found |= {f"{name}/{backend.value}": prior for name, prior in OF_BACKEND.items()}
        if backend not in (
            Backend.ROCM,
            Backend.VULKAN,
            Backend.SYCL,
        ):  # the others have families of their own
            found[f"prompt/backend/{backend.value}"] = (1.0, FIXED)
    for kind in Kind:
        found |= {f"{name}/{kind.value}": prior for name, prior in OF_KIND.items()}
    found["read/kind/iq"], found["prompt/kind/iq"] = (0.8, 0.2), (0.8, 0.25)  # tables of vectors
    found |= {f"{name}/{Kind.Q4.value}": (1.0, FIXED) for name in OF_KIND}  # all others are told beside it
    found |= {f"prompt/cpu/{kind.value}": prior for kind, prior in PROMPT_CPU.items()}
    for name, of_ages in OF_AGE.items():
        found |= {name.format(age.value): prior for age, prior in zip(Age, of_ages, strict=True)}
    for backend in (Backend.ROCM, Backend.VULKAN, Backend.METAL, Backend.SYCL):
        for age, prior in zip(Age, ELSEWHERE_OF_AGE, strict=True):
            found |= {f"prompt/{age.value}{group}/{backend.value}": prior for group in ("", "/experts")}
            found[f"attention/{age.value}/{backend.value}"] = prior
    return found


def predict(case: Case, shares: Mapping[str, float]) -> float:
    """Tokens a second."""
    is_shared = bool(case.run.n_embd_exchanged)
    if case.is_prompt:
        told = shared_speed.shared_prompt_costs if is_shared else speed.prompt_costs
        costs = told(
            case.works, n_prompt=case.n_tokens, depth_tokens=case.depth_tokens, run=case.run, shares=shares
        )
        return case.n_tokens / sum(cost.seconds for cost in costs)
    told = shared_speed.shared_generation_costs if is_shared else speed.generation_costs
    return 1 / sum(cost.seconds for cost in told(case.works, case.depth_tokens, case.run, shares))


COOLING = (0.3, 0.2, 0.1, 0.1, 0.07, 0.07, 0.07, 0.07)
"""How far off a row is taken to be, round by round: the fit begins where all rows count alike, and comes to
rest where most are met and outliers count little. Begun at the end it stays in the next of many hollows."""


OF_OWN_ROWS = 0.6
"""How much a miss of a row counts that was looked up because its kind is rare."""


def fit(cases: Sequence[Case], *, cooling: Sequence[float] = COOLING) -> dict[str, float]:
    """The figures that explain the rows best: damped least squares of logarithms with priors.

    Outliers count less (the weight falls beyond 1.5 x noise), and so does each row of a long series.
    """
    import numpy as np

    prior = priors()
    for card in {work.device.card for case in cases for work in case.works if work.device.card}:
        prior |= {f"{name}/{card}": usual for name, usual in OF_CARD.items()}
    names = list(prior)
    centre = np.log([prior[name][0] for name in names])
    spread = np.array([prior[name][1] for name in names])
    length = collections.Counter(case.series for case in cases)
    own = [OF_OWN_ROWS if case.is_own else 1.0 for case in cases]
    base = np.array([length[case.series] ** -0.25 for case in cases]) * own

    touched = [names_used(case, prior, names) for case in cases]

    measured = np.log([case.measured for case in cases])
    here = centre
    for noise in cooling:
        shares = dict(zip(names, np.exp(here).tolist(), strict=True))
        told, slope = slopes(cases, touched, names, shares)
        miss = told - measured
        weight = base / np.sqrt(1 + (miss / (1.5 * noise)) ** 2) / noise
        weighted = slope * weight[:, None]
        matrix = weighted.T @ weighted + np.diag(spread**-2)
        step = np.linalg.solve(matrix, -weighted.T @ (miss * weight) - (here - centre) / spread**2)
        here = here + np.clip(step, -0.5, 0.5)
    return dict(zip(names, np.exp(here).tolist(), strict=True))


class _Noting(dict[str, float]):
    """Figures that remember which of them were asked for."""

    def __init__(self, figures: Mapping[str, float]) -> None:
        super().__init__(figures)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> float:
        self.asked.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: float = 1.0) -> float:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


def names_used(case: Case, prior: Mapping[str, Prior], names: Sequence[str]) -> list[int]:
    """Which figures a prediction depends on, as places in `names`."""
    noting = _Noting({name: prior[name][0] for name in names})
    predict(case, noting)
    return [place for place, name in enumerate(names) if name in noting.asked]


def slopes(
    cases: Sequence[Case], touched: Sequence[Sequence[int]], names: Sequence[str], shares: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Each prediction's logarithm, and how it moves with the logarithm of each figure."""
    import numpy as np

    told, found = np.zeros(len(cases)), np.zeros((len(cases), len(names)))
    for row, (case, places) in enumerate(zip(cases, touched, strict=True)):
        units = np.eye(len(places))
        sloped = {
            names[place]: Sloped(shares[names[place]], units[own] * shares[names[place]])
            for own, place in enumerate(places)
        }
        here = predict(case, sloped)  # type: ignore[arg-type]
        assert isinstance(here, Sloped)
        told[row] = math.log(here.value)
        found[row, list(places)] = here.slopes / here.value
    return told, found


OWN_ROWS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "speed_more.jsonl")
"""Further public measurements, each with its source; they only calibrate."""

_FIELDS = ("size_gib", "params_b", "flash_attn", "n_gpu_layers", "n_cpu_moe", "n_ubatch", "threads", "build")
"""Fields that a row may leave out."""


def read_cases(path: str) -> tuple[list[Case], collections.Counter[str]]:
    """Rows that can be predicted, and why others were left out."""
    cases, left_out = [], collections.Counter[str]()
    with open(path, encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            row = dict.fromkeys(_FIELDS) | row
            why = why_left_out(row)
            case = None if why else case_of(row)
            if case is None:
                left_out[why or "the model's shape is not in the table"] += 1
            else:
                cases.append(case)
    return cases, left_out


@dataclass(frozen=True)
class Errors:
    """How far predictions of one group are from the measurements, and how many of these lie in the band."""

    n_rows: int
    median: float
    within_30_pct: float
    ninth: float
    in_band: float


Band = tuple[float, float]


def summary(
    pairs: Iterable[tuple[Case, float]], band: Callable[[Case], Band] | None = None
) -> dict[str, Errors]:
    """Errors by group; a pair is a row and its prediction over its measurement; the band is the product's."""
    groups: dict[str, list[tuple[float, bool]]] = collections.defaultdict(list)
    for case, ratio in pairs:
        low, high = (band or band_of)(case)
        for name in (case.group, "all"):
            groups[name].append((abs(ratio - 1), low <= 1 / ratio <= high))
    found = {}
    for name in sorted(groups, key=lambda name: (name == "all", name)):
        errors = sorted(error for error, _ in groups[name])
        count = len(errors)
        found[name] = Errors(
            n_rows=count,
            median=statistics.median(errors),
            within_30_pct=sum(error <= 0.3 for error in errors) / count,
            ninth=errors[min(count - 1, int(0.9 * count))],
            in_band=sum(inside for _, inside in groups[name]) / count,
        )
    return found


def table(pairs: Iterable[tuple[Case, float]], band: Callable[[Case], Band] | None = None) -> list[str]:
    """The same as lines."""
    lines = [f"{'':28}{'rows':>6}{'median':>9}{'<= 30 %':>9}{'90th':>8}{'in band':>9}"]
    for name, errors in summary(pairs, band).items():
        lines.append(
            f"{name:28}{errors.n_rows:6}{errors.median:9.1%}{errors.within_30_pct:9.0%}"
            f"{errors.ninth:8.0%}{errors.in_band:9.0%}"
        )
    return lines


def judged(cases: Sequence[Case]) -> list[tuple[Case, float]]:
    """The rows that judge, with prediction over measurement by the product's own figures."""
    from bringup.plan.speed_calibration import SHARES

    return [(case, predict(case, SHARES) / case.measured) for case in cases if not case.is_calibration]


def band_of(case: Case) -> tuple[float, float]:
    """The band that the product gives this case."""
    from bringup.plan import predict as product

    return product.band_of(case.works, n_prompt=case.n_tokens if case.is_prompt else 0, run=case.run)


def band_name(case: Case) -> str:
    """Which band a case has; the CPU's groups are too small to tell dense from MoE."""
    return speed.band_name(case.works, n_prompt=case.n_tokens if case.is_prompt else 0, run=case.run)


def out_of_fold(
    cases: Sequence[Case], part_of: Callable[[Case], int] = lambda case: case.fold(5)
) -> list[tuple[Case, float]]:
    """Each case predicted by a fit that did not see its part (its series, unless told), begun anew."""
    found = []
    for part in sorted({part_of(case) for case in cases}):
        shares = fit([case for case in cases if part_of(case) != part])
        unseen = [case for case in cases if part_of(case) == part]
        found += [(case, predict(case, shares) / case.measured) for case in unseen]
    return found


ENOUGH_ROWS = 25
FEW_ROWS_BAND = (2 / 3, 3 / 2)


def bands(pairs: Iterable[tuple[Case, float]]) -> dict[str, tuple[float, float]]:
    """By group: the factors between which eight of ten measurements lie, seen from the prediction.

    A group of few rows may lie together by luck: it gets no narrower band than `FEW_ROWS_BAND`.
    """
    groups: dict[str, list[float]] = collections.defaultdict(list)
    for case, ratio in pairs:
        groups[band_name(case)].append(1 / ratio)
    found = {}
    for name, values in sorted(groups.items()):
        ordered = sorted(values)
        edge = int(0.1 * len(ordered))
        low, high = (0.9, 1.1) if len(ordered) >= ENOUGH_ROWS else FEW_ROWS_BAND
        found[name] = (min(low, ordered[edge]), max(high, ordered[-1 - edge]))
    return found


def _widest(one: Band, other: Band) -> Band:
    return min(one[0], other[0]), max(one[1], other[1])


def write_calibration(path: str, cases: Sequence[Case], out: Callable[[str], None]) -> None:
    """Fit, and write the module."""
    used = [case for case in cases if case.is_calibration]
    shares = fit(used)
    found = bands(out_of_fold(used))
    is_of_family = of_family(used)
    told = out_of_fold(used, cards_dealt(used))
    unseen = bands(pair for pair in told if is_of_family(pair[0]))
    far = bands(pair for pair in told if not is_of_family(pair[0]))
    wider = {name: _widest(band, unseen[name]) for name, band in found.items()}
    widest = {name: _widest(band, far.get(name, FEW_ROWS_BAND)) for name, band in wider.items()}
    families = sorted({case.works[0].device.family.value for case in used})
    lines = [
        '"""Measured figures of the speed model; written by `benchmarks/plan_speed.py --fit`, not by hand.',
        "",
        f"From {len(used)} public measurements of llama.cpp in {len({case.series for case in used})} series;"
        " how they are kept apart from",
        "those that judge is said in the benchmark.",
        '"""',
        "",
        "# Pure table: exempt from the length limit.",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        "SHARES: Final[dict[str, float]] = {",
        *(f'    "{name}": {value:.4g},' for name, value in sorted(shares.items())),
        "}",
        '"""Shares of a device\'s rates, or seconds (`layer`, `token`, `hop`), by name."""',
        "",
        "BANDS: Final[dict[str, tuple[float, float]]] = {",
        *(f'    "{name}": ({low:.3f}, {high:.3f}),' for name, (low, high) in found.items()),
        "}",
        '"""Factors around a prediction between which eight of ten measurements of unseen series lay."""',
        "",
        "UNSEEN_BANDS: Final[dict[str, tuple[float, float]]] = {",
        *(f'    "{name}": ({low:.3f}, {high:.3f}),' for name, (low, high) in wider.items()),
        "}",
        '"""The same where no row of the card was seen, but rows of others of its generation."""',
        "",
        "FAR_BANDS: Final[dict[str, tuple[float, float]]] = {",
        *(f'    "{name}": ({low:.3f}, {high:.3f}),' for name, (low, high) in widest.items()),
        "}",
        '"""The same where no row of the generation was seen."""',
        "",
        "MEASURED_FAMILIES: Final = frozenset(",
        f"    {tuple(families)!r}".replace("'", '"'),
        ")",
        '"""Generations of cards that have rows."""',
        "",
    ]
    with open(path, "w", encoding="utf-8") as handle:
        handle.write("\n".join(lines))
    out(f"written: {path}")


def folds(cases: Sequence[Case], division: str) -> list[str]:
    """Each row unseen by its fit: of the collection's rows, or of all where a card or a model is left out."""
    if division == "series":
        pairs = [(case, ratio) for case, ratio in out_of_fold(cases) if not case.is_own]
        return ["five folds, every row unseen by its fit", *table(pairs)]
    if division == "models":
        return ["no row of the model seen", *table(out_of_fold(cases, models_dealt(cases)))]
    pairs, is_of_family = out_of_fold(cases, cards_dealt(cases)), of_family(cases)
    near = [pair for pair in pairs if is_of_family(pair[0])]
    far = [pair for pair in pairs if not is_of_family(pair[0])]
    from bringup.plan.speed_calibration import FAR_BANDS, UNSEEN_BANDS

    near_table = table(near, lambda case: UNSEEN_BANDS[band_name(case)])
    far_table = table(far, lambda case: FAR_BANDS[band_name(case)])
    return ["no row of the card seen", *near_table, "", "no row of its family seen", *far_table]


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows")
    parser.add_argument("--fit", metavar="FILE")
    parser.add_argument("--folds", nargs="?", const="series", choices=("series", "cards", "models"))
    parser.add_argument("--worst", type=int, default=0)
    options = parser.parse_args()
    cases, left_out = read_cases(options.rows)
    own, _ = read_cases(OWN_ROWS)
    if options.fit:
        write_calibration(options.fit, [*cases, *own], print)
        return 0
    print(f"{len(cases)} rows; left out: " + "; ".join(f"{n} {why}" for why, n in left_out.most_common()))
    if options.folds:
        print("\n".join(folds([*cases, *own], options.folds)))
        return 0
    from bringup.plan.speed_calibration import SHARES

    pairs = [(case, predict(case, SHARES) / case.measured) for case in cases]
    for title, part in (("calibrating", True), ("judging", False)):
        chosen = [(case, ratio) for case, ratio in pairs if case.is_calibration is part]
        print("\n".join(["", f"rows {title}", *table(chosen)]))
    for case, ratio in sorted(pairs, key=lambda pair: -abs(math.log(pair[1])))[: options.worst]:
        row = case.row
        cards = f"{row['gpu']} x{row['n_gpu']}"
        print(f"{ratio:5.2f} {row['id']} {case.group}: {cards}, {row['model']} {row['quant']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
