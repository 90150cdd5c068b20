// The dialog that says how late the ear is: from a contact on the ground to its sound out of this phone.
import { text } from "./broker.js";
import { show } from "./figures.js";
import { lateness_ms, speaker, tick, ticking } from "./sound.js";

// 2 s: often enough to see what a change of place does to the radio
const LOOK_MS = 2000;
// the last 16 round trips: half a minute while somebody looks
const REMEMBERED = 16;

/** Ready the dialog. `ask()` sends a command and resolves with whether it was answered. */
export function ear(ask) {
  const element = (id) => document.getElementById(id);
  const dialog = element("ear");
  const ways_ms = [];
  let host_ms = NaN;
  let watch = 0;

  /** Ask the host something that changes nothing, and time it: half of the way there and back is the way here. */
  async function measure() {
    const sent_ms = performance.now();
    if (!(await ask())) return;
    ways_ms.push((performance.now() - sent_ms) / 2);
    if (ways_ms.length > REMEMBERED) ways_ms.shift();
  }

  function draw() {
    const way_ms = [...ways_ms].sort((a, b) => a - b)[ways_ms.length >> 1] ?? NaN;
    const phone = lateness_ms();
    element("late").textContent = show(host_ms + way_ms + phone.sound);
    element("late-host").textContent = show(host_ms);
    element("late-way").textContent = show(way_ms);
    element("late-phone").textContent = show(phone.sound);
    element("late-voice").textContent = show(phone.voice);
    element("voice").textContent = speaker() || text("no_voice");
    element("ticks").setAttribute("aria-pressed", String(ticking()));
  }

  async function look() {
    draw();
    await measure();
    draw();
  }

  element("show-ear").addEventListener("click", () => {
    dialog.showModal();
    look();
    watch = setInterval(look, LOOK_MS);
  });
  element("hide-ear").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => clearInterval(watch));
  element("ticks").addEventListener("click", () => {
    tick(!ticking());
    draw();
  });

  return {
    measure,
    /** Take what the host says of its own share, in a message of `link`; a replay's is of another day. */
    link(body) {
      if (body.role === "pelvis") host_ms = 1000 * (body.contact_age_p50_s ?? NaN);
    },
  };
}
