"""The notebook of a Block Kit check: reasons with JSON pointers in Slack's words, and shared checks (pure)."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

PLAIN = frozenset({"plain_text"})
ANY_TEXT = frozenset({"plain_text", "mrkdwn"})


@dataclass(slots=True)
class Problems:
    """Reasons found so far, and what was seen that must be unique."""

    found: list[str] = field(default_factory=list)
    block_ids: set[str] = field(default_factory=set)
    markdown_length: int = 0
    table_length: int = 0
    tables: int = 0
    charts: int = 0

    def add(self, path: str, reason: str) -> None:
        """Note one reason."""
        self.found.append(f"{reason} [json-pointer:{path}]")

    def mapping(self, value: object, path: str) -> dict[str, Any] | None:
        """*value* when it is an object."""
        if isinstance(value, dict):
            return value
        self.add(path, "must be an object")
        return None

    def items(self, owner: dict[str, Any], key: str, path: str, most: int, *, least: int = 1) -> list[Any]:
        """The array *owner[key]*, cut at *most*; wrong counts are noted."""
        value = owner.get(key)
        where = f"{path}/{key}"
        if value is None:
            if least:
                self.add(path, f"missing required field: {key}")
            return []
        if not isinstance(value, list):
            self.add(where, "must be an array")
            return []
        if len(value) < least:
            self.add(where, f"no less than {least} items allowed")
        if len(value) > most:
            self.add(where, f"no more than {most} items allowed")
        return value[:most]

    def string(self, owner: dict[str, Any], key: str, path: str, most: int, *, required: bool = False) -> str:
        """The string *owner[key]* ("" when there is none)."""
        value = owner.get(key)
        where = f"{path}/{key}"
        if value is None:
            if required:
                self.add(path, f"missing required field: {key}")
            return ""
        if not isinstance(value, str):
            self.add(where, "must be a string")
            return ""
        if len(value) > most:
            self.add(where, f"must be less than {most + 1} characters")
        if required and not value:
            self.add(where, "must be more than 0 characters")
        return value

    def whole(self, owner: dict[str, Any], key: str, path: str, low: int, high: int) -> None:
        """An optional whole number in a range."""
        value = owner.get(key)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.add(f"{path}/{key}", f"must be an integer from {low} to {high}")

    def flag(self, owner: dict[str, Any], key: str, path: str) -> None:
        """An optional boolean."""
        if owner.get(key) is not None and not isinstance(owner[key], bool):
            self.add(f"{path}/{key}", "must be a boolean")

    def one_of(
        self, owner: dict[str, Any], key: str, path: str, allowed: Collection[str], *, required: bool = False
    ) -> None:
        """An optional word out of a list."""
        value = owner.get(key)
        if value is None:
            if required:
                self.add(path, f"missing required field: {key}")
            return
        if not isinstance(value, str) or value not in allowed:
            self.add(f"{path}/{key}", f"must be one of: {', '.join(sorted(allowed))}")

    def text(
        self,
        owner: dict[str, Any],
        key: str,
        path: str,
        most: int,
        *,
        kinds: Collection[str] = ANY_TEXT,
        required: bool = True,
    ) -> None:
        """A text object in *owner[key]*."""
        value = owner.get(key)
        where = f"{path}/{key}"
        if value is None:
            if required:
                self.add(path, f"missing required field: {key}")
            return
        self.text_object(value, where, most, kinds)

    def text_object(self, value: object, path: str, most: int, kinds: Collection[str] = ANY_TEXT) -> None:
        """A text object: ``{"type": "plain_text"|"mrkdwn", "text": …}``."""
        text = self.mapping(value, path)
        if text is None:
            return
        self.one_of(text, "type", path, kinds, required=True)
        self.string(text, "text", path, most, required=True)
        if text.get("type") == "mrkdwn" and "emoji" in text:
            self.add(f"{path}/emoji", "emoji is not allowed with mrkdwn")
        self.flag(text, "emoji", path)
        self.flag(text, "verbatim", path)

    def web_address(self, owner: dict[str, Any], key: str, path: str, *, required: bool = False) -> None:
        """An http(s) address of at most 3,000 characters."""
        value = self.string(owner, key, path, 3000, required=required)
        if value and not value.startswith(("http://", "https://", "mailto:", "slack://", "tel:")):
            self.add(f"{path}/{key}", "must be a valid url")
