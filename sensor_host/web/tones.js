// The sounds of docs/sound.md, computed once: sines with soft edges.

// 5 ms: a raised cosine of this length has no audible click
const EDGE_S = 0.005;
const PEAK = 0.5;

const NOTES = {
  // [frequency, length, time in which it falls to 1/e]
  earcon: [[740, 0.03, Infinity], [987.77, 0.03, Infinity]],
  chime: [[659.26, 0.14, 0.12], [987.77, 0.5, 0.16]],
  left: [[880, 0.03, 0.012]],
  right: [[1108.73, 0.03, 0.012]],
  middle: [[987.77, 0.03, 0.012]],
  beat: [[1318.51, 0.025, 0.01]],
};

/** Return every sound by its name, for this sound card. */
export const tones = (audio) =>
  Object.fromEntries(Object.entries(NOTES).map(([name, notes]) => [name, buffer(audio, notes)]));

function buffer(audio, notes) {
  const rate_hz = audio.sampleRate;
  const lengths = notes.map(([, length_s]) => Math.round(length_s * rate_hz));
  const made = new AudioBuffer({ length: lengths.reduce((sum, n) => sum + n), sampleRate: rate_hz });
  const samples = made.getChannelData(0);
  let begin = 0;
  notes.forEach(([hz, , decay_s], note) => {
    const n = lengths[note];
    for (let i = 0; i < n; i++) {
      const edge = Math.min((Math.min(i, n - 1 - i) + 0.5) / (EDGE_S * rate_hz), 1);
      const soft = 0.5 - 0.5 * Math.cos(Math.PI * edge);
      samples[begin + i] = PEAK * soft * Math.sin((2 * Math.PI * hz * i) / rate_hz) * Math.exp(-i / rate_hz / decay_s);
    }
    begin += n;
  });
  return made;
}
