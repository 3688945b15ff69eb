"""Fitted calibrators as plain values: they can be compared, copied, and written as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from sitrepbench.errors import DataError

Array = npt.NDArray[np.float64]


class Curve(Protocol):
    """From the values of one label to its probability, by itself."""

    def __call__(self, asked: Array) -> Array:
        """Return the probability of every value; both of shape (n,)."""

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as plain values."""


@dataclass(frozen=True)
class LogisticCurve:
    """Platt's curve: a logistic function of the standardised value."""

    slope: float
    place: float
    centre: float
    scale: float

    def __call__(self, asked: Array) -> Array:
        """See `Curve`."""
        return np.asarray(expit(self.slope * (asked - self.centre) / self.scale + self.place))

    def to_dict(self) -> dict[str, Any]:
        """See `Curve`."""
        return {
            "curve": "logistic",
            "slope": self.slope,
            "place": self.place,
            "centre": self.centre,
            "scale": self.scale,
        }


@dataclass(frozen=True)
class StaircaseCurve:
    """A rising curve through given points, straight between them and level beyond.

    Parameters
    ----------
    values : tuple of float
        Ascending.
    probabilities : tuple of float
        At these values.

    Examples
    --------
    >>> StaircaseCurve((0.0, 1.0), (0.2, 0.6))(np.array([-5.0, 0.5, 5.0])).tolist()
    [0.2, 0.4, 0.6]
    """

    values: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __call__(self, asked: Array) -> Array:
        """See `Curve`."""
        return np.asarray(np.interp(asked, self.values, self.probabilities))

    def to_dict(self) -> dict[str, Any]:
        """See `Curve`."""
        return {
            "curve": "staircase",
            "values": list(self.values),
            "probabilities": list(self.probabilities),
        }


@dataclass(frozen=True)
class ConstantCurve:
    """The same probability whatever the value: of a label that no model had met."""

    share: float

    def __call__(self, asked: Array) -> Array:
        """See `Curve`."""
        return np.full(len(asked), self.share)

    def to_dict(self) -> dict[str, Any]:
        """See `Curve`."""
        return {"curve": "constant", "share": self.share}


@dataclass(frozen=True)
class Softened:
    """All values divided by one temperature, then softmax."""

    temperature: float

    def __call__(self, asked: Array) -> Array:
        """Return probabilities of the shape of the values, (n, L)."""
        return np.asarray(softmax(asked / self.temperature, axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Return the calibrator as plain values."""
        return {"calibrator": "temperature", "temperature": self.temperature}


@dataclass(frozen=True)
class OneAgainstRest:
    """One curve per label, then shared out to sum to one.

    Parameters
    ----------
    curves : tuple of Curve
        In the order of the labels.
    probabilities : bool
        Whether values are logarithms of probabilities, which curves take by their log odds.
    """

    curves: tuple[Curve, ...]
    probabilities: bool

    def __call__(self, asked: Array) -> Array:
        """Return probabilities of the shape of the values, (n, L)."""
        given = log_odds(asked) if self.probabilities else np.asarray(asked)
        known = np.isfinite(given)
        mended = np.zeros_like(given)
        for label, curve in enumerate(self.curves):
            rows = known[:, label]
            mended[rows, label] = curve(given[rows, label])
        total = mended.sum(axis=1, keepdims=True)
        # Where no curve believes anything, nothing is known.
        even = known / known.sum(axis=1, keepdims=True)
        return np.where(total > 0, mended / np.where(total > 0, total, 1.0), even)

    def to_dict(self) -> dict[str, Any]:
        """Return the calibrator as plain values."""
        return {
            "calibrator": "one_against_rest",
            "probabilities": self.probabilities,
            "curves": [curve.to_dict() for curve in self.curves],
        }


@dataclass(frozen=True)
class Fitted:
    """A fitted calibrator.

    Parameters
    ----------
    apply : callable
        From values, shape (n, L), to probabilities of that shape; rows sum to one, and labels
        whose value is minus infinity get zero. `Softened` or `OneAgainstRest` where it was
        fitted by `sitrepbench.calibration`.
    told : dict
        Its parameters worth knowing, by name; empty where it is a curve.
    """

    apply: Callable[[Array], Array]
    told: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the calibrator as plain values, from which `from_dict` makes an equal one.

        Raises
        ------
        DataError
            When ``apply`` is a function of somebody else.
        """
        if not isinstance(self.apply, (Softened, OneAgainstRest)):
            raise DataError(
                f"a calibrator of type {type(self.apply).__name__} cannot be written as plain "
                "values; use one of sitrepbench.calibration"
            )
        return self.apply.to_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, n_labels: int) -> Fitted:
        """Return the calibrator that `to_dict` wrote, checked.

        Raises
        ------
        DataError
            When it is not what `to_dict` writes, or not for ``n_labels`` labels.
        """
        try:
            kind = values["calibrator"]
            if kind == "temperature":
                temperature = _number(values["temperature"], above=0.0)
                return cls(Softened(temperature), {"temperature": temperature})
            if kind != "one_against_rest":
                raise DataError(f"unknown calibrator {kind!r}")
            curves = tuple(_curve(curve) for curve in values["curves"])
            if len(curves) != n_labels:
                raise DataError(f"a calibrator of {len(curves)} curves for {n_labels} labels")
            if not isinstance(values["probabilities"], bool):
                raise DataError("'probabilities' is true or false")
            return cls(OneAgainstRest(curves, values["probabilities"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"not a calibrator: {type(error).__name__}: {error}") from error


def log_odds(values: Array) -> Array:
    """Return the log odds of logarithms of probabilities.

    >>> log_odds(np.log(np.array([0.5, 0.8]))).round(3).tolist()
    [0.0, 1.386]
    """
    return np.asarray(values - np.log(-np.expm1(values)))


def _curve(values: Mapping[str, Any]) -> Curve:
    kind = values["curve"]
    if kind == "logistic":
        slope, place, centre = (_number(values[name]) for name in ("slope", "place", "centre"))
        return LogisticCurve(slope, place, centre, _number(values["scale"], above=0.0))
    if kind == "constant":
        return ConstantCurve(_share(values["share"]))
    if kind != "staircase":
        raise DataError(f"unknown curve {kind!r}")
    at = tuple(_number(value) for value in values["values"])
    shares = tuple(_share(value) for value in values["probabilities"])
    if not at or len(at) != len(shares) or list(at) != sorted(at):
        raise DataError(
            f"a staircase has as many ascending values as probabilities, found {len(at)} and "
            f"{len(shares)}"
        )
    return StaircaseCurve(at, shares)


def _number(value: Any, *, above: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"expected a number, found {value!r:.40}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not number > above:
        raise DataError(f"expected a finite number above {above:g}, found {number!r}")
    return number


def _share(value: Any) -> float:
    number = _number(value)
    if not 0.0 <= number <= 1.0:
        raise DataError(f"expected a share from 0 to 1, found {number:g}")
    return number
