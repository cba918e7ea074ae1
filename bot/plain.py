"""Our own frozen values ↔ JSON, for state that is kept as one text. Pure.

What equals its default is left out; what an older version did not write gets its default. Fields may hold texts,
numbers, booleans, times (aware), tuples and other such values.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")


def plain(value: Any) -> Any:
    """*value* in JSON's own types."""
    if dataclasses.is_dataclass(value):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: plain(each) for field, each in fields if each != field.default}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return value


def text_of(value: object) -> str:
    """As it is stored."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def digest_of(value: object) -> str:
    """The same for what is the same."""
    return hashlib.sha256(text_of(value).encode()).hexdigest()[:16]


def typed(kind: type[Value], data: Any) -> Value:
    """The value of *kind* that `plain` made *data* of."""
    made: Value = _reader(kind)(data)  # type: ignore[arg-type]
    return made


@lru_cache(maxsize=128)
def _reader(kind: Any) -> Callable[[Any], Any]:
    if kind is datetime:
        return datetime.fromisoformat
    if dataclasses.is_dataclass(kind):
        return _of_dataclass(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        each = _reader(arguments[0])
        return lambda data: tuple(map(each, data))
    if origin is tuple:
        readers = tuple(map(_reader, arguments))
        return lambda data: tuple(read(item) for read, item in zip(readers, data, strict=True))
    if origin in (Union, types.UnionType):
        (inner,) = (_reader(each) for each in arguments if each is not type(None))
        return lambda data: None if data is None else inner(data)
    if origin is Literal or kind in (str, int, float, bool):
        return lambda data: data
    raise TypeError(f"{kind} is not kept as JSON")


def _of_dataclass(kind: Any) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    return lambda data: kind(**{name: readers[name](each) for name, each in data.items() if name in readers})
