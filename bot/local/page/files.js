// Files as cards: a download link, images in place, text and JSON behind a "Preview" that reads 64 KB at most.

import { h, icon } from "./dom.js";
import { codeBlock } from "./mrkdwn.js";
import { memory } from "./state.js";
import { safeHref, textNodes } from "./text.js";

const PREVIEW_BYTES = 65_536;

export function formatSize(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1000) return `${bytes} B`;
  const [size, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : [bytes / 1e6, "MB"];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

const isText = (file) => /^text\/|json|xml|yaml|x-pem|javascript/.test(file.mimetype ?? "") || /\.(?:txt|json|md|log|csv|pem|crt|cer|key|yml|yaml)$/i.test(file.name ?? "");
const isImage = (file) => /^image\/(?:png|jpeg|gif|webp|svg\+xml)$/.test(file.mimetype ?? "");

export function fileCard(file) {
  const href = safeHref(file.url ?? file.url_private_download ?? file.url_private ?? "");
  const name = file.title || file.name || "file";
  const card = h("div", { class: "file" },
    h("div", { class: "file-head" },
      h("span", { class: "file-icon" }, icon(isImage(file) ? "image" : "file")),
      h("span", { class: "file-name" }, h("span", { class: "file-title" }, textNodes(name)),
        h("span", { class: "file-facts" }, [file.name !== name ? file.name : null, file.mimetype, formatSize(file.size)].filter(Boolean).join(" · "))),
      href ? h("a", { class: "icon-button", href, download: file.name ?? "", "aria-label": `Download ${file.name ?? name}`, title: "Download" }, icon("download")) : null));
  if (href && isImage(file)) card.append(h("img", { class: "file-image", src: href, alt: name, loading: "lazy" }));
  else if (href && isText(file)) card.append(preview(file, href));
  return card;
}

function preview(file, href) {
  const key = `preview:${file.id}`;
  const body = h("div", { class: "preview-body" });
  const box = h("details", { class: "preview", open: memory.get(key) ?? false }, h("summary", { "aria-label": `Preview ${file.name}` }, "Preview"), body);
  let loaded = false;
  const load = async () => {
    if (loaded) return;
    loaded = true;
    body.replaceChildren(h("span", { class: "quiet" }, "Loading…"));
    try {
      const { text, whole } = await head(href, file.size);
      body.replaceChildren(codeBlock(pretty(file, text, whole)), whole ? "" : h("p", { class: "quiet" }, `The first 64 kB of ${formatSize(file.size)}. Download the file to see the rest.`));
    } catch {
      loaded = false;
      body.replaceChildren(h("p", { class: "quiet" }, "The preview could not be loaded. The download may still work."));
    }
  };
  box.addEventListener("toggle", () => {
    memory.set(key, box.open);
    if (box.open) load().then(() => box.scrollIntoView({ block: "nearest" }));
  });
  if (box.open) load();
  return box;
}

async function head(href, size) {
  const answer = await fetch(href, { headers: { Range: `bytes=0-${PREVIEW_BYTES - 1}` } });
  if (!answer.ok) throw new Error(String(answer.status));
  const reader = answer.body.getReader();
  const chunks = [];
  let length = 0;
  while (length < PREVIEW_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  reader.cancel();
  const text = await new Blob(chunks).slice(0, PREVIEW_BYTES).text();
  return { text, whole: length < PREVIEW_BYTES || length === size };
}

function pretty(file, text, whole) {
  if (!whole || !/json/.test(`${file.mimetype} ${file.name}`)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
