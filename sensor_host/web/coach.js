// The coach's view: every runner of the broker on a card, and a cue for each.
import { command, connect, settings } from "./broker.js";
import { Drops, WORDS, show } from "./figures.js";

const FIGURES = [
  ["Cadence", "cadence", "spm"],
  ["Contact", "contact", "ms"],
  ["Drop L / R", "drops", "deg"],
  ["Sway", "sway", "mm"],
];

export function coach() {
  const cards = new Map();
  document.body.classList.add("coach");
  for (const id of ["run", "clock", "start"]) document.getElementById(id).hidden = true;
  document.getElementById("coach").hidden = false;
  document.getElementById("runner").textContent = "Coach";
  const state = document.getElementById("state");
  const dialog = document.getElementById("say");
  let chosen = null;

  const levels = ["state", "step", "metrics", "cue", "activity", "resp"];
  const client = connect(levels.map((level) => `+/${level}`), hear, (connected) => {
    state.textContent = connected ? "Connected" : "No connection: trying again";
    state.dataset.state = connected ? "online" : "waiting";
  });

  function hear(runner, level, _payload, body) {
    if (!cards.has(runner)) cards.set(runner, card(runner));
    document.getElementById("nobody").hidden = true;
    cards.get(runner)[level]?.(body);
  }

  function card(runner) {
    const made = (name, parent, text = "", more = {}) =>
      parent.appendChild(Object.assign(document.createElement(name), { textContent: text, ...more }));
    const list = document.getElementById("runners");
    const item = made("li", list, "", { className: "card" });
    item.dataset.runner = runner;
    // by name, whoever was heard first
    list.insertBefore(item, [...list.children].find((other) => other.dataset.runner > runner) ?? null);
    made("h2", item, runner);
    const how = made("p", item, "Waiting", { className: "how" });
    const figures = made("dl", item);
    const shown = {};
    for (const [title, key, unit] of FIGURES) {
      const pair = made("div", figures);
      made("dt", pair, title);
      const place = made("dd", pair);
      shown[key] = made("b", place, "–");
      made("small", place, ` ${unit}`);
    }
    const last = made("p", item, "No cue yet", { className: "last" });
    if (Object.keys(settings.phrases).length) {
      made("button", item, "Send a cue", { type: "button" }).addEventListener("click", () => {
        chosen = { runner, last };
        document.getElementById("say-to").textContent = `Say to ${runner}`;
        dialog.showModal();
      });
    }

    const drops = new Drops();
    let online = null;
    let activity = "";
    const tell = () => {
      const away = online?.state === "lost" ? "The host is gone" : "Not running";
      how.textContent = online?.state === "online" ? (WORDS[activity] ?? "Connected") : away;
      how.dataset.state = online?.state === "online" ? "online" : "waiting";
    };
    return {
      state: (body) => ((online = body), tell()),
      activity: (body) => ((activity = body.state), tell()),
      step: (body) => {
        drops.add(body);
        shown.drops.textContent = `${show(drops.mean("left"), 1, 1)} / ${show(drops.mean("right"), 1, 1)}`;
      },
      metrics: (body) => {
        shown.cadence.textContent = show(body.cadence_spm);
        shown.contact.textContent = show(body.contact_time_s, 1000);
        shown.sway.textContent = show(body.pelvis_sway_m, 1000);
      },
      cue: (body) => (last.textContent = `Heard: ${body.words}`),
    };
  }

  for (const [id, words] of Object.entries(settings.phrases)) {
    const item = document.getElementById("phrases").appendChild(document.createElement("li"));
    const button = item.appendChild(Object.assign(document.createElement("button"), { type: "button", textContent: words }));
    button.addEventListener("click", async () => {
      dialog.close();
      const { runner, last } = chosen;
      document.getElementById("answer").textContent = `Sending to ${runner}: ${words}`;
      const answer = await command(client, runner, "say", { value: id });
      const text = answer.ok ? `Sent to ${runner}: ${words}` : `${runner} did not get it: ${answer.error}`;
      document.getElementById("answer").textContent = text;
      if (!answer.ok) last.textContent = text;
    });
  }
  document.getElementById("say-nothing").addEventListener("click", () => dialog.close());
}
