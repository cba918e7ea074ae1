// Native <dialog> as confirm question; the browser keeps focus inside and gives Escape.

import { h } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";
import { plainNodes } from "./text.js";

let serial = 0;

/** Ask; resolves true or false. `question`: Slack's confirm object (title, text, confirm, deny, style). */
export function ask(question) {
  const id = `ask-${(serial += 1)}`;
  return new Promise((resolve) => {
    let answer = false;
    const done = (value) => () => { answer = value; dialog.close(); };
    const text = question.text?.type === "mrkdwn" ? mrkdwn(question.text.text) : plainNodes(question.text);
    const dialog = h("dialog", { class: "dialog small", role: "dialog", "aria-modal": "true", "aria-labelledby": id },
      h("h2", { id }, plainNodes(question.title ?? "Are you sure?")),
      h("div", { class: "dialog-body" }, text),
      h("div", { class: "dialog-foot" },
        h("button", { type: "button", class: "button", on: { click: done(false) } }, plainNodes(question.deny ?? "Cancel")),
        h("button", { type: "button", class: `button ${question.style === "danger" ? "danger" : "primary"}`, autofocus: true,
          on: { click: done(true) } }, plainNodes(question.confirm ?? "Yes"))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
