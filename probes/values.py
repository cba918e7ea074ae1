"""How values are made and read where there are many of them: what `dataclasses` and `functools` do, for less.

A check makes two thousand values. A frozen dataclass writes each field through object.__setattr__, which takes three
times as long as an assignment; so `value` leaves freezing to the type checker, which this project never runs without.
And a command imports some hundred and fifty kinds of them: dataclasses would compile six methods for each, of which
only __init__ gains by it. Comparing, hashing and showing go by the fields here, for all kinds alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Generic, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """A slotted, keyword-only dataclass that is compared and hashed by its fields; frozen as far as mypy sees."""
    return _by_its_fields(dataclass(slots=True, kw_only=True, eq=False, repr=False)(cls))


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def row(cls: type[T]) -> type[T]:
    """The same with positional fields, for the few that are made of every record."""
    return _by_its_fields(dataclass(slots=True, eq=False, repr=False)(cls))


def _by_its_fields(kind: type[T]) -> type[T]:
    """Gives *kind* what dataclasses would have written for it, but for what it brings itself."""
    made: Any = kind  # a dataclass by now, which its type does not say
    known = fields(made)
    compared = _read([each.name for each in known if each.compare])
    hashed = _read([each.name for each in known if (each.compare if each.hash is None else each.hash)])
    own = vars(kind)

    def __eq__(self: Any, other: object) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(hashed(self))

    if "__eq__" not in own:
        made.__eq__ = __eq__
    if "__hash__" not in own:
        made.__hash__ = __hash__
    if "__repr__" not in own:
        made.__repr__ = _shown
    return kind


def _shown(known: Any) -> str:
    shown = (f"{each.name}={getattr(known, each.name)!r}" for each in fields(known) if each.repr)
    return f"{type(known).__qualname__}({', '.join(shown)})"


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
    _READERS[kind] = names, _read(names)
    return _READERS[kind]


def _read(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What reads *names*, as a tuple, also of one name or none."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda known: tuple(getattr(known, name) for name in names)


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
