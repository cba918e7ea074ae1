// The pane beside the channel: one root message, its replies, and a composer that answers there.

import { Composer } from "./composer.js";
import { fill, h, iconButton } from "./dom.js";
import { channelTitle, memory, messageOf, replies, state, threadMessages } from "./state.js";
import { Timeline } from "./timeline.js";
import { acceptDrops } from "./drops.js";

export class ThreadPane {
  /** close(): asked by the button and by Escape. */
  constructor(node, close) {
    this.node = node;
    this.channel = null;
    this.root = null;
    this.timeline = new Timeline({ label: "Thread messages", inThread: true });
    this.composer = new Composer({ name: "Reply in thread", sendName: "Reply", inThread: true, onSent: () => this.timeline.toNewest() });
    this.where = h("span", { class: "pane-subtitle" });
    const head = h("header", { class: "pane-head" }, iconButton("back", "Back to the channel", close, { class: "icon-button back" }),
      h("h2", {}, "Thread ", this.where), iconButton("close", "Close thread", close, { class: "icon-button close-thread" }));
    fill(node, head, this.timeline.node, this.composer.node);
    acceptDrops(node, this.composer, () => "the thread");
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    });
  }

  show(channel, root, highlight) {
    const changed = channel !== this.channel || root !== this.root;
    if (changed) this.timeline.reset();
    Object.assign(this, { channel, root, highlight });
    this.node.hidden = false;
    this.where.textContent = this.title();
    this.composer.aim(channel, root, "Reply…");
    this.draw();
    if (changed && highlight) this.timeline.reveal(highlight);
    return changed;
  }

  hide() {
    this.node.hidden = true;
    this.channel = null;
    this.root = null;
  }

  title() {
    const channel = state.channels.get(this.channel);
    return channel?.is_im ? channelTitle(channel) : `#${channelTitle(channel)}`;
  }

  draw() {
    if (!this.root) return;
    const root = messageOf(this.channel, this.root);
    const answers = threadMessages(this.channel, this.root);
    const newest = replies(this.channel, this.root).at(-1)?.ts;
    if (newest) memory.set(`thread-seen:${this.channel}:${this.root}`, newest);
    const count = answers.filter((message) => !message.ephemeral_id).length;
    this.timeline.draw(root ? [root, ...answers] : answers, {
      channel: this.channel, inThread: true, me: state.me, highlight: this.highlight, repliesOf: () => [], redraw: () => this.draw(), openThread: () => {},
      afterMessage: (message) => (message.ts !== this.root || count === 0 ? null : {
        print: `count:${count}`,
        build: () => h("div", { class: "reply-count" }, h("span", {}, count === 1 ? "One reply" : `${count} replies below`)),
      }),
    });
  }
}
