"""Values that are cheap to make behave as frozen dataclasses do, but for the freezing, which mypy sees to."""

from __future__ import annotations

import pickle
from dataclasses import field, replace

import pytest

from probes.values import changed, once, row, value


@value
class Place:
    name: str
    port: int = 443
    seen: dict[str, int] = field(default_factory=dict, hash=False)


@value
class Single:
    name: str


@row
class Pair:
    left: int
    right: bytes


def test_equal_values_are_equal_and_hash_alike() -> None:
    one, other = Place(name="a", seen={"x": 1}), Place(name="a", seen={"x": 1})
    assert one == other and hash(one) == hash(other) and one != Place(name="b")
    assert {Pair(1, b"x"): "kept"}[Pair(1, b"x")] == "kept"


def test_values_survive_a_pipe() -> None:
    assert pickle.loads(pickle.dumps(Place(name="a", port=1))) == Place(name="a", port=1)


def test_values_have_no_room_for_more() -> None:
    with pytest.raises(AttributeError):
        Place(name="a").more = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("known", [Place(name="a", port=1, seen={"x": 1}), Single(name="a")])
def test_changed_is_replace(known: Place | Single) -> None:
    assert changed(known, name="b") == replace(known, name="b")
    assert known.name == "a"
    with pytest.raises(TypeError):
        changed(known, nonsense=1)


def test_once_reads_once() -> None:
    class Counted:
        reads = 0

        @once
        def answer(self) -> int:
            """What is asked."""
            self.reads += 1
            return 42

    counted = Counted()
    assert (counted.answer, counted.answer, counted.reads) == (42, 42, 1)
    assert Counted.answer.__doc__ == "What is asked."
