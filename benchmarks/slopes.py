"""Numbers that know how they move with the logarithms of the figures they were computed from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    import numpy as np

Number: TypeAlias = Union[float, "Sloped"]


class Sloped:
    """A value and its slopes; takes part in plain arithmetic."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: float, slopes: np.ndarray) -> None:
        self.value = value
        self.slopes = slopes

    def __add__(self, other: Number) -> Sloped:
        if isinstance(other, Sloped):
            return Sloped(self.value + other.value, self.slopes + other.slopes)
        return Sloped(self.value + other, self.slopes)

    __radd__ = __add__

    def __neg__(self) -> Sloped:
        return Sloped(-self.value, -self.slopes)

    def __sub__(self, other: Number) -> Sloped:
        return self + -other

    def __rsub__(self, other: float) -> Sloped:
        return -self + other

    def __mul__(self, other: Number) -> Sloped:
        if isinstance(other, Sloped):
            slopes = self.slopes * other.value + other.slopes * self.value
            return Sloped(self.value * other.value, slopes)
        return Sloped(self.value * other, self.slopes * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> Sloped:
        if isinstance(other, Sloped):
            value = self.value / other.value
            return Sloped(value, (self.slopes - value * other.slopes) / other.value)
        return Sloped(self.value / other, self.slopes / other)

    def __rtruediv__(self, other: float) -> Sloped:
        value = other / self.value
        return Sloped(value, self.slopes * (-value / self.value))

    def __pow__(self, power: Number) -> Sloped:
        if isinstance(power, Sloped):
            value = self.value**power.value
            slopes = self.slopes * (power.value / self.value) + power.slopes * math.log(self.value)
            return Sloped(value, value * slopes)
        value = self.value**power
        return Sloped(value, self.slopes * (power * value / self.value))

    def __rpow__(self, base: float) -> Sloped:
        value = base**self.value
        return Sloped(value, self.slopes * (value * math.log(base)))

    def __lt__(self, other: Number) -> bool:
        return self.value < (other.value if isinstance(other, Sloped) else other)

    def __gt__(self, other: Number) -> bool:
        return self.value > (other.value if isinstance(other, Sloped) else other)

    def __bool__(self) -> bool:
        return bool(self.value)
