// table and data_table blocks. Wide tables scroll inside their own box; a data_table sorts and pages here.

import { h, icon, iconButton } from "./dom.js";
import { plainNodes } from "./text.js";
import { memory } from "./state.js";
import { richText } from "./richtext.js";

function cellNodes(cell) {
  if (cell === null || cell === undefined) return [];
  if (cell.type === "rich_text") return richText(cell);
  return plainNodes({ text: cellText(cell) });
}

function cellText(cell) {
  if (typeof cell !== "object" || cell === null) return String(cell ?? "");
  if (cell.type === "rich_text") return textOf(cell);
  return String(cell.text ?? cell.value ?? cell.number ?? "");
}

const textOf = (node) => (node.text ?? "") + (node.elements ?? []).map(textOf).join("");
const isNumber = (cell) => cell?.type === "raw_number" || /^-?\d+(?:[.,]\d+)?(?:\s?(?:ms|s|%|d|h))?$/.test(cellText(cell).trim());

function aligned(settings, at, cells) {
  const align = settings?.[at]?.align;
  if (["left", "center", "right"].includes(align)) return `align-${align}`;
  return cells.length && cells.every(isNumber) ? "align-right" : null;
}

/** A table block; its first row is the head. */
export function table(block) {
  const [head = [], ...rows] = block.rows ?? [];
  const columns = head.map((_, at) => [aligned(block.column_settings, at, rows.map((row) => row[at])), block.column_settings?.[at]?.is_wrapped ? "wrapped" : null].filter(Boolean).join(" "));
  const row = (tag, cells) => h("tr", {}, cells.map((cell, at) => h(tag, { class: columns[at] || null, scope: tag === "th" ? "col" : null }, cellNodes(cell))));
  return scrolling("Table", h("table", {}, h("thead", {}, row("th", head)), h("tbody", {}, rows.map((cells) => row("td", cells)))));
}

function scrolling(label, node) {
  // Focusable, so that it can be scrolled by keyboard too.
  return h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": label }, node);
}

/** A data_table block: caption, sortable columns, pages of page_size rows. */
export function dataTable(block, key) {
  const [head = [], ...rows] = block.rows ?? [];
  const size = Math.min(100, Math.max(1, block.page_size ?? 5));
  const view = memory.get(`table:${key}`) ?? { page: 0, column: null, down: false };
  memory.set(`table:${key}`, view);
  const box = h("div", { class: "data-table" });
  draw(box, { block, head, rows, size, view });
  return box;
}

function draw(box, data) {
  const { block, head, rows, size, view } = data;
  const ordered = view.column === null ? rows : [...rows].sort(order(view.column, view.down));
  const pages = Math.max(1, Math.ceil(rows.length / size));
  view.page = Math.min(view.page, pages - 1);
  const shown = ordered.slice(view.page * size, (view.page + 1) * size);
  const again = (change) => () => {
    Object.assign(view, change);
    const focused = document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent;
    draw(box, data);
    [...box.querySelectorAll("button")].find((node) => (node.getAttribute("aria-label") ?? node.textContent) === focused)?.focus();
  };
  const header = head.map((cell, at) => {
    const sorted = view.column === at ? (view.down ? "descending" : "ascending") : "none";
    const next = view.column !== at ? { column: at, down: false } : view.down ? { column: null, down: false } : { down: true };
    return h("th", { scope: "col", "aria-sort": sorted, class: aligned(null, at, rows.map((row) => row[at])) },
      h("button", { type: "button", class: "sort", on: { click: again({ ...next, page: 0 }) } }, cellNodes(cell), icon(sorted === "descending" ? "down" : sorted === "ascending" ? "up" : "sort")));
  });
  const body = shown.map((row) => h("tr", {}, row.map((cell, at) => h(at === (block.row_header_column_index ?? 0) ? "th" : "td",
    { scope: at === (block.row_header_column_index ?? 0) ? "row" : null, class: aligned(null, at, rows.map((each) => each[at])) }, cellNodes(cell)))));
  const pager = pages > 1 ? h("div", { class: "pager" },
    h("span", {}, `${view.page * size + 1}–${view.page * size + shown.length} of ${rows.length}`),
    iconButton("left", "Previous page", again({ page: Math.max(0, view.page - 1) }), { disabled: view.page === 0 }),
    iconButton("right", "Next page", again({ page: view.page + 1 }), { disabled: view.page >= pages - 1 })) : null;
  const foot = h("div", { class: "table-foot" }, h("span", { class: "table-caption" }, plainNodes(block.caption ?? "")), pager);
  box.replaceChildren(scrolling(block.caption ?? "Table", h("table", {}, h("thead", {}, h("tr", {}, header)), h("tbody", {}, body))), foot);
}

function order(column, down) {
  const sign = down ? -1 : 1;
  return (left, right) => {
    const [a, b] = [cellText(left[column]), cellText(right[column])];
    const [x, y] = [parseFloat(a), parseFloat(b)];
    const numeric = isNumber(left[column]) && isNumber(right[column]);
    return sign * (numeric ? x - y : a.localeCompare(b, undefined, { numeric: true }));
  };
}
