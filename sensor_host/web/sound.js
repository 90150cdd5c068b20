// What is heard: tones by Web Audio, words by the browser's voice. Browsers allow both only after a tap.
import { settings } from "./broker.js";
import { Beats, Pace, Tempo } from "./metronome.js";
import { tones } from "./tones.js";

// 0.7: the other ear still hears it, 12 dB softer, so that a single earphone misses nothing
const PAN = { left: -0.7, right: 0.7 };
// 12 dB softer while somebody speaks: every word is understood
const DUCKED = 0.25;
// 20 ms: muted at once, and without a click
const HUSH_S = 0.02;
// 200 ms: well within the time that beats are laid ahead
const LOOK_MS = 200;
// 6 s: a voice that warms up and the longest words; some browsers never tell that an utterance ended
const SAID_MS = 6000;
// the last 64 contacts are about 20 s
const REMEMBERED = 64;

const pace = new Pace();
const tempo = new Tempo();
const sounding = new Set();
const late_ms = [];
let audio = null;
let sound = {};
let events = null; // cues
let softer = null; // what gives way to words
let beats = null;
let lock = null;
let silence = null;
let muted = false;
let ticks = (localStorage.getItem("ticks") ?? (settings.ticks ? "on" : "off")) === "on";
let saying = null;
let next = null;
let voice_ms = NaN;

tempo.last(settings.metronome_spm);

const now_s = () => performance.now() / 1000;

/** To be called from a tap: opens sound, warms the voice up and keeps the screen on. `turn(running)` hears of changes. */
export function start(turn) {
  keepAwake();
  if (audio) {
    wake();
    return;
  }
  audio = new AudioContext({ latencyHint: "interactive" });
  audio.addEventListener("statechange", () => turn(audio.state === "running"));
  sound = tones(audio);
  events = new GainNode(audio);
  softer = new GainNode(audio);
  events.connect(audio.destination);
  softer.connect(audio.destination);
  const beating = new GainNode(audio, { gain: 0 });
  beating.connect(softer);
  beats = new Beats(audio, sound.beat, beating);
  setInterval(beat, LOOK_MS);
  silence = unheard();
  if ("speechSynthesis" in window) {
    const nothing = new SpeechSynthesisUtterance(" ");
    nothing.volume = 0;
    speechSynthesis.speak(nothing);
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    wake();
    keepAwake();
  });
  wake();
  play("chime");
}

/** A locked screen or a call has stopped the sound: let it go on, where the browser allows it without a tap. */
function wake() {
  audio.resume().catch(() => {});
  silence.play().catch(() => {});
}

/** Say a cue after a tone that draws attention; two rising tones where there are no words; a metronome beats. */
export function tell(cue) {
  if (cue.kind === "metronome") {
    tempo.take(cue.parameters ?? {}, now_s());
    beat();
    return;
  }
  if (!audio || (muted && !settings.through_mute.includes(cue.rule))) return;
  const order = { words: cue.words, side: cue.side, priority: cue.priority ?? 0, ends_s: now_s() + cue.expires_s };
  if (cue.kind === "chime") play("chime", cue.side);
  else if (!saying) say(order);
  else if (order.priority > saying.priority) {
    const before = saying;
    speechSynthesis.cancel();
    if (saying === before) say(order);
  } else if (!next || order.priority >= next.priority) next = order;
}

function say(order) {
  play("earcon", order.side);
  if (!("speechSynthesis" in window)) return;
  const begun_ms = performance.now();
  const said = new SpeechSynthesisUtterance(order.words);
  said.lang = settings.language;
  said.voice = voice();
  // kept as long as it speaks: some browsers forget an utterance, and with it that it ended
  order.said = said;
  saying = order;
  said.onstart = () => {
    voice_ms = performance.now() - begun_ms;
    duck(DUCKED);
  };
  const end = () => {
    if (saying !== order) return;
    saying = null;
    duck(1);
    const waiting = next;
    next = null;
    if (waiting && waiting.ends_s > now_s()) say(waiting);
  };
  said.onend = said.onerror = end;
  setTimeout(end, SAID_MS);
  speechSynthesis.speak(said);
}

function duck(gain) {
  softer.gain.setTargetAtTime(gain, audio.currentTime, 0.02);
}

/** The voice for the runner's language: one that needs no internet first; null leaves it to the browser. */
function voice() {
  const fitting = speechSynthesis.getVoices().filter((one) => one.lang.toLowerCase().startsWith(settings.language));
  return fitting.find((one) => one.localService && one.default) ?? fitting.find((one) => one.localService) ?? fitting[0] ?? null;
}

/** Be silent, at once, but for the rules that come through (`settings.through_mute`); or sound again. */
export function hush(silent) {
  if (silent === muted) return;
  muted = silent;
  if (!audio) return;
  beat();
  if (!muted) return;
  next = null;
  if (saying) speechSynthesis.cancel();
  const now = audio.currentTime;
  for (const out of [events, softer]) {
    const { gain } = out;
    const was = gain.value;
    gain.cancelScheduledValues(now);
    gain.setValueAtTime(was, now);
    gain.linearRampToValueAtTime(0, now + HUSH_S);
    gain.setValueAtTime(1, now + HUSH_S + 0.001);
  }
  for (const node of sounding) node.stop(now + HUSH_S);
}

/** A foot has touched down, and this page knows since `heard_ms` (of performance.now). */
export function touchDown(side, heard_ms) {
  if (!audio || audio.state !== "running") return;
  late_ms.push(audible_ms(audio.currentTime) - heard_ms);
  if (late_ms.length > REMEMBERED) late_ms.shift();
  if (ticks && !muted) play(side in PAN ? side : "middle", side, softer);
}

/** A step was measured: the metronome rests while the runner is in step with it. */
export function step(contact_s) {
  const cadence_spm = pace.hear(contact_s);
  if (cadence_spm) tempo.hear(cadence_spm, now_s());
}

/** Beat at this rate from now on (the command `metronome`), 0 for not at all. */
export function lasting(rate_spm) {
  tempo.last(rate_spm);
  beat();
}

function beat() {
  if (!audio) return;
  const [rate_spm, heard] = tempo.now(now_s());
  beats.go(rate_spm, heard && !muted);
}

export const ticking = () => ticks;

/** Tick at each contact, or do not; remembered. */
export function tick(wanted) {
  ticks = wanted;
  localStorage.setItem("ticks", ticks ? "on" : "off");
}

/** How late the phone is: from a contact's arrival to its tick in the ear, and from a cue to its voice; NaN: not known. */
export function lateness_ms() {
  const sorted = [...late_ms].sort((a, b) => a - b);
  return { sound: sorted.length ? sorted[sorted.length >> 1] : NaN, voice: voice_ms };
}

/** The name of the voice that speaks, empty where the browser has none. */
export const speaker = () => ("speechSynthesis" in window && voice()?.name) || "";

/** When what begins at `at_s` of the sound card is heard, as performance.now tells it; a headset's own way comes on top. */
function audible_ms(at_s) {
  const stamp = audio.getOutputTimestamp?.();
  if (stamp?.contextTime > 0) return stamp.performanceTime + 1000 * (at_s - stamp.contextTime);
  return performance.now() + 1000 * (at_s - audio.currentTime + (audio.outputLatency || audio.baseLatency || 0));
}

function play(name, side = "", out = events) {
  const node = new AudioBufferSourceNode(audio, { buffer: sound[name] });
  node.connect(new StereoPannerNode(audio, { pan: PAN[side] ?? 0 })).connect(out);
  node.onended = () => sounding.delete(node);
  sounding.add(node);
  node.start();
}

async function keepAwake() {
  if (!("wakeLock" in navigator) || (lock && !lock.released)) return;
  try {
    lock = await navigator.wakeLock.request("screen");
  } catch {
    lock = null; // a low battery: the browser refuses, and asking again would not help
  }
}

/** An inaudible sound in a loop: without it the mute switch of an iPhone silences Web Audio as well. */
function unheard() {
  const samples = 8000;
  const wav = new DataView(new ArrayBuffer(44 + samples));
  const write = (at, word) => [...word].forEach((letter, i) => wav.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  wav.setUint32(4, 36 + samples, true);
  write(8, "WAVEfmt ");
  wav.setUint32(16, 16, true);
  wav.setUint16(20, 1, true);
  wav.setUint16(22, 1, true);
  wav.setUint32(24, samples, true);
  wav.setUint32(28, samples, true);
  wav.setUint16(32, 1, true);
  wav.setUint16(34, 8, true);
  write(36, "data");
  wav.setUint32(40, samples, true);
  new Uint8Array(wav.buffer, 44).fill(128);
  const loop = new Audio(URL.createObjectURL(new Blob([wav.buffer], { type: "audio/wav" })));
  loop.loop = true;
  return loop;
}
