"""What a file of targets would bring, and what came of it: each line is watched, or said to be left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.imports import MOST_BYTES, Found
from bot.model import Content, Json
from bot.render import words
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section
from bot.render.watch import named
from bot.wanted import Kind
from bot.watched import MOST_WATCHED
from probes.model import Target

WATCH_IMPORT: Final = "watch.import"
WATCH_IMPORT_ALL: Final = "watch.import.all"  # what a zone offers besides, too
_SHOWN_PROBLEMS: Final = 10
_FORM_WORD: Final = {"lines": "one host a line", "csv": "CSV", "zone": "a zone file"}


def how_to_import() -> Content:
    text = (
        "Drop a file into this channel (or into a thread) with the message `@clienthello watch import`: one host a "
        "line; CSV with host, port, owner, labels, starttls, sni, identity and expected_ca; or a zone file. I show "
        "what I read before anything is watched. At most "
        f"{MOST_WATCHED:,} endpoints and {MOST_BYTES // 1000:,} kB."
    )
    return fit(text, [section(text)])


def preview(name: str, found: Found, *, known: int, value: str) -> Content:
    """What the file would bring, to be confirmed; what it would not, and why."""
    count = len(found.wanted)
    head = (
        f"*{foreign(name, 120)}* ({_FORM_WORD[found.form]}) names {words.counted(count, 'endpoint')}: "
        f"{count - known:,} new{f', {known:,} watched here already' if known else ''}."
    )
    blocks = [section(head)]
    if found.wanted:
        blocks.append(section(_named([each.target for each in found.wanted], 5)))
    blocks += _not_taken(found)
    choices = []
    if found.wanted:
        label = f"Watch {words.counted(count, 'endpoint')}"
        choices.append(button(label, WATCH_IMPORT, value) | {"style": "primary"})
    if found.offered:
        these = "this endpoint" if len(found.offered) == 1 else f"these {len(found.offered):,} endpoints"
        blocks.append(section(f"Its MX, SRV and TLSA records name {these} besides: {_named(found.offered, 5)}"))
        choices.append(button(f"Watch all {count + len(found.offered):,}", WATCH_IMPORT_ALL, value))
    if choices:
        blocks.append(actions(*choices))
    return fit(foreign(f"{name}: {count} endpoints to watch?", 300), blocks)


def _named(targets: Sequence[Target], most: int) -> str:
    first = ", ".join(code(named(each), 80) for each in targets[:most])
    return f"{first} and {len(targets) - most:,} more" if len(targets) > most else first


def _not_taken(found: Found) -> list[Json]:
    """What the file says and is not watched, and why: before it is confirmed, and after."""
    blocks = _told_of(found, "wrong", "left out") + _told_of(found, "in-part", "taken in part")
    aside = [*_no_servers(found), *_other_records(found)]
    if found.repeats:
        say = "counts" if found.repeats == 1 else "count"
        aside.append(f"{words.counted(found.repeats, 'line')} said the same again and {say} once")
    if found.unread:
        columns = words.listed((foreign(column, 40) for column in found.unread), 8)
        aside.append(f"Columns not read: {columns}")
    return [*blocks, context("\n".join(aside))] if aside else blocks


def _told_of(found: Found, kind: Kind, what: str) -> list[Json]:
    """The lines with which something is wrong: how many, and the first of them."""
    those = [each for each in found.problems if each.kind == kind]
    if not those:
        return []
    lines = "\n".join(f"line {each.line:,}: {prose(each.why, 220)}" for each in those[:_SHOWN_PROBLEMS])
    rest = f"\nand {len(those) - _SHOWN_PROBLEMS:,} more" if len(those) > _SHOWN_PROBLEMS else ""
    return [section(cut(f"*{words.counted(len(those), 'line')} {what}*\n{lines}{rest}", 2900))]


def _no_servers(found: Found) -> list[str]:
    """What is no server's name, by why it is none."""
    those: dict[str, list[str]] = {}
    for each in found.problems:
        if each.kind == "no-server":
            those.setdefault(each.why, []).append(code(each.subject, 80))
    return [f"Left out as {why}: {words.listed(names, 5)}" for why, names in those.items()]


def _other_records(found: Found) -> list[str]:
    if not found.aside:
        return []
    types = ", ".join(f"{foreign(kind, 20)} {count:,}" for kind, count in found.aside.items())
    return [f"Only A, AAAA and CNAME records name what is watched. Left aside: {types}"]


def imported(name: str, found: Found, count: int, known: int, left: int, most: int) -> Content:
    """What came of it; what was not taken stays said."""
    new = count - known
    text = f"*{foreign(name, 120)}*: {words.counted(new, 'more endpoint')} watched here"
    text += f", {known:,} were already" if known else ""
    text += f". {left:,} found no room: {most:,} are as many as I watch" if left else ""
    return fit(text, [section(f"{text}."), *_not_taken(found)])
