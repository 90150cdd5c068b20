// The metronome: which one is in force and whether it is heard (as in sensor_host/player/tempo.py), and its beats, laid
// ahead on the sound card's own clock (as in sensor_host/player/beats.py).

// 3 s: whoever took no step for so long is not in step with anything
const CADENCE_LASTS_S = 3;
// 1.5: a runner at the edge of "near enough" does not switch the beats on and off
const LEAVING_RATIO = 1.5;
// 0.02: who steps within 2 % of the coach's beat has found it
const SILENT_WITHIN_RATIO = 0.02;
const PACE_STEPS = 8;
// 1.5 s: longer than any two steps of a run are apart
const PAUSE_S = 1.5;
// 2.2 s: browsers wake a page that is not seen only once a second
const AHEAD_S = 2.2;
// 0.05 s: what begins sooner can no longer be called back
const SURE_S = 0.05;

/** Cadence over the last eight steps, in steps per minute; 0 before there are as many. */
export class Pace {
  #contacts_s = [];

  hear(contact_s) {
    const contacts_s = this.#contacts_s;
    const since_s = contact_s - contacts_s.at(-1);
    if (!(since_s > 0 && since_s < PAUSE_S)) contacts_s.length = 0;
    contacts_s.push(contact_s);
    if (contacts_s.length <= PACE_STEPS) return 0;
    const first_s = contacts_s.at(-1 - PACE_STEPS);
    contacts_s.splice(0, contacts_s.length - PACE_STEPS);
    return (60 * PACE_STEPS) / (contact_s - first_s);
  }
}

/** The rate in force out of the lasting and the coach's metronome. Times are given, in seconds. */
export class Tempo {
  #lasting = { rate_spm: 0, within: 0 };
  #passing = null;
  #passes_at_s = Infinity;
  #cadence_spm = 0;
  #cadence_ends_s = -Infinity;
  #near = false;

  /** Beat at this rate until told otherwise, 0 for not at all. */
  last(rate_spm) {
    this.#lasting = { rate_spm, within: 0 };
    this.#end();
  }

  /** Obey a cue of kind `metronome`; one of 0 seconds ends the coach's. */
  take({ target_spm, seconds, silent_within_ratio = SILENT_WITHIN_RATIO }, now_s) {
    this.#end();
    if (!(seconds > 0)) return;
    this.#passing = { rate_spm: target_spm, within: silent_within_ratio };
    this.#passes_at_s = now_s + seconds;
  }

  hear(cadence_spm, now_s) {
    this.#cadence_spm = cadence_spm;
    this.#cadence_ends_s = now_s + CADENCE_LASTS_S;
  }

  /** The rate in steps per minute, 0 for none, and whether the runner needs to hear it. */
  now(now_s) {
    if (now_s >= this.#passes_at_s) this.#end();
    const { rate_spm, within } = this.#passing ?? this.#lasting;
    if (!(rate_spm > 0)) return [0, false];
    const allowed = within * (this.#near ? LEAVING_RATIO : 1);
    const off = Math.abs(this.#cadence_spm / rate_spm - 1);
    this.#near = now_s < this.#cadence_ends_s && allowed > 0 && off <= allowed;
    return [rate_spm, !this.#near];
  }

  #end() {
    this.#passing = null;
    this.#passes_at_s = Infinity;
    this.#near = false;
  }
}

/** Lays beats ahead: one period after the other from the last one on; none is cut, and what is not heard counts on. */
export class Beats {
  #audio;
  #sound;
  #out;
  #rate_spm = 0;
  #laid = [];

  constructor(audio, sound, out) {
    this.#audio = audio;
    this.#sound = sound;
    this.#out = out;
  }

  /** Beat at this rate from the next beat on, heard or not; to be called again within the time that is laid ahead. */
  go(rate_spm, heard) {
    const now_s = this.#audio.currentTime;
    if (rate_spm !== this.#rate_spm) {
      for (const { node } of this.#laid.filter(({ at_s }) => at_s > now_s + SURE_S)) node.stop();
      this.#laid = this.#laid.filter(({ at_s }) => at_s <= now_s + SURE_S);
      this.#rate_spm = rate_spm;
    }
    // 5 ms: no click
    this.#out.gain.setTargetAtTime(heard ? 1 : 0, now_s, 0.005);
    if (!rate_spm) return;
    const period_s = 60 / rate_spm;
    let at_s = this.#laid.length ? this.#laid.at(-1).at_s + period_s : now_s + SURE_S;
    // after a sleep: the next beat in step that is still to come
    if (at_s < now_s) at_s += Math.ceil((now_s - at_s) / period_s) * period_s;
    for (; at_s < now_s + AHEAD_S; at_s += period_s) {
      const node = new AudioBufferSourceNode(this.#audio, { buffer: this.#sound });
      node.connect(this.#out);
      node.start(at_s);
      this.#laid.push({ node, at_s });
    }
    // the last one is counted from
    while (this.#laid.length > 1 && this.#laid[1].at_s < now_s) this.#laid.shift();
  }
}
