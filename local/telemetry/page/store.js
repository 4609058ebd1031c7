// The records that arrived, by trace, by decision and by metric.

import { Trace, insert, joined } from "./trace.js";

const MAX_DECISIONS = 20_000; // as many as the server keeps envelopes
const MAX_TRACES = 2_000;
const MAX_POINTS = 1_000;
/** Reasons of steps: a release continues after a line with one of these. */
export const CONTINUES = new Set(
  ("ACCEPTED BEGIN PIN CREATE ADOPT DELETE_DUPLICATE MAKE_ROOM CONFIRM_PASSED VERIFY_PASSED TRAFFIC_MOVED ROLLBACK TIME_BUDGET_SPENT NOT_DUE REQUEUED " +
    "SIGNATURE_WAITING SIGNATURE_PASSED EVALUATION_RUNNING EVALUATION_PASSED STAGE_WAITING WINDOW_CLOSED IMAGE_LAGS TAG_MOVED SECRET_STARTS_LATER " +
    "SECRET_NOW_VALID APPROVED RELEASE_REQUESTED HOLD_REMOVED UNPAUSED").split(" "),
);
export const SUCCEEDED = new Set(["LIVE"]);

export class Store {
  serial = 0; // number of the last record; it continues after a restart of the stack, so that keys stay unique

  #releases = { serial: -1, list: [], ids: new Set() };

  board = []; // a row per target, as the server gave it

  constructor() {
    this.clear();
  }

  /** Forget the records; the rows of the board stay until others are read. */
  clear() {
    this.#releases.serial = -1;
    this.decisions = []; // oldest first
    this.traces = new Map();
    this.metrics = new Map(); // name -> series key -> {about, points}
    this.newest = 0;
  }

  get empty() {
    return this.traces.size + this.decisions.length + this.metrics.size + this.board.length === 0;
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

  /** Replace the rows of the board. */
  setBoard(rows) {
    this.board = rows.map((row) => ({ ...row, text: JSON.stringify(Object.values(row)), about: { agent: row.target, reason: row.state, severity: row.severity, open: row.is_open, detail: row.detail } }));
  }

  /** All releases, newest first: a rollback or a rotation has a row of its own, also in the trace of an earlier push. */
  releases() {
    if (this.#releases.serial !== this.serial) {
      const list = this.#merged();
      this.#releases = { serial: this.serial, list, ids: new Set(list.map(({ id }) => id)) };
    }
    return this.#releases.list;
  }

  /** Whether a decision belongs to one of the releases; those of the timers belong to none. */
  hasRelease(id) {
    this.releases();
    return this.#releases.ids.has(id);
  }

  /** A release by its id, or the newest of a trace. */
  release(id) {
    const releases = this.releases();
    return releases.find((release) => release.id === id) ?? releases.find((release) => release.traces.has(id));
  }

  /** The parts of all traces; parts of several traces that name the same release are one. */
  #merged() {
    const releases = new Map();
    for (const part of [...this.traces.values()].flatMap((trace) => trace.releases)) {
      const known = releases.get(part.id);
      if (!known) releases.set(part.id, part);
      else releases.set(part.id, joined(known, part));
    }
    return [...releases.values()].sort((a, b) => b.begun - a.begun);
  }
}

/** How a decision is shown: good, bad, warn, on (the release continues) or calm. */
export function tone(about) {
  if (SUCCEEDED.has(about.reason)) return "good";
  if (about.severity === "error") return "bad";
  if (about.severity === "warning") return "warn";
  return about.open || CONTINUES.has(about.reason) ? "on" : "calm";
}
