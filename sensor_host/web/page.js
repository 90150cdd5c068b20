// The page: one runner's run, or with ?coach all runners of the broker.
import { command, connect, isRunner, settings, text } from "./broker.js";
import { coach } from "./coach.js";
import { Drops, Lateness, doing, obliquity_deg, show } from "./figures.js";
import { ear } from "./ear.js";
import { hush, lasting, start, step as paced, tell, touchDown } from "./sound.js";

// 0.2 s: later than this a tick belongs to no step any more
const TICK_EXPIRES_S = 0.2;

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
  let drops = new Drops();
  let lateness = new Lateness();
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const feet = { left: element("foot-left"), right: element("foot-right") };
  let session = null;
  let connected = false;
  let activity = "";
  let heard_ms = -Infinity;
  let silence = 0;
  let muted = false;
  let tilt_deg = 0;
  let painted_deg = NaN;

  const lateTo = ear(ask);
  element("runner").textContent = runner;
  if (!isRunner(runner)) {
    element("state").textContent = text("unknown_runner");
    return;
  }
  const levels = ["state", "contact", "step", "metrics", "cue", "activity", "samples", "link", "obeyed", "resp"];
  const client = connect(levels.map((level) => `${runner}/${level}`), hear, (now) => {
    connected = now;
    if (now) lease();
    say();
  });

  function hear(_runner, level, payload, body, old) {
    // what the broker kept may be of a run long gone: it is shown, and does not count as news
    if (level !== "state" && !old) heard_ms = performance.now();
    if (level === "samples") {
      const deg = obliquity_deg(payload);
      if (Number.isFinite(deg)) tilt_deg = deg;
    } else if (level === "contact") touch(body);
    else if (level === "step") step(body);
    else if (level === "metrics") metrics(body);
    else if (level === "cue") cue(body);
    else if (level === "activity") activity = body.state;
    else if (level === "link") lateTo.link(body);
    else if (level === "obeyed" && body.name === "metronome") lasting(Number(body.value) || 0);
    else if (level === "state") state(body);
    if (level === "state" || level === "activity") say();
  }

  function state(body) {
    if (body.state === "online" && body.session_id !== session?.session_id) {
      // a new session counts its time anew: what the last one's messages told of lateness is of no use
      lateness = new Lateness();
      drops = new Drops();
    }
    session = body;
    mute(body.muted === true);
  }

  function say() {
    const online = connected && session?.state === "online";
    // 4 s: figures come every second
    const news = performance.now() - heard_ms < 4000;
    let told = text("no_connection");
    if (connected && !session) told = text("waiting");
    else if (connected && session.state === "offline") told = text("ended");
    else if (connected && session.state === "lost") told = text("gone");
    else if (online) {
      told = news ? doing(activity, "live") : text("no_data");
      if (["replay", "simulated"].includes(session.mode)) told = text(session.mode, { state: told });
    }
    const state = element("state");
    if (state.textContent !== told) state.textContent = told;
    state.dataset.state = online ? "online" : "waiting";
    element("run").dataset.fresh = online && news && activity === "running" ? "yes" : "no";
  }

  function touch(body) {
    if (body.event !== "provisional") return;
    if (!(late_s(body) > TICK_EXPIRES_S)) touchDown(body.side, performance.now());
    for (const [side, foot] of Object.entries(feet)) foot.dataset.down = side === body.side ? "yes" : "no";
  }

  /** How late a message is. A replay may run at any speed: its times say nothing about that. */
  function late_s(body) {
    return session?.mode === "replay" ? 0 : lateness.of(body.decided_at_s);
  }

  function step(body) {
    drops.add(body);
    lateness.note(body.reported_at_s);
    paced(body.initial_contact_s);
    const shown = ["left", "right"].map((side) => (element(`drop-${side}`).textContent = show(drops.mean(side), 1, 1)));
    element("drops").dataset.wide = shown.some((one) => one.length > 3) ? "yes" : "no";
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
    const up = tilt_deg > 0 ? "up_right" : "up_left";
    const degrees = Math.abs(tilt_deg).toFixed(0);
    element("level").textContent = degrees === "0" ? text("level") : text(up, { degrees });
    say();
    // who wants no motion sees the belt once a second
    if (calm.matches) draw();
  }

  function cue(body) {
    if (late_s(body) > body.expires_s) return;
    tell(body);
    // the beat speaks for itself: its words stand where no others do
    if (body.kind === "metronome" && (element("cue").dataset.on === "yes" || !(body.parameters?.seconds > 0))) return;
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
    for (let size = 0.8 * box.clientHeight; size > 14; size *= 0.94) {
      words.style.fontSize = `${size}px`;
      if (words.offsetHeight <= box.clientHeight && words.scrollWidth <= words.clientWidth) break;
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

  async function ask() {
    return (await command(client, runner, "samples", { lease_s: 60 })).ok;
  }
  function lease() {
    if (!document.hidden) lateTo.measure();
  }
  setInterval(lease, 45_000);
  setInterval(say, 1000);
  document.addEventListener("visibilitychange", lease);

  // -------------------------------------------------------------- for the thumb

  element("start").addEventListener("click", () => {
    start(turn);
    turn(true);
    element("mute").focus();
  });

  /** Show the buttons of a page that sounds; one whose sound was taken away (a call, a locked screen) wants a tap anew. */
  function turn(sounds) {
    element("start").hidden = sounds;
    element("mute").hidden = element("mark").hidden = !sounds;
  }

  element("mute").addEventListener("click", async () => {
    // the host's own word on it may come before its answer
    const wanted = !muted;
    const answer = await command(client, runner, wanted ? "mute" : "unmute");
    if (answer.ok) mute(wanted);
    reply(element("mute"), answer, wanted ? "muted" : "speaks");
  });
  element("mark").addEventListener("click", async () => {
    const answer = await command(client, runner, "mark", { kind: "lap", text: "page" });
    reply(element("mark"), answer, "marked");
  });

  /** Whoever muted, wherever: this page, another one, a key at the computer. */
  function mute(silent) {
    muted = silent;
    hush(muted);
    element("mute").textContent = text(muted ? "unmute" : "mute");
    element("mute").dataset.muted = muted ? "yes" : "no";
    element("quiet").textContent = text(muted ? "quiet_muted" : "quiet");
  }
}

/** Show on the button itself what became of it, and say it. */
function reply(button, answer, done) {
  button.dataset.done = answer.ok ? text(done) : text("failed");
  element("answer").textContent = answer.ok ? text(done) : text("failed_because", answer);
  setTimeout(() => delete button.dataset.done, 1500);
}

if (wanted.has("coach")) coach();
else run(wanted.get("runner") || settings.runner);

