// A scrolling list of messages (role=log). Redraws only what changed, and never moves what is being read.

import { fragment, h } from "./dom.js";
import { messageArticle } from "./message.js";
import { memory } from "./state.js";
import { dayKey, dayName } from "./time.js";

const NEAR_PX = 48;
const TOGETHER_S = 300;
const SHOWN = 200;

export class Timeline {
  /** options: {label, inThread, onBottom(), onAway(count)} */
  constructor(options) {
    this.options = options;
    this.rows = new Map();       // key -> {node, print}
    this.shown = SHOWN;
    this.stuck = true;           // at the newest message: stay there when more come
    this.list = h("div", { class: "log", role: "log", "aria-label": options.label, "aria-live": "polite", "aria-relevant": "additions" });
    this.before = h("div", { class: "before" });
    this.after = h("div", { class: "after" });
    this.node = h("div", { class: "scroller" }, h("div", { class: "scroll-content" }, this.before, this.list, this.after));
    this.node.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.list.addEventListener("keydown", (event) => this.keydown(event));
    this.list.addEventListener("focusin", (event) => this.rove(event.target.closest("article")));
    // Images and previews grow after they are drawn.
    new ResizeObserver(() => { if (this.stuck && !this.node.contains(document.activeElement)) this.toNewest(); }).observe(this.node.firstElementChild);
  }

  /** Forget everything: another conversation follows. */
  reset() {
    this.rows.clear();
    this.list.replaceChildren();
    this.before.replaceChildren();
    this.after.replaceChildren();
    this.shown = SHOWN;
    this.stuck = true;
    // What was there before is no news: not to be read out.
    this.list.setAttribute("aria-busy", "true");
    setTimeout(() => this.list.removeAttribute("aria-busy"), 300);
  }

  /** messages oldest first; place as in messageArticle, with repliesOf(message) and newSince (ts) */
  draw(messages, place) {
    const anchor = this.stuck ? null : this.anchor();
    const focus = this.focused();
    const visible = messages.slice(-this.shown);
    const keys = this.wanted(visible, place);
    for (const key of [...this.rows.keys()]) if (!keys.has(key)) this.drop(key);
    let at = this.list.firstChild;
    for (const [key, row] of keys) {
      let held = this.rows.get(key);
      if (held?.print !== row.print) {
        const node = row.build();
        if (held) held.node.replaceWith(node);
        if (held && at === held.node) at = node;
        held = { node, print: row.print };
        this.rows.set(key, held);
      }
      if (held.node === at) at = at.nextSibling;
      else this.list.insertBefore(held.node, at);
    }
    this.earlier(messages.length, place);
    this.roveToNewest();
    this.restoreFocus(focus);
    if (this.stuck) this.toNewest();
    else if (anchor) this.hold(anchor);
  }

  wanted(messages, place) {
    const rows = new Map();
    let last = null;
    let marked = !place.newSince;
    for (const message of messages) {
      if (!last || dayKey(last.ts) !== dayKey(message.ts)) {
        rows.set(`day:${dayKey(message.ts)}`, { print: dayName(message.ts), build: () => divider(dayName(message.ts)) });
        last = null;
      }
      if (!marked && Number(message.ts) > Number(place.newSince) && message.user !== place.me) {
        marked = true;
        rows.set("new", { print: "new", build: () => divider("New", "new") });
        last = null;
      }
      const compact = last !== null && last.user === message.user && last.bot_id === message.bot_id && last.subtype === message.subtype
        && Number(message.ts) - Number(last.ts) < TOGETHER_S && !last.ephemeral_id
        // A message of blocks is a card of its own: its head says when one begins and the next ends.
        && !message.blocks?.length && !last.blocks?.length;
      const replies = place.repliesOf(message);
      const print = JSON.stringify([message, compact, replies.map((reply) => reply.ts), memory.get(`edit:${message.ts}`), memory.get(`thread-seen:${place.channel}:${message.ts}`), message.ts === place.highlight]);
      rows.set(message.ephemeral_id ?? message.ts, { print, build: () => {
        const node = messageArticle(message, { ...place, compact, replies });
        if (message.ts === place.highlight) node.classList.add("highlight");
        return node;
      } });
      last = message;
      const extra = place.afterMessage?.(message);
      if (extra) {
        rows.set(`after:${message.ts}`, extra);
        last = null;
      }
    }
    return rows;
  }

  drop(key) {
    this.rows.get(key).node.remove();
    this.rows.delete(key);
  }

  earlier(total, place) {
    const more = total - this.shown;
    if (more <= 0) return place.beginning ? this.before.replaceChildren(place.beginning()) : this.before.replaceChildren();
    const button = h("button", { type: "button", class: "button", on: { click: () => {
      this.shown += SHOWN;
      this.stuck = false;
      place.redraw();
    } } }, `Show earlier messages (${more})`);
    return this.before.replaceChildren(fragment(h("div", { class: "earlier" }, button)));
  }

  // The first message on screen and its place: what must not move.
  anchor() {
    const top = this.node.getBoundingClientRect().top;
    for (const node of this.list.children) {
      const box = node.getBoundingClientRect();
      if (box.bottom > top && node.dataset.ts) return { ts: node.dataset.ts, offset: box.top - top };
    }
    return null;
  }

  hold(anchor) {
    const node = this.article(anchor.ts);
    if (!node) return;
    const offset = node.getBoundingClientRect().top - this.node.getBoundingClientRect().top;
    this.node.scrollTop += offset - anchor.offset;
  }

  article(ts) {
    return this.list.querySelector(`article[data-ts="${CSS.escape(ts)}"]`);
  }

  toNewest() {
    this.node.scrollTop = this.node.scrollHeight;
    this.stuck = true;
    this.options.onBottom?.();
  }

  reveal(ts) {
    const node = this.article(ts);
    if (!node) return;
    this.stuck = false;
    node.scrollIntoView({ block: "center" });
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.node;
    this.stuck = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (this.stuck) this.options.onBottom?.();
    else this.options.onAway?.();
  }

  // Focus that sat in a redrawn message goes back to the same control of the new one.
  focused() {
    const node = document.activeElement;
    if (!this.list.contains(node)) return null;
    return { key: node.closest("[data-focus]")?.dataset.focus, node };
  }

  restoreFocus(focus) {
    if (!focus?.key || focus.node.isConnected) return;
    this.list.querySelector(`[data-focus="${CSS.escape(focus.key)}"]`)?.focus({ preventScroll: true });
  }

  // One message is in the tab order; arrows move among them.
  rove(article) {
    if (!article || article.tabIndex === 0) return;
    for (const node of this.list.querySelectorAll("article[tabindex='0']")) node.tabIndex = -1;
    article.tabIndex = 0;
  }

  roveToNewest() {
    if (!this.list.querySelector("article[tabindex='0']")) this.rove([...this.list.querySelectorAll("article")].at(-1));
  }

  keydown(event) {
    if (event.target.tagName !== "ARTICLE") return;
    const articles = [...this.list.querySelectorAll("article")];
    const at = articles.indexOf(event.target);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: articles.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      articles[Math.max(0, Math.min(articles.length - 1, to))].focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      event.target.querySelector(".replies, [aria-label='Reply in thread']")?.click();
    }
  }
}

function divider(text, kind = "") {
  return h("div", { class: `divider ${kind}`, role: "separator", "aria-label": text }, h("span", {}, text));
}
