"""The offline Block Kit validator: each limit at its edge, and no input that makes it raise."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.local.blocks import text_length, validate_message, validate_view
from bot.local.errors import Json


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def button(**more: Any) -> Json:
    return {"type": "button", "action_id": "a", "text": plain("Go"), **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def option(value: str, text: str = "x") -> Json:
    return {"text": plain(text), "value": value}


def select(count: int, **more: Any) -> Json:
    return {"type": "static_select", "action_id": "s", "options": [option(str(n)) for n in range(count)], **more}


def confirm(**more: str) -> Json:
    texts = {"title": "t", "text": "t", "confirm": "t", "deny": "t"} | more
    return {key: plain(value) for key, value in texts.items()}


def container(*children: Json, **more: Any) -> Json:
    return {"type": "container", "title": plain("Raw"), "is_collapsible": True, "child_blocks": list(children), **more}


def cell(text: str = "x") -> Json:
    return {"type": "raw_text", "text": text}


def table(rows: int, columns: int = 1, text: str = "x") -> Json:
    return {"type": "table", "rows": [[cell(text)] * columns] * rows}


def data_table(rows: int, **more: Any) -> Json:
    return {"type": "data_table", "caption": "hosts", "rows": [[cell()]] * rows, **more}


def chart(**parts: Any) -> Json:
    return {"type": "data_visualization", "title": "x", "chart": parts}


RICH: Json = {
    "type": "rich_text",
    "elements": [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": "a", "style": {"bold": True}}]},
        {
            "type": "rich_text_list",
            "style": "bullet",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "link", "url": "https://a.example"}]}],
        },
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "raw"}]},
    ],
}
SECTION: Json = {"type": "section", "text": mrkdwn("x")}
DIVIDER: Json = {"type": "divider"}

GOOD: dict[str, list[Json]] = {
    "50 blocks": [DIVIDER] * 50,
    "section": [{"type": "section", "text": mrkdwn("x" * 3000), "fields": [mrkdwn("x" * 100)] * 10}],
    "section with accessory": [SECTION | {"accessory": button(value="x" * 2000)}],
    "header": [{"type": "header", "text": plain("x" * 150)}],
    "context": [{"type": "context", "elements": [mrkdwn("x")] * 10}],
    "25 buttons": [actions(*[button(action_id=str(n)) for n in range(25)])],
    "same action_id in two blocks": [actions(button()), actions(button())],
    "button": [actions(button(text=plain("x" * 75), style="danger", url="https://a.example", confirm=confirm()))],
    "100 options": [actions(select(100))],
    "groups": [
        actions(
            {
                "type": "static_select",
                "action_id": "g",
                "option_groups": [{"label": plain("g"), "options": [option("1")]}],
                "initial_option": option("1"),
            }
        )
    ],
    "overflow": [actions({"type": "overflow", "action_id": "o", "options": [option(str(n)) for n in range(5)]})],
    "checkboxes": [actions({"type": "checkboxes", "action_id": "c", "options": [option(str(n)) for n in range(10)]})],
    "rich text": [RICH],
    "markdown": [{"type": "markdown", "text": "x" * 6000}, {"type": "markdown", "text": "x" * 6000}],
    "table": [table(100, 20)],
    "data table": [data_table(101, page_size=100)],
    "container": [container(*[SECTION] * 8, DIVIDER, table(2), default_collapsed=True)],
    "card": [{"type": "card", "title": mrkdwn("x" * 150), "body": mrkdwn("x" * 200), "actions": [button()]}],
    "carousel": [{"type": "carousel", "elements": [{"type": "card", "body": mrkdwn("x")}] * 10}],
    "chart": [chart(type="line", series=[{}], axis_config={}), chart(type="pie", segments=[{}] * 6)],
    "plan": [{"type": "plan", "title": "p", "tasks": [{"task_id": "1", "title": "t", "status": "complete"}]}],
    "feedback": [
        {
            "type": "context_actions",
            "elements": [
                {
                    "type": "feedback_buttons",
                    "action_id": "f",
                    "positive_button": {"text": plain("good"), "value": "1"},
                    "negative_button": {"text": plain("bad"), "value": "0"},
                }
            ],
        }
    ],
    "image": [{"type": "image", "image_url": "https://a.example/x.png", "alt_text": "x"}],
    "input": [{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input", "action_id": "i"}}],
}

BAD: dict[str, tuple[list[Any], str]] = {
    "51 blocks": ([DIVIDER] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
    "no object": (["x"], "must be an object [json-pointer:/blocks/0]"),
    "unknown type": ([{"type": "toast"}], "unsupported type: toast [json-pointer:/blocks/0/type]"),
    "alert in a message": ([{"type": "alert", "text": plain("x")}], "unsupported type: alert"),
    "empty section": ([{"type": "section"}], "one of text and fields is required [json-pointer:/blocks/0]"),
    "long section": ([{"type": "section", "text": mrkdwn("x" * 3001)}], "less than 3001 characters"),
    "empty text": ([{"type": "section", "text": mrkdwn("")}], "must be more than 0 characters"),
    "11 fields": ([{"type": "section", "fields": [mrkdwn("x")] * 11}], "no more than 10 items"),
    "long field": ([{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "/blocks/0/fields/0/text"),
    "mrkdwn header": ([{"type": "header", "text": mrkdwn("x")}], "must be one of: plain_text"),
    "long header": ([{"type": "header", "text": plain("x" * 151)}], "less than 151 characters"),
    "11 context elements": ([{"type": "context", "elements": [mrkdwn("x")] * 11}], "no more than 10 items"),
    "no context elements": ([{"type": "context", "elements": []}], "no less than 1 items"),
    "26 buttons": ([actions(*[button(action_id=str(n)) for n in range(26)])], "no more than 25 items"),
    "two equal action_ids": ([actions(button(), button())], '"a" already exists'),
    "two equal block_ids": ([DIVIDER | {"block_id": "b"}] * 2, 'block_id "b" already exists'),
    "equal block_ids in a container": ([SECTION | {"block_id": "b"}, container(SECTION | {"block_id": "b"})], "exists"),
    "long block_id": ([DIVIDER | {"block_id": "b" * 256}], "less than 256 characters"),
    "long action_id": ([actions(button(action_id="a" * 256))], "less than 256 characters"),
    "long button": ([actions(button(text=plain("x" * 76)))], "/blocks/0/elements/0/text/text"),
    "mrkdwn button": ([actions(button(text=mrkdwn("x")))], "must be one of: plain_text"),
    "long value": ([actions(button(value="x" * 2001))], "less than 2001 characters"),
    "long url": ([actions(button(url="https://" + "x" * 3000))], "less than 3001 characters"),
    "script url": ([actions(button(url="javascript:alert(1)"))], "must be a valid url"),
    "wrong style": ([actions(button(style="loud"))], "must be one of: danger, primary"),
    "long accessibility label": ([actions(button(accessibility_label="x" * 76))], "less than 76 characters"),
    "confirm title": ([actions(button(confirm=confirm(title="x" * 101)))], "less than 101 characters"),
    "confirm text": ([actions(button(confirm=confirm(text="x" * 301)))], "less than 301 characters"),
    "confirm button": ([actions(button(confirm=confirm(deny="x" * 31)))], "less than 31 characters"),
    "no options": ([actions(select(0))], "no less than 1 items"),
    "101 options": ([actions(select(101))], "no more than 100 items"),
    "equal options": ([actions({"type": "static_select", "options": [option("1")] * 2})], "values must be unique"),
    "long option": (
        [actions({"type": "static_select", "options": [option("1", "x" * 76)]})],
        "less than 76 characters",
    ),
    "long option value": (
        [actions({"type": "static_select", "options": [option("x" * 76)]})],
        "less than 76 characters",
    ),
    "strange initial option": ([actions(select(2, initial_option=option("9")))], "one of the provided options"),
    "input in actions": ([actions({"type": "plain_text_input"})], "unsupported element type: plain_text_input"),
    "emoji in mrkdwn": ([{"type": "section", "text": mrkdwn("x") | {"emoji": True}}], "emoji is not allowed"),
    "markdown in total": (
        [{"type": "markdown", "text": "x" * 6001}, {"type": "markdown", "text": "x" * 6000}],
        "markdown text must be less than 12001 characters in total",
    ),
    "rich text list style": (
        [{"type": "rich_text", "elements": [{"type": "rich_text_list", "elements": []}]}],
        "style",
    ),
    "rich text element": ([{"type": "rich_text", "elements": [{"type": "marquee"}]}], "unsupported element type"),
    "101 rows": ([table(101)], "no more than 100 items"),
    "21 columns": ([table(1, 21)], "no more than 20 items"),
    "two tables": ([table(1), table(1)], "only one table allowed"),
    "a wordy table": ([table(100, 1, "x" * 101)], "table cells must be less than 10001 characters"),
    "no caption": ([data_table(2) | {"caption": ""}], "must be more than 0 characters"),
    "header alone": ([data_table(1)], "no less than 2 items"),
    "102 data rows": ([data_table(102)], "no more than 101 items"),
    "page size": ([data_table(2, page_size=101)], "must be an integer from 1 to 100"),
    "ragged rows": ([data_table(2) | {"rows": [[cell()], [cell(), cell()]]}], "same number of cells"),
    "rich header cell": ([data_table(2) | {"rows": [[RICH], [cell()]]}], "unsupported cell type: rich_text"),
    "11 children": ([container(*[SECTION] * 11)], "no more than 10 items"),
    "rich text child": ([container(RICH)], "unsupported type: rich_text [json-pointer:/blocks/0/child_blocks/0/type]"),
    "container in container": ([container(container(SECTION))], "unsupported type: container"),
    "untitled container": ([container(SECTION) | {"title": None}], "one of title and rich_text_title"),
    "long container title": ([container(SECTION, title=plain("x" * 151))], "less than 151 characters"),
    "collapsed, not collapsible": (
        [container(SECTION, is_collapsible=False, default_collapsed=True)],
        "requires is_collapsible",
    ),
    "empty card": ([{"type": "card", "subtitle": mrkdwn("x")}], "one of hero_image"),
    "long card": ([{"type": "card", "body": mrkdwn("x" * 201)}], "less than 201 characters"),
    "11 cards": ([{"type": "carousel", "elements": [{"type": "card", "body": mrkdwn("x")}] * 11}], "no more than 10"),
    "7 series": (
        [chart(type="bar", series=[{}] * 7, axis_config={})],
        "no more than 6 items",
    ),
    "no axes": ([chart(type="bar", series=[{}])], "must be an object [json-pointer:/blocks/0/chart/axis_config]"),
    "7 segments": ([chart(type="pie", segments=[{}] * 7)], "no more than 6 items"),
    "3 charts": ([chart(type="pie", segments=[{}])] * 3, "no more than 2 data visualizations"),
    "image without words": ([{"type": "image", "image_url": "https://a.example/x.png"}], "field: alt_text"),
    "6 context actions": ([{"type": "context_actions", "elements": [{}] * 6}], "no more than 5 items"),
    "task status": ([{"type": "task_card", "task_id": "1", "title": "t", "status": "done"}], "must be one of"),
    "6 overflow options": (
        [actions({"type": "overflow", "options": [option(str(n)) for n in range(6)]})],
        "no more than 5 items",
    ),
    "11 radio buttons": (
        [actions({"type": "radio_buttons", "options": [option(str(n)) for n in range(11)]})],
        "no more than 10 items",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_slack_takes_passes(name: str) -> None:
    assert validate_message("text", GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_what_slack_refuses_is_named(name: str) -> None:
    blocks, reason = BAD[name]
    found = validate_message("text", blocks)
    assert any(reason in problem for problem in found), found


def test_a_message_needs_text_and_has_a_budget() -> None:
    assert "text is required" in validate_message(" ", [DIVIDER])[0]
    blocks = [{"type": "section", "text": mrkdwn("x" * 2640)}] * 5
    assert validate_message("x", blocks) == []
    assert "msg_blocks_too_long" in validate_message("x", [*blocks, SECTION])[0]
    assert text_length(blocks) == 13_200


def modal(**more: Any) -> Json:
    return {"type": "modal", "title": plain("x" * 24), "blocks": [SECTION], **more}


def test_a_good_modal_passes() -> None:
    field = {"type": "input", "label": plain("x"), "element": {"type": "plain_text_input", "action_id": "i"}}
    assert validate_view(modal(submit=plain("Go"), blocks=[field, {"type": "alert", "text": plain("x" * 200)}])) == []
    assert validate_view({"type": "home", "blocks": [DIVIDER] * 100}) == []


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        ("x", "must be an object"),
        (modal(title=plain("x" * 25)), "less than 25 characters [json-pointer:/view/title/text]"),
        (modal(title=None), "missing required field: title"),
        (modal(submit=plain("x" * 25)), "/view/submit/text"),
        (modal(close=plain("x" * 25)), "/view/close/text"),
        (modal(private_metadata="x" * 3001), "less than 3001 characters"),
        (modal(callback_id="x" * 256), "less than 256 characters"),
        (modal(external_id="x" * 256), "less than 256 characters"),
        (modal(blocks=[DIVIDER] * 101), "no more than 100 items"),
        (modal(blocks=None), "missing required field: blocks"),
        (modal(blocks=[{"type": "markdown", "text": "x"}]), "unsupported type: markdown"),
        (modal(blocks=[{"type": "alert", "text": plain("x" * 201)}]), "less than 201 characters"),
        (
            modal(blocks=[{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input"}}]),
            "missing required field: submit",
        ),
        (
            modal(
                submit=plain("x"),
                blocks=[
                    {
                        "type": "input",
                        "label": plain("x" * 2001),
                        "element": {"type": "plain_text_input", "max_length": 3001},
                    }
                ],
            ),
            "must be an integer from 1 to 3000",
        ),
        ({"type": "home", "blocks": [{"type": "alert", "text": plain("x")}]}, "unsupported type: alert"),
        ({"type": "sheet", "blocks": []}, "must be one of: home, modal"),
    ],
)
def test_a_bad_view_is_named(view: object, reason: str) -> None:
    found = validate_view(view)
    assert any(reason in problem for problem in found), found


# Words that steer into every branch, mixed with any JSON.
_KINDS = {str(block["type"]) for blocks in GOOD.values() for block in blocks}
_WORDS = st.sampled_from(sorted(_KINDS | {"static_select", "button", "plain_text", "mrkdwn"}))
_NAMES = """
type text elements element fields accessory options option_groups initial_option initial_options rows value title
confirm child_blocks chart series tasks style block_id action_id column_settings blocks rich_text_title label
"""
_KEYS = st.sampled_from(_NAMES.split())
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS | st.text(max_size=3), inner, max_size=5),
    max_leaves=25,
)


@settings(deadline=None)
@given(st.lists(_JSON, max_size=4), _JSON)
def test_no_input_makes_the_validator_raise(blocks: list[Any], view: object) -> None:
    assert isinstance(validate_message("x", blocks), list)
    assert isinstance(validate_view(view), list)


@settings(deadline=None)
@given(st.sampled_from(sorted(GOOD)), _JSON, st.data())
def test_a_good_message_with_one_part_replaced_never_raises(name: str, junk: object, data: st.DataObject) -> None:
    def replaced(value: object) -> object:
        if data.draw(st.integers(0, 5)) == 0:
            return junk
        if isinstance(value, dict):
            return {key: replaced(item) for key, item in list(value.items())[:6]}
        if isinstance(value, list):
            return [replaced(item) for item in value[:3]]
        return value

    blocks = replaced(GOOD[name][:3])
    assert isinstance(validate_message("x", blocks if isinstance(blocks, list) else [blocks]), list)
