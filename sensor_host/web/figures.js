// What both views make of the messages: numbers as they are shown, the mean drop of each side, and which cues are stale.
import { text } from "./broker.js";

const UNKNOWN = "–";

export const show = (value, factor = 1, digits = 0) =>
  Number.isFinite(value) ? (value * factor).toFixed(digits) : UNKNOWN;

/** What the runner does, in a word; `otherwise` while that is not known. */
export const doing = (activity, otherwise) =>
  text(["standing", "walking", "running", "other"].includes(activity) ? activity : otherwise);

/** Drop of each side: the mean of the last ten good steps. */
export class Drops {
  #last = { left: [], right: [] };

  add(step) {
    const last = this.#last[step.side];
    if (!last || !Number.isFinite(step.pelvic_drop_deg) || step.quality < 0.5) return;
    last.push(step.pelvic_drop_deg);
    if (last.length > 10) last.shift();
  }

  mean(side) {
    const last = this.#last[side];
    return last.length ? last.reduce((sum, value) => sum + value, 0) / last.length : NaN;
  }
}

// 100 ppm: a sensor's clock and the phone's drift apart no faster
const DRIFT = 1e-4;

/** How late messages are against the quickest one: a phone that slept gets what it missed in one go. */
export class Lateness {
  #quickest_s = Infinity;
  #noted_s = 0;

  note(t_s) {
    if (!Number.isFinite(t_s)) return;
    const now_s = performance.now() / 1000;
    this.#quickest_s = Math.min(this.#quickest_s + DRIFT * (now_s - this.#noted_s), now_s - t_s);
    this.#noted_s = now_s;
  }

  of(t_s) {
    this.note(t_s);
    return performance.now() / 1000 - t_s - this.#quickest_s;
  }
}

/** Last row of a `samples` message: how far the right side is up, in degrees; NaN where that is unknown. */
export function obliquity_deg(payload) {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const columns = view.getUint8(1);
  const rows = view.getUint16(2, true);
  return rows ? view.getFloat32(24 + 4 * (columns * (rows - 1) + 3), true) : NaN;
}
