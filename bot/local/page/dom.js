// Builds DOM nodes. Strings always become text nodes: nothing in this page ever parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes, `on` (listeners by event), `data` (data-*), and properties such as `value`. */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  append(node, children);
  return node;
}

function set(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
  else if (name === "data") Object.assign(node.dataset, value);
  else if (name === "value" || name === "checked") node[name] = value;
  else node.setAttribute(name, value === true ? "" : String(value));
}

function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child);
  }
}

export function fragment(...children) {
  const node = document.createDocumentFragment();
  append(node, children);
  return node;
}

function use(href, className) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const reference = document.createElementNS(SVG, "use");
  reference.setAttribute("href", href);
  svg.append(reference);
  return svg;
}

export const icon = (name) => use(`/page/icons.svg#${name}`, "icon");
export const drawing = (name) => use(`/page/emoji.svg#${name}`, "drawing");

/** A button that shows an icon only; `label` is its accessible name and its tooltip. */
export function iconButton(name, label, onClick, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label,
    on: { click: onClick }, ...props }, icon(name));
}

/** Replace what `node` holds, unless nothing would change. */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}
