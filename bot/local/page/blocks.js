// Block Kit blocks as DOM nodes. `surface`: {key, act(element, blockId, payload), initial?, held?, errors?, files?}.

import { fragment, h, icon } from "./dom.js";
import { renderElement } from "./elements.js";
import { fileCard } from "./files.js";
import { markdown } from "./markdown.js";
import { inline, mrkdwn } from "./mrkdwn.js";
import { richText } from "./richtext.js";
import { memory } from "./state.js";
import { dataTable, table } from "./tables.js";
import { plainNodes, plainString, safeHref } from "./text.js";

const renderers = {
  section, actions, context, input, image, container,
  header: (block) => h("h3", { class: "block-header" }, plainNodes(block.text)),
  divider: () => h("hr"),
  rich_text: (block) => richText(block),
  markdown: (block) => h("div", { class: "markdown" }, markdown(String(block.text ?? ""))),
  table: (block) => table(block),
  data_table: (block, surface, key) => dataTable(block, key),
  file: fileBlock,
  alert: (block) => h("div", { class: `alert ${block.level ?? block.style ?? ""}`, role: "note" }, icon("info"), h("div", {}, text(block.text))),
  video: (block) => h("p", { class: "quiet" }, "Video: ", plainNodes(block.title ?? block.alt_text ?? "not shown here")),
};

/** All blocks of a message or view. Keys go by position: block_ids change with each update. */
export function renderBlocks(blocks, surface) {
  return fragment(...(blocks ?? []).map((block, at) => renderBlock(block, surface, `${surface.key}/${at}`)));
}

function renderBlock(block, surface, key) {
  const renderer = renderers[block?.type];
  const node = renderer ? renderer(block, surface, key) : unsupported(block?.type);
  return h("div", { class: `block block-${renderer ? block.type : "unsupported"}` }, node);
}

const unsupported = (type) => h("p", { class: "quiet" }, `A block of type “${type ?? "unknown"}” that this page does not show.`);

/** A text object. */
export function text(object) {
  if (!object) return fragment();
  return object.type === "mrkdwn" ? mrkdwn(String(object.text ?? "")) : h("div", { class: "text" }, plainNodes(object));
}

function scope(block, surface, key, more = {}) {
  const blockId = block.block_id ?? "";
  return {
    key, blockId,
    changed: (element, payload) => surface.act(element, blockId, payload),
    held: surface.held && ((element, payload) => surface.held(element, blockId, payload)),
    initial: (element) => surface.initial?.(element, blockId),
    ...more,
  };
}

function element(node, block, surface, key) {
  return renderElement(node, scope(block, surface, key)) ?? h("span", { class: "quiet" }, `(${node.type})`);
}

function section(block, surface, key) {
  const body = h("div", { class: "section-body" }, block.text ? text(block.text) : null,
    block.fields ? h("div", { class: "fields" }, block.fields.map((field) => h("div", { class: "field" }, text(field)))) : null);
  if (!block.accessory) return body;
  return h("div", { class: "section-with-accessory" }, body, h("div", { class: "accessory" }, element(block.accessory, block, surface, key)));
}

function actions(block, surface, key) {
  return h("div", { class: "actions" }, (block.elements ?? []).map((each, at) => element(each, block, surface, `${key}.${at}`)));
}

function context(block) {
  return h("div", { class: "context" }, (block.elements ?? []).map((each) => (each.type === "image"
    ? h("img", { class: "context-image", src: safeHref(each.image_url ?? each.slack_file?.url ?? "") ?? "", alt: each.alt_text ?? "" })
    : h("span", { class: "context-text" }, each.type === "mrkdwn" ? inline(String(each.text ?? "")) : plainNodes(each)))));
}

function image(block, surface) {
  const file = block.slack_file && surface.files?.find((each) => each.id === block.slack_file.id);
  const source = safeHref(block.image_url ?? file?.url ?? block.slack_file?.url ?? "");
  return h("figure", { class: "image" }, block.title ? h("figcaption", {}, plainNodes(block.title)) : null,
    source ? h("img", { src: source, alt: block.alt_text ?? "", loading: "lazy" }) : h("p", { class: "quiet" }, block.alt_text ?? "image"));
}

function fileBlock(block, surface) {
  const file = surface.files?.find((each) => [each.id, each.external_id].includes(block.file_id ?? block.external_id));
  return file ? fileCard(file) : h("p", { class: "quiet" }, "A file shared elsewhere.");
}

function container(block, surface, key) {
  const children = () => (block.child_blocks ?? []).map((child, at) => renderBlock(child, surface, `${key}/${at}`));
  const title = block.rich_text_title ? h("span", {}, richText({ elements: [{ type: "rich_text_section", elements: block.rich_text_title.elements ?? [block.rich_text_title] }] })) : h("span", {}, plainNodes(block.title));
  const heading = [h("span", { class: "container-title" }, title), block.subtitle ? h("span", { class: "container-subtitle" }, block.subtitle.type === "mrkdwn" ? inline(block.subtitle.text) : plainNodes(block.subtitle)) : null];
  if (!block.is_collapsible) return h("section", { class: "container" }, h("div", { class: "container-head" }, heading), h("div", { class: "container-body" }, children()));
  const open = memory.get(`open:${key}`) ?? !block.default_collapsed;
  const box = h("details", { class: "container", open }, h("summary", { class: "container-head", data: { focus: `${key}:fold` } }, icon("chevron"), heading), h("div", { class: "container-body" }, children()));
  box.addEventListener("toggle", () => memory.set(`open:${key}`, box.open));
  return box;
}

// Input blocks: label, control, hint, and the error of a refused submission.
function input(block, surface, key) {
  const id = `in-${key.replace(/[^\w-]/g, "-")}`;
  const label = plainString(block.label);
  const error = surface.errors?.[block.block_id];
  const describedBy = [block.hint ? `${id}-hint` : null, error ? `${id}-error` : null].filter(Boolean).join(" ") || null;
  const inner = scope(block, surface, key, { label, describedBy, clearable: block.optional });
  inner.changed = (node, payload) => {
    surface.held?.(node, block.block_id, payload);
    return block.dispatch_action ? surface.act(node, block.block_id, payload) : Promise.resolve();
  };
  const control = renderElement(block.element ?? {}, inner) ?? h("span", { class: "quiet" }, `(${block.element?.type})`);
  const field = control.matches?.("input, textarea, select, [role]") ? control : control.querySelector?.("input, textarea, summary");
  if (error) field?.setAttribute("aria-invalid", "true");
  return h("div", { class: error ? "input-block invalid" : "input-block" },
    h("div", { class: "input-label" }, label, block.optional ? h("span", { class: "quiet" }, " (optional)") : null), control,
    block.hint ? h("div", { class: "input-hint", id: `${id}-hint` }, plainNodes(block.hint)) : null,
    error ? h("div", { class: "input-error", id: `${id}-error`, role: "alert" }, error) : null);
}
