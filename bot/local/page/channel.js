// The middle of the page: a channel (or the app with its Home and Messages tabs), its messages, its composer.

import { Composer } from "./composer.js";
import { acceptDrops } from "./drops.js";
import { fill, h, icon, iconButton } from "./dom.js";
import { drawHome } from "./home.js";
import { openMenu } from "./menu.js";
import { mrkdwn } from "./mrkdwn.js";
import { channelMessages, channelTitle, isAppChannel, markSeen, repliesByRoot, state, unread } from "./state.js";
import { plainNodes } from "./text.js";
import { Timeline } from "./timeline.js";

export class ChannelPane {
  /** actions: openThread(ts), openDrawer() */
  constructor(node, actions) {
    this.node = node;
    this.actions = actions;
    this.shown = null;
    this.head = h("header", { class: "pane-head" });
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "App", hidden: true });
    this.strip = h("div", { class: "strip", role: "status", hidden: true });
    this.home = h("div", { class: "scroller home-scroller", role: "tabpanel", "aria-label": "Home", hidden: true });
    this.timeline = new Timeline({ label: "Messages", onBottom: () => this.read(), onAway: () => this.offerJump() });
    this.jump = h("button", { type: "button", class: "jump", hidden: true, on: { click: () => this.timeline.toNewest() } }, icon("down"), h("span", {}, "Newest"));
    this.composer = new Composer({ name: "Message", sendName: "Send", onSent: () => this.timeline.toNewest() });
    this.conversation = h("div", { class: "conversation" }, this.timeline.node, this.jump, this.composer.node);
    fill(node, this.head, this.tabs, this.strip, this.home, this.conversation);
    acceptDrops(this.conversation, this.composer, () => this.place());
  }

  place() {
    const channel = state.channels.get(state.route.channel);
    return channel?.is_im ? channelTitle(channel) : `#${channelTitle(channel)}`;
  }

  /** Draw what state.route names. */
  show() {
    const { channel: id, tab } = state.route;
    const channel = state.channels.get(id);
    const isApp = tab === "home" || (channel && isAppChannel(channel));
    const key = `${id}:${tab}`;
    if (key !== this.shown) {
      this.timeline.reset();
      this.newSince = unread(id) ? state.seen.get(id) ?? "0" : null;
      this.arrivals = 0;
    }
    this.drawHead(channel, isApp);
    this.drawTabs(isApp, tab);
    this.home.hidden = tab !== "home";
    this.conversation.hidden = tab === "home" || !channel;
    if (tab === "home") drawHome(this.home);
    else if (channel) {
      this.composer.aim(id, null, `Message ${this.place()}`);
      this.draw();
    }
    const turned = key !== this.shown;
    this.shown = key;
    return turned;
  }

  drawHead(channel, isApp) {
    const title = isApp ? [icon("mark"), h("h1", {}, state.app.name)] : [icon(channel?.is_private ? "lock" : "hash"), h("h1", {}, channelTitle(channel))];
    const focused = this.head.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    const tries = h("button", { type: "button", class: "button try", "aria-haspopup": "menu", "aria-label": "Try these" }, icon("spark"), h("span", {}, "Try these"));
    tries.addEventListener("click", () => openMenu(tries, state.suggestions.map((each) => ({ label: each.text, detail: each.description, run: () => this.try(each.text) })), { label: "Try these" }));
    fill(this.head, iconButton("menu", "Channels", this.actions.openDrawer, { class: "icon-button drawer-button" }), h("div", { class: "pane-title" }, title),
      h("div", { class: "topic" }, !isApp && channel?.topic ? plainNodes(channel.topic) : null), state.suggestions.length && channel && !isApp ? tries : null);
    if (focused) this.head.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  drawTabs(isApp, tab) {
    this.tabs.hidden = !isApp;
    if (!isApp) return;
    const one = (key, label, href) => h("a", { role: "tab", class: "tab", href, "aria-selected": String(tab === key) }, label);
    fill(this.tabs, one("home", "Home", "#/app/home"), one("messages", "Messages", "#/app/messages"));
  }

  draw() {
    const id = state.route.channel;
    if (!id || state.route.tab === "home") return;
    const messages = channelMessages(id);
    const roots = repliesByRoot(id);
    this.timeline.draw(messages, {
      channel: id, me: state.me, newSince: this.newSince, highlight: state.route.highlight,
      repliesOf: (message) => roots.get(message.ts) ?? [],
      openThread: this.actions.openThread, redraw: () => this.draw(),
      beginning: () => this.beginning(),
    });
    this.welcome(messages.length === 0);
    this.offerJump();
  }

  // The first thing a newcomer sees: what this is, and what to click.
  welcome(empty) {
    const channel = state.channels.get(state.route.channel);
    const wanted = empty && !channel?.is_im && state.suggestions.length > 0;
    const after = this.timeline.after;
    if (!wanted) {
      if (!after.firstChild) return;
      after.replaceChildren();
      this.timeline.toNewest();
      return;
    }
    if (after.firstChild) return;
    this.timeline.stuck = false;
    after.append(h("section", { class: state.suggestions.length > 9 ? "welcome many" : "welcome", "aria-labelledby": "welcome-title" }, h("h2", { id: "welcome-title" }, "Find out why a TLS handshake fails"),
      h("p", {}, "This is a local workspace with a real bot and a lab of servers that are broken on purpose: pick one, and the verdict arrives in its thread."),
      h("ul", { class: "tries" }, state.suggestions.map((each) => h("li", {}, h("button", { type: "button", class: "try-line", on: { click: () => this.try(each.text) } },
        h("code", {}, each.text), h("span", { class: "try-detail" }, mrkdwn(each.description ?? "")), icon("send")))))));
  }

  try(text) {
    this.composer.say(text);
    this.composer.field.focus();
  }

  beginning() {
    const channel = state.channels.get(state.route.channel);
    if (channelMessages(state.route.channel).length === 0 && !channel?.is_im && state.suggestions.length) return "";
    const text = channel?.is_im ? `Your conversation with ${channelTitle(channel)} begins here. Only you two see it.` : `#${channelTitle(channel)} begins here.`;
    return h("p", { class: "beginning" }, text);
  }

  arrived(frame) {
    if (frame.channel !== state.route.channel || this.timeline.stuck || frame.message.user === state.me) return;
    if (frame.message.thread_ts && frame.message.thread_ts !== frame.message.ts) return;
    this.arrivals += 1;
    this.offerJump();
  }

  offerJump() {
    this.jump.hidden = this.timeline.stuck || !this.timeline.list.firstChild;
    const text = this.arrivals ? `${this.arrivals} new` : "Newest";
    this.jump.lastChild.textContent = text;
    this.jump.setAttribute("aria-label", this.arrivals ? `Jump to newest, ${this.arrivals} new` : "Jump to newest");
  }

  read() {
    this.arrivals = 0;
    if (this.jump) this.jump.hidden = true;
    if (document.visibilityState === "visible" && state.route.channel && state.route.tab !== "home") markSeen(state.route.channel);
  }
}
