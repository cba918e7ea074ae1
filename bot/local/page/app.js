// The composition root: routes, the panes, and what happens when frames arrive.

import { ChannelPane } from "./channel.js";
import { fill, h, icon } from "./dom.js";
import { closeMenu } from "./menu.js";
import { watchViews } from "./modal.js";
import { appChannel, channelTitle, messageOf, on, recall, remember, state, unread } from "./state.js";
import { drawSidebar } from "./sidebar.js";
import { ThreadPane } from "./thread.js";
import { watchTimes } from "./time.js";
import { toast } from "./toasts.js";
import { connect, post, reconnectNow } from "./wire.js";

const root = document.getElementById("app");
const sidebar = document.getElementById("sidebar");
const backdrop = document.getElementById("backdrop");
const channelPane = new ChannelPane(document.getElementById("main"), { openThread, openDrawer });
const threadPane = new ThreadPane(document.getElementById("thread"), closeThread);
let threadOpener = null;

// Routes: #/C… · #/C…/ts (a thread, or a message to show) · #/C…/root/ts · #/app · #/app/home · #/app/messages
function route() {
  const [first, second, third] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  const next = { channel: null, tab: "messages", thread: null, highlight: null };
  if (first === "app") {
    next.channel = appChannel()?.id ?? null;
    // Without a Home view (many apps have none) the app's messages are what there is to see.
    next.tab = next.channel && (second === "messages" || (second !== "home" && !state.home)) ? "messages" : "home";
  } else {
    next.channel = state.channels.has(first) ? first : startChannel();
    next.thread = second && next.channel === first ? second : null;
    next.highlight = third ?? null;
  }
  if (next.thread && next.thread !== state.route.thread && !isThread(next.channel, next.thread) && !third && openedThread !== next.thread) {
    next.highlight = next.thread;
    next.thread = null;
  }
  state.route = next;
  if (next.tab !== "home") remember(`last:${state.me}`, next.channel);
  draw();
}

let openedThread = null;
const isThread = (channel, ts) => (messageOf(channel, ts)?.reply_count ?? 0) > 0 || [...(state.messages.get(channel)?.values() ?? [])].some((each) => each.thread_ts === ts && each.ts !== ts);

function startChannel() {
  const last = recall(`last:${state.me}`, null);
  if (state.channels.has(last)) return last;
  const rooms = [...state.channels.values()].filter((channel) => !channel.is_im);
  return (rooms.find((channel) => channel.name === "incidents") ?? rooms[0] ?? [...state.channels.values()][0])?.id ?? null;
}

function draw() {
  const turned = channelPane.show();
  closeDrawer();
  const { channel, thread, tab, highlight } = state.route;
  root.classList.toggle("with-thread", Boolean(thread));
  if (thread) threadPane.show(channel, thread, highlight);
  else threadPane.hide();
  if (highlight && !thread) channelPane.timeline.reveal(highlight);
  if (turned && location.hash.startsWith("#/app")) post("open_home", {});
  if (turned && tab !== "home" && !thread && !matchMedia("(pointer: coarse)").matches) channelPane.composer.field.focus();
  drawFrame();
}

function drawFrame() {
  drawSidebar(sidebar);
  drawStrip();
  const count = [...state.channels.keys()].reduce((sum, id) => sum + (id === state.route.channel ? 0 : unread(id)), 0);
  const channel = state.channels.get(state.route.channel);
  const place = state.route.tab === "home" || channel?.is_im ? state.app.name : `#${channelTitle(channel)}`;
  document.title = `${count ? `(${count}) ` : ""}${place} – ${state.team.name || "clienthello"}`;
}

function drawStrip() {
  const { strip } = channelPane;
  if (!state.online) {
    fill(strip, icon("alert"), h("span", {}, state.ready ? "The connection to the workspace is lost. Trying again…" : "Connecting to the workspace…"),
      h("button", { type: "button", class: "button", on: { click: reconnectNow } }, "Try now"));
  } else if (!state.connected) fill(strip, icon("alert"), h("span", {}, "The bot is not connected. Commands will go unanswered until it is back."));
  strip.classList.toggle("lost", !state.online);
  strip.hidden = state.online && state.connected;
}

function openThread(ts) {
  threadOpener = document.activeElement?.closest("[data-focus]")?.dataset.focus ?? `replies:${ts}`;
  openedThread = ts;
  location.hash = `#/${state.route.channel}/${ts}`;
  queueMicrotask(() => {
    route();
    threadPane.composer.field.focus();
  });
}

function closeThread() {
  if (!state.route.thread) return;
  const ts = state.route.thread;
  openedThread = null;
  history.pushState(null, "", `#/${state.route.channel}`);
  route();
  const article = channelPane.timeline.article(ts);
  const opener = threadOpener && channelPane.node.querySelector(`[data-focus="${CSS.escape(threadOpener)}"]`);
  (opener ?? article?.querySelector(".replies") ?? channelPane.composer.field).focus();
}

function openDrawer() {
  root.classList.add("with-drawer");
  backdrop.hidden = false;
  sidebar.querySelector("[aria-current], a")?.focus();
}

function closeDrawer() {
  root.classList.remove("with-drawer");
  backdrop.hidden = true;
}

function onKey(event) {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (closeMenu(true)) return;
  if (root.classList.contains("with-drawer")) {
    closeDrawer();
    channelPane.node.querySelector(".drawer-button")?.focus();
  } else closeThread();
}

// Permalinks of the Web API (…/archives/C…/p1700000000123456) open here instead of leaving the page.
function onClick(event) {
  const anchor = event.target.closest?.("a[href]");
  const match = anchor && /\/archives\/([CDG][A-Z0-9]+)(?:\/p(\d{10})(\d{6}))?/.exec(anchor.pathname);
  if (!match || anchor.origin !== location.origin) return;
  event.preventDefault();
  const rootTs = new URLSearchParams(anchor.search).get("thread_ts");
  const ts = match[2] ? `${match[2]}.${match[3]}` : null;
  location.hash = ["#", match[1], rootTs, ts === rootTs ? null : ts].filter(Boolean).join("/");
}

// Frames come in bursts; each burst is drawn once. (A timer, not a frame of animation: hidden tabs count too.)
const dirty = new Set();

function changed(channel) {
  if (dirty.size === 0) setTimeout(drawChanged, 16);
  dirty.add(channel);
}

function drawChanged() {
  const here = dirty.has(state.route.channel);
  dirty.clear();
  if (here) channelPane.draw();
  if (here && state.route.thread) threadPane.draw();
  drawFrame();
}

function listen() {
  on("snapshot", route);
  on("messages", changed);
  on("arrived", (frame) => channelPane.arrived(frame));
  on("unread", drawFrame);
  on("status", drawFrame);
  on("home", () => { if (location.hash.startsWith("#/app")) route(); });
  on("notice", (notice) => toast(notice.text, notice.level));
  addEventListener("hashchange", () => { if (state.ready) route(); });
  addEventListener("popstate", () => { if (state.ready) route(); });
  addEventListener("online", reconnectNow);
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible" && channelPane.timeline.stuck) channelPane.read(); });
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  // A file dropped beside the panes must not replace the page.
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  backdrop.addEventListener("click", closeDrawer);
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); channelPane.composer.field.focus(); });
}

watchTimes(document.body);
watchViews();
listen();
drawFrame();
connect();
