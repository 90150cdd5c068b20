// The way to the host: MQTT over the WebSocket beside this page, with the link's token as the password.
import mqtt from "./vendor/mqtt.esm.js";

export const settings = await (await fetch("settings.json", { cache: "no-store" })).json();

/** A text of the page in the runner's language; `{name}` stands for the value of that name. */
export const text = (name, values = {}) => settings.texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);

/** Whether the host could have given a runner this name: another one cannot be sent commands. */
export const isRunner = (name) => /^[a-z0-9][a-z0-9-]*$/.test(name);

const token = location.pathname.split("/")[1];
// 1.5 s: a broker on another continent answers within one
const WAKE_MS = 1500;
const waiting = new Map();
let count = 0;

/** Connect and stay connected. `hear(runner, level, payload, body, old)` gets every message, `turn(connected)` every change. */
export function connect(levels, hear, turn) {
  const topics = levels.map((level) => `${settings.root}/${level}`);
  const client = mqtt.connect(new URL("mqtt", location.href).href.replace(/^http/, "ws"), {
    protocolVersion: 4,
    username: "page",
    password: token,
    keepalive: 5, // a link that is silently gone is noticed within eight seconds
    reconnectPeriod: 1000,
    connectTimeout: 5000,
    queueQoSZero: false,
    resubscribe: false, // done here, at every connection
  });
  client.on("connect", () => {
    client.subscribe(topics);
    turn(true);
  });
  client.on("close", () => turn(false));
  client.on("error", () => turn(false));
  client.on("message", (topic, payload, packet) => {
    const [runner, level] = topic.slice(settings.root.length + 1).split("/");
    const body = level === "samples" ? null : read(payload);
    if (level === "resp") waiting.get(body?.id)?.(body);
    else if (body || level === "samples") hear(runner, level, payload, body, packet.retain);
  });

  // What slept in a pocket wakes up at once, not at the next attempt. A socket may have died meanwhile and not know it:
  // whatever the broker answers proves that it lives, and what is retained comes anew.
  function wake() {
    if (document.hidden) return;
    if (!client.connected) {
      client.reconnect();
      return;
    }
    const dead = setTimeout(() => client.stream.destroy(), WAKE_MS);
    client.once("packetreceive", () => clearTimeout(dead));
    client.subscribe(topics);
  }
  document.addEventListener("visibilitychange", wake);
  addEventListener("pageshow", (event) => event.persisted && wake());
  addEventListener("online", wake);
  return client;
}

/** The object a message is; null for what another program of the broker says in another way. */
function read(payload) {
  try {
    const body = JSON.parse(new TextDecoder().decode(payload));
    return typeof body === "object" ? body : null;
  } catch {
    return null;
  }
}

/** Send a command; resolves with its answer, or with one that says why there is none. */
export function command(client, runner, name, more = {}) {
  const id = `page-${Math.random().toString(36).slice(2)}-${++count}`;
  if (!client.connected) return Promise.resolve({ id, name, ok: false, error: text("offline") });
  return new Promise((resolve) => {
    const late = setTimeout(() => settle({ id, name, ok: false, error: text("no_answer") }), 5000);
    const settle = (answer) => {
      clearTimeout(late);
      waiting.delete(id);
      resolve(answer);
    };
    waiting.set(id, settle);
    client.publish(`${settings.root}/${runner}/cmd`, JSON.stringify({ id, name, ...more }), { qos: 1 });
  });
}
