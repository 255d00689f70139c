"""What all verbs share: jobs that start late, and options with one-sentence errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import fire

from handseg_bundle_common.errors import HandsegInputError

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Result:
    """What a job has to say, and the exit code of the process."""

    text: str
    exit_code: int = 0


@dataclass(frozen=True)
class Job:
    """What a command line asks for; it starts when Fire has found a place for every argument, and not before."""

    start: Callable[[], str | Result]


def check_values(**values: object) -> None:
    """Refuse flags without a value, of which Fire makes True."""
    for name, value in values.items():
        if isinstance(value, bool):
            raise HandsegInputError(_flag(name), "has no value", "write one after it")


def check_switch(name: str, value: object) -> None:
    """Refuse a switch with a value."""
    if not isinstance(value, bool):
        raise HandsegInputError(_flag(name), f"takes no value, but {value!r} follows", "put it at the end")


def yes_or_no(name: str, value: bool | str) -> bool:
    """Return what an option says that may stand alone, for True, or before True or False."""
    words = {"true": True, "false": False}
    if str(value).lower() not in words:
        raise HandsegInputError(_flag(name), f"{value!r} is neither True nor False", "write one of them")
    return words[str(value).lower()]


def number_of(name: str, text: Number | str, kind: type[Number]) -> Number:
    """Return the number that an option holds."""
    number: Number
    check_values(**{name: text})
    try:
        number = kind(text)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise HandsegInputError(_flag(name), f"{text!r} is not {what}", "write it in digits") from error
    return number


def numbers_of(name: str, text: int | str) -> list[int]:
    """Return the whole numbers of an option, separated by commas."""
    return [number_of(name, part.strip(), int) for part in str(text).split(",")]


def settings_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return options that no verb knows as values for ids of a bundle: numbers, booleans and lists as in Python."""
    check = {name: value for name, value in options.items() if value is True}
    check_values(**check)
    return {name: fire.parser.DefaultParseValue(str(value)) for name, value in options.items()}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
