"""What the charts show: figures of the last minutes and hours, in rings of fixed size."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

from bringup.actions.live.sample import LiveCard, LiveEngine, Sample
from bringup.reading import Known, Reading
from bringup.records import dataclass

FINE_POINTS: Final = 600
COARSE_POINTS: Final = 2880
COARSE_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Point:
    """One moment; series by name, such as `card0.busy_pct`, `engine8080.generated`, `memory.used_bytes`.

    A series that nobody could tell then is not in it.
    """

    taken_s: float
    values: tuple[tuple[str, float], ...]


def point_of(sample: Sample) -> Point:
    """The figures of one sample that are kept."""
    values: list[tuple[str, float]] = []
    _take(values, "cpu.busy_share", sample.cpu_share)
    if isinstance(sample.memory.floors, Known):
        floors = sample.memory.floors.value
        values.append(("memory.used_bytes", float(floors.total_bytes - floors.available_bytes)))
    for card in sample.cards.value if isinstance(sample.cards, Known) else ():
        values += _of_card(card)
    for engine in sample.engines:
        values += _of_engine(engine)
    return Point(sample.taken_s, tuple(values))


def _of_card(card: LiveCard) -> list[tuple[str, float]]:
    values: list[tuple[str, float]] = []
    name = f"card{card.card.index}"
    _take(values, f"{name}.busy_pct", card.load.busy_pct)
    _take(values, f"{name}.temperature_c", card.card.temperature_c)
    _take(values, f"{name}.power_mw", card.card.power_mw)
    if isinstance(card.card.memory, Known):
        values.append((f"{name}.used_bytes", float(card.card.memory.value.used_bytes)))
    return values


def _of_engine(engine: LiveEngine) -> list[tuple[str, float]]:
    name = f"engine{engine.port or engine.process_id}"
    speed = engine.speed
    pairs = (("generated", speed.generated_now), ("read", speed.read_now), ("filled", engine.filled_share))
    return [(f"{name}.{what}", value) for what, value in pairs if value is not None]


def _take(values: list[tuple[str, float]], name: str, reading: Reading[int] | Reading[float]) -> None:
    if isinstance(reading, Known):
        values.append((name, float(reading.value)))


class History:
    """Two rings: every look of ten minutes (at 1 Hz), and a mean each 15 s of the last twelve hours."""

    def __init__(self) -> None:
        """Both are empty."""
        self.fine: deque[Point] = deque(maxlen=FINE_POINTS)
        self.coarse: deque[Point] = deque(maxlen=COARSE_POINTS)
        self._gathered: list[Point] = []

    def add(self, point: Point) -> None:
        """Keep one moment."""
        self.fine.append(point)
        self._gathered.append(point)
        if point.taken_s - self._gathered[0].taken_s >= COARSE_S or point.taken_s < self._gathered[0].taken_s:
            self.coarse.append(mean_of(self._gathered))
            self._gathered = []

    def series(self, name: str, *, coarse: bool = False) -> tuple[tuple[float, float], ...]:
        """Time and value of one series."""
        points = tuple(self.coarse if coarse else self.fine)
        return tuple((point.taken_s, value) for point in points for key, value in point.values if key == name)

    def recent(self, name: str, count: int) -> list[float]:
        """The values of one series in the last `count` looks, the oldest first."""
        last = islice(reversed(self.fine.copy()), count)
        found = [value for point in last for key, value in point.values if key == name]
        return found[::-1]


def mean_of(points: list[Point]) -> Point:
    """The mean of each series over the moments in which it was told, at the time of the last."""
    sums: dict[str, tuple[float, int]] = {}
    for point in points:
        for name, value in point.values:
            total, count = sums.get(name, (0.0, 0))
            sums[name] = total + value, count + 1
    return Point(points[-1].taken_s, tuple((name, total / count) for name, (total, count) in sums.items()))
