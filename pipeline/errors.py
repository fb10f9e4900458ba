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
        self.where, self.what, self.expected, self.then = str(where), what, expected, then
        parts = [f"{where}: {what}", expected and f"expected {expected}", then]
        super().__init__(" ".join("; ".join(part for part in parts if part).split()))


class InputErrors(InputError):
    """Several problems of the same input, a line each."""

    MOST = 20

    def __init__(self, problems: Sequence[str | InputError]) -> None:
        """Keep the first twenty lines and count the rest; the fields are those of the first problem."""
        lines = [str(problem) for problem in problems]
        more = [f"... and {len(lines) - self.MOST} more"] if len(lines) > self.MOST else []
        Exception.__init__(self, "\n".join([*lines[: self.MOST], *more]))
        self.problems = problems
        self.where, _, self.what = lines[0].partition(": ")
        self.expected = self.then = ""
        if isinstance(first := problems[0], InputError):
            self.where, self.what, self.expected, self.then = first.where, first.what, first.expected, first.then


def raise_problems(problems: Sequence[str | InputError]) -> None:
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
