"""The form of a watch, filled in → what is to be watched, or what is wrong with which field. Pure."""

from __future__ import annotations

from bot import watch_grammar
from bot.render import watch as render
from bot.watched import WatchCommand
from probes.model import Target, UsageError


class FieldError(Exception):
    """What is wrong with one field of the form, in words for whoever filled it in."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field, self.why = field, why


def given(values: dict[str, str]) -> WatchCommand:
    """What the form holds. Raises FieldError."""
    said = {name: str(values.get(name) or "").strip() for name in render.FIELDS}
    try:
        target = Target.parse(said[render.HOST], starttls=said[render.STARTTLS].lower() or None)
    except UsageError as error:
        raise FieldError(render.HOST, str(error)) from None
    try:
        target = Target.parse(
            said[render.HOST], sni=said[render.SNI] or None, starttls=said[render.STARTTLS].lower() or None
        )
    except UsageError as error:
        raise FieldError(render.SNI, str(error)) from None
    group = said[render.GROUP].upper().lstrip("@")
    if group and not (group.startswith("S") and group.isalnum()):
        raise FieldError(render.GROUP, "A user group's id begins with S; Slack shows it in the group's own menu.")
    try:
        labels = watch_grammar.labels(said[render.LABELS])
    except UsageError as error:
        raise FieldError(render.LABELS, str(error)) from None
    return WatchCommand(
        act="add",
        target=target,
        owner=group or said[render.PERSON] or None,
        labels=labels,
        identity=said[render.IDENTITY].lower() or None,
        expected_cas=tuple(dict.fromkeys(line.strip() for line in said[render.CAS].splitlines() if line.strip())),
        bundle=_bundle(said[render.BUNDLE], said[render.BUNDLE_REST]),
    )


def _bundle(first: str, rest: str) -> str:
    if not first:
        return ""
    from probes.check import ders
    from probes.pki.certificate import Certificate, parse

    pem = f"{first}\n{rest}".strip()
    if "PRIVATE KEY" in pem:
        raise FieldError(
            render.BUNDLE, "There is a private key in it. Paste certificates alone; that key is known now."
        )
    try:
        found = ders(pem)
    except UsageError as error:
        raise FieldError(render.BUNDLE, str(error)) from None
    if not all(isinstance(parse(der), Certificate) for der in found):
        raise FieldError(render.BUNDLE, "One of the certificates cannot be read.")
    return pem
