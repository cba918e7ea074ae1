// Channels, direct messages, the app; below: who one is, and light or dark.

import { fill, h, icon, iconButton } from "./dom.js";
import { avatar } from "./message.js";
import { openMenu } from "./menu.js";
import { channelTitle, isAppChannel, state, unread } from "./state.js";

const THEMES = { light: ["sun", "Light"], dark: ["moon", "Dark"], system: ["half", "As the system"] };

export function drawSidebar(node) {
  const focused = node.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  const channels = [...state.channels.values()];
  const rooms = channels.filter((channel) => !channel.is_im);
  const people = channels.filter((channel) => channel.is_im && !isAppChannel(channel));
  fill(node,
    h("header", { class: "side-head" }, h("span", { class: "side-mark" }, icon("mark")), h("div", { class: "side-names" }, h("div", { class: "team" }, state.team.name || "Workspace"),
      h("div", { class: "presence" }, h("span", { class: `dot ${state.online && state.connected ? "on" : "off"}` }), presence()))),
    h("div", { class: "side-scroll" }, section("Channels", rooms.map(channelLink)),
      people.length ? section("Direct messages", people.map(channelLink)) : null, section("Apps", [appLink(channels.find(isAppChannel))])),
    footer());
  if (focused) node.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

function presence() {
  if (!state.online) return "reconnecting…";
  return state.connected ? "bot connected" : "bot not connected";
}

let serial = 0;

function section(title, items) {
  const id = `side-${title.replace(/\W/g, "")}-${(serial += 1)}`;
  return h("section", { class: "side-section" }, h("h2", { id }, title), h("ul", { "aria-labelledby": id }, items.map((item) => h("li", {}, item))));
}

function entry(href, current, mark, label, count, key) {
  return h("a", { href, class: count ? "side-item unread" : "side-item", "aria-current": current ? "page" : null, data: { focus: key } }, mark, h("span", { class: "side-label" }, label),
    count ? h("span", { class: "badge" }, String(count), h("span", { class: "hidden-text" }, " unread")) : null);
}

function channelLink(channel) {
  const mark = channel.is_im ? avatar({ id: channel.user ?? "", name: channelTitle(channel) }, "tiny") : icon(channel.is_private ? "lock" : "hash");
  return entry(`#/${channel.id}`, state.route.channel === channel.id, mark, channelTitle(channel), unread(channel.id), `side:${channel.id}`);
}

function appLink(channel) {
  const current = state.route.tab === "home" || (channel && state.route.channel === channel.id);
  return entry("#/app", current, avatar({ isApp: true }, "tiny"), state.app.name || "app", channel ? unread(channel.id) : 0, "side:app");
}

function footer() {
  const me = state.users.get(state.me);
  if (!me) return null;
  const name = me.real_name || me.name;
  const others = [...state.users.values()].filter((user) => !user.is_bot && user.id !== state.me);
  const who = h("button", { type: "button", class: "who", "aria-haspopup": "menu", "aria-label": `You are ${name}. Switch user`, data: { focus: "side:who" } },
    avatar({ id: me.id, name }, "small"), h("span", { class: "side-label" }, name), icon("updown"));
  who.addEventListener("click", () => openMenu(who, others.map((user) => ({ label: `Continue as ${user.real_name || user.name}`, run: () => become(user.id) })), { label: "Switch user" }));
  const theme = currentTheme();
  const toggle = iconButton(THEMES[theme][0], `Theme: ${THEMES[theme][1].toLowerCase()}`, () => openMenu(toggle, Object.entries(THEMES).map(([key, [symbol, label]]) => ({
    label, node: icon(symbol), run: () => setTheme(key) })), { label: "Theme" }), { "aria-haspopup": "menu", "data-focus": "side:theme" });
  return h("footer", { class: "side-foot" }, who, toggle);
}

function become(user) {
  const address = new URL(location.href);
  address.searchParams.set("user", user);
  address.hash = "";
  location.assign(address);
}

function currentTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Storage is refused: the theme holds until the page is closed.
  }
  drawSidebar(document.getElementById("sidebar"));
}
