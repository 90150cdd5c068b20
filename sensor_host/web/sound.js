// What is heard: two tones by Web Audio, words by the browser's voice. Browsers allow both only after a tap.
import { settings } from "./broker.js";

let audio = null;
let lock = null;

/** To be called from a tap: opens sound, warms the voice up and keeps the screen on. */
export function start() {
  audio = new AudioContext({ latencyHint: "interactive" });
  audio.resume();
  holdSilence();
  if ("speechSynthesis" in window) {
    const nothing = new SpeechSynthesisUtterance(" ");
    nothing.volume = 0;
    speechSynthesis.speak(nothing);
  }
  keepAwake();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    audio.resume();
    keepAwake();
  });
  play([[660, 0], [880, 0.14]]);
}

/** Say a cue: a tone that draws attention and the words; two rising tones where there are none. */
export function tell(words, side) {
  if (!audio) return;
  const pan = side === "left" ? -0.7 : side === "right" ? 0.7 : 0;
  if (!words) {
    play([[880, 0], [1320, 0.16]], pan);
    return;
  }
  play([[740, 0]], pan);
  if (!("speechSynthesis" in window)) return;
  const said = new SpeechSynthesisUtterance(words);
  said.lang = settings.language;
  said.voice = voice();
  speechSynthesis.cancel();
  speechSynthesis.speak(said);
}

/** The voice for the runner's language: one that needs no internet first; null leaves it to the browser. */
function voice() {
  const fitting = speechSynthesis.getVoices().filter((one) => one.lang.toLowerCase().startsWith(settings.language));
  return fitting.find((one) => one.localService && one.default) ?? fitting.find((one) => one.localService) ?? fitting[0] ?? null;
}

function play(notes, pan = 0) {
  const now = audio.currentTime + 0.02;
  for (const [hz, after_s] of notes) {
    const tone = new OscillatorNode(audio, { type: "sine", frequency: hz });
    const loudness = new GainNode(audio, { gain: 0 });
    // 8 ms up, 120 ms down: no click, and over before the words
    loudness.gain.setValueAtTime(0, now + after_s);
    loudness.gain.linearRampToValueAtTime(0.35, now + after_s + 0.008);
    loudness.gain.exponentialRampToValueAtTime(0.001, now + after_s + 0.13);
    tone.connect(loudness).connect(new StereoPannerNode(audio, { pan })).connect(audio.destination);
    tone.start(now + after_s);
    tone.stop(now + after_s + 0.15);
  }
}

async function keepAwake() {
  if (!("wakeLock" in navigator) || (lock && !lock.released)) return;
  try {
    lock = await navigator.wakeLock.request("screen");
  } catch {
    lock = null; // a low battery: the browser refuses, and asking again would not help
  }
}

/** Loop an inaudible sound: without it the mute switch of an iPhone silences Web Audio as well. */
function holdSilence() {
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
  const silence = new Audio(URL.createObjectURL(new Blob([wav.buffer], { type: "audio/wav" })));
  silence.loop = true;
  silence.play().catch(() => {});
}
