// Text that reaches the screen: entities decoded once, hidden control characters made visible.

import { h } from "./dom.js";
import { emoji, isEmoji, withDrawnEmoji } from "./emoji.js";

const ENTITY = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
// Bidirectional controls can make a name read as another one. They are shown as what they are.
const HIDDEN = /[\u200E\u200F\u202A-\u202E\u2066-\u2069\u061C]/g;

/** Slack's three entities, decoded once (so "&amp;lt;" stays "&lt;"). */
export const decoded = (text) => text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITY[entity]);

/** Decoded text as nodes: drawn emoji, visible bidi controls. */
export function textNodes(raw) {
  const text = decoded(raw);
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    nodes.push(...withDrawnEmoji(text.slice(from, match.index)), hidden(match[0]));
    from = match.index + match[0].length;
  }
  nodes.push(...withDrawnEmoji(text.slice(from)));
  return nodes;
}

function hidden(character) {
  const code = `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return h("span", { class: "hidden-character", title: `Invisible character ${code}, shown here as text` }, code);
}

/** A plain_text object or a string as nodes; short codes become emoji unless the object says emoji: false. */
export function plainNodes(source) {
  if (source === null || source === undefined) return [];
  const text = typeof source === "string" ? source : String(source.text ?? "");
  if (typeof source === "object" && source.emoji === false) return textNodes(text);
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(/:([a-z0-9_+-]+):/g)) {
    if (!isEmoji(match[1])) continue;
    nodes.push(...textNodes(text.slice(from, match.index)), emoji(match[1]));
    from = match.index + match[0].length;
  }
  nodes.push(...textNodes(text.slice(from)));
  return nodes;
}

/** A plain_text object or a string as one string, for attributes. */
export const plainString = (source) => decoded(typeof source === "string" ? source : String(source?.text ?? ""));

/** The address if it is http, https or mailto; else null: "javascript:" and friends stay text. */
export function safeHref(address) {
  let url;
  try {
    url = new URL(address, location.href);
  } catch {
    return null;
  }
  return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
}

/** A link to `address` around `children`; only the children when the address is not one to follow. */
export function link(address, ...children) {
  const href = safeHref(address);
  if (href === null) return h("span", {}, ...children);
  const here = href.startsWith(`${location.origin}/`);
  return h("a", { href, target: here ? null : "_blank", rel: "noopener noreferrer" }, ...children);
}
