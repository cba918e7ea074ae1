// Times as people read them. Slack's ts is seconds since the epoch, a dot, and a counter.

import { h } from "./dom.js";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const moment = (ts) => new Date(Number(ts) * 1000);
export const clockTime = (ts) => clock.format(moment(ts));
export const dayKey = (ts) => moment(ts).toDateString();

export function dayName(ts) {
  const day = moment(ts);
  const daysBack = Math.round((startOfDay(new Date()) - startOfDay(day)) / 86_400_000);
  if (daysBack === 0) return "Today";
  if (daysBack === 1) return "Yesterday";
  return long.format(day);
}

function startOfDay(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate());
}

export function ago(ts, now = Date.now()) {
  const seconds = Number(ts) - now / 1000;
  for (const [unit, size] of [["day", 86_400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

/** A <time>; its tooltip, "12 minutes ago, Sunday …", is written when it is pointed at (see watchTimes). */
export function timeElement(ts, text = clockTime(ts)) {
  return h("time", { datetime: moment(ts).toISOString(), data: { ts } }, text);
}

/** Keep the tooltips of all <time> elements under `root` true. */
export function watchTimes(root) {
  const refresh = (event) => {
    const node = event.target.closest?.("time[data-ts]") ?? event.target.querySelector?.(":scope > time[data-ts]");
    if (node) node.title = `${ago(node.dataset.ts)}, ${full.format(moment(node.dataset.ts))}`;
  };
  root.addEventListener("pointerover", refresh);
  root.addEventListener("focusin", refresh);
}

// docs.slack.dev, "Formatting dates": <!date^epoch^tokens^optional link|fallback>
export function slackDate(head, fallback) {
  const [, epoch, format] = head.split("^");
  if (!/^\d{1,11}$/.test(epoch ?? "")) return h("span", {}, fallback ?? "");
  return timeElement(epoch, dateTokens(epoch, format ?? "{date} {time}"));
}

export function dateTokens(epoch, format) {
  const date = moment(epoch);
  const pretty = (text) => (["Today", "Yesterday"].includes(dayName(epoch)) ? dayName(epoch).toLowerCase() : text);
  const values = {
    date_num: () => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    date: () => long.format(date), date_long: () => long.format(date), date_short: () => short.format(date),
    date_pretty: () => pretty(long.format(date)), date_long_pretty: () => pretty(long.format(date)),
    date_short_pretty: () => pretty(short.format(date)), time: () => clock.format(date),
    time_secs: () => clockSeconds.format(date), ago: () => ago(epoch),
  };
  return format.replace(/\{(\w+)\}/g, (token, name) => values[name]?.() ?? token);
}

const two = (number) => String(number).padStart(2, "0");
