// The list above a composer: slash commands and ready-made lines after "/", people after "@".

import { h } from "./dom.js";
import { state } from "./state.js";

let serial = 0;

/**
 * What fits the text before the cursor, or null: {from, eager, items: [{insert, title, hint, detail}]}.
 * eager: what is typed means nothing by itself, so Enter completes it instead of sending it.
 */
export function suggestions(text, cursor, { inThread }) {
  const before = text.slice(0, cursor);
  if (!inThread && /^\/[^\n]*$/.test(before)) return slash(before);
  const mention = /(?:^|\s)@([\w.-]*)$/.exec(before);
  return mention ? people(mention[1].toLowerCase(), cursor - mention[1].length - 1) : null;
}

function slash(before) {
  const typed = before.toLowerCase();
  const commands = state.app.commands.filter((each) => each.command.startsWith(typed) && each.command !== typed)
    .map((each) => ({ insert: `${each.command} `, title: each.command, hint: each.usage_hint ?? "", detail: each.description ?? "" }));
  const lines = state.suggestions.filter((each) => each.text.toLowerCase().startsWith(typed) && each.text.toLowerCase() !== typed)
    .slice(0, 12).map((each) => ({ insert: each.text, title: each.text, hint: "", detail: each.description ?? "" }));
  const items = [...commands, ...lines];
  const eager = !/\s/.test(before) && !state.app.commands.some((each) => each.command === typed);
  return items.length ? { from: 0, eager, items } : null;
}

function people(typed, from) {
  const fits = (user) => user.name.toLowerCase().startsWith(typed) || (user.real_name ?? "").toLowerCase().startsWith(typed);
  const items = [...state.users.values()].filter((user) => user.id !== state.me && fits(user)).slice(0, 8)
    .map((user) => ({ insert: `@${user.name} `, title: `@${user.name}`, hint: user.is_bot ? "app" : "", detail: user.real_name ?? "" }));
  return items.length && items[0].title.slice(1) !== typed ? { from, eager: true, items } : null;
}

/** The listbox that belongs to `field`. choose(item, from) puts the item into the text. */
export class SuggestionList {
  constructor(field, choose) {
    this.field = field;
    this.choose = choose;
    this.id = `suggest-${(serial += 1)}`;
    this.node = h("div", { class: "suggest", role: "listbox", id: this.id, "aria-label": "Suggestions", hidden: true });
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", this.id);
    this.close();
  }

  get isOpen() {
    return !this.node.hidden;
  }

  show(found) {
    if (!found) {
      this.close();
      return;
    }
    this.found = found;
    this.at = -1;
    this.node.replaceChildren(...found.items.map((item, at) => h("div", { class: "suggestion", role: "option", id: `${this.id}-${at}`, "aria-selected": "false",
      on: { pointerdown: (event) => { event.preventDefault(); this.take(at); } } },
    h("span", { class: "suggestion-title" }, item.title, item.hint ? h("span", { class: "suggestion-hint" }, ` ${item.hint}`) : null),
    h("span", { class: "suggestion-detail" }, item.detail))));
    this.node.hidden = false;
    if (found.eager) this.select(0);
    else this.field.removeAttribute("aria-activedescendant");
  }

  close() {
    this.node.hidden = true;
    this.found = null;
    this.field.removeAttribute("aria-activedescendant");
  }

  select(at) {
    const rows = [...this.node.children];
    this.at = (at + rows.length) % rows.length;
    rows.forEach((row, index) => row.setAttribute("aria-selected", String(index === this.at)));
    rows[this.at].scrollIntoView({ block: "nearest" });
    this.field.setAttribute("aria-activedescendant", rows[this.at].id);
  }

  take(at) {
    const { items, from } = this.found;
    this.close();
    this.choose(items[at], from);
  }

  /** True when the key was for the list. */
  keydown(event) {
    if (!this.isOpen) return false;
    if (event.key === "ArrowDown") this.select(this.at + 1);
    else if (event.key === "ArrowUp") this.select(this.at < 0 ? -1 : this.at - 1);
    else if (event.key === "Tab" && !event.shiftKey) this.take(Math.max(0, this.at));
    else if (event.key === "Enter" && !event.shiftKey && this.at >= 0) this.take(this.at);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
}
