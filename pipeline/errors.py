"""What went wrong with something that the user can fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class InputError(Exception):
    """Input that the user can fix: one line that says where, what, what was expected, what next."""

    def __init__(self, where: object, what: str, *, expected: str = "", then: str = "") -> None:
        """Join the parts that are there into one line."""
        self.where, self.what = str(where), what
        parts = [f"{where}: {what}", expected and f"expected {expected}", then]
        super().__init__(" ".join("; ".join(part for part in parts if part).split()))


class InputErrors(InputError):
    """Several problems of the same input, a line each."""

    MOST = 20

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the first twenty lines and count the rest."""
        more = [f"... and {len(problems) - self.MOST} more"] if len(problems) > self.MOST else []
        Exception.__init__(self, "\n".join([*problems[: self.MOST], *more]))
        self.where, _, self.what = problems[0].partition(": ")


def raise_problems(problems: Sequence[str]) -> None:
    """Raise InputErrors unless the list is empty."""
    if problems:
        raise InputErrors(problems)


def describe_invalid(error: ValidationError) -> str:
    """Return the first problem of a validation in words: which key, and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(map(str, first["loc"]))[:100]
    message = first["msg"].removeprefix("Value error, ")
    words = f"`{key}`: {message}" if key else message
    return "".join(letter if letter.isprintable() else "?" for letter in words[:300])
