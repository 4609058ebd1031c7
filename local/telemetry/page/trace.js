// A trace, and the releases in it.

const BACKGROUND_STEPS = new Set(["prune", "resume"]);
/** Reasons of a message that found nothing to do: they begin no release. */
export const BEGINS_NOTHING = new Set(["LEASE_TAKEN"]);

/** The id of the release that a decision belongs to. */
export function releaseId({ trace, about }) {
  return about.agent && about.generation ? `${about.agent}~${about.generation}` : `${trace}~${about.agent ?? ""}`;
}

/** A trace or a part of it: its spans and lines. */
export class Trace {
  #releases = { changes: -1, list: [] };

  constructor(id) {
    this.id = id;
    this.traces = new Set(); // ids of the traces that it is part of
    this.spans = new Map();
    this.lines = [];
    this.begun = Infinity;
    this.changes = 0;
  }

  add(record) {
    if (record.kind === "span") this.spans.set(record.id, record);
    else insert(this.lines, record);
    this.traces.add(record.trace);
    this.begun = Math.min(this.begun, record.at);
    this.changes += 1;
  }

  get decisions() {
    return this.lines.filter((line) => line.kind === "decision");
  }

  /** Its releases, the oldest first; decisions of the timers make none. */
  get releases() {
    if (this.#releases.changes !== this.changes) this.#releases = { changes: this.changes, list: split(this) };
    return this.#releases.list;
  }

  /** The last decision about each agent; also about none, for a push that no agent uses. */
  get outcomes() {
    const last = new Map();
    for (const line of this.decisions) if (!BEGINS_NOTHING.has(line.about.reason)) last.set(line.about.agent ?? "", line);
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

/** Divide a trace by agent and generation; a span belongs to the releases whose decisions are on or below it, up to `release`. */
function split(trace) {
  const parts = new Map();
  for (const line of trace.decisions) {
    if (BACKGROUND_STEPS.has(line.about.step) || BEGINS_NOTHING.has(line.about.reason)) continue;
    const id = releaseId(line);
    if (!parts.has(id)) parts.set(id, new Trace(id));
    parts.get(id).add(line);
  }
  if (parts.size === 0) return [];
  const owners = new Map(); // id of a span -> the parts with a decision on it or below it
  for (const [id, part] of parts) {
    for (const line of part.decisions) {
      for (const span of ancestors(trace, line.parent)) {
        owners.set(span.id, (owners.get(span.id) ?? new Set()).add(id));
        if (span.name === "release") break; // above it is the push, perhaps of an earlier release: its own decisions say so
      }
    }
  }
  for (const span of trace.spans.values()) {
    const owned = ancestors(trace, span.id).map(({ id }) => owners.get(id)).find(Boolean);
    for (const id of owned ?? [nearest([...parts.values()], span)]) parts.get(id).add(span);
  }
  const rest = trace.lines.filter((line) => line.kind !== "decision" || BEGINS_NOTHING.has(line.about.reason));
  for (const line of rest) parts.get(nearest([...parts.values()], line)).add(line);
  return [...parts.values()].sort((a, b) => a.begun - b.begun);
}

/** A release of the records of two. */
export function joined(...parts) {
  const release = new Trace(parts[0].id);
  for (const part of parts) for (const record of [...part.lines, ...part.spans.values()]) release.add(record);
  return release;
}

/** A span and those above it, the lowest first; ids come from outside and may form a cycle. */
function ancestors(trace, id) {
  const found = [];
  for (let span = trace.spans.get(id); span && !found.includes(span); span = trace.spans.get(span.parent)) found.push(span);
  return found;
}

/** The newest part of the same agent that had begun by then, or the first of them. */
function nearest(parts, { at, about }) {
  const same = parts.filter((part) => part.decisions[0].about.agent === about.agent);
  const candidates = (same.length > 0 ? same : parts).sort((a, b) => a.decisions[0].at - b.decisions[0].at);
  return (candidates.findLast((part) => part.decisions[0].at <= at) ?? candidates[0]).id;
}

/** Insert a record by its time, almost always at the end. */
export function insert(records, record) {
  let at = records.length;
  while (at > 0 && records[at - 1].at > record.at) at -= 1;
  records.splice(at, 0, record);
}
