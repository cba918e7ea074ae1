// The app's Home tab: a view of blocks that belongs to the person looking at it.

import { renderBlocks } from "./blocks.js";
import { fill, h } from "./dom.js";
import { state } from "./state.js";
import { toast } from "./toasts.js";
import { post } from "./wire.js";

export function drawHome(node) {
  const view = state.home;
  const focus = node.contains(document.activeElement) ? document.activeElement.closest("[data-focus]")?.dataset.focus : null;
  const surface = {
    key: "home",
    act: async (element, block, payload) => {
      const answer = await post("action", { view_id: view.id, block_id: block, action_id: element.action_id, type: element.type, ...payload });
      if (!answer.ok) toast(answer.error, "error");
    },
  };
  const content = view?.blocks?.length ? renderBlocks(view.blocks, surface) : h("p", { class: "quiet" }, state.connected ? `${state.app.name} has not published a Home tab yet.` : "The bot is not connected.");
  fill(node, h("div", { class: "home" }, content));
  if (focus) node.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
}
