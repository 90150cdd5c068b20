// The coach's view: every runner of the broker on a card, and a cue for each.
import { command, connect, isRunner, settings, text } from "./broker.js";
import { Drops, doing, show } from "./figures.js";

const FIGURES = [
  ["cadence", ""],
  ["contact", "ms"],
  ["drop", "°"],
  ["sway", "mm"],
];

export function coach() {
  const cards = new Map();
  document.body.classList.add("coach");
  for (const id of ["run", "clock", "start", "show-ear"]) document.getElementById(id).hidden = true;
  document.getElementById("coach").hidden = false;
  document.getElementById("runner").textContent = text("coach");
  const state = document.getElementById("state");
  const dialog = document.getElementById("say");
  let chosen = null;

  const levels = ["state", "step", "metrics", "cue", "activity", "resp"];
  const client = connect(levels.map((level) => `+/${level}`), hear, (connected) => {
    state.textContent = text(connected ? "connected" : "no_connection");
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
    const who = made("div", item, "", { className: "who" });
    made("h2", who, runner);
    const how = made("p", who, text("connecting"), { className: "how" });
    const figures = made("dl", item);
    const shown = {};
    for (const [name, unit] of FIGURES) {
      const pair = made("div", figures);
      made("small", made("dt", pair, `${text(name)} `), unit);
      shown[name] = made("dd", pair, "–");
    }
    const last = made("p", item, text("no_cue"), { className: "last" });
    const does = made("div", item, "", { className: "does", hidden: !isRunner(runner) });
    const mute = made("button", does, text("mute"), { type: "button" });
    mute.addEventListener("click", async () => {
      const answer = await command(client, runner, online?.muted ? "unmute" : "mute");
      if (!answer.ok) last.textContent = text("failed_because", answer);
    });
    if (Object.keys(settings.phrases).length) {
      made("button", does, text("send"), { type: "button" }).addEventListener("click", () => {
        chosen = { runner, last };
        document.getElementById("say-to").textContent = text("say_to", { runner });
        dialog.showModal();
      });
    }

    const drops = new Drops();
    let online = null;
    let activity = "";
    const tell = () => {
      const here = online?.state === "online";
      how.textContent = here ? doing(activity, "connected") : text(online?.state === "lost" ? "gone" : "not_running");
      how.dataset.state = here ? "online" : "waiting";
      mute.textContent = text(online?.muted ? "unmute" : "mute");
      mute.dataset.muted = online?.muted ? "yes" : "no";
      item.dataset.fresh = here && activity === "running" ? "yes" : "no";
    };
    return {
      state: (body) => ((online = body), tell()),
      activity: (body) => ((activity = body.state), tell()),
      step: (body) => {
        drops.add(body);
        shown.drop.textContent = `${show(drops.mean("left"), 1, 1)} / ${show(drops.mean("right"), 1, 1)}`;
      },
      metrics: (body) => {
        shown.cadence.textContent = show(body.cadence_spm);
        shown.contact.textContent = show(body.contact_time_s, 1000);
        shown.sway.textContent = show(body.pelvis_sway_m, 1000);
      },
      cue: (body) => body.kind !== "metronome" && (last.textContent = text("heard", { words: body.words })),
    };
  }

  for (const [id, words] of Object.entries(settings.phrases)) {
    const item = document.getElementById("phrases").appendChild(document.createElement("li"));
    const button = item.appendChild(Object.assign(document.createElement("button"), { type: "button", textContent: words }));
    button.addEventListener("click", async () => {
      dialog.close();
      const { runner, last } = chosen;
      document.getElementById("answer").textContent = text("sending", { runner, words });
      const answer = await command(client, runner, "say", { value: id });
      const told = answer.ok ? text("sent", { runner, words }) : text("not_sent", { runner, error: answer.error });
      document.getElementById("answer").textContent = told;
      if (!answer.ok) last.textContent = told;
    });
  }
  document.getElementById("say-nothing").addEventListener("click", () => dialog.close());
}
