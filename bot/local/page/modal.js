// Modals of the app: a stack of views, the newest on top, in one native <dialog> (focus stays inside).

import { renderBlocks } from "./blocks.js";
import { fill, h, iconButton } from "./dom.js";
import { memory, on, receive, state } from "./state.js";
import { plainNodes } from "./text.js";
import { post, upload } from "./wire.js";

const held = new Map();   // view id -> Map("block action" -> {block, action, type, payload})

let dialog = null;
let body = null;
let shown = null;
let opener = null;

export function watchViews() {
  on("views", draw);
}

function draw() {
  const view = state.views.at(-1);
  for (const id of held.keys()) if (!state.views.some((each) => each.id === id)) held.delete(id);
  if (!view) return close();
  if (!dialog) open();
  const focus = shown === view.id ? document.activeElement?.closest?.("[data-focus]")?.dataset.focus : null;
  shown = view.id;
  render(view);
  const target = focus ? dialog.querySelector(`[data-focus="${CSS.escape(focus)}"]`) : dialog.querySelector("[aria-invalid], .dialog-body :is(input, textarea, select, summary, button)");
  const invalid = dialog.querySelector("[aria-invalid]");
  (invalid ?? target ?? dialog.querySelector(".dialog-foot button:last-child"))?.focus();
  return undefined;
}

function open() {
  opener = document.activeElement;
  body = h("form", { class: "view", novalidate: true });
  dialog = h("dialog", { class: "dialog", role: "dialog", "aria-modal": "true", "aria-labelledby": "view-title" }, body);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); dismiss(); });
  body.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  document.body.append(dialog);
  dialog.showModal();
}

function close() {
  if (!dialog) return;
  dialog.close();
  dialog.remove();
  dialog = null;
  shown = null;
  if (opener?.isConnected) opener.focus();
}

function render(view) {
  const values = valuesOf(view);
  const surface = {
    key: `v:${view.id}`,
    errors: state.viewErrors.get(view.id),
    files: [],
    initial: (element, block) => values.get(`${block} ${element.action_id}`)?.payload,
    held: (element, block, payload) => hold(view, element, block, payload),
    act: (element, block, payload) => act(view, element, block, payload),
  };
  collectInitial(view, values);
  const scroll = body.querySelector(".dialog-body")?.scrollTop ?? 0;
  fill(body,
    h("header", { class: "dialog-head" }, h("h2", { id: "view-title" }, plainNodes(view.title)), iconButton("close", "Close dialog", dismiss)),
    h("div", { class: "dialog-body" }, h("div", { class: "dialog-error", role: "alert", hidden: true }), renderBlocks(view.blocks, surface)),
    h("footer", { class: "dialog-foot" },
      h("button", { type: "button", class: "button", on: { click: dismiss } }, plainNodes(view.close ?? "Cancel")),
      view.submit ? h("button", { type: "submit", class: "button primary", data: { focus: `v:${view.id}:submit` } }, plainNodes(view.submit)) : null));
  body.querySelector(".dialog-body").scrollTop = scroll;
}

function valuesOf(view) {
  if (!held.has(view.id)) held.set(view.id, new Map());
  return held.get(view.id);
}

function hold(view, element, block, payload) {
  valuesOf(view).set(`${block} ${element.action_id}`, { block, action: element.action_id, type: element.type, payload });
}

// Slack reports a control that was never touched with its initial value, or null.
const EMPTY = {
  plain_text_input: (e) => ({ value: e.initial_value ?? null }), email_text_input: (e) => ({ value: e.initial_value ?? null }),
  url_text_input: (e) => ({ value: e.initial_value ?? null }), number_input: (e) => ({ value: e.initial_value ?? null }),
  static_select: (e) => ({ selected_option: e.initial_option ?? null }), radio_buttons: (e) => ({ selected_option: e.initial_option ?? null }),
  checkboxes: (e) => ({ selected_options: e.initial_options ?? [] }), multi_static_select: (e) => ({ selected_options: e.initial_options ?? [] }),
  users_select: (e) => ({ selected_user: e.initial_user ?? null }), multi_users_select: (e) => ({ selected_users: e.initial_users ?? [] }),
  conversations_select: (e) => ({ selected_conversation: e.initial_conversation ?? null }), multi_conversations_select: (e) => ({ selected_conversations: e.initial_conversations ?? [] }),
  channels_select: (e) => ({ selected_channel: e.initial_channel ?? null }), multi_channels_select: (e) => ({ selected_channels: e.initial_channels ?? [] }),
  datepicker: (e) => ({ selected_date: e.initial_date ?? null }), timepicker: (e) => ({ selected_time: e.initial_time ?? null }),
  datetimepicker: (e) => ({ selected_date_time: e.initial_date_time ?? null }), file_input: () => ({ chosen: [] }),
};

function collectInitial(view, values) {
  for (const block of view.blocks ?? []) {
    for (const element of [block.element, block.accessory, ...(block.elements ?? [])]) {
      const initial = EMPTY[element?.type];
      if (initial && !values.has(`${block.block_id} ${element.action_id}`)) hold(view, element, block.block_id, initial(element));
    }
  }
}

async function stateOf(view) {
  const values = {};
  const present = new Set((view.blocks ?? []).map((block) => block.block_id));
  for (const { block, action, type, payload } of valuesOf(view).values()) {
    if (!present.has(block)) continue;
    values[block] ??= {};
    values[block][action] = type === "file_input" ? { type, files: await sent(payload.chosen ?? []) } : { type, ...payload };
  }
  return { values };
}

// A file chosen in a modal is uploaded when the modal is submitted; it is shared nowhere.
async function sent(chosen) {
  const files = [];
  for (const file of chosen) {
    file.uploaded ??= await upload(file, {});
    if (!file.uploaded.ok) {
      const { error } = file.uploaded;
      delete file.uploaded;
      throw new Error(`${file.name}: ${error}`);
    }
    files.push(file.uploaded.file);
  }
  return files;
}

async function act(view, element, block, payload) {
  if (!("chosen" in payload)) hold(view, element, block, payload);
  const answer = await post("action", { view_id: view.id, block_id: block, action_id: element.action_id, type: element.type, state: await stateOf(view), ...payload });
  if (!answer.ok) complain(answer.error);
}

function complain(text) {
  const box = body?.querySelector(".dialog-error");
  if (!box) return;
  box.textContent = text;
  box.hidden = !text;
}

// Required inputs are checked here, as Slack's clients do, before anything is sent.
function missing(view) {
  const errors = {};
  for (const block of view.blocks ?? []) {
    if (block.type !== "input" || block.optional) continue;
    const entry = valuesOf(view).get(`${block.block_id} ${block.element.action_id}`)?.payload ?? {};
    const value = Object.values(entry)[0];
    if (value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length)) errors[block.block_id] = "Please complete this required field.";
    else if (block.element.min_length && value.length < block.element.min_length) errors[block.block_id] = `At least ${block.element.min_length} characters.`;
  }
  return errors;
}

async function submit() {
  const view = state.views.at(-1);
  const key = `submit:${view.id}`;
  if (memory.has(key)) return;
  document.activeElement?.dispatchEvent(new Event("change", { bubbles: true }));
  const errors = missing(view);
  if (Object.keys(errors).length) {
    receive({ type: "view_errors", id: view.id, errors });
    return;
  }
  memory.set(key, true);
  body.querySelector("[type=submit]")?.setAttribute("aria-busy", "true");
  try {
    const answer = await post("view_submit", { view_id: view.id, state: await stateOf(view) });
    if (!answer.ok) complain(answer.error);
  } catch (error) {
    complain(error.message);
  } finally {
    memory.delete(key);
    body?.querySelector("[type=submit]")?.removeAttribute("aria-busy");
  }
}

async function dismiss() {
  const view = state.views.at(-1);
  if (!view) return;
  receive({ type: "view_closed", id: view.id });
  await post("view_close", { view_id: view.id });
}
