// rich_text blocks: sections, lists, preformatted text and quotes.

import { fragment, h } from "./dom.js";
import { emoji, emojiCharacter } from "./emoji.js";
import { channelMention, codeBlock, userMention } from "./mrkdwn.js";
import { link, textNodes } from "./text.js";
import { dateTokens, timeElement } from "./time.js";

// rich_text carries plain characters, not entities: protect them from being decoded.
const literal = (text) => textNodes(String(text ?? "").replaceAll("&", "&amp;"));

export function richText(block) {
  return fragment(...(block.elements ?? []).map(part));
}

function part(element) {
  switch (element.type) {
    case "rich_text_section": return h("div", { class: "text" }, (element.elements ?? []).map(inlineElement));
    case "rich_text_quote": return h("blockquote", {}, (element.elements ?? []).map(inlineElement));
    case "rich_text_preformatted": return codeBlock((element.elements ?? []).map((each) => each.text ?? each.url ?? "").join(""));
    case "rich_text_list": return list(element);
    default: return h("div", { class: "text" }, inlineElement(element));
  }
}

function list(element) {
  const node = h(element.style === "ordered" ? "ol" : "ul", { class: `indent-${Math.min(8, element.indent ?? 0)}`, start: element.offset ? element.offset + 1 : null },
    (element.elements ?? []).map((item) => h("li", {}, (item.elements ?? []).map(inlineElement))));
  return node;
}

function inlineElement(element) {
  switch (element.type) {
    case "text": return styled(fragment(...literal(element.text)), element.style);
    case "link": return styled(link(element.url, ...literal(element.text || element.url)), element.style);
    case "user": return userMention(element.user_id);
    case "channel": return channelMention(element.channel_id);
    case "usergroup": return h("span", { class: "mention" }, `@${element.usergroup_id}`);
    case "broadcast": return h("span", { class: "mention broadcast" }, `@${element.range}`);
    case "emoji": return emoji(element.name) ?? emojiCharacter(element.name);
    case "date": return timeElement(element.timestamp, dateTokens(element.timestamp, element.format ?? "{date} {time}"));
    case "color": return h("code", {}, literal(element.value));
    default: return fragment(...literal(element.text));
  }
}

function styled(node, style) {
  let out = node;
  if (style?.code) out = h("code", {}, out);
  if (style?.strike) out = h("s", {}, out);
  if (style?.italic) out = h("em", {}, out);
  if (style?.underline) out = h("u", {}, out);
  if (style?.bold) out = h("strong", {}, out);
  return out;
}
