// A trace as rows: its spans from the first to the deepest, and between them what it waited for.

const OURS = /^(push|rotation|catch_up|release|prune)(\..*)?$/;
export const WAITED_FOR = new Map([
  ["AWAITING_APPROVAL", "waits for a person"],
  ["PAUSED", "is paused"],
  ["NOT_DUE", "quiet time"],
  ["BACK_SOON", "goes on in the next message"],
  ["SERVICE_UNAVAILABLE", "waits for a service"],
  ["DESIRED", "in the queue"],
]);

/** Rows in reading order: {span, depth, call, parent, calls} or {wait, from, to, depth}. */
export function rows(trace) {
  const spans = [...trace.spans.values()].sort((a, b) => a.at - b.at || b.took - a.took);
  const below = new Map();
  for (const span of spans) {
    const parent = trace.spans.has(span.parent) && span.parent !== span.id ? span.parent : "";
    if (!below.has(parent)) below.set(parent, []);
    below.get(parent).push(span);
  }
  const found = [];
  const seen = new Set(); // ids are a stranger's: a circle must not hang the page
  const walk = (parent, depth, within) => {
    for (const span of below.get(parent) ?? []) {
      if (seen.has(span.id)) continue;
      seen.add(span.id);
      const call = span.type !== "request" && !OURS.test(span.name);
      if (span.name === "release") found.push(...waited(trace, span, depth));
      const row = { span, depth, call, within: call ? within : null, calls: 0 };
      if (call && within) within.calls += 1;
      found.push(row);
      walk(span.id, depth + 1, call ? within : row);
    }
  };
  walk("", 0, null);
  for (const span of spans) if (!seen.has(span.id)) walk(span.parent, 0, null); // those in a circle
  return found;
}

/** What a release waited for before it was taken up: since its push, or since it was last laid down. */
function waited(trace, release, depth) {
  const before = [...trace.spans.values()].filter(
    (one) =>
      one !== release &&
      /^(push|rotation|catch_up|release)$/.test(one.name) &&
      one.at < release.at &&
      one.about.agent === release.about.agent, // a push may be followed by several
  );
  if (before.length === 0) return [];
  const from = Math.max(...before.map((one) => one.at + one.took));
  if (release.at - from < 1) return [];
  const last = trace.decisions.findLast((line) => line.at <= release.at && line.about.agent === release.about.agent);
  return [{ wait: WAITED_FOR.get(last?.about.reason) ?? "waits", from, to: release.at, depth }];
}
