"""Block Kit elements and composition objects: buttons, selects, inputs, options, confirm dialogs (pure).

Sources: docs.slack.dev/reference/block-kit/block-elements and /composition-objects; @slack/types 3.2.0.
"""

import re
from collections.abc import Callable, Collection
from typing import Any

from bot.local.problems import ANY_TEXT, PLAIN, Problems

Json = dict[str, Any]

ACTION_ID = 255
_FILE_ID = re.compile(r"F[A-Z0-9]{8,}")
# Types say 3,000 for an option's value, older documents 75 or 150. What holds everywhere is the smallest.
OPTION_VALUE = 75
_SELECT_KINDS = ("users_select", "conversations_select", "channels_select", "external_select", "static_select")
SELECTS = frozenset(_SELECT_KINDS) | {f"multi_{kind}" for kind in _SELECT_KINDS}
PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker"})
CHOICES = frozenset({"checkboxes", "radio_buttons"})
TYPED = frozenset(
    {"plain_text_input", "number_input", "email_text_input", "url_text_input", "rich_text_input", "file_input"}
)

ACCESSORIES = SELECTS | CHOICES | {"button", "image", "overflow", "datepicker", "timepicker", "workflow_button"}
ACTIONS = SELECTS | CHOICES | PICKERS | {"button", "overflow", "workflow_button"}
INPUTS = SELECTS | CHOICES | PICKERS | TYPED
CONTEXT_ACTIONS = frozenset({"feedback_buttons", "icon_button"})


def check_element(problems: Problems, value: object, path: str, allowed: Collection[str], action_ids: set[str]) -> None:
    """One element that must be of an *allowed* type; its action_id must be new to its block."""
    element = problems.mapping(value, path)
    if element is None:
        return
    kind = element.get("type")
    if not isinstance(kind, str) or kind not in allowed:
        problems.add(f"{path}/type", f"unsupported element type: {str(kind)[:40]}")
        return
    if kind == "image":
        check_image(problems, element, path)
        return
    action_id = problems.string(element, "action_id", path, ACTION_ID)
    if action_id and action_id in action_ids:
        problems.add(f"{path}/action_id", f'"{action_id[:80]}" already exists: unique within a block')
    action_ids.add(action_id)
    if "confirm" in element:
        _check_confirm(problems, element["confirm"], f"{path}/confirm")
    problems.flag(element, "focus_on_load", path)
    _CHECKS.get(kind, _check_typed)(problems, element, path)


def check_image(problems: Problems, image: Json, path: str) -> None:
    """An image element: where it is and what it shows in words."""
    if image.get("slack_file") is not None:
        _check_slack_file(problems, image, path)
    else:
        problems.web_address(image, "image_url", path, required=True)
    problems.string(image, "alt_text", path, 2000, required=True)


def _check_slack_file(problems: Problems, image: Json, path: str) -> None:
    """A file named by id or by address, one of the two; whether it is there the workspace knows."""
    if image.get("image_url") is not None:
        problems.add(path, "only one of image_url and slack_file is allowed")
    where = f"{path}/slack_file"
    file = problems.mapping(image["slack_file"], where)
    if file is None:
        return
    if (file.get("id") is None) == (file.get("url") is None):
        problems.add(where, "one of id and url is required")
    file_id = problems.string(file, "id", where, 255)
    if file_id and not _FILE_ID.fullmatch(file_id):
        problems.add(f"{where}/id", "input must match regex pattern: ^[F][A-Z0-9]{8,}$")
    problems.web_address(file, "url", where)


def _check_confirm(problems: Problems, value: object, path: str) -> None:
    confirm = problems.mapping(value, path)
    if confirm is None:
        return
    problems.text(confirm, "title", path, 100, kinds=PLAIN)
    problems.text(confirm, "text", path, 300)
    problems.text(confirm, "confirm", path, 30, kinds=PLAIN)
    problems.text(confirm, "deny", path, 30, kinds=PLAIN)
    problems.one_of(confirm, "style", path, ("primary", "danger"))


def _check_button(problems: Problems, button: Json, path: str) -> None:
    problems.text(button, "text", path, 75, kinds=PLAIN)
    problems.string(button, "value", path, 2000)
    problems.web_address(button, "url", path)
    problems.one_of(button, "style", path, ("primary", "danger"))
    problems.string(button, "accessibility_label", path, 75)


def _check_feedback(problems: Problems, element: Json, path: str) -> None:
    for key in ("positive_button", "negative_button"):
        button = problems.mapping(element.get(key), f"{path}/{key}")
        if button is not None:
            problems.text(button, "text", f"{path}/{key}", 75, kinds=PLAIN)
            problems.string(button, "value", f"{path}/{key}", 2000, required=True)


def _check_icon_button(problems: Problems, element: Json, path: str) -> None:
    problems.one_of(element, "icon", path, ("trash",), required=True)
    problems.text(element, "text", path, 75, kinds=PLAIN)
    problems.string(element, "value", path, 2000)


def _check_option(problems: Problems, value: object, path: str, kinds: Collection[str]) -> str:
    option = problems.mapping(value, path)
    if option is None:
        return ""
    problems.text(option, "text", path, 75, kinds=kinds)
    problems.text(option, "description", path, 75, kinds=kinds, required=False)
    problems.web_address(option, "url", path)
    return problems.string(option, "value", path, OPTION_VALUE, required=True)


def _check_options(problems: Problems, owner: Json, path: str, most: int, kinds: Collection[str] = PLAIN) -> set[str]:
    options = problems.items(owner, "options", path, most)
    values = [_check_option(problems, option, f"{path}/options/{at}", kinds) for at, option in enumerate(options)]
    if len(set(values)) < len(values):
        problems.add(f"{path}/options", "option values must be unique")
    return set(values)


def _check_overflow(problems: Problems, element: Json, path: str) -> None:
    # The documents say five. Nobody loses anything when the smaller number holds here.
    _check_options(problems, element, path, 5)


def _check_choices(problems: Problems, element: Json, path: str) -> None:
    values = _check_options(problems, element, path, 10, ANY_TEXT)
    _check_initial(problems, element, path, values)


def _check_select(problems: Problems, element: Json, path: str) -> None:
    problems.text(element, "placeholder", path, 150, kinds=PLAIN, required=False)
    problems.whole(element, "max_selected_items", path, 1, 100)
    problems.whole(element, "min_query_length", path, 0, 3000)
    if not str(element["type"]).endswith("static_select"):
        return
    if ("options" in element) == ("option_groups" in element):
        problems.add(path, "exactly one of options and option_groups must be given")
        return
    if "options" in element:
        values = _check_options(problems, element, path, 100)
    else:
        values = set()
        for at, value in enumerate(problems.items(element, "option_groups", path, 100)):
            where = f"{path}/option_groups/{at}"
            group = problems.mapping(value, where)
            if group is not None:
                problems.text(group, "label", where, 75, kinds=PLAIN)
                values |= _check_options(problems, group, where, 100)
    _check_initial(problems, element, path, values)


def _check_initial(problems: Problems, element: Json, path: str, values: set[str]) -> None:
    """A preset choice must be one of the options."""
    chosen: list[object] = [element["initial_option"]] if "initial_option" in element else []
    several = element.get("initial_options", [])
    if not isinstance(several, list):
        problems.add(f"{path}/initial_options", "must be an array")
        several = []
    for option in (*chosen, *several):
        value = option.get("value") if isinstance(option, dict) else None
        if not isinstance(value, str) or value not in values:
            problems.add(path, "initial_option must be one of the provided options")


def _check_picker(problems: Problems, element: Json, path: str) -> None:
    problems.text(element, "placeholder", path, 150, kinds=PLAIN, required=False)


def _check_typed(problems: Problems, element: Json, path: str) -> None:
    problems.text(element, "placeholder", path, 150, kinds=PLAIN, required=False)
    problems.flag(element, "multiline", path)
    problems.whole(element, "min_length", path, 0, 3000)
    problems.whole(element, "max_length", path, 1, 3000)
    if element["type"] in {"plain_text_input", "email_text_input", "url_text_input"}:
        problems.string(element, "initial_value", path, 3000)
    if element["type"] == "number_input" and not isinstance(element.get("is_decimal_allowed"), bool):
        problems.add(path, "missing required field: is_decimal_allowed")
    if element["type"] == "file_input":
        problems.whole(element, "max_files", path, 1, 10)


_CHECKS: dict[str, Callable[[Problems, Json, str], None]] = {
    "button": _check_button,
    "workflow_button": _check_button,
    "feedback_buttons": _check_feedback,
    "icon_button": _check_icon_button,
    "overflow": _check_overflow,
    **dict.fromkeys(CHOICES, _check_choices),
    **dict.fromkeys(SELECTS, _check_select),
    **dict.fromkeys(PICKERS, _check_picker),
}
