// Notices at the edge of the screen: information goes by itself, an error stays until dismissed.

import { h, icon, iconButton } from "./dom.js";
import { textNodes } from "./text.js";

const SHOWN_MS = 6000;

export function toast(text, level = "info") {
  const box = h("div", { class: `toast ${level}`, role: level === "error" ? "alert" : "status" },
    icon(level === "error" ? "alert" : "info"), h("div", { class: "toast-text" }, textNodes(text)),
    iconButton("close", "Dismiss", () => box.remove()));
  const stack = document.getElementById("toasts");
  stack.append(box);
  while (stack.children.length > 5) stack.firstElementChild.remove();
  if (level !== "error") setTimeout(() => box.remove(), SHOWN_MS);
}
