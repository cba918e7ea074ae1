// Files dragged from the desktop onto a pane go to that pane's composer.

import { h, icon } from "./dom.js";

export function acceptDrops(pane, composer, where) {
  let depth = 0;
  const veil = h("div", { class: "drop-veil", hidden: true });
  pane.append(veil);
  const show = (on) => {
    veil.hidden = !on;
    if (on) veil.replaceChildren(icon("clip"), h("span", {}, `Drop to share in ${where()}`));
  };
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  pane.addEventListener("dragenter", (event) => { if (carriesFiles(event)) { depth += 1; show(true); } });
  pane.addEventListener("dragleave", (event) => { if (carriesFiles(event) && (depth -= 1) <= 0) { depth = 0; show(false); } });
  pane.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  pane.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    composer.attach(event.dataTransfer.files);
  });
}
