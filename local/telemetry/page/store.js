// Everything that arrived, by trace, by decision and by metric.

const DECISIONS = 20_000; // as many envelopes as the server keeps
const TRACES = 2_000;
const POINTS = 1_000;
/** Reasons of steps: a release whose last line is one of these goes on. */
export const GOES_ON = new Set(
  ("DESIRED BEGIN PIN CREATE ADOPT CLEAR_TWIN MAKE_ROOM CONFIRM VERIFY CHECK PROMOTE ROLLBACK BACK_SOON NOT_DUE RESUMED " +
    "APPROVED RELEASE_ASKED HOLD_LIFTED RESUMED_BY_PERSON").split(" "),
);
export const GOOD = new Set(["LIVE"]);
const UNEVENTFUL = new Set(["prune", "resume"]);

export class Store {
  serial = 0; // of records; it goes on after a restart of the stack, so that no key means two things

  constructor() {
    this.clear();
  }

  clear() {
    this.decisions = []; // oldest first
    this.traces = new Map();
    this.metrics = new Map(); // name -> series key -> {about, points}
    this.newest = 0;
  }

  get empty() {
    return this.traces.size + this.decisions.length + this.metrics.size === 0;
  }

  add(records) {
    for (const record of records) {
      record.key = ++this.serial;
      this.newest = Math.max(this.newest, record.at);
      if (record.kind === "metric") this.#measured(record);
      else if (record.trace) this.#traced(record);
      if (record.kind === "decision") insert(this.decisions, record);
    }
    if (this.decisions.length > DECISIONS) this.decisions.splice(0, this.decisions.length - DECISIONS);
    for (const id of this.traces.keys()) {
      if (this.traces.size <= TRACES) break;
      this.traces.delete(id);
    }
  }

  #traced(record) {
    if (!this.traces.has(record.trace)) this.traces.set(record.trace, new Trace(record.trace));
    this.traces.get(record.trace).add(record);
  }

  #measured(record) {
    if (!record.name.startsWith("slipway.")) return; // the SDK's own, such as _OTELRESOURCE_
    const key = Object.values(record.about).join(" · ");
    const series = this.metrics.get(record.name) ?? new Map();
    this.metrics.set(record.name, series);
    if (!series.has(key)) series.set(key, { about: record.about, points: [] });
    const { points } = series.get(key);
    insert(points, record);
    if (points.length > POINTS) points.shift();
  }

  /** Traces of pushes, rotations and their like, newest first. */
  releases() {
    return [...this.traces.values()].filter((one) => one.told).sort((a, b) => b.begun - a.begun);
  }
}

/** One trace: its spans, and the lines that were written meanwhile. */
export class Trace {
  constructor(id) {
    this.id = id;
    this.spans = new Map();
    this.lines = [];
    this.begun = Infinity;
    this.changes = 0;
  }

  add(record) {
    if (record.kind === "span") this.spans.set(record.id, record);
    else insert(this.lines, record);
    this.begun = Math.min(this.begun, record.at);
    this.changes += 1;
  }

  get decisions() {
    return this.lines.filter((line) => line.kind === "decision");
  }

  /** Whether it belongs in the list: something was decided that is no tidying up. */
  get told() {
    return this.decisions.some((line) => !UNEVENTFUL.has(line.about.step));
  }

  /** The last word about each agent, or about nobody's push. */
  get outcomes() {
    const last = new Map();
    for (const line of this.decisions) last.set(line.about.agent ?? "", line);
    return [...last.values()];
  }

  /** What it is about: the newest line that names an image, else the newest; with the secret that was rotated. */
  get subject() {
    const { decisions } = this;
    const about = (decisions.findLast((line) => line.about.repository) ?? decisions.at(-1))?.about ?? {};
    return { secret: decisions.find((line) => line.about.secret)?.about.secret, ...about };
  }

  get ended() {
    return Math.max(...[...this.spans.values()].map((one) => one.at + one.took), ...this.lines.map((one) => one.at));
  }
}

/** good, bad, warn, on (it goes on) or calm: how a decision is shown. */
export function tone(about) {
  if (GOOD.has(about.reason)) return "good";
  if (about.severity === "error") return "bad";
  if (about.severity === "warning") return "warn";
  return GOES_ON.has(about.reason) ? "on" : "calm";
}

/** Put a record where its time belongs: almost always at the end. */
function insert(records, record) {
  let at = records.length;
  while (at > 0 && records[at - 1].at > record.at) at -= 1;
  records.splice(at, 0, record);
}
