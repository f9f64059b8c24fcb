"""A value inside a JSON file together with its path there, so that every complaint about it names the place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from headfit.errors import HeadfitError
from headfit.types import Float


@dataclass(frozen=True)
class JsonValue:
    """A value and where it is, such as `cameras[3].lens.coefficients`; the path of a whole file is empty."""

    path: str
    value: Any

    def error(self, expected: str, *, shown: bool = True) -> HeadfitError:
        """The error that says what was expected here, and (unless not `shown`) what was found."""
        found = repr(self.value)
        found = found if len(found) <= 80 else found[:77] + "..."
        return HeadfitError(f"{self.path}: {expected}" + (f", found {found}" if shown else ""))

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Begin the message of a HeadfitError raised inside with this place."""
        try:
            yield
        except HeadfitError as error:
            raise HeadfitError(f"{self.path}: {error}") from error

    def get(self, name: str) -> JsonValue | None:
        """A member of this object; None where it is absent or null."""
        if not isinstance(self.value, dict):
            raise self.error("expected an object")
        value = self.value.get(name)
        return None if value is None else self._member(name, value)

    def member(self, name: str, meaning: str) -> JsonValue:
        """A member that must be there. `meaning` says what it is, for the message when it is missing."""
        found = self.get(name)
        if found is None:
            raise HeadfitError(f"{self._member(name, None).path}: missing, expected {meaning}")
        return found

    def only(self, names: Collection[str]) -> None:
        """Raise HeadfitError where this object has a member not in `names`: it may be a misspelt option."""
        for name in self._dict():
            if name not in names:
                raise HeadfitError(f"{self._member(name, None).path}: unknown, expected one of {', '.join(names)}")

    def items(self) -> list[tuple[str, JsonValue]]:
        """The members of this object."""
        return [(name, self._member(name, value)) for name, value in self._dict().items()]

    def entries(self, what: str) -> Iterator[JsonValue]:
        """The entries of this list, which must have some."""
        if not isinstance(self.value, list) or not self.value:
            raise self.error(f"expected a list of {what}, not empty")
        return (JsonValue(f"{self.path}[{index}]", value) for index, value in enumerate(self.value))

    def text(self, what: str) -> str:
        """This string, which must not be empty."""
        if not isinstance(self.value, str) or not self.value:
            raise self.error(f"expected {what}")
        return self.value

    def one_of(self, choices: Collection[Any]) -> Any:
        """This value, which must be one of `choices` (and of its type: true is not 1)."""
        for choice in choices:
            if type(self.value) is type(choice) and self.value == choice:
                return choice
        raise self.error(f"expected one of {', '.join(map(str, choices))}")

    def number(self, what: str) -> float:
        """This finite number."""
        if (
            isinstance(self.value, bool)
            or not isinstance(self.value, int | float)
            or not abs(self.value) < float("inf")
        ):
            raise self.error(f"expected {what}")
        return self.value

    def positive(self, what: str) -> float:
        """This number, which must be positive."""
        if not self.number(what) > 0:
            raise self.error(f"expected {what}")
        return float(self.value)

    def integer(self, what: str) -> int:
        """This whole number (2.0 is one)."""
        value = self.number(what)
        if value != int(value):
            raise self.error(f"expected {what}")
        return int(value)

    def array(self, *shapes: tuple[int, ...]) -> Float:
        """These numbers, of one of the `shapes`; without any, of any shape."""
        try:
            values = np.array(self.value, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise self.error("expected numbers only") from None
        if shapes and values.shape not in shapes:
            forms = " or ".join("x".join(map(str, shape)) for shape in shapes)
            raise self.error(f"expected {forms} numbers, found {_shape(values)}", shown=False)
        if not np.isfinite(values).all():
            raise self.error("expected finite numbers")
        return values

    def _member(self, name: str, value: Any) -> JsonValue:
        return JsonValue(f"{self.path}.{name}" if self.path else name, value)

    def _dict(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.error("expected an object")
        return self.value


def _shape(values: Float) -> str:
    return "x".join(map(str, values.shape)) or "a single number"
