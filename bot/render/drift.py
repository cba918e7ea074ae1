"""Drift → one message for all that was found together, edited when it goes back, and a line in its thread. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.drift import Drift, Severity
from bot.drift_memory import Told
from bot.model import Content
from bot.render import words
from bot.render.incident import when
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section
from bot.render.watch import named
from bot.watched import Watch

CHECK = "explain.check"  # the button under an explanation: it checks what its value says
_SIGNS: dict[Severity, str] = {"critical": "🔴", "warning": "🟠", "notice": "🔵"}
_GROUPED = {"address-new": ("new address", "new addresses"), "address-gone": ("address gone", "addresses gone")}
_LINES = 8


def message(watch: Watch, told: Sequence[Told], total: int) -> Content:
    """*told*: all that this message is about; *total*: how many addresses there are."""
    name = f"*{code(named(watch.target), 200)}*"
    standing = [each.drift for each in told if each.ended is None]
    if not standing:
        return _over(name, watch, told)
    lines = _lines(standing, total)
    gone = _lines([each.drift for each in told if each.ended == "back"], total)
    stays = _lines([each.drift for each in told if each.ended == "settled"], total)
    lines += [f"{line}: back to as before" for line in gone] + [f"{line}: stays so" for line in stays]
    sign = _sign([each.severity for each in standing])
    text = f"{sign} {name}: {lines[0]}." if len(lines) == 1 else f"{sign} {name} has changed:\n{_bullets(lines)}"
    blocks = [section(cut(text, 2900))]
    evidence = list(dict.fromkeys(prose(line, 200) for each in standing for line in each.evidence))
    if evidence:
        blocks.append(context(" · ".join(evidence[:4])))
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
        text = f"✅ {name} is as it was, {when(ended)}. It was: {_first(told)}."
    return fit(foreign(f"{named(watch.target)}: over", 200), [section(cut(text, 2900))])


def _first(told: Sequence[Told]) -> str:
    return "; ".join(_lines([each.drift for each in told], 0)[:3])


def _lines(drifts: Sequence[Drift], total: int) -> list[str]:
    """One line each; addresses of a kind in one."""
    lines, grouped = [], dict[str, list[str]]()
    for each in drifts:
        if each.kind in _GROUPED:
            grouped.setdefault(each.kind, []).extend(each.addresses)
        else:
            part = 0 < len(each.addresses) < total
            where = f" (at {len(each.addresses)} of {total} addresses)" if part else ""
            lines.append(f"{prose(each.text, 300)}{where}")
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
