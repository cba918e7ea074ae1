// The connection to the server: one websocket in, POSTs out.

import { emit, receive, state } from "./state.js";

const PATIENCE_MS = 20_000;
let waits = 0;
let timer = null;
let socket = null;

/** Connect, and stay connected: after a loss again in 0.5 s, 1 s, … 8 s; each connection begins with a snapshot. */
export function connect() {
  clearTimeout(timer);
  const address = new URL("/client/ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const user = new URLSearchParams(location.search).get("user");
  if (user) address.searchParams.set("user", user);
  socket = new WebSocket(address);
  socket.addEventListener("message", (event) => {
    const frame = JSON.parse(event.data);
    if (frame.type === "snapshot") {
      waits = 0;
      state.online = true;
      emit("status");
    }
    receive(frame);
  });
  socket.addEventListener("close", () => {
    state.online = false;
    emit("status");
    const delay = Math.min(8000, 500 * 2 ** waits) * (0.8 + Math.random() * 0.4);
    waits += 1;
    timer = setTimeout(connect, delay);
  });
}

export function reconnectNow() {
  if (socket?.readyState === WebSocket.OPEN || socket?.readyState === WebSocket.CONNECTING) return;
  waits = 0;
  connect();
}

/** POST /client/<verb>. Always an answer {ok, …}; a lost server is {ok: false, error}. */
export function post(verb, body) {
  return request(verb, { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user: state.me, ...body }) });
}

/** Upload one file; `fields` as the protocol names them (channel, thread_ts, comment). */
export function upload(file, fields) {
  const form = new FormData();
  form.set("user", state.me);
  for (const [name, value] of Object.entries(fields)) if (value) form.set(name, value);
  form.set("file", file, file.name);
  return request("upload", { body: form });
}

async function request(verb, options) {
  try {
    const answer = await fetch(`/client/${verb}`, { method: "POST", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
    const body = await answer.json();
    return body.ok ? body : { ...body, ok: false, error: body.error || `The workspace answered with status ${answer.status}.` };
  } catch (error) {
    const late = error.name === "TimeoutError";
    return { ok: false, error: late ? "The workspace did not answer within 20 seconds." : "The workspace cannot be reached. Is it still running?" };
  }
}
