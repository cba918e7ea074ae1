// Interactive Block Kit elements. A scope says what a change leads to:
//   {key, blockId, changed(element, payload) -> Promise, initial(element) -> payload|undefined, label?, describedBy?}

import { ask } from "./dialog.js";
import { h, icon } from "./dom.js";
import { openMenu } from "./menu.js";
import { memory, names, state } from "./state.js";
import { mrkdwn } from "./mrkdwn.js";
import { plainNodes, plainString, safeHref } from "./text.js";
import { formatSize } from "./files.js";

const SHORTEST_BUSY_MS = 250;

const renderers = {
  button, workflow_button: button, overflow, image: accessoryImage,
  static_select: (element, scope) => select(element, scope, options(element), "selected_option"),
  users_select: (element, scope) => select(element, scope, people(), "selected_user"),
  conversations_select: (element, scope) => select(element, scope, conversations(true), "selected_conversation"),
  channels_select: (element, scope) => select(element, scope, conversations(false), "selected_channel"),
  multi_static_select: (element, scope) => multiSelect(element, scope, options(element), "selected_options"),
  multi_users_select: (element, scope) => multiSelect(element, scope, people(), "selected_users"),
  multi_conversations_select: (element, scope) => multiSelect(element, scope, conversations(true), "selected_conversations"),
  multi_channels_select: (element, scope) => multiSelect(element, scope, conversations(false), "selected_channels"),
  datepicker: (element, scope) => picker("date", "selected_date", element, scope),
  timepicker: (element, scope) => picker("time", "selected_time", element, scope),
  datetimepicker: dateTimePicker,
  radio_buttons: (element, scope) => choices("radio", element, scope),
  checkboxes: (element, scope) => choices("checkbox", element, scope),
  plain_text_input: textInput, email_text_input: textInput, url_text_input: textInput, number_input: textInput, file_input: fileInput,
};

/** The element as a node, or null when the page does not know it. */
export const renderElement = (element, scope) => renderers[element.type]?.(element, scope) ?? null;

const labelOf = (element, scope) => element.accessibility_label ?? scope.label ?? (plainString(element.placeholder) || "Choose");

/** Run `act` once however often the control is pressed; busy until it is answered. */
async function once(key, node, act) {
  if (memory.has(`busy:${key}`)) return;
  memory.set(`busy:${key}`, true);
  node.setAttribute("aria-busy", "true");
  await Promise.all([act(), new Promise((resolve) => setTimeout(resolve, SHORTEST_BUSY_MS))]);
  memory.delete(`busy:${key}`);
  node.removeAttribute("aria-busy");
  // The message may have been drawn anew in between.
  for (const twin of document.querySelectorAll(`[data-focus="${CSS.escape(key)}"]`)) twin.removeAttribute("aria-busy");
}

function button(element, scope) {
  const key = `${scope.key}:${element.action_id ?? plainString(element.text)}`;
  const props = { type: "button", class: `button ${element.style ?? ""}`, "aria-label": element.accessibility_label,
    data: { focus: key }, "aria-busy": memory.has(`busy:${key}`) ? "true" : null };
  const href = element.url ? safeHref(element.url) : null;
  const node = h("button", props, h("span", { class: "button-text" }, plainNodes(element.text)), href ? icon("external") : null);
  node.addEventListener("click", () => once(key, node, async () => {
    if (element.confirm && !(await ask(element.confirm))) return;
    if (href) window.open(href, "_blank", "noopener");
    await scope.changed(element, { value: element.value });
  }));
  return node;
}

function overflow(element, scope) {
  const key = `${scope.key}:${element.action_id}`;
  const node = h("button", { type: "button", class: "icon-button bordered", "aria-label": "More options", "aria-haspopup": "menu", data: { focus: key } }, icon("more"));
  const choose = (option) => once(key, node, async () => {
    if (element.confirm && !(await ask(element.confirm))) return;
    if (option.url && safeHref(option.url)) window.open(safeHref(option.url), "_blank", "noopener");
    await scope.changed(element, { selected_option: option });
  });
  node.addEventListener("click", () => openMenu(node, element.options.map((option) => ({
    label: plainString(option.text), detail: plainString(option.description), run: () => choose(option) })), { label: "More options" }));
  return node;
}

// Choices: [{group?, items: [{label, value}]}]; `value` is what the payload carries.
function options(element) {
  const items = (list) => (list ?? []).map((option) => ({ label: plainString(option.text), id: option.value, value: option }));
  if (element.option_groups) return element.option_groups.map((group) => ({ group: plainString(group.label), items: items(group.options) }));
  return [{ items: items(element.options) }];
}

const people = () => [{ items: [...state.users.values()].map((user) => ({ label: names.user(user.id), id: user.id, value: user.id })) }];

function conversations(withDirect) {
  const list = [...state.channels.values()].filter((channel) => withDirect || !channel.is_im);
  return [{ items: list.map((channel) => ({ label: channel.is_im ? names.user(channel.user) ?? channel.name : `#${channel.name}`, id: channel.id, value: channel.id })) }];
}

const initialOf = (element, field) => element[field.replace("selected", "initial")] ?? null;
const idOf = (value) => (typeof value === "object" && value !== null ? value.value : value);

function select(element, scope, groups, field) {
  const chosen = idOf((scope.initial(element) ?? { [field]: initialOf(element, field) })[field]);
  const all = groups.flatMap((group) => group.items);
  const toOption = (item) => h("option", { value: item.id, selected: item.id === chosen }, item.label);
  const node = h("select", { class: "select", "aria-label": labelOf(element, scope), "aria-describedby": scope.describedBy, data: { focus: `${scope.key}:${element.action_id}` } },
    h("option", { value: "", disabled: !scope.clearable, hidden: !scope.clearable }, plainString(element.placeholder) || "Choose…"),
    groups.map((group) => (group.group ? h("optgroup", { label: group.group }, group.items.map(toOption)) : group.items.map(toOption))));
  node.value = all.some((item) => item.id === chosen) ? chosen : "";
  const before = () => { node.value = chosen ?? ""; };
  node.addEventListener("change", async () => {
    if (element.confirm && !(await ask(element.confirm))) return before();
    const item = all.find((candidate) => candidate.id === node.value);
    return scope.changed(element, { [field]: item ? item.value : null });
  });
  return node;
}

function multiSelect(element, scope, groups, field) {
  const all = groups.flatMap((group) => group.items);
  const start = (scope.initial(element) ?? { [field]: initialOf(element, field) ?? [] })[field] ?? [];
  const chosen = new Set(start.map(idOf));
  const summary = h("summary", { data: { focus: `${scope.key}:${element.action_id}` }, "aria-label": labelOf(element, scope) });
  const say = () => {
    const labels = all.filter((item) => chosen.has(item.id)).map((item) => item.label);
    summary.replaceChildren(h("span", {}, labels.join(", ") || plainString(element.placeholder) || "Choose…"));
  };
  say();
  let touched = false;
  const payload = () => ({ [field]: all.filter((item) => chosen.has(item.id)).map((item) => item.value) });
  const toggle = (item) => (event) => {
    if (event.target.checked) chosen.add(item.id);
    else chosen.delete(item.id);
    if (element.max_selected_items && chosen.size > element.max_selected_items) {
      chosen.delete(item.id);
      event.target.checked = false;
    }
    touched = true;
    say();
    scope.held?.(element, payload());
  };
  const box = h("details", { class: "multi" }, summary, h("div", { class: "multi-list", role: "group", "aria-label": labelOf(element, scope) },
    all.map((item) => h("label", { class: "choice" }, h("input", { type: "checkbox", checked: chosen.has(item.id), on: { change: toggle(item) } }), h("span", {}, item.label)))));
  const close = () => { box.open = false; };
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !box.open) return;
    event.preventDefault();
    event.stopPropagation();
    close();
    summary.focus();
  });
  box.addEventListener("focusout", (event) => { if (event.relatedTarget && !box.contains(event.relatedTarget)) close(); });
  box.addEventListener("toggle", () => {
    if (box.open || !touched) return;
    touched = false;
    scope.changed(element, payload());
  });
  return box;
}

function picker(type, field, element, scope) {
  const value = (scope.initial(element) ?? { [field]: initialOf(element, field) })[field] ?? "";
  const node = h("input", { type, class: "input short", "aria-label": labelOf(element, scope), "aria-describedby": scope.describedBy, value, data: { focus: `${scope.key}:${element.action_id}` } });
  node.addEventListener("change", () => scope.changed(element, { [field]: node.value || null }));
  return node;
}

function dateTimePicker(element, scope) {
  const epoch = (scope.initial(element) ?? { selected_date_time: element.initial_date_time })?.selected_date_time;
  const local = epoch ? new Date(epoch * 1000 - new Date(epoch * 1000).getTimezoneOffset() * 60_000).toISOString().slice(0, 16) : "";
  const node = h("input", { type: "datetime-local", class: "input short", "aria-label": labelOf(element, scope), "aria-describedby": scope.describedBy, value: local, data: { focus: `${scope.key}:${element.action_id}` } });
  node.addEventListener("change", () => scope.changed(element, { selected_date_time: node.value ? Math.floor(new Date(node.value) / 1000) : null }));
  return node;
}

function choices(type, element, scope) {
  const many = type === "checkbox";
  const field = many ? "selected_options" : "selected_option";
  const start = (scope.initial(element) ?? { [field]: initialOf(element, field) })[field];
  const chosen = new Set([start ?? []].flat().map(idOf));
  const name = `${scope.key}:${element.action_id}`;
  const changed = () => {
    const picked = element.options.filter((option, at) => inputs[at].checked);
    return scope.changed(element, { [field]: many ? picked : picked[0] ?? null });
  };
  const inputs = element.options.map((option) => h("input", { type, name, value: option.value, checked: chosen.has(option.value), on: { change: changed }, data: { focus: `${name}:${option.value}` } }));
  return h("div", { class: "choices", role: many ? "group" : "radiogroup", "aria-label": labelOf(element, scope), "aria-describedby": scope.describedBy },
    element.options.map((option, at) => h("label", { class: "choice" }, inputs[at],
      h("span", {}, rich(option.text), option.description ? h("span", { class: "choice-detail" }, rich(option.description)) : null))));
}

const rich = (text) => (text?.type === "mrkdwn" ? mrkdwn(text.text) : plainNodes(text));

const INPUT_TYPE = { email_text_input: "email", url_text_input: "url", number_input: "number" };

function textInput(element, scope) {
  const value = scope.initial(element)?.value ?? element.initial_value ?? "";
  const props = { class: "input", "aria-label": scope.label ?? labelOf(element, scope), "aria-describedby": scope.describedBy, placeholder: plainString(element.placeholder), value,
    minlength: null, maxlength: element.max_length, min: element.min_value, max: element.max_value, step: element.is_decimal_allowed ? "any" : null,
    spellcheck: "false", data: { focus: `${scope.key}:${element.action_id}` } };
  const node = element.multiline ? h("textarea", { ...props, rows: 4 }) : h("input", { type: INPUT_TYPE[element.type] ?? "text", autocomplete: "off", ...props });
  node.addEventListener("input", () => scope.held?.(element, { value: node.value || null }));
  node.addEventListener("change", () => scope.changed(element, { value: node.value || null }));
  return node;
}

function fileInput(element, scope) {
  const accept = (element.filetypes ?? []).map((type) => `.${type}`).join(",") || null;
  const node = h("input", { type: "file", class: "input file", multiple: (element.max_files ?? 10) > 1, accept, "aria-label": scope.label ?? "File", "aria-describedby": scope.describedBy, data: { focus: `${scope.key}:${element.action_id}` } });
  const held = scope.initial(element)?.chosen;
  const note = h("span", { class: "choice-detail" }, held?.length ? held.map((file) => `${file.name} (${formatSize(file.size)})`).join(", ") : null);
  node.addEventListener("change", () => {
    const chosen = [...node.files].slice(0, element.max_files ?? 10);
    note.textContent = chosen.map((file) => `${file.name} (${formatSize(file.size)})`).join(", ");
    scope.changed(element, { chosen });
  });
  return h("div", { class: "file-input" }, node, note);
}

function accessoryImage(element) {
  return h("img", { class: "accessory-image", src: safeHref(element.image_url ?? element.slack_file?.url ?? "") ?? "", alt: element.alt_text ?? "", loading: "lazy" });
}
