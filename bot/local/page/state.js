// What the page knows. Frames from the server go in through `receive`; views listen with `on`.
// No DOM here.

const listeners = new Map();

export const state = {
  team: { id: "", name: "" }, me: "", users: new Map(), channels: new Map(),
  messages: new Map(),     // channel -> Map(ts -> message)
  ephemerals: new Map(),   // ephemeral id -> {channel, thread_ts, message}
  app: { name: "", bot_user: "", commands: [], shortcuts: [] },
  suggestions: [], home: null, connected: true, online: false, ready: false,
  views: [],               // modals, the newest last
  viewErrors: new Map(),   // view id -> {block_id: text}
  route: { channel: null, tab: "messages", thread: null },
  seen: new Map(),         // channel -> newest ts that was on screen
};

/** UI facts that outlive a re-rendered message: open containers, table pages, busy buttons. */
export const memory = new Map();

export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic).add(listener);
}

export function emit(topic, detail) {
  for (const listener of listeners.get(topic) ?? []) listener(detail);
}

export const names = {
  user: (id) => {
    const user = state.users.get(id);
    return user ? user.real_name || user.name : null;
  },
  channel: (id) => state.channels.get(id)?.name ?? null,
  isMe: (id) => id === state.me,
};

const receivers = {
  snapshot(frame) {
    state.team = frame.team ?? state.team;
    state.me = frame.me;
    state.users = byId(frame.users);
    state.channels = byId(frame.channels);
    state.messages = new Map(Object.entries(frame.messages ?? {}).map(
      ([channel, list]) => [channel, new Map(list.map((message) => [message.ts, message]))]));
    state.app = { commands: [], shortcuts: [], ...frame.app };
    state.suggestions = frame.suggestions ?? [];
    state.home = frame.home ?? null;
    state.connected = frame.connected !== false;
    state.ready = true;
    // Open modals follow the snapshot, each as a view frame; what does not follow is closed.
    state.views = [];
    state.viewErrors.clear();
    setTimeout(() => emit("views"), 250);
    loadSeen();
    emit("snapshot");
  },
  message(frame) {
    log(frame.channel).set(frame.message.ts, frame.message);
    emit("messages", frame.channel);
    emit("arrived", frame);
  },
  message_changed(frame) {
    log(frame.channel).set(frame.message.ts, frame.message);
    emit("messages", frame.channel);
  },
  message_deleted(frame) {
    log(frame.channel).delete(frame.ts);
    emit("messages", frame.channel);
  },
  ephemeral(frame) {
    const id = frame.message.ephemeral_id ?? `${frame.channel}:${frame.message.ts}`;
    state.ephemerals.set(id, { channel: frame.channel, thread_ts: frame.thread_ts ?? null,
      message: { ...frame.message, ephemeral_id: id } });
    emit("messages", frame.channel);
    emit("arrived", frame);
  },
  ephemeral_replaced(frame) {
    const old = state.ephemerals.get(frame.id);
    if (!old) return;
    state.ephemerals.set(frame.id, { ...old, message: { ...old.message, ...frame.message, ts: old.message.ts, ephemeral_id: frame.id } });
    emit("messages", old.channel);
  },
  ephemeral_deleted(frame) {
    const old = state.ephemerals.get(frame.id);
    state.ephemerals.delete(frame.id);
    if (old) emit("messages", old.channel);
  },
  view(frame) {
    const at = state.views.findIndex((view) => view.id === frame.view.id);
    if (at >= 0) state.views[at] = frame.view;
    else state.views.push(frame.view);
    if (frame.view.errors) state.viewErrors.set(frame.view.id, frame.view.errors);
    else state.viewErrors.delete(frame.view.id);
    emit("views");
  },
  view_closed(frame) {
    state.views = state.views.filter((view) => view.id !== frame.id);
    state.viewErrors.delete(frame.id);
    emit("views");
  },
  view_errors(frame) {
    state.viewErrors.set(frame.id, frame.errors);
    emit("views");
  },
  home(frame) {
    state.home = frame.view;
    emit("home");
  },
  status(frame) {
    state.connected = frame.connected;
    emit("status");
  },
  notice(frame) {
    emit("notice", { text: frame.text, level: frame.level ?? "info" });
  },
};

/** Take one frame of the server; frames of a newer server that mean nothing here are ignored. */
export const receive = (frame) => receivers[frame.type]?.(frame);

const byId = (list) => new Map((list ?? []).map((item) => [item.id, item]));

function log(channel) {
  if (!state.messages.has(channel)) state.messages.set(channel, new Map());
  return state.messages.get(channel);
}

const byTime = (a, b) => Number(a.ts) - Number(b.ts) || (a.ts < b.ts ? -1 : 1);
const isReply = (message) => Boolean(message.thread_ts) && message.thread_ts !== message.ts;

/** What the channel itself shows: roots, broadcast replies, and ephemerals outside threads. Oldest first. */
export function channelMessages(channel) {
  const stored = [...(state.messages.get(channel)?.values() ?? [])]
    .filter((message) => !isReply(message) || message.subtype === "thread_broadcast");
  const passing = [...state.ephemerals.values()]
    .filter((item) => item.channel === channel && !item.thread_ts).map((item) => item.message);
  return [...stored, ...passing].sort(byTime);
}

/** Replies under `root`, with the ephemerals of that thread. Oldest first. */
export function threadMessages(channel, root) {
  const stored = replies(channel, root);
  const passing = [...state.ephemerals.values()]
    .filter((item) => item.channel === channel && item.thread_ts === root).map((item) => item.message);
  return [...stored, ...passing].sort(byTime);
}

export function replies(channel, root) {
  return [...(state.messages.get(channel)?.values() ?? [])]
    .filter((message) => message.thread_ts === root && message.ts !== root);
}

/** channel -> root -> its replies, counted in one pass (a channel is rendered often). */
export function repliesByRoot(channel) {
  const roots = new Map();
  for (const message of state.messages.get(channel)?.values() ?? []) {
    if (!isReply(message)) continue;
    if (!roots.has(message.thread_ts)) roots.set(message.thread_ts, []);
    roots.get(message.thread_ts).push(message);
  }
  return roots;
}

export const messageOf = (channel, ts) => state.messages.get(channel)?.get(ts) ?? null;
export const appChannel = () => [...state.channels.values()].find(isAppChannel) ?? null;

export function isAppChannel(channel) {
  if (!channel.is_im) return false;
  return !channel.user || channel.user === state.app.bot_user;
}

export function channelTitle(channel) {
  if (!channel) return "";
  if (!channel.is_im) return channel.name;
  return names.user(channel.user) ?? names.user(channel.name) ?? channel.name;
}

// Unread: messages of others, newer than what was last on screen in that channel.
export function unread(channel) {
  const seen = Number(state.seen.get(channel) ?? 0);
  return channelMessages(channel).filter((message) => message.user !== state.me && Number(message.ts) > seen).length;
}

export function markSeen(channel) {
  const newest = channelMessages(channel).at(-1)?.ts;
  if (!newest || Number(newest) <= Number(state.seen.get(channel) ?? 0)) return;
  state.seen.set(channel, newest);
  remember(seenKey(), Object.fromEntries(state.seen));
  emit("unread");
}

const seenKey = () => `seen:${state.team.id}:${state.me}`;

function loadSeen() {
  const stored = recall(seenKey(), null);
  state.seen = new Map(Object.entries(stored ?? {}));
  if (stored) return;
  for (const id of state.channels.keys()) state.seen.set(id, channelMessages(id).at(-1)?.ts ?? "0");
}

/** localStorage as JSON; where storage is refused the page forgets, and works. */
export function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // nothing to do: see above
  }
}

export function recall(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}
