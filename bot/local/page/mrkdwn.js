// Slack's mrkdwn as DOM nodes: code fences, quotes, then inline marks. Unclosed marks stay as typed.

import { fragment, h, icon, iconButton } from "./dom.js";
import { emoji } from "./emoji.js";
import { names } from "./state.js";
import { decoded, link, textNodes } from "./text.js";
import { slackDate } from "./time.js";

const FENCE = /```(?:\n)?([\s\S]+?)```/g;
const WORD = /[\p{L}\p{N}]/u;
const MARKS = { "*": "strong", _: "em", "~": "s" };
// A mark closes within this many characters or is text: keeps hostile input linear.
const REACH = 3000;

/** `text` (still with Slack's entities and <…> tokens) as a fragment. */
export function mrkdwn(text) {
  const out = fragment();
  let from = 0;
  for (const match of text.matchAll(FENCE)) {
    out.append(paragraphs(text.slice(from, match.index).replace(/\n$/, "")));
    out.append(codeBlock(unwrapped(match[1].replace(/\n$/, ""))));
    from = match.index + match[0].length;
    if (text[from] === "\n") from += 1;
  }
  out.append(paragraphs(text.slice(from)));
  return out;
}

// Inside code, <url> and <url|label> tokens show as their label.
function unwrapped(code) {
  return decoded(code.replace(/<(?:https?:|mailto:)[^<>|]*\|([^<>]*)>/g, "$1").replace(/<((?:https?:|mailto:)[^<>]*)>/g, "$1"));
}

export function codeBlock(code) {
  const copy = iconButton("copy", "Copy code", async () => {
    // Without permission there is no tick; the text can still be selected.
    const copied = await navigator.clipboard.writeText(code).then(() => true, () => false);
    if (!copied) return;
    copy.replaceChildren(icon("check"));
    setTimeout(() => copy.replaceChildren(icon("copy")), 1500);
  });
  copy.classList.add("copy");
  return h("div", { class: "code-block" }, h("pre", { tabindex: 0, "aria-label": "Code" }, h("code", {}, commandNodes(code))), copy);
}

// Code holds plain characters, not entities: protect them from being decoded.
const textNodesOfCode = (code) => textNodes(code.replaceAll("&", "&amp;"));

// A long command wraps between its words, never after the hyphen of "-servername".
function commandNodes(code) {
  return code.split(/(?<=^|\s)(-[\w-]{1,40})(?=\s|=|$)/).flatMap((piece, at) => (at % 2 ? h("span", { class: "option" }, piece) : textNodesOfCode(piece)));
}

function paragraphs(text) {
  const out = fragment();
  if (text === "") return out;
  let plain = [];
  let quoted = [];
  const flush = () => {
    if (plain.length) out.append(h("div", { class: "text" }, inline(plain.join("\n"))));
    if (quoted.length) out.append(h("blockquote", {}, inline(quoted.join("\n"))));
    plain = [];
    quoted = [];
  };
  for (const line of text.split("\n")) {
    const quote = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (quote ? plain.length : quoted.length) flush();
    if (quote) quoted.push(quote[1]);
    else plain.push(line);
  }
  flush();
  return out;
}

/** Inline marks of one run of text as a fragment. */
export function inline(text) {
  const out = fragment();
  let plainFrom = 0;
  let at = 0;
  while (at < text.length) {
    const found = tokenAt(text, at);
    if (found === null) {
      at += 1;
      continue;
    }
    out.append(...textNodes(text.slice(plainFrom, at)), found.node);
    at = found.end;
    plainFrom = at;
  }
  out.append(...textNodes(text.slice(plainFrom)));
  return out;
}

function tokenAt(text, at) {
  const character = text[at];
  if (character === "<") return angleAt(text, at);
  if (character === "`") return codeAt(text, at);
  if (character === ":") return emojiAt(text, at);
  if (character in MARKS) return markAt(text, at);
  if (character === "h") return addressAt(text, at);
  return null;
}

function sticky(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function codeAt(text, at) {
  const match = sticky(/`([^`\n]{1,3000})`/y, text, at);
  return match && { node: h("code", {}, textNodesOfCode(unwrapped(match[1]))), end: at + match[0].length };
}

function emojiAt(text, at) {
  const match = sticky(/:([a-z0-9_+-]{1,50}):(?::skin-tone-\d:)?/y, text, at);
  const node = match && emoji(match[1]);
  return node ? { node, end: at + match[0].length } : null;
}

function addressAt(text, at) {
  if (at > 0 && WORD.test(text[at - 1])) return null;
  const match = sticky(/https?:\/\/[^\s<>|`*]{1,2000}/y, text, at);
  if (!match) return null;
  const address = match[0].replace(/(?:[.,;:!?'")\]]|&gt;|&lt;)+$/, "");
  return { node: link(decoded(address), decoded(address)), end: at + address.length };
}

function markAt(text, at) {
  const mark = text[at];
  if ((at > 0 && WORD.test(text[at - 1])) || /[\s]/.test(text[at + 1] ?? " ") || text[at + 1] === mark) return null;
  const limit = Math.min(text.length, at + REACH);
  for (let end = at + 1; end < limit; end += 1) {
    const character = text[end];
    if (character === "\n") return null;
    if (character === "`") {
      const close = text.indexOf("`", end + 1);
      if (close > 0 && close < limit) end = close;
    } else if (character === mark && !/\s/.test(text[end - 1]) && !WORD.test(text[end + 1] ?? " ")) {
      return { node: h(MARKS[mark], {}, inline(text.slice(at + 1, end))), end: end + 1 };
    }
  }
  return null;
}

function angleAt(text, at) {
  const match = sticky(/<([^<>\n]{1,3000})>/y, text, at);
  if (!match) return null;
  const node = angle(match[1]);
  return node && { node, end: at + match[0].length };
}

function angle(token) {
  const bar = token.indexOf("|");
  const head = bar < 0 ? token : token.slice(0, bar);
  const label = bar < 0 ? null : token.slice(bar + 1);
  if (/^@[UWB][A-Z0-9]+$/.test(head)) return userMention(head.slice(1), label);
  if (/^#[CG][A-Z0-9]+$/.test(head)) return channelMention(head.slice(1), label);
  if (head.startsWith("!date^")) return slackDate(head, label);
  if (/^!(?:here|channel|everyone)$/.test(head)) return h("span", { class: "mention broadcast" }, `@${head.slice(1)}`);
  if (head.startsWith("!subteam^")) return h("span", { class: "mention" }, label ?? "@group");
  if (/^(?:https?:\/\/|mailto:)/.test(head)) return link(decoded(head), ...(label ? [inlineLabel(label)] : textNodes(head)));
  return null;
}

const inlineLabel = (label) => fragment(...textNodes(label));

export function userMention(id, label = null) {
  const name = names.user(id) ?? label?.replace(/^@/, "") ?? id;
  return h("span", { class: names.isMe(id) ? "mention me" : "mention" }, `@${name}`);
}

export function channelMention(id, label = null) {
  const name = names.channel(id);
  if (name === null) return h("span", { class: "mention" }, `#${label || id}`);
  return h("a", { class: "mention", href: `#/${id}` }, `#${name}`);
}
