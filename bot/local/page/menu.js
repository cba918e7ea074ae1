// A menu that hangs on a button: role=menu, arrow keys, Escape, closed by a click elsewhere.

import { h } from "./dom.js";

let open = null;

/** items: {label, detail?, icon?, danger?, node?, run}; null is a separator. */
export function openMenu(anchor, items, { label = "Menu" } = {}) {
  closeMenu();
  const entries = items.map((item) => (item === null ? h("hr") : entry(item)));
  const menu = h("div", { class: "menu", role: "menu", "aria-label": label, tabindex: -1, on: { keydown } }, entries);
  // Inside a modal dialog only what the dialog holds can be reached.
  (anchor.closest("dialog") ?? document.body).append(menu);
  place(menu, anchor);
  anchor.setAttribute("aria-expanded", "true");
  open = { menu, anchor };
  menu.querySelector("[role=menuitem]")?.focus();
  document.addEventListener("pointerdown", elsewhere, true);
  window.addEventListener("resize", closeMenu);
}

function entry(item) {
  return h("button", { type: "button", role: "menuitem", class: item.danger ? "danger" : null, tabindex: -1,
    on: { click: () => { closeMenu(true); item.run(); } } },
  item.node ?? null, h("span", { class: "menu-label" }, item.label), item.detail ? h("span", { class: "menu-detail" }, item.detail) : null);
}

function place(menu, anchor) {
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.max(8, Math.min(box.right - width, innerWidth - width - 8));
  const below = box.bottom + 4 + height <= innerHeight - 8;
  menu.style.left = `${box.left + width <= innerWidth - 8 ? Math.max(8, box.left) : left}px`;
  menu.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - height - 4)}px`;
}

export function closeMenu(refocus = false) {
  if (!open) return false;
  const { menu, anchor } = open;
  open = null;
  document.removeEventListener("pointerdown", elsewhere, true);
  window.removeEventListener("resize", closeMenu);
  anchor.setAttribute("aria-expanded", "false");
  menu.remove();
  if (refocus === true) anchor.focus();
  return true;
}

function elsewhere(event) {
  if (!open.menu.contains(event.target)) closeMenu();
}

function keydown(event) {
  const items = [...event.currentTarget.querySelectorAll("[role=menuitem]")];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    items[(to + items.length) % items.length].focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    event.stopPropagation();
    closeMenu(true);
  }
}
