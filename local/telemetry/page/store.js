// The records that arrived, by trace, by decision and by metric.

const MAX_DECISIONS = 20_000; // as many as the server keeps envelopes
const MAX_TRACES = 2_000;
const MAX_POINTS = 1_000;
/** Reasons of steps: a release continues after a line with one of these. */
export const CONTINUES = new Set(
  ("ACCEPTED BEGIN PIN CREATE ADOPT DELETE_DUPLICATE MAKE_ROOM CONFIRM_PASSED VERIFY_PASSED TRAFFIC_MOVED ROLLBACK TIME_BUDGET_SPENT NOT_DUE REQUEUED " +
    "APPROVED RELEASE_REQUESTED HOLD_REMOVED UNPAUSED").split(" "),
);
export const SUCCEEDED = new Set(["LIVE"]);
const BACKGROUND_STEPS = new Set(["prune", "resume"]);

export class Store {
  serial = 0; // number of the last record; it continues after a restart of the stack, so that keys stay unique

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
      if (record.kind === "metric") this.#addMetric(record);
      else if (record.trace) this.#addToTrace(record);
      if (record.kind === "decision") insert(this.decisions, record);
    }
    if (this.decisions.length > MAX_DECISIONS) this.decisions.splice(0, this.decisions.length - MAX_DECISIONS);
    for (const id of this.traces.keys()) {
      if (this.traces.size <= MAX_TRACES) break;
      this.traces.delete(id);
    }
  }

  #addToTrace(record) {
    if (!this.traces.has(record.trace)) this.traces.set(record.trace, new Trace(record.trace));
    this.traces.get(record.trace).add(record);
  }

  #addMetric(record) {
    if (!record.name.startsWith("slipway.")) return; // metrics of the SDK, such as _OTELRESOURCE_
    const key = Object.values(record.about).join(" · ");
    const series = this.metrics.get(record.name) ?? new Map();
    this.metrics.set(record.name, series);
    if (!series.has(key)) series.set(key, { about: record.about, points: [] });
    const { points } = series.get(key);
    insert(points, record);
    if (points.length > MAX_POINTS) points.shift();
  }

  /** Traces of pushes, rotations and other changes, newest first. */
  releases() {
    return [...this.traces.values()].filter((trace) => trace.isRelease).sort((a, b) => b.begun - a.begun);
  }
}

/** A trace: its spans and lines. */
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

  /** Whether it belongs in the list of releases: it has a decision other than of the timers. */
  get isRelease() {
    return this.decisions.some((line) => !BACKGROUND_STEPS.has(line.about.step));
  }

  /** The last decision about each agent; also about none, for a push that no agent uses. */
  get outcomes() {
    const last = new Map();
    for (const line of this.decisions) last.set(line.about.agent ?? "", line);
    return [...last.values()];
  }

  /** Properties of the newest decision that names an image, or of the newest; with the rotated secret. */
  get subject() {
    const { decisions } = this;
    const about = (decisions.findLast((line) => line.about.repository) ?? decisions.at(-1))?.about ?? {};
    return { secret: decisions.find((line) => line.about.secret)?.about.secret, ...about };
  }

  get ended() {
    return Math.max(...[...this.spans.values()].map((span) => span.at + span.took), ...this.lines.map((line) => line.at));
  }
}

/** How a decision is shown: good, bad, warn, on (the release continues) or calm. */
export function tone(about) {
  if (SUCCEEDED.has(about.reason)) return "good";
  if (about.severity === "error") return "bad";
  if (about.severity === "warning") return "warn";
  return CONTINUES.has(about.reason) ? "on" : "calm";
}

/** Insert a record by its time, almost always at the end. */
function insert(records, record) {
  let at = records.length;
  while (at > 0 && records[at - 1].at > record.at) at -= 1;
  records.splice(at, 0, record);
}
