"""Fields of a job's input: what is allowed, and what to say where it isn't."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.errors import BadRequest

SHOWN_LENGTH = 60


def shown(value: object) -> str:
    """Return a value as it may stand in a message: short, and on one line."""
    text = repr(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."


@dataclass(frozen=True)
class Number:
    """A number between two bounds.

    Attributes:
        name: the field's name.
        label: its name for people.
        default: taken where the field is left out.
        low: the smallest allowed.
        high: the largest allowed.
        whole: True: no fractions.
    """

    name: str
    label: str
    default: float
    low: float
    high: float
    whole: bool = False
    kind: str = "number"

    def read(self, value: Any, *, from_form: bool) -> float:
        """Check a value.

        Args:
            value: what was sent.
            from_form: True: it is the text of a form's field.

        Raises:
            BadRequest: it is not a number within the bounds.
        """
        number: Any = self._parsed(value) if from_form and isinstance(value, str) else value
        good = isinstance(number, int | float) and not isinstance(number, bool)
        # Not a number is within no bounds, and no integer is too large to be compared.
        if not good or not self.low <= number <= self.high:
            raise self._refused(value)
        if self.whole and number != int(number):
            raise self._refused(value)
        return int(number) if self.whole else number

    def _parsed(self, text: str) -> object:
        try:
            return None if "_" in text else float(text)
        except ValueError:
            return None

    def _refused(self, value: object) -> BadRequest:
        what = "a whole number" if self.whole else "a number"
        return BadRequest(
            f"{self.name}={shown(value)}: {what} from {self.low:,g} to {self.high:,.10g} is needed"
        )


@dataclass(frozen=True)
class Choice:
    """One of several texts.

    Attributes:
        name: the field's name.
        label: its name for people.
        allowed: the texts; the first is taken where the field is left out.
    """

    name: str
    label: str
    allowed: tuple[str, ...]
    kind: str = "choice"

    @property
    def default(self) -> str:
        """What is taken where the field is left out."""
        return self.allowed[0]

    def read(self, value: Any, *, from_form: bool) -> str:
        """Check a value.

        Args:
            value: what was sent.
            from_form: makes no difference here.

        Raises:
            BadRequest: it is not one of the texts allowed.
        """
        if not isinstance(value, str) or value not in self.allowed:
            allowed = ", ".join(self.allowed)
            raise BadRequest(f"{self.name}={shown(value)}: one of {allowed} is needed")
        return value


@dataclass(frozen=True)
class Files:
    """Uploaded files.

    Attributes:
        name: the field's name.
        label: its name for people.
        accept: the kinds of file that a browser offers.
        most: how many may be sent at once.
    """

    name: str
    label: str
    accept: str
    most: int = 1
    kind: str = "files"


Field = Number | Choice
