// Where a person writes: text, slash commands, files. What the server refuses stays in the field, with the reason.

import { fill, h, icon, iconButton } from "./dom.js";
import { formatSize } from "./files.js";
import { openMenu } from "./menu.js";
import { recall, remember, state } from "./state.js";
import { SuggestionList, suggestions } from "./suggest.js";
import { plainString, textNodes } from "./text.js";
import { toast } from "./toasts.js";
import { post, upload } from "./wire.js";

const REMEMBERED = 50;

export class Composer {
  /** options: {name, sendName, inThread, onSent()} */
  constructor(options) {
    this.options = options;
    this.target = { channel: null, thread: null };
    this.files = [];
    this.past = -1;
    this.field = h("textarea", { class: "composer-field", rows: 1, "aria-label": options.name, enterkeyhint: "send", autocomplete: "off" });
    this.error = h("div", { class: "composer-error", role: "alert", hidden: true });
    this.chips = h("div", { class: "chips" });
    this.list = new SuggestionList(this.field, (item, from) => this.insert(item.insert, from));
    this.picker = h("input", { type: "file", multiple: true, hidden: true, tabindex: -1, "aria-label": options.inThread ? "Files for the thread" : "Files", on: { change: () => { this.attach(this.picker.files); this.picker.value = ""; } } });
    this.send = h("button", { type: "submit", class: "send", "aria-label": options.sendName, title: `${options.sendName} (Enter)` }, icon("send"));
    this.hint = h("span", { class: "composer-hint", "aria-hidden": "true" });
    const tools = h("div", { class: "composer-tools" }, iconButton("clip", "Attach files", () => this.picker.click()), options.inThread ? null : this.shortcuts(), this.hint, this.send);
    this.node = h("form", { class: "composer", "aria-label": options.inThread ? "Thread composer" : "Composer" }, this.list.node, this.error,
      h("div", { class: "composer-box" }, this.field, this.chips, this.picker, tools));
    this.listen();
  }

  listen() {
    this.node.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.field.addEventListener("keydown", (event) => this.keydown(event));
    this.field.addEventListener("input", () => this.changed());
    this.field.addEventListener("blur", () => this.list.close());
    this.field.addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); this.attach(event.clipboardData.files); } });
    this.node.querySelector(".composer-box").addEventListener("click", (event) => { if (event.target === event.currentTarget) this.field.focus(); });
  }

  shortcuts() {
    const button = iconButton("bolt", "Shortcuts", () => openMenu(button, this.shortcutItems(), { label: "Shortcuts" }), { "aria-haspopup": "menu" });
    return button;
  }

  shortcutItems() {
    const commands = state.app.commands.map((each) => ({ label: each.command, detail: each.description, run: () => { this.insert(`${each.command} `, 0); } }));
    const global = state.app.shortcuts.filter((each) => !String(each.type ?? "").startsWith("message")).map((each) => ({ label: plainString(each.name), detail: state.app.name,
      run: async () => {
        const answer = await post("shortcut", { callback_id: each.callback_id });
        if (!answer.ok) toast(answer.error, "error");
      } }));
    return [...commands, ...(global.length ? [null, ...global] : [])];
  }

  /** Turn to another conversation: its draft comes back. */
  aim(channel, thread, placeholder) {
    if (this.target.channel === channel && this.target.thread === thread) {
      this.field.placeholder = placeholder;
      return;
    }
    this.target = { channel, thread };
    this.field.placeholder = placeholder;
    this.files = [];
    this.drawChips();
    this.fail(null);
    this.put(recall(this.draftKey(), ""), { quiet: true });
  }

  draftKey() {
    return `draft:${state.team.id}:${state.me}:${this.target.channel}:${this.target.thread ?? ""}`;
  }

  put(text, { quiet = false } = {}) {
    this.field.value = text;
    this.field.setSelectionRange(text.length, text.length);
    if (quiet) this.list.close();
    this.changed(quiet);
  }

  changed(quiet = false) {
    const text = this.field.value;
    this.grow();
    remember(this.draftKey(), text);
    this.send.setAttribute("aria-disabled", String(!text.trim() && !this.files.length));
    if (text === "") this.fail(null);
    this.hint.textContent = text.includes("\n") || text.length > 60 ? "Shift+Enter: new line" : "";
    if (quiet !== true) this.list.show(suggestions(text, this.field.selectionStart, this.options));
  }

  grow() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 260)}px`;
  }

  insert(text, from) {
    const value = this.field.value;
    const cursor = Math.max(from, this.field.selectionStart);
    this.field.value = value.slice(0, from) + text + value.slice(from === 0 && value.startsWith("/") ? value.length : cursor);
    this.field.focus();
    this.field.setSelectionRange(from + text.length, from + text.length);
    this.changed(true);
  }

  keydown(event) {
    if (event.isComposing) return;
    if (this.list.keydown(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if ((event.key === "ArrowUp" && (this.field.value === "" || this.past >= 0)) || (event.key === "ArrowDown" && this.past >= 0)) {
      this.recallPast(event);
    } else {
      this.past = -1;
    }
  }

  recallPast(event) {
    const lines = recall(`sent:${state.me}`, []);
    const to = Math.min(lines.length - 1, this.past + (event.key === "ArrowUp" ? 1 : -1));
    if (!lines.length) return;
    event.preventDefault();
    this.past = to;
    this.put(to < 0 ? "" : lines[to], { quiet: true });
  }

  attach(list) {
    this.files.push(...list);
    this.drawChips();
    this.changed(true);
    this.field.focus();
  }

  drawChips() {
    fill(this.chips, this.files.map((file) => h("span", { class: "chip" }, icon("file"), h("span", {}, textNodes(file.name.replaceAll("&", "&amp;"))), h("span", { class: "quiet" }, formatSize(file.size)),
      iconButton("close", `Remove ${file.name}`, () => { this.files = this.files.filter((each) => each !== file); this.drawChips(); this.changed(true); }))));
  }

  /** Show why something was refused; `remedy` is an optional {label, run}. */
  fail(text, remedy = null) {
    this.error.hidden = !text;
    fill(this.error, text ? [icon("alert"), h("span", {}, text), remedy ? h("button", { type: "button", class: "button", on: { click: remedy.run } }, remedy.label) : null] : []);
  }

  /** Put a line in the field and send it, as if typed. */
  say(text) {
    this.put(text, { quiet: true });
    return this.submit();
  }

  async submit() {
    const text = this.field.value;
    const files = this.files;
    const target = { ...this.target };
    if (!text.trim() && !files.length) return;
    this.list.close();
    this.fail(null);
    if (target.thread && this.refuseCommand(text)) return;
    this.past = -1;
    this.files = [];
    this.drawChips();
    this.put("", { quiet: true });
    const answer = files.length ? await this.share(files, text, target) : await this.deliver(text, target);
    if (answer.ok) {
      if (text.trim()) remember(`sent:${state.me}`, [text, ...recall(`sent:${state.me}`, []).filter((line) => line !== text)].slice(0, REMEMBERED));
      this.options.onSent?.();
    } else {
      this.giveBack(text, answer.unsent ?? [], answer.error, target);
    }
  }

  deliver(text, target) {
    if (!target.thread && text.startsWith("/")) {
      const [, command, rest] = /^(\S+)\s*([\s\S]*)$/.exec(text);
      return post("command", { channel: target.channel, command, text: rest.trimEnd() });
    }
    return post("send", { channel: target.channel, text, thread_ts: target.thread ?? undefined });
  }

  async share(files, comment, target) {
    for (const [at, file] of files.entries()) {
      const answer = await upload(file, { channel: target.channel, thread_ts: target.thread, comment: at === 0 ? comment : "" });
      if (!answer.ok) return { ...answer, error: `${file.name}: ${answer.error}`, unsent: files.slice(at) };
    }
    return { ok: true };
  }

  giveBack(text, files, error, target) {
    const here = this.target.channel === target.channel && this.target.thread === target.thread;
    if (!here) {
      remember(`draft:${state.team.id}:${state.me}:${target.channel}:${target.thread ?? ""}`, text);
      toast(error, "error");
      return;
    }
    this.files = [...files, ...this.files];
    this.drawChips();
    this.put(this.field.value ? `${text}\n${this.field.value}` : text, { quiet: true });
    this.fail(error);
    this.field.focus();
  }

  // Slack runs no slash commands in threads; a mention does the same there.
  refuseCommand(text) {
    const command = state.app.commands.find((each) => text === each.command || text.startsWith(`${each.command} `));
    if (!command) return false;
    const bot = state.users.get(state.app.bot_user)?.name ?? state.app.name;
    const mention = `@${bot} ${text.slice(command.command.length).trim()}`;
    this.fail(`${command.command} cannot be used in a thread. A mention does the same here.`, { label: `Send “${mention.length > 40 ? `${mention.slice(0, 40)}…` : mention}”`, run: () => this.say(mention) });
    return true;
  }
}
