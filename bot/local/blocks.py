"""Slack's limits on messages and views, offline: what the API would refuse, with JSON pointers (pure).

Source: docs.slack.dev/reference/block-kit, @slack/types 3.2.0. Where documents disagree the stricter number holds:
what passes here passes there. Nothing that is handed in makes these functions raise.
"""

from collections.abc import Callable
from typing import Any

from bot.local.elements import ACCESSORIES, ACTIONS, CONTEXT_ACTIONS, INPUTS, check_element, check_image
from bot.local.problems import PLAIN, Problems
from bot.local.richtext import TABLE_TEXT, check_data_table, check_rich_text, check_table

Json = dict[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MARKDOWN_TEXT = 12_000
MESSAGE_TEXT = 40_000
MESSAGE_BUDGET = 13_200  # undocumented, measured by others (slackapi/bolt-js#2509)
_BLOCK_ID = 255
_DEEPEST = 20

_EVERYWHERE = frozenset({"section", "header", "divider", "context", "actions", "image", "input", "rich_text", "video"})
_SURFACES = {
    "message": _EVERYWHERE
    | {
        "markdown",
        "table",
        "data_table",
        "data_visualization",
        "container",
        "card",
        "carousel",
        "context_actions",
        "task_card",
        "plan",
        "file",
    },
    "modal": _EVERYWHERE | {"alert", "table", "file"},
    "home": _EVERYWHERE | {"table"},
    # The documents and the live validator name different children; these are in both lists.
    "container": frozenset({"section", "table", "context", "divider", "actions", "header", "image", "video"}),
}


def validate_message(text: str, blocks: list[Any] | None) -> list[str]:
    """What is wrong with a message: everything that Slack would refuse, and a missing text.

    Slack takes blocks without text, but notifications and screen readers then have nothing to say.
    """
    found = []
    if not text.strip():
        found.append("text is required: notifications and screen readers read it [json-pointer:/text]")
    if len(text) > MESSAGE_TEXT:
        found.append(f"must be less than {MESSAGE_TEXT + 1} characters [json-pointer:/text]")
    found += block_problems(blocks or [], "message")
    length = text_length(blocks or [])
    if length > MESSAGE_BUDGET:
        found.append(f"msg_blocks_too_long: {length} characters of block text [json-pointer:/blocks]")
    return found


def validate_view(view: object) -> list[str]:
    """What is wrong with a modal or an App Home."""
    problems = Problems()
    value = problems.mapping(view, "/view")
    if value is None:
        return problems.found
    problems.one_of(value, "type", "/view", ("modal", "home"), required=True)
    is_modal = value.get("type") != "home"
    if is_modal:
        problems.text(value, "title", "/view", 24, kinds=PLAIN)
        problems.text(value, "submit", "/view", 24, kinds=PLAIN, required=False)
        problems.text(value, "close", "/view", 24, kinds=PLAIN, required=False)
        problems.flag(value, "clear_on_close", "/view")
        problems.flag(value, "notify_on_close", "/view")
    problems.string(value, "private_metadata", "/view", 3000)
    problems.string(value, "callback_id", "/view", 255)
    problems.string(value, "external_id", "/view", 255)
    blocks = problems.items(value, "blocks", "/view", VIEW_BLOCKS, least=0)
    if value.get("blocks") is None:
        problems.add("/view", "missing required field: blocks")
    _check_blocks(problems, blocks, "modal" if is_modal else "home", "/view/blocks")
    has_input = any(isinstance(block, dict) and block.get("type") == "input" for block in blocks)
    if is_modal and has_input and value.get("submit") is None:
        problems.add("/view", "missing required field: submit, as there are input blocks")
    return problems.found


def block_problems(blocks: object, surface: str) -> list[str]:
    """What is wrong with the *blocks* of a surface (message, modal or home), lengths in total aside."""
    problems = Problems()
    most = MESSAGE_BLOCKS if surface == "message" else VIEW_BLOCKS
    _check_blocks(problems, problems.items({"blocks": blocks}, "blocks", "", most, least=0), surface, "/blocks")
    return problems.found


def slack_files(value: object, path: str = "/blocks", depth: int = 0) -> list[tuple[str, Json]]:
    """Every ``slack_file`` in blocks, with where it stands."""
    if depth > _DEEPEST:
        return []
    if isinstance(value, list):
        return [found for at, item in enumerate(value) for found in slack_files(item, f"{path}/{at}", depth + 1)]
    if not isinstance(value, dict):
        return []
    here = value.get("slack_file")
    own = [(f"{path}/slack_file", here)] if value.get("type") == "image" and isinstance(here, dict) else []
    return own + [found for key, item in value.items() for found in slack_files(item, f"{path}/{key}", depth + 1)]


def text_length(value: object, depth: int = 0) -> int:
    """The characters of text in blocks, as the message's total counts them."""
    if depth > _DEEPEST:
        return 0
    if isinstance(value, list):
        return sum(text_length(item, depth + 1) for item in value)
    if not isinstance(value, dict):
        return 0
    total = 0
    for key, item in value.items():
        if isinstance(item, str):
            total += len(item) if key in {"text", "caption", "alt_text"} else 0
        else:
            total += text_length(item, depth + 1)
    return total


def _check_blocks(problems: Problems, blocks: list[Any], surface: str, path: str) -> None:
    for at, value in enumerate(blocks):
        where = f"{path}/{at}"
        block = problems.mapping(value, where)
        if block is not None:
            _check_block(problems, block, surface, where)
    if problems.markdown_length > MARKDOWN_TEXT:
        problems.add(path, f"markdown text must be less than {MARKDOWN_TEXT + 1} characters in total")
    if problems.table_length > TABLE_TEXT:
        problems.add(path, f"the text of table cells must be less than {TABLE_TEXT + 1} characters in total")


def _check_block(problems: Problems, block: Json, surface: str, path: str) -> None:
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in _SURFACES[surface]:
        problems.add(f"{path}/type", f"unsupported type: {str(kind)[:40]}")
        return
    block_id = problems.string(block, "block_id", path, _BLOCK_ID)
    if block_id and block_id in problems.block_ids:
        problems.add(f"{path}/block_id", f'block_id "{block_id[:80]}" already exists')
    problems.block_ids.add(block_id)
    _CHECKS[kind](problems, block, path)


def _check_section(problems: Problems, block: Json, path: str) -> None:
    if block.get("text") is None and not block.get("fields"):
        problems.add(path, "one of text and fields is required")
    problems.text(block, "text", path, 3000, required=False)
    for at, field in enumerate(problems.items(block, "fields", path, 10, least=0)):
        problems.text_object(field, f"{path}/fields/{at}", 2000)
    if block.get("accessory") is not None:
        check_element(problems, block["accessory"], f"{path}/accessory", ACCESSORIES, set())
    problems.flag(block, "expand", path)


def _check_header(problems: Problems, block: Json, path: str) -> None:
    problems.text(block, "text", path, 150, kinds=PLAIN)


def _check_nothing(problems: Problems, block: Json, path: str) -> None:
    """A divider has no content, and what a file or video block shows was checked when it was made."""


def _check_context(problems: Problems, block: Json, path: str) -> None:
    for at, value in enumerate(problems.items(block, "elements", path, 10)):
        where = f"{path}/elements/{at}"
        element = problems.mapping(value, where)
        if element is None:
            continue
        if element.get("type") == "image":
            check_image(problems, element, where)
        else:
            problems.text_object(element, where, 3000)


def _check_actions(problems: Problems, block: Json, path: str) -> None:
    seen: set[str] = set()
    for at, element in enumerate(problems.items(block, "elements", path, 25)):
        check_element(problems, element, f"{path}/elements/{at}", ACTIONS, seen)


def _check_context_actions(problems: Problems, block: Json, path: str) -> None:
    seen: set[str] = set()
    for at, element in enumerate(problems.items(block, "elements", path, 5)):
        check_element(problems, element, f"{path}/elements/{at}", CONTEXT_ACTIONS, seen)


def _check_input(problems: Problems, block: Json, path: str) -> None:
    problems.text(block, "label", path, 2000, kinds=PLAIN)
    problems.text(block, "hint", path, 2000, kinds=PLAIN, required=False)
    problems.flag(block, "optional", path)
    problems.flag(block, "dispatch_action", path)
    check_element(problems, block.get("element"), f"{path}/element", INPUTS, set())


def _check_image_block(problems: Problems, block: Json, path: str) -> None:
    check_image(problems, block, path)
    problems.text(block, "title", path, 2000, kinds=PLAIN, required=False)


def _check_markdown(problems: Problems, block: Json, path: str) -> None:
    problems.markdown_length += len(problems.string(block, "text", path, MARKDOWN_TEXT, required=True))


def _check_alert(problems: Problems, block: Json, path: str) -> None:
    problems.text(block, "text", path, 200)
    problems.one_of(block, "level", path, ("default", "info", "warning", "error", "success"))


def _check_container(problems: Problems, block: Json, path: str) -> None:
    if block.get("title") is None and block.get("rich_text_title") is None:
        problems.add(path, "one of title and rich_text_title is required")
    problems.text(block, "title", path, 150, kinds=PLAIN, required=False)
    problems.text(block, "subtitle", path, 150, required=False)
    if block.get("rich_text_title") is not None:
        title = problems.mapping(block["rich_text_title"], f"{path}/rich_text_title")
        if title is not None:
            check_rich_text(problems, title, f"{path}/rich_text_title")
    problems.one_of(block, "width", path, ("narrow", "standard", "wide", "full"))
    for key in ("is_collapsible", "default_collapsed", "has_header_divider"):
        problems.flag(block, key, path)
    if block.get("default_collapsed") and not block.get("is_collapsible"):
        problems.add(f"{path}/default_collapsed", "requires is_collapsible")
    children = problems.items(block, "child_blocks", path, 10)
    _check_blocks(problems, children, "container", f"{path}/child_blocks")


def _check_card(problems: Problems, block: Json, path: str) -> None:
    if not any(block.get(key) for key in ("hero_image", "title", "actions", "body")):
        problems.add(path, "one of hero_image, title, actions and body is required")
    problems.text(block, "title", path, 150, required=False)
    problems.text(block, "subtitle", path, 150, required=False)
    problems.text(block, "body", path, 200, required=False)
    seen: set[str] = set()
    for at, element in enumerate(problems.items(block, "actions", path, 5, least=0)):
        check_element(problems, element, f"{path}/actions/{at}", {"button"}, seen)


def _check_carousel(problems: Problems, block: Json, path: str) -> None:
    for at, value in enumerate(problems.items(block, "elements", path, 10)):
        where = f"{path}/elements/{at}"
        card = problems.mapping(value, where)
        if card is not None:
            _check_card(problems, card, where)


def _check_chart(problems: Problems, block: Json, path: str) -> None:
    problems.charts += 1
    if problems.charts > 2:
        problems.add(path, "no more than 2 data visualizations allowed")
    problems.string(block, "title", path, 50, required=True)
    chart = problems.mapping(block.get("chart"), f"{path}/chart")
    if chart is None:
        return
    where = f"{path}/chart"
    problems.one_of(chart, "type", where, ("line", "bar", "area", "pie"), required=True)
    if chart.get("type") == "pie":
        problems.items(chart, "segments", where, 6)
        return
    problems.items(chart, "series", where, 6)
    problems.mapping(chart.get("axis_config"), f"{where}/axis_config")


def _check_task(problems: Problems, block: Json, path: str) -> None:
    problems.string(block, "task_id", path, 255, required=True)
    problems.string(block, "title", path, 3000, required=True)
    problems.one_of(block, "status", path, ("pending", "in_progress", "complete", "error"), required=True)
    for key in ("details", "output"):
        if block.get(key) is not None:
            part = problems.mapping(block[key], f"{path}/{key}")
            if part is not None:
                check_rich_text(problems, part, f"{path}/{key}")


def _check_plan(problems: Problems, block: Json, path: str) -> None:
    problems.string(block, "title", path, 3000, required=True)
    for at, value in enumerate(problems.items(block, "tasks", path, 50, least=0)):
        task = problems.mapping(value, f"{path}/tasks/{at}")
        if task is not None:
            _check_task(problems, task, f"{path}/tasks/{at}")


_CHECKS: dict[str, Callable[[Problems, Json, str], None]] = {
    "section": _check_section,
    "header": _check_header,
    "divider": _check_nothing,
    "file": _check_nothing,
    "video": _check_nothing,
    "context": _check_context,
    "actions": _check_actions,
    "context_actions": _check_context_actions,
    "input": _check_input,
    "image": _check_image_block,
    "rich_text": check_rich_text,
    "markdown": _check_markdown,
    "table": check_table,
    "data_table": check_data_table,
    "alert": _check_alert,
    "container": _check_container,
    "card": _check_card,
    "carousel": _check_carousel,
    "data_visualization": _check_chart,
    "task_card": _check_task,
    "plan": _check_plan,
}
