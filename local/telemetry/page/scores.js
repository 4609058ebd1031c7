// The scores of evaluated versions: a plot for each agent and criterion, with the threshold as a line.

import { h, svg } from "./dom.js";
import { isOf } from "./filter.js";
import { legend, nice } from "./plot.js";

const [WIDTH, HEIGHT, PAD] = [320, 84, 6];
const REASONS = new Set(["EVALUATION_PASSED", "EVALUATION_FAILED"]);
const MAX_VERSIONS = 40; // of a plot; the newest
const SHOWN = 4; // versions in the legend

/** The plots of these decisions: [{key, agent, criterion, unit, points}], a point an evaluation, oldest first; what failed last stands first. */
export function scoreSeries(decisions, agent = "") {
  const series = new Map();
  for (const { about } of decisions) {
    if (!REASONS.has(about.reason) || (agent && !isOf(about.agent, agent))) continue;
    for (const score of parsed(about.scores)) {
      const key = `${about.agent} · ${score.criterion}`;
      const line = series.get(key) ?? { key, agent: about.agent, criterion: String(score.criterion), unit: String(score.unit ?? ""), points: [] };
      line.points.push({ version: about.version, value: score.value, threshold: score.threshold, passed: score.is_passed !== false });
      series.set(key, line);
    }
  }
  for (const line of series.values()) line.points = line.points.slice(-MAX_VERSIONS);
  const failed = ({ points }) => (points.at(-1).passed ? 1 : 0);
  return [...series.values()].sort((a, b) => failed(a) - failed(b) || a.key.localeCompare(b.key));
}

/** The scores of a decision; none where another version wrote the text. */
function parsed(text) {
  try {
    const scores = JSON.parse(text);
    return Array.isArray(scores) ? scores.filter((score) => Number.isFinite(score?.value) && Number.isFinite(score.threshold)) : [];
  } catch {
    return [];
  }
}

/** A card with the plot, and the newest versions below it. */
export function scoreCard({ agent, criterion, unit, points }) {
  const newest = points.slice(-SHOWN).reverse();
  const rows = newest.map(({ version, value, threshold, passed }) => ({
    colour: passed ? "good" : "bad",
    name: `version ${version}`,
    value: `${number(value)}${unit}`,
    note: `${unit ? "at most" : "at least"} ${number(threshold)}${unit}`,
  }));
  const label = `${criterion} of ${agent}: ${rows.map((row) => `${row.name} ${row.value}, ${row.note}`).join("; ")}`;
  const top = nice(Math.max(...points.map((point) => Math.max(point.value, point.threshold))));
  return h(
    "section",
    { class: "card score", "aria-label": `${criterion} of ${agent}` },
    h("header", {}, h("h2", {}, criterion), h("code", { class: "quiet" }, agent)),
    h("div", { class: "plot" }, h("span", { class: "top quiet", "aria-hidden": "true" }, `${number(top)}${unit}`), picture(points, top, label)),
    h("p", { class: "ends quiet" }, h("span", {}, `version ${points[0].version}`), h("span", {}, `version ${points.at(-1).version}`)),
    legend(rows),
  );
}

function picture(points, top, label) {
  const x = (index) => PAD + (points.length === 1 ? 0.5 : index / (points.length - 1)) * (WIDTH - 2 * PAD);
  const y = (value) => HEIGHT - PAD - (Math.max(value, 0) / top) * (HEIGHT - 3 * PAD);
  const base = svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - PAD, y2: HEIGHT - PAD });
  const limit = points.map(({ threshold }, index) => (index === 0 ? `M0 ${y(threshold)}` : `H${(x(index - 1) + x(index)) / 2}V${y(threshold)}`)).join("");
  const dots = points.map(({ value, passed }, index) => svg("path", { class: `dot ${passed ? "good" : "bad"}`, d: `M${x(index)} ${y(value)}h0.001` }));
  const attributes = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  return svg("svg", attributes, base, svg("path", { class: "threshold", d: `${limit}H${WIDTH}` }), dots);
}

function number(value) {
  return String(Number(value.toFixed(3)));
}
