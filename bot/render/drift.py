"""Drift → one message for all that was found together, edited when it goes back, and a line in its thread. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bot.drift import Drift, Severity
from bot.drift_memory import Told
from bot.model import Content, Json
from bot.render import words
from bot.render.incident import when
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section
from bot.render.watch import named
from bot.watched import Watch

CHECK = "explain.check"  # the button under an explanation: it checks what its value says
_SIGNS: dict[Severity, str] = {"critical": "🔴", "warning": "🟠", "notice": "🔵"}
_GROUPED = {"address-new": ("new address", "new addresses"), "address-gone": ("address gone", "addresses gone")}
_LINES = 8
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\dZ")  # as certificates have it


def message(watch: Watch, told: Sequence[Told], total: int) -> Content:
    """*told*: all that this message is about; *total*: how many addresses there are."""
    name = f"*{code(named(watch.target), 200)}*"
    standing = [each.drift for each in told if each.ended is None]
    if not standing:
        return _over(name, watch, told)
    lines = _lines(standing, total, is_evident=len(standing) > 1)
    gone = _lines([each.drift for each in told if each.ended == "back"], total)
    stays = _lines([each.drift for each in told if each.ended == "settled"], total)
    lines += [f"{line}: back to as before" for line in gone] + [f"{line}: stays so" for line in stays]
    sign = _sign([each.severity for each in standing])
    text = f"{sign} {name}: {lines[0]}." if len(lines) == 1 else f"{sign} {name} has changed:\n{_bullets(lines)}"
    blocks = [section(cut(text, 2900))]
    if len(standing) == 1 and (evidence := _evidence(standing[0])):
        blocks.append(context(" · ".join(prose(line, 200) for line in evidence)))
    blocks += _if_meant(watch, standing)
    if any(each.severity != "notice" for each in standing):
        blocks.append(actions(button("Check now", CHECK, f"check {named(watch.target)}")))
    plain = foreign(f"{named(watch.target)}: {standing[0].text}", 300)
    return fit(plain, blocks)


def _sign(severities: Iterable[Severity]) -> str:
    return _SIGNS[min(severities, key=list(_SIGNS).index)]


def _over(name: str, watch: Watch, told: Sequence[Told]) -> Content:
    ended = max((each.ended_at for each in told if each.ended_at is not None), default=told[0].at)
    if all(each.ended == "settled" for each in told):
        text = f"⚪ {name}: {_first(told)}. It has stayed so, and counts as usual now."
    else:
        text = f"✅ {name} is as it was before, since {when(ended)}. What had changed: {_first(told)}."
    return fit(foreign(f"{named(watch.target)}: over", 200), [section(cut(text, 2900))])


def _first(told: Sequence[Told]) -> str:
    return "; ".join(_lines([each.drift for each in told], 0)[:3])


def _evidence(drift: Drift) -> list[str]:
    """What a person can check it by, without what its text says already; times as people write them."""
    lines = [line for line in drift.evidence if not ("instead of" in drift.text and line.startswith("before: "))]
    return [_STAMP.sub(r"\1 \2 UTC", line) for line in lines][:4]


def _if_meant(watch: Watch, standing: Sequence[Drift]) -> list[Json]:
    """What to do where another CA is right."""
    if all(each.kind != "issuer" for each in standing):
        return []
    how = code(f'/tls watch add {named(watch.target)} --expect-ca "NAME OF THE CA"', 300)
    return [context(f"If that CA is meant to issue for it: {how}. If nobody asked for it, find out who did.")]


def _lines(drifts: Sequence[Drift], total: int, *, is_evident: bool = False) -> list[str]:
    """One line each; addresses of a kind in one. *is_evident*: with the evidence of each beside it."""
    lines, grouped = [], dict[str, list[str]]()
    for each in drifts:
        if each.kind in _GROUPED:
            grouped.setdefault(each.kind, []).extend(each.addresses)
        else:
            part = 0 < len(each.addresses) < total
            where = f" (at {len(each.addresses)} of {total} addresses)" if part else ""
            evidence = f" _({prose('; '.join(_evidence(each)), 300)})_" if is_evident and _evidence(each) else ""
            lines.append(f"{prose(each.text, 300)}{where}{evidence}")
    for kind, addresses in grouped.items():
        shown = words.listed((code(each, 60) for each in addresses), 6)
        lines.append(f"{_GROUPED[kind][len(addresses) > 1]} {shown}")
    return lines


def _bullets(lines: Sequence[str]) -> str:
    shown = [f"• {line}" for line in lines[:_LINES]]
    return "\n".join([*shown, f"… {len(lines) - _LINES} more"] if len(lines) > _LINES else shown)


def together(count: int, said: Sequence[tuple[str, int]], severities: Sequence[Severity]) -> Content:
    """Over many that changed at once; *said*: what most of them say, each with how many do."""
    plain = words.counted(count, "endpoint has changed within an hour", "endpoints have changed within an hour")
    lines = [f"• {prose(text, 200)}" + (f" ({number})" if number > 1 else "") for text, number in said]
    head = f"{_sign(severities)} *{plain}*. Those without a message of their own are in this thread."
    return fit(plain, [section(cut("\n".join([head, *lines]), 2900))])


def back(watch: Watch) -> Content:
    """In the thread, once it is over."""
    text = f"✅ {code(named(watch.target), 200)} is as it was."
    return fit(foreign(f"{named(watch.target)} is as it was", 200), [section(text)])
