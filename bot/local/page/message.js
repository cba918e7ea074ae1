// One message as an <article>: who, when, what, files, reactions, its thread, and what can be done with it.

import { renderBlocks } from "./blocks.js";
import { ask } from "./dialog.js";
import { fill, h, icon, iconButton } from "./dom.js";
import { emoji, emojiCharacter } from "./emoji.js";
import { fileCard } from "./files.js";
import { openMenu } from "./menu.js";
import { mrkdwn } from "./mrkdwn.js";
import { memory, names, state } from "./state.js";
import { plainString, textNodes } from "./text.js";
import { ago, clockTime, timeElement } from "./time.js";
import { toast } from "./toasts.js";
import { post } from "./wire.js";

const QUICK_REACTIONS = ["pushpin", "white_check_mark", "eyes"];

/**
 * place: {channel, inThread, compact, replies: [message], openThread(ts), redraw()}.
 * An app's message shows its blocks; a person's shows the text as typed.
 */
export function messageArticle(message, place) {
  const author = authorOf(message);
  const passing = Boolean(message.ephemeral_id);
  const label = `${author.name}${author.isApp ? " (app)" : ""}, ${clockTime(message.ts)}${passing ? ", only visible to you" : ""}`;
  const editing = memory.get(`edit:${message.ts}`) === true;
  const compact = place.compact && !passing;
  return h("article", { class: ["message", compact ? "compact" : "", passing ? "ephemeral" : "", message.reactions?.some((each) => each.name === "pushpin") ? "pinned" : ""].filter(Boolean).join(" "),
    "aria-label": label, tabindex: -1, data: { ts: message.ts, focus: `article:${place.inThread ? "t" : "c"}:${message.ts}` } },
  compact ? h("div", { class: "gutter" }, timeElement(message.ts)) : avatar(author),
  h("div", { class: "message-body" },
    passing ? h("div", { class: "only-you" }, icon("eye"), "Only visible to you") : null,
    compact ? null : h("div", { class: "message-head" }, h("span", { class: "author" }, textNodes(author.name)), author.isApp ? h("span", { class: "tag" }, "APP") : null,
      h("a", { class: "time", href: linkTo(message, place) }, timeElement(message.ts)), message.edited && showsBlocks(message) ? editedMark(message) : null),
    editing ? editor(message, place) : content(message, place),
    (message.files ?? []).length ? h("div", { class: "files" }, message.files.map(fileCard)) : null,
    reactions(message, place), place.inThread ? null : threadButton(message, place)),
  passing || editing ? (passing ? dismissBar(message, place) : null) : toolbar(message, place));
}

export function authorOf(message) {
  const user = state.users.get(message.user);
  const isApp = Boolean(message.bot_id) || Boolean(user?.is_bot);
  const isOther = isApp && !user;  // an app that is no member here: monitoring, say
  const name = message.username ?? (user ? user.real_name || user.name : isApp ? state.app.name : message.user ?? "unknown");
  return { id: message.user ?? message.bot_id ?? "", name, isApp, isOther };
}

export function avatar(author, size = "") {
  if (author.isApp && !author.isOther) return h("span", { class: `avatar bot ${size}`, "aria-hidden": "true" }, icon("mark"));
  const initials = author.name.split(/\s+/).map((word) => [...word][0] ?? "").join("").slice(0, 2).toUpperCase();
  const hue = [...author.id].reduce((sum, character) => sum + character.codePointAt(0), 0) % 6;
  return h("span", { class: `avatar tone-${hue} ${size}`, "aria-hidden": "true" }, initials);
}

const linkTo = (message, place) => {
  const root = message.thread_ts && message.thread_ts !== message.ts ? message.thread_ts : null;
  return root ? `#/${place.channel}/${root}/${message.ts}` : `#/${place.channel}/${message.ts}`;
};

function content(message, place) {
  const surface = {
    key: `${place.inThread ? "t" : "c"}:${message.ephemeral_id ?? message.ts}`,
    files: message.files,
    act: (element, blockId, payload) => act(message, place, element, blockId, payload),
  };
  const body = showsBlocks(message) ? renderBlocks(message.blocks, surface) : mrkdwn(message.text ?? "");
  const attachments = (message.attachments ?? []).map((each, at) => attachment(each, { ...surface, key: `${surface.key}/a${at}` }));
  const node = h("div", { class: "content" }, body, attachments);
  // Beside the time where a head is drawn for blocks; else after the text.
  if (message.edited && (place.compact || !showsBlocks(message))) node.append(editedMark(message));
  return node;
}

const editedMark = (message) => h("span", { class: "edited", title: `Edited ${ago(message.edited.ts)}` }, "(edited)");

function showsBlocks(message) {
  const typed = !message.bot_id && !state.users.get(message.user)?.is_bot;
  return Boolean(message.blocks?.length) && !typed;
}

// As monitoring still writes its alerts: a title, a text, short fields.
function attachment(each, surface) {
  const title = each.title && h("div", { class: "attachment-title" }, each.title_link ? mrkdwn(`<${each.title_link}|${each.title}>`) : mrkdwn(each.title));
  const fields = each.fields?.length ? h("dl", { class: "attachment-fields" }, each.fields.map((field) =>
    h("div", { class: field.short ? "short" : "" }, h("dt", {}, textNodes(field.title ?? "")), h("dd", {}, mrkdwn(String(field.value ?? "")))))) : null;
  const said = each.text || (title || fields ? "" : each.fallback ?? "");
  const node = h("div", { class: "attachment" }, each.pretext ? mrkdwn(each.pretext) : null, title, each.blocks ? renderBlocks(each.blocks, surface) : said ? mrkdwn(said) : null, fields);
  if (/^#?[0-9a-f]{6}$/i.test(each.color ?? "")) node.style.borderInlineStartColor = `#${each.color.replace("#", "")}`;
  return node;
}

async function act(message, place, element, blockId, payload) {
  const answer = await post("action", { channel: place.channel, message_ts: message.ts, ephemeral_id: message.ephemeral_id,
    block_id: blockId, action_id: element.action_id, type: element.type, ...payload });
  if (!answer.ok) toast(answer.error, "error");
}

function reactions(message, place) {
  if (!message.reactions?.length) return null;
  return h("div", { class: "reactions" }, message.reactions.map((each) => {
    const mine = each.users.includes(state.me);
    const who = each.users.map((id) => names.user(id) ?? id).join(", ");
    return h("button", { type: "button", class: `reaction ${mine ? "mine" : ""}`, "aria-pressed": String(mine), title: `${who} reacted with :${each.name}:`,
      "aria-label": `${each.name.replaceAll("_", " ")}, ${each.users.length}`, data: { focus: `react:${message.ts}:${each.name}` },
      on: { click: () => react(message, place, each.name, mine) } }, emoji(each.name) ?? `:${each.name}:`, h("span", {}, String(each.users.length)));
  }));
}

async function react(message, place, name, remove) {
  const answer = await post("react", { channel: place.channel, ts: message.ts, name, remove });
  if (!answer.ok) toast(answer.error, "error");
}

function threadButton(message, place) {
  const count = Math.max(place.replies.length, message.reply_count ?? 0);
  if (!count || message.ephemeral_id) return null;
  const last = place.replies.at(-1)?.ts ?? message.latest_reply;
  const seen = Number(memory.get(`thread-seen:${place.channel}:${message.ts}`) ?? 0);
  const fresh = place.replies.some((reply) => reply.user !== state.me && Number(reply.ts) > seen);
  const people = [...new Map(place.replies.map((reply) => [reply.user, authorOf(reply)])).values()].slice(-3);
  return h("div", { class: "thread-line" }, people.map((author) => avatar(author, "tiny")),
    h("button", { type: "button", class: `replies ${fresh ? "fresh" : ""}`, data: { focus: `replies:${message.ts}` }, on: { click: () => place.openThread(message.ts) } },
      count === 1 ? "1 reply" : `${count} replies`),
    last ? h("span", { class: "quiet last-reply" }, "last reply ", timeElement(last, ago(last))) : null);
}

function toolbar(message, place) {
  const more = iconButton("more", "More actions", () => openMenu(more, moreActions(message, place), { label: "Message actions" }), { "aria-haspopup": "menu" });
  const smile = iconButton("smile", "Add a reaction", () => openMenu(smile, QUICK_REACTIONS.map((name) => ({
    label: name.replaceAll("_", " "), node: emoji(name) ?? emojiCharacter(name),
    run: () => react(message, place, name, Boolean(message.reactions?.find((each) => each.name === name)?.users.includes(state.me))) })), { label: "Reactions" }), { "aria-haspopup": "menu" });
  return h("div", { class: "toolbar", role: "toolbar", "aria-label": "Message actions" }, smile,
    place.inThread ? null : iconButton("reply", "Reply in thread", () => place.openThread(message.ts)), more);
}

const isForMessages = (shortcut) => String(shortcut.type ?? "").startsWith("message");

function moreActions(message, place) {
  const own = message.user === state.me && !message.bot_id;
  const shortcuts = state.app.shortcuts.filter(isForMessages).map((shortcut) => ({ label: plainString(shortcut.name), detail: state.app.name,
    run: async () => {
      const answer = await post("shortcut", { callback_id: shortcut.callback_id, channel: place.channel, message_ts: message.ts });
      if (!answer.ok) toast(answer.error, "error");
    } }));
  return [
    ...shortcuts, ...(shortcuts.length ? [null] : []),
    { label: "Copy link", run: () => copyLink(message, place) },
    ...(own ? [null, { label: "Edit message", run: () => edit(message, place, true) }, { label: "Delete message…", danger: true, run: () => remove(message, place) }] : []),
  ];
}

async function copyLink(message, place) {
  try {
    await navigator.clipboard.writeText(new URL(linkTo(message, place), location.href).href);
    toast("The link is copied.");
  } catch {
    toast("The browser refused access to the clipboard.", "error");
  }
}

function edit(message, place, on) {
  if (on) memory.set(`edit:${message.ts}`, true);
  else memory.delete(`edit:${message.ts}`);
  place.redraw();
  if (on) document.querySelector(".editor textarea")?.focus();
}

async function remove(message, place) {
  const sure = await ask({ title: "Delete this message?", text: "It goes for everyone, and cannot be brought back.", confirm: "Delete", style: "danger" });
  if (!sure) return;
  const answer = await post("delete", { channel: place.channel, ts: message.ts });
  if (!answer.ok) toast(answer.error, "error");
}

// Stored text back to what was typed: tokens to names and addresses. The entities are decoded last.
function asTyped(text) {
  return plainString(text.replace(/<@([UW][A-Z0-9]+)[^<>]*>/g, (whole, id) => `@${state.users.get(id)?.name ?? id}`)
    .replace(/<#([CG][A-Z0-9]+)[^<>]*>/g, (whole, id) => `#${names.channel(id) ?? id}`)
    .replace(/<[^<>|]+\|([^<>]+)>/g, "$1").replace(/<((?:https?:|mailto:)[^<>]+)>/g, "$1"));
}

function editor(message, place) {
  const field = h("textarea", { class: "input", rows: 3, "aria-label": "Edited text", value: asTyped(message.text ?? "") });
  const error = h("div", { class: "input-error", role: "alert" });
  const save = async () => {
    const answer = await post("edit", { channel: place.channel, ts: message.ts, text: field.value });
    if (answer.ok) edit(message, place, false);
    else fill(error, answer.error);
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      edit(message, place, false);
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      save();
    }
  });
  return h("div", { class: "editor" }, field, error, h("div", { class: "editor-foot" },
    h("button", { type: "button", class: "button", on: { click: () => edit(message, place, false) } }, "Cancel"),
    h("button", { type: "button", class: "button primary", on: { click: save } }, "Save")));
}

function dismissBar(message, place) {
  return h("div", { class: "toolbar", role: "toolbar", "aria-label": "Message actions" },
    iconButton("close", "Dismiss", () => { state.ephemerals.delete(message.ephemeral_id); place.redraw(); }));
}
