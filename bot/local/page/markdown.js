// The markdown block: the subset of Markdown that Slack renders. Raw HTML stays text.

import { fragment, h } from "./dom.js";
import { emoji } from "./emoji.js";
import { codeBlock } from "./mrkdwn.js";
import { link, textNodes } from "./text.js";

const literal = (text) => textNodes(text.replaceAll("&", "&amp;"));

export function markdown(source) {
  const lines = source.replaceAll("\r\n", "\n").split("\n");
  const out = fragment();
  let at = 0;
  while (at < lines.length) {
    const [node, next] = blockAt(lines, at);
    if (node) out.append(node);
    at = next;
  }
  return out;
}

const LIST = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const RULE = /^\s*(?:-{3,}|\*{3,}|_{3,})\s*$/;

// The node that begins at line `at`, and the line after it.
function blockAt(lines, at) {
  const line = lines[at];
  if (line.trim() === "") return [null, at + 1];
  const fence = /^\s*(`{3,}|~{3,})/.exec(line);
  if (fence) return fenced(lines, at, fence[1]);
  const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
  if (heading) return [h(`h${Math.min(6, heading[1].length + 2)}`, { class: "md-heading" }, inline(heading[2])), at + 1];
  if (RULE.test(line)) return [h("hr"), at + 1];
  if (/^\s*>/.test(line)) return run(lines, at, (each) => /^\s*>/.test(each), (taken) => h("blockquote", {}, inline(taken.map((each) => each.replace(/^\s*> ?/, "")).join("\n"))));
  if (LIST.test(line)) return run(lines, at, (each) => LIST.test(each), list);
  if (line.includes("|") && /^\s*\|?[\s:|-]*-[\s:|-]*$/.test(lines[at + 1] ?? "")) return run(lines, at, (each) => each.includes("|"), grid);
  return run(lines, at, (each, first) => first || (each.trim() !== "" && !LIST.test(each) && !/^(?:#{1,6}\s|\s*>|\s*```)/.test(each)),
    (taken) => h("p", { class: "text" }, inline(taken.join("\n"))));
}

function run(lines, at, belongs, build) {
  let end = at;
  while (end < lines.length && belongs(lines[end], end === at)) end += 1;
  return [build(lines.slice(at, end)), end];
}

function fenced(lines, at, mark) {
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  return [codeBlock(lines.slice(at + 1, end).join("\n")), end + 1];
}

function list(taken) {
  const ordered = /^\s*\d/.test(taken[0]);
  return h(ordered ? "ol" : "ul", {}, taken.map((line) => {
    const [, indent, , text] = LIST.exec(line);
    return h("li", { class: `indent-${Math.min(4, Math.floor(indent.length / 2))}` }, inline(text));
  }));
}

function grid(taken) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((each) => each.trim());
  const [head, , ...rows] = taken;
  const row = (tag, line) => h("tr", {}, cells(line).map((cell) => h(tag, {}, inline(cell))));
  return h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": "Table" },
    h("table", {}, h("thead", {}, row("th", head)), h("tbody", {}, rows.map((line) => row("td", line)))));
}

const TOKENS = /`([^`\n]+)`|\*\*(\S(?:[^\n]*?\S)?)\*\*|__(\S(?:[^\n]*?\S)?)__|~~(\S(?:[^\n]*?\S)?)~~|\*(\S(?:[^*\n]*?\S)?)\*|\b_(\S(?:[^_\n]*?\S)?)_\b|\[([^\]\n]*)\]\(([^\s()]+)\)|(https?:\/\/[^\s<>|`]*[^\s<>|`.,;:!?)])|:([a-z0-9_+-]+):/g;

function inline(text) {
  const out = fragment();
  let from = 0;
  for (const match of text.matchAll(TOKENS)) {
    out.append(...literal(text.slice(from, match.index)), token(match));
    from = match.index + match[0].length;
  }
  out.append(...literal(text.slice(from)));
  return out;
}

function token([whole, code, bold, bold2, strike, italic, italic2, label, target, address, short]) {
  if (code) return h("code", {}, literal(code));
  if (bold ?? bold2) return h("strong", {}, inline(bold ?? bold2));
  if (strike) return h("s", {}, inline(strike));
  if (italic ?? italic2) return h("em", {}, inline(italic ?? italic2));
  if (target) return link(target, inline(label || target));
  if (address) return link(address, ...literal(address));
  return (short && emoji(short)) || whole;
}
