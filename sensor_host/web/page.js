// The page: one runner's run, or with ?coach all runners of the broker.
import { command, connect, settings } from "./broker.js";
import { coach } from "./coach.js";
import { Drops, Lateness, WORDS, obliquity_deg, show } from "./figures.js";
import { start, tell } from "./sound.js";

const wanted = new URLSearchParams(location.search);
const element = (id) => document.getElementById(id);

// ---------------------------------------------------------------- the two themes

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  element("theme").setAttribute("aria-pressed", String(theme === "sun"));
  document.querySelector('meta[name="theme-color"]').content = theme === "sun" ? "#ffffff" : "#0a0d12";
}

element("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "sun" ? "dark" : "sun";
  localStorage.setItem("theme", theme);
  paint(theme);
});
paint(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: light)").matches ? "sun" : "dark"));

// ---------------------------------------------------------------- one runner

function run(runner) {
  const drops = new Drops();
  const lateness = new Lateness();
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const feet = { left: element("foot-left"), right: element("foot-right") };
  let session = null;
  let connected = false;
  let activity = "";
  let heard_ms = -Infinity;
  let silence = 0;
  let tilt_deg = 0;
  let painted_deg = NaN;

  element("runner").textContent = runner;
  const levels = ["state", "contact", "step", "metrics", "cue", "activity", "samples", "resp"];
  const client = connect(levels.map((level) => `${runner}/${level}`), hear, (now) => {
    connected = now;
    if (now) lease();
    say();
  });

  function hear(_runner, level, payload, body) {
    if (level !== "state") heard_ms = performance.now();
    if (level === "samples") {
      const deg = obliquity_deg(payload);
      if (Number.isFinite(deg)) tilt_deg = deg;
    } else if (level === "contact") touch(body);
    else if (level === "step") step(body);
    else if (level === "metrics") metrics(body);
    else if (level === "cue") cue(body);
    else if (level === "activity") activity = body.state;
    else if (level === "state") session = body;
    if (level === "state" || level === "activity") say();
  }

  function say() {
    const online = connected && session?.state === "online";
    let text = "No connection: trying again";
    if (connected && !session) text = "Waiting for a run";
    else if (connected && session.state === "offline") text = "The run has ended";
    else if (connected && session.state === "lost") text = "The host is gone";
    else if (online) {
      const kind = { replay: "Replay: ", simulated: "Simulated: " }[session.mode] ?? "";
      text = performance.now() - heard_ms > 4000 ? `${kind}no data` : kind + (WORDS[activity] ?? "Live");
    }
    const state = element("state");
    if (state.textContent !== text) state.textContent = text;
    state.dataset.state = online ? "online" : "waiting";
    element("run").dataset.fresh = online && activity === "running" ? "yes" : "no";
  }

  function touch(body) {
    if (body.event !== "provisional") return;
    for (const [side, foot] of Object.entries(feet)) foot.dataset.down = side === body.side ? "yes" : "no";
  }

  function step(body) {
    drops.add(body);
    lateness.note(body.reported_at_s);
    element("drop-left").textContent = show(drops.mean("left"), 1, 1);
    element("drop-right").textContent = show(drops.mean("right"), 1, 1);
    if (body.side in feet) feet[body.side].dataset.down = "no";
  }

  function metrics(body) {
    element("cadence").textContent = show(body.cadence_spm);
    element("contact").textContent = show(body.contact_time_s, 1000);
    element("sway").textContent = show(body.pelvis_sway_m, 1000);
    element("oscillation").textContent = show(body.vertical_oscillation_m, 1000);
    const seconds = Math.max(0, Math.floor(body.t_s));
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (value) => String(value).padStart(2, "0");
    element("clock").textContent = h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
    const side = tilt_deg > 0 ? "right" : "left";
    element("level").textContent =
      Math.abs(tilt_deg) < 0.5 ? "The belt is level" : `The ${side} side is up by ${Math.abs(tilt_deg).toFixed(0)} degrees`;
    // who wants no motion sees the belt once a second
    if (calm.matches) draw();
  }

  function cue(body) {
    // a replay may run at any speed: its times say nothing about how late a message is
    if (session?.mode === "live" && lateness.of(body.decided_at_s) > body.expires_s) return;
    tell(body.kind === "chime" ? "" : body.words, body.side);
    element("words").textContent = body.words;
    element("cue").dataset.on = "yes";
    element("cue").dataset.side = body.side;
    fit();
    clearTimeout(silence);
    // 8 s: twenty steps, long enough for a second look
    silence = setTimeout(() => {
      element("words").textContent = "";
      element("cue").dataset.on = "no";
    }, 8000);
  }

  /** Make the words as large as their box allows. */
  function fit() {
    const words = element("words");
    const box = element("cue");
    words.style.fontSize = "";
    for (let size = parseFloat(getComputedStyle(words).fontSize); size > 14; size -= 2) {
      if (words.scrollHeight <= box.clientHeight && words.scrollWidth <= box.clientWidth) break;
      words.style.fontSize = `${size - 2}px`;
    }
  }
  addEventListener("resize", fit);

  // -------------------------------------------------------------- the belt

  function draw() {
    if (tilt_deg === painted_deg) return;
    painted_deg = tilt_deg;
    // fourfold, and no steeper than the box; seen from behind the right side is right, and up is a turn to the left
    const shown = Math.max(-14, Math.min(14, 4 * tilt_deg));
    element("tilt").setAttribute("transform", `rotate(${(-shown).toFixed(1)} 170 58)`);
  }

  function frame() {
    if (!calm.matches) draw();
    requestAnimationFrame(frame);
  }
  requestAnimationFrame(frame);

  function lease() {
    if (!document.hidden) command(client, runner, "samples", { lease_s: 60 });
  }
  setInterval(lease, 45_000);
  setInterval(say, 1000);
  document.addEventListener("visibilitychange", lease);

  // -------------------------------------------------------------- for the thumb

  element("start").addEventListener("click", () => {
    start();
    element("start").hidden = true;
    element("mute").hidden = element("mark").hidden = false;
    element("mute").focus();
  });
  element("mute").addEventListener("click", async () => {
    const muted = element("mute").getAttribute("aria-pressed") === "true";
    const answer = await command(client, runner, muted ? "unmute" : "mute");
    if (answer.ok) element("mute").setAttribute("aria-pressed", String(!muted));
    reply(element("mute"), answer, muted ? "Coach speaks" : "Muted", muted ? "Mute coach" : "Unmute");
  });
  element("mark").addEventListener("click", async () => {
    const answer = await command(client, runner, "mark", { kind: "lap", text: "page" });
    reply(element("mark"), answer, "Marked", "Mark");
  });
}

/** Show on the button itself what became of it, and say it. */
function reply(button, answer, done, name) {
  const before = answer.ok ? name : button.textContent;
  button.textContent = answer.ok ? done : "Failed";
  element("answer").textContent = answer.ok ? done : `Failed: ${answer.error}`;
  setTimeout(() => (button.textContent = before), 1500);
}

if (wanted.has("coach")) coach();
else run(wanted.get("runner") || settings.runner);

