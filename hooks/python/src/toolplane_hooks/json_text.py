"""JSON that comes back as it was written, wherever nobody changed it.

Python keeps integers of any size, but not every number with a fraction or an exponent: `1e400` becomes infinite and
`1.10` comes back as `1.1`. Such numbers are read as `ExactFloat`, a float that remembers how it was written.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any


class Invalid(ValueError):
    """A text that is no JSON, or a value that JSON cannot express."""


class ExactFloat(float):
    """A number whose text Python would not give back."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> ExactFloat:
        # `float` takes longer texts than `int` does.
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __reduce__(self) -> tuple[type[ExactFloat], tuple[str]]:
        return (ExactFloat, (self.text,))


def _read_float(text: str) -> float:
    value = float(text)
    return value if repr(value) == text else ExactFloat(text)


def _read_int(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        # More digits than `sys.get_int_max_str_digits` allows: converting them would take too long.
        return ExactFloat(text)


def _refuse_constant(text: str) -> float:
    raise Invalid(f"{text} is no JSON")


_BLANKS = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(parse_float=_read_float, parse_constant=_refuse_constant)
# Calls back for every integer, so it is for texts with an integer that the other one refuses.
_PATIENT_DECODER = json.JSONDecoder(parse_float=_read_float, parse_int=_read_int, parse_constant=_refuse_constant)


def decode(text: str) -> Any:
    """Reads one JSON value."""
    value, end = _decode_at(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise Invalid("more than one JSON value")
    return value


def decode_object(text: str) -> dict[str, Any]:
    """Reads a JSON object; an empty text is an empty object."""
    if text in ("", "{}"):
        return {}
    value = decode(text)
    if not isinstance(value, dict):
        raise Invalid("no JSON object")
    return value


def _decode_at(text: str, start: int) -> tuple[Any, int]:
    try:
        try:
            return _DECODER.raw_decode(text, start)
        except ValueError as error:
            if isinstance(error, (json.JSONDecodeError, Invalid)):
                raise
            return _PATIENT_DECODER.raw_decode(text, start)
    except RecursionError:
        raise Invalid("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Invalid(f"broken JSON at character {error.pos}") from None


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def members(text: str) -> dict[str, str]:
    """The members of a JSON object, each as the text that it was written with."""
    found: dict[str, str] = {}
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise Invalid("no JSON object")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return found
    while text[at : at + 1] == '"':
        key, at = _decode_at(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            break
        start = _skip(text, at + 1)
        _, end = _decode_at(text, start)
        found[key] = text[start:end]
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            return found
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    raise Invalid("broken JSON object")


def elements(text: str) -> list[tuple[Any, str]]:
    """The elements of a JSON array, each with the text that it was written with."""
    found: list[tuple[Any, str]] = []
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise Invalid("no JSON array")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return found
    while True:
        value, end = _decode_at(text, at)
        found.append((value, text[at:end]))
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return found
        if text[at : at + 1] != ",":
            raise Invalid("broken JSON array")
        at = _skip(text, at + 1)


def join_members(parts: dict[str, str]) -> str:
    """The object that has these members, whose values are JSON already."""
    return "{" + ",".join(f"{_quote(key)}:{value}" for key, value in parts.items()) + "}"


def fingerprint(value: Any) -> str | None:
    """Tells whether a value is still what it was; none for what JSON cannot express, which is equal to nothing."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None


def encode(value: Any) -> str:
    """Writes a value; numbers that were read here come out as they were written."""
    pieces: list[str] = []
    try:
        _write(value, pieces.append)
    except RecursionError:
        raise Invalid("nested too deeply, or holds itself") from None
    return "".join(pieces)


def _quote(text: str) -> str:
    quoted = json.encoder.encode_basestring(text)
    try:
        quoted.encode("utf-8")
    except UnicodeEncodeError:
        # Half of a surrogate pair: only an escape can carry it.
        return json.encoder.encode_basestring_ascii(text)
    return quoted


def _write(value: Any, put: Callable[[str], None]) -> None:
    if isinstance(value, str):
        put(_quote(value))
    elif value is None:
        put("null")
    elif value is True:
        put("true")
    elif value is False:
        put("false")
    elif isinstance(value, int):
        put(_digits(value))
    elif isinstance(value, ExactFloat):
        put(value.text)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid(f"{value} is no JSON")
        put(float.__repr__(value))
    elif isinstance(value, dict):
        _write_object(value, put)
    elif isinstance(value, (list, tuple)):
        separator = "["
        for element in value:
            put(separator)
            _write(element, put)
            separator = ","
        put("[]" if separator == "[" else "]")
    else:
        raise Invalid(f"{type(value).__name__} is no JSON")


def _write_object(value: dict[Any, Any], put: Callable[[str], None]) -> None:
    separator = "{"
    for key, element in value.items():
        if not isinstance(key, str):
            raise Invalid(f"{type(key).__name__} is no key of a JSON object")
        put(separator + _quote(key) + ":")
        _write(element, put)
        separator = ","
    put("{}" if separator == "{" else "}")


def _digits(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        raise Invalid("an integer has too many digits") from None
