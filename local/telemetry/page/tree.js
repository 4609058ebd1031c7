// A trace as rows: its spans as a tree, and between them the waits of the release.

const SLIPWAY_SPAN = /^(push|rotation|missed_push|release|prune)(\..*)?$/;
export const WAIT_LABELS = new Map([
  ["APPROVAL_WAITING", "waits for approval"],
  ["WINDOW_CLOSED", "waits for its window"],
  ["STAGE_WAITING", "waits for its stage"],
  ["SIGNATURE_WAITING", "waits for a signature"],
  ["EVALUATION_RUNNING", "waits for the evaluation"],
  ["IMAGE_LAGS", "waits for the registry"],
  ["PAUSED", "is paused"],
  ["NOT_DUE", "waits for more pushes"],
  ["TIME_BUDGET_SPENT", "continues with the next message"],
  ["SERVICE_UNAVAILABLE", "waits for a service"],
  ["ACCEPTED", "in the queue"],
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
  const result = [];
  const seen = new Set(); // ids come from outside: a cycle must not hang the page
  const walk = (parent, depth, within) => {
    for (const span of below.get(parent) ?? []) {
      if (seen.has(span.id)) continue;
      seen.add(span.id);
      const call = span.type !== "request" && !SLIPWAY_SPAN.test(span.name);
      if (span.name === "release") result.push(...waits(trace, span, depth));
      const row = { span, depth, call, within: call ? within : null, calls: 0 };
      if (call && within) within.calls += 1;
      result.push(row);
      walk(span.id, depth + 1, call ? within : row);
    }
  };
  walk("", 0, null);
  for (const span of spans) if (!seen.has(span.id)) walk(span.parent, 0, null); // spans in a cycle
  return result;
}

/** The wait before a release span: since the push, or since the release last stopped. */
function waits(trace, release, depth) {
  const before = [...trace.spans.values()].filter(
    (span) =>
      span !== release &&
      /^(push|rotation|missed_push|release)$/.test(span.name) &&
      span.at < release.at &&
      span.about.agent === release.about.agent, // several agents may use the repository of a push
  );
  if (before.length === 0) return [];
  const from = Math.max(...before.map((span) => span.at + span.took));
  if (release.at - from < 1) return [];
  const last = trace.decisions.findLast((line) => line.at <= release.at && line.about.agent === release.about.agent);
  return [{ wait: WAIT_LABELS.get(last?.about.reason) ?? "waits", from, to: release.at, depth }];
}
