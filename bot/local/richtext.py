"""rich_text blocks and the tables that may hold them (pure).

Sources: docs.slack.dev/reference/block-kit/blocks: rich-text-block, table-block, data-table-block.
"""

from typing import Any

from bot.local.problems import Problems

Json = dict[str, Any]

TABLE_TEXT = 10_000  # characters over all cells of a message
_MAX_ROWS = 100
_MAX_COLUMNS = 20
_INLINE = frozenset(
    {"text", "link", "user", "channel", "usergroup", "emoji", "broadcast", "date", "color", "team", "workflow"}
)
_NEEDS = {
    "text": "text",
    "link": "url",
    "user": "user_id",
    "channel": "channel_id",
    "usergroup": "usergroup_id",
    "emoji": "name",
    "broadcast": "range",
    "color": "value",
}
_STYLES = frozenset({"bold", "italic", "strike", "underline", "code", "highlight", "client_highlight", "unlink"})
_CONTAINERS = frozenset({"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"})
_MANY = 10_000  # no documented cap on inline elements: the message's budget ends them


def check_rich_text(problems: Problems, block: Json, path: str) -> None:
    """A rich_text block or cell."""
    for at, value in enumerate(problems.items(block, "elements", path, _MANY)):
        where = f"{path}/elements/{at}"
        element = problems.mapping(value, where)
        if element is None:
            continue
        kind = element.get("type")
        if not isinstance(kind, str) or kind not in _CONTAINERS:
            problems.add(f"{where}/type", f"unsupported element type: {str(kind)[:40]}")
        elif kind == "rich_text_list":
            _check_list(problems, element, where)
        else:
            _check_inline(problems, element, where)


def _check_list(problems: Problems, element: Json, path: str) -> None:
    problems.one_of(element, "style", path, ("bullet", "ordered"), required=True)
    problems.whole(element, "indent", path, 0, 8)
    problems.whole(element, "border", path, 0, 1)
    problems.whole(element, "offset", path, 0, 100_000)
    for at, value in enumerate(problems.items(element, "elements", path, _MANY)):
        where = f"{path}/elements/{at}"
        section = problems.mapping(value, where)
        if section is None:
            continue
        if section.get("type") != "rich_text_section":
            problems.add(f"{where}/type", "must be rich_text_section")
            continue
        _check_inline(problems, section, where)


def _check_inline(problems: Problems, section: Json, path: str) -> None:
    for at, value in enumerate(problems.items(section, "elements", path, _MANY, least=0)):
        where = f"{path}/elements/{at}"
        element = problems.mapping(value, where)
        if element is None:
            continue
        kind = element.get("type")
        if not isinstance(kind, str) or kind not in _INLINE:
            problems.add(f"{where}/type", f"unsupported element type: {str(kind)[:40]}")
            continue
        if kind in _NEEDS:
            problems.string(element, _NEEDS[kind], where, 100_000, required=True)
        _check_style(problems, element, where)


def _check_style(problems: Problems, element: Json, path: str) -> None:
    if "style" not in element:
        return
    style = problems.mapping(element["style"], f"{path}/style")
    if style is None:
        return
    for key, value in style.items():
        if key not in _STYLES or not isinstance(value, bool):
            problems.add(f"{path}/style/{key}", "must be a boolean style")


def check_table(problems: Problems, table: Json, path: str) -> None:
    """A table block: at most 100 rows of at most 20 cells; one table a message."""
    problems.tables += 1
    if problems.tables > 1:
        problems.add(path, "only one table allowed")
    _check_rows(problems, table, path, most=_MAX_ROWS, least=1, plain_header=False)
    settings = problems.items(table, "column_settings", path, _MAX_COLUMNS, least=0)
    for at, value in enumerate(settings):
        where = f"{path}/column_settings/{at}"
        if value is None:
            continue
        setting = problems.mapping(value, where)
        if setting is not None:
            problems.one_of(setting, "align", where, ("left", "center", "right"))
            problems.flag(setting, "is_wrapped", where)


def check_data_table(problems: Problems, table: Json, path: str) -> None:
    """A data_table block: a caption, a header row of plain cells and 1 to 100 rows of the same width."""
    problems.string(table, "caption", path, 3000, required=True)
    problems.whole(table, "page_size", path, 1, 100)
    problems.whole(table, "row_header_column_index", path, 0, _MAX_COLUMNS - 1)
    widths = _check_rows(problems, table, path, most=_MAX_ROWS + 1, least=2, plain_header=True)
    if len(set(widths)) > 1:
        problems.add(f"{path}/rows", "all rows must have the same number of cells")


def _check_rows(problems: Problems, table: Json, path: str, *, most: int, least: int, plain_header: bool) -> list[int]:
    widths = []
    for at, row in enumerate(problems.items(table, "rows", path, most, least=least)):
        where = f"{path}/rows/{at}"
        cells = problems.items({"row": row}, "row", where, _MAX_COLUMNS)
        widths.append(len(cells))
        for column, cell in enumerate(cells):
            _check_cell(problems, cell, f"{where}/{column}", may_be_rich=not (plain_header and at == 0))
    return widths


def _check_cell(problems: Problems, value: object, path: str, *, may_be_rich: bool) -> None:
    cell = problems.mapping(value, path)
    if cell is None:
        return
    match cell.get("type"):
        case "raw_text":
            problems.table_length += len(problems.string(cell, "text", path, TABLE_TEXT, required=True))
        case "raw_number":
            if isinstance(cell.get("value"), bool) or not isinstance(cell.get("value"), int | float):
                problems.add(f"{path}/value", "must be a number")
        case "rich_text" if may_be_rich:
            check_rich_text(problems, cell, path)
        case kind:
            problems.add(f"{path}/type", f"unsupported cell type: {str(kind)[:40]}")
