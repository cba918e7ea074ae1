"""What can go wrong in a workspace, in Slack's words for apps and in plain words for people."""

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """A refusal of the Web API: ``{"ok": false, "error": code}``, with *messages* in response_metadata."""

    def __init__(self, code: str, *, messages: tuple[str, ...] = (), **extra: object) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages
        self.extra = extra

    def answer(self) -> Json:
        """The body of the answer."""
        body: Json = {"ok": False, "error": self.code, **self.extra}
        if self.messages:
            body["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in self.messages]}
        return body


class Refused(Exception):
    """Something a person tried that Slack does not do; the text tells them why."""


class PortInUse(OSError):
    """The wished port is taken by another program."""
