# SPDX-License-Identifier: GPL-2.0-only
"""Simulated times that remember how they were computed, so that a replay can compute them again.

While a program is recorded (recorder.py), `Simulation.now_s` and the times of messages are `Traced`: floats with a
formula of readings of the clock. Sums and differences of them are traced, and so are NumPy's `minimum` and `maximum` of
two. Everything else gives a plain float. Comparing them is noticed: a program that decides by the time may do something
else over another network (write ``float(sim.now_s)`` if the comparison decides nothing).

Python's own `min` and `max` cannot be traced: they return one of their arguments itself. That object knows only how it
was computed, not that over another network the result may be the other argument. They compare, and that is noticed.

A formula can be written as JSON: reading number n of the clock as ["clock", n], similar readings (see
`ProgramPlayer.value`), a constant, or ["+" | "-" | "min" | "max", formula, formula].
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgelam.replay.recorder import ProgramRecorder

Formula = float | list[Any]
MAX_SIZE = 600  # most parts of a formula; a longer one would take too much space in the table


class Traced(float):
    """A number of seconds, or joules, with the formula that gave it."""

    recorder: ProgramRecorder
    formula: Formula
    size: int

    def __new__(cls, value: float, recorder: ProgramRecorder, formula: Formula, size: int = 1) -> Traced:
        """Make a number of `value`, which the recorder knows by `formula` with `size` parts."""
        self = super().__new__(cls, value)
        self.recorder, self.formula, self.size = recorder, formula, size
        return self

    def __reduce__(self) -> Any:
        """Pickle it as a plain float."""
        return float, (float(self),)

    def __copy__(self) -> Traced:
        """Return itself: it never changes."""
        return self

    def __deepcopy__(self, memo: Any) -> Traced:
        """Return itself: dataclasses.asdict copies the contents of records."""
        return self

    def __add__(self, other: Any) -> Any:
        """Traced."""
        return combine("+", self, other)

    def __radd__(self, other: Any) -> Any:
        """Traced."""
        return combine("+", other, self)

    def __sub__(self, other: Any) -> Any:
        """Traced."""
        return combine("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        """Traced."""
        return combine("-", other, self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Do as NumPy does; the sum, difference, minimum and maximum of two numbers are traced."""
        if ufunc in _OF_NUMPY and method == "__call__" and not options:
            value = combine(_OF_NUMPY[ufunc], *inputs)
            if value is not NotImplemented:
                return value
        if ufunc in _COMPARING:
            self.recorder.compared()
        plain = [float(each) if isinstance(each, Traced) else each for each in inputs]
        return getattr(ufunc, method)(*plain, **options)

    def __hash__(self) -> int:
        """Return the hash of the float."""
        return float.__hash__(self)

    def _compared(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        self.recorder.compared()
        return compare(float(self), float(other) if isinstance(other, Traced) else other)

    def __lt__(self, other: Any) -> Any:
        """Compare as the float does, and note the comparison."""
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        """Compare as the float does, and note the comparison."""
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        """Compare as the float does, and note the comparison."""
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        """Compare as the float does, and note the comparison."""
        return self._compared(other, operator.ge)


_VALUES: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "min": min,
    "max": max,
}
_OF_NUMPY: dict[np.ufunc, str] = {np.add: "+", np.subtract: "-", np.minimum: "min", np.maximum: "max"}
_COMPARING = {np.less, np.less_equal, np.greater, np.greater_equal}


def combine(how: str, a: Any, b: Any) -> Any:
    """Return a + b, a - b, min(a, b) or max(a, b) of two numbers; it is traced if one of them is."""
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return NotImplemented
    value = _VALUES[how](float(a), float(b))
    recorders = {each.recorder for each in (a, b) if isinstance(each, Traced)}
    size = getattr(a, "size", 1) + getattr(b, "size", 1)
    if len(recorders) != 1 or size > MAX_SIZE:
        return value
    return Traced(value, recorders.pop(), [how, _formula(a), _formula(b)], size)


def evaluate(formula: Formula, leaf: Callable[[list[Any]], float]) -> float:
    """Return a formula's value; `leaf` knows the readings."""
    if not isinstance(formula, list):
        return float(formula)
    if formula[0] in _VALUES:
        return _VALUES[formula[0]](evaluate(formula[1], leaf), evaluate(formula[2], leaf))
    return leaf(formula)


def _formula(value: Any) -> Formula:
    return value.formula if isinstance(value, Traced) else float(value)
