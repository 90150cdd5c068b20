// The way to the host: MQTT over the WebSocket beside this page, with the link's token as the password.
import mqtt from "./vendor/mqtt.esm.js";

export const settings = await (await fetch("settings.json", { cache: "no-store" })).json();

const token = location.pathname.split("/")[1];
const waiting = new Map();
let count = 0;

/** Connect and stay connected. `hear(runner, level, payload, body)` gets every message; `turn(connected)` every change. */
export function connect(levels, hear, turn) {
  const client = mqtt.connect(new URL("mqtt", location.href).href.replace(/^http/, "ws"), {
    protocolVersion: 4,
    username: "page",
    password: token,
    keepalive: 5, // a link that is silently gone is noticed within eight seconds
    reconnectPeriod: 1000,
    connectTimeout: 5000,
    queueQoSZero: false,
  });
  client.on("connect", () => {
    client.subscribe(levels.map((level) => `${settings.root}/${level}`));
    turn(true);
  });
  client.on("close", () => turn(false));
  client.on("error", () => turn(false));
  client.on("message", (topic, payload) => {
    const [runner, level] = topic.slice(settings.root.length + 1).split("/");
    const body = level === "samples" ? null : JSON.parse(new TextDecoder().decode(payload));
    if (level === "resp") {
      waiting.get(body.id)?.(body);
      return;
    }
    hear(runner, level, payload, body);
  });
  // what slept in a pocket wakes up at once, not at the next attempt
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !client.connected) client.reconnect();
  });
  return client;
}

/** Send a command; resolves with its answer, or with one that says why there is none. */
export function command(client, runner, name, more = {}) {
  const id = `page-${Math.random().toString(36).slice(2)}-${++count}`;
  if (!client.connected) return Promise.resolve({ id, name, ok: false, error: "no connection" });
  return new Promise((resolve) => {
    const late = setTimeout(() => settle({ id, name, ok: false, error: "no answer" }), 5000);
    const settle = (answer) => {
      clearTimeout(late);
      waiting.delete(id);
      resolve(answer);
    };
    waiting.set(id, settle);
    client.publish(`${settings.root}/${runner}/cmd`, JSON.stringify({ id, name, ...more }), { qos: 1 });
  });
}
