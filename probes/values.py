"""How values are made and read where there are many of them: what `dataclasses` and `functools` do, for less.

A check makes two thousand values. A frozen dataclass writes each field through object.__setattr__, which takes three
times as long as an assignment; so `value` leaves freezing to the type checker, which this project never runs without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Generic, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """A slotted, keyword-only dataclass that is compared and hashed by its fields; frozen as far as mypy sees."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def row(cls: type[T]) -> type[T]:
    """The same with positional fields, for the few that are made of every record."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


def changed(known: T, **changes: Any) -> T:
    """`dataclasses.replace` for values whose __init__ takes every field."""
    kind = type(known)
    names, read = _READERS.get(kind) or _reader(kind)
    given = dict(zip(names, read(known), strict=True))
    given.update(changes)
    return kind(**given)


Reader = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]
_READERS: dict[type[Any], Reader] = {}


def _reader(kind: type[Any]) -> Reader:
    names = tuple(each.name for each in fields(kind))
    # Of one name alone attrgetter would give the bare value.
    _READERS[kind] = names, attrgetter(*names) if len(names) > 1 else lambda known: (getattr(known, names[0]),)
    return _READERS[kind]


class once(Generic[T]):
    """A property that is read once: functools.cached_property without the lock that it takes up to Python 3.11."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> T: ...
    def __get__(self, instance: object | None, owner: type[Any]) -> once[T] | T:
        if instance is None:
            return self
        found = instance.__dict__[self._name] = self._read(instance)
        return found
