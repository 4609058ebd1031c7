// The metrics of docs/reference/telemetry.md as small plots over the same time, and the four DORA metrics.

import { h, keyed, setText } from "./dom.js";
import { isOf } from "./filter.js";
import { legend, plot } from "./plot.js";
import { scoreCard, scoreSeries } from "./scores.js";
import { clock, duration } from "./time.js";

/** name, title, kind, unit; a test compares them with the reference. */
export const METRICS = [
  ["slipway.releases", "Finished releases", "counter", "{release}"],
  ["slipway.release.lead_time", "Push → live", "histogram", "s"],
  ["slipway.version.activation.duration", "Create → active", "histogram", "s"],
  ["slipway.version.verify.duration", "Verify probe", "histogram", "s"],
  ["slipway.release.time_to_restore", "Failed → live again", "histogram", "s"],
  ["slipway.release.oldest_unfinished", "Oldest unfinished release", "gauge", "s"],
  ["slipway.versions", "Versions", "gauge", "{version}"],
  ["slipway.versions.quota", "Share of the version limit", "gauge", "1"],
  ["slipway.versions.pruned", "Versions pruned", "counter", "{version}"],
  ["slipway.versions.kept_for_sessions", "Kept for active sessions", "counter", "{version}"],
  ["slipway.holds", "Holds", "gauge", "{hold}"],
  ["slipway.approval.waiting", "Waiting for approval", "gauge", "s"],
  ["slipway.queue.depth", "Messages in queues", "gauge", "{message}"],
  ["slipway.queue.poisoned", "Poisoned messages", "counter", "{message}"],
  ["slipway.heartbeat", "Timer runs", "counter", "{run}"],
];
const OUTCOMES = { live: "good", failed: "bad", rolled_back: "warn", superseded: "calm", skipped: "calm" };
const COLOURS = 8;
const LEGEND_ROWS = 6;
const SCORE_CARDS = 12; // of many agents; those that failed last stand first

export class Metrics {
  #colours = new Map();
  #opened = new Set(); // metrics whose legend is open
  #limit = SCORE_CARDS;

  constructor(element, store) {
    this.store = store;
    this.figures = h("dl", { class: "figures", "aria-label": "The four DORA metrics, of the data shown here" });
    this.cards = h("div", { class: "cards" });
    this.scores = h("div", { class: "cards scores" });
    this.unfiltered = h("p", { class: "note quiet", hidden: true }, "Metrics have no state, reason or words: of the filter, only the agent applies here.");
    this.allScores = h("button", { type: "button", class: "plain", hidden: true, click: () => this.#showAllScores() });
    this.none = h("p", { class: "empty", hidden: true }, "No metrics have arrived yet. They are sent every five seconds once there is something to measure.");
    element.append(this.unfiltered, this.figures, this.scores, this.allScores, this.cards, this.none);
  }

  show({ filter = {} } = {}) {
    const metrics = ofAgent(this.store.metrics, filter.agent);
    [this.shown, this.filter] = [metrics, filter];
    const unknown = [...metrics.keys()].filter((name) => !METRICS.some(([known]) => known === name));
    const cards = [...METRICS, ...unknown.map((name) => [name, name, guessKind(metrics.get(name)), ""])];
    const shown = cards.filter(([name]) => metrics.has(name));
    this.span = extent(metrics);
    const scores = scoreSeries(this.store.decisions, filter.agent);
    this.none.hidden = shown.length + scores.length > 0;
    this.figures.hidden = shown.length === 0;
    this.figures.replaceChildren(...dora(metrics).map(([name, value, note]) => h("div", {}, h("dt", {}, name), h("dd", {}, value, h("span", { class: "quiet" }, note)))));
    const version = `${this.span}`;
    this.unfiltered.hidden = !(filter.state || filter.reason || filter.words);
    this.allScores.hidden = scores.length <= this.#limit;
    setText(this.allScores, `Show the scores of all ${scores.length} criteria`);
    keyed(this.scores, scores.slice(0, this.#limit), { key: ({ key }) => key, version: ({ points }) => JSON.stringify(points), make: scoreCard });
    keyed(this.cards, shown, { key: ([name]) => name, version: () => version, make: (card) => this.#card(card) });
  }

  #showAllScores() {
    this.#limit = Infinity;
    this.show({ filter: this.filter });
  }

  #card([name, title, kind, unit]) {
    const series = this.#series(name, kind);
    const { picture, top } = plot({ kind, series, span: this.span, label: `${title}: ${series.map((line) => `${line.name} ${summary(line, kind, unit)[0]}`).join(", ")}` });
    const rows = series.map((line) => {
      const [value, note] = summary(line, kind, unit);
      return { colour: line.colour, name: line.name, value, note };
    });
    return h(
      "section",
      { class: "card", "aria-label": title },
      h("header", {}, h("h2", {}, title), h("code", { class: "quiet" }, name)),
      h("div", { class: "plot" }, h("span", { class: "top quiet", "aria-hidden": "true" }, amount(top, unit)), picture),
      h("p", { class: "ends quiet" }, h("span", {}, clock(this.span[0]).replace(/\.\d+$/, "")), h("span", {}, clock(this.span[1]).replace(/\.\d+$/, ""))),
      legend(rows.slice(0, LEGEND_ROWS)),
      rows.length > LEGEND_ROWS ? this.#rest(name, rows.slice(LEGEND_ROWS)) : null,
    );
  }

  #rest(name, rows) {
    const toggle = (event) => (event.target.open ? this.#opened.add(name) : this.#opened.delete(name));
    const summary = h("summary", { "data-focus": `more-${name}` }, `${rows.length} more`);
    return h("details", { open: this.#opened.has(name), toggle }, summary, legend(rows));
  }

  /** One line for each agent or queue; releases by outcome. */
  #series(name, kind) {
    const merged = new Map();
    for (const { about, points } of this.shown.get(name).values()) {
      const key = about.outcome ?? [about.agent, about.queue, about.status].filter(Boolean).join(" · ");
      const colour = about.outcome ? (OUTCOMES[about.outcome] ?? "calm") : this.#colour(about.agent ?? key) + (about.status && about.status !== "active" ? " inactive" : "");
      const line = merged.get(key) ?? { name: key || "all", colour, points: [] };
      merged.set(key, { ...line, points: [...line.points, ...points].sort((a, b) => a.at - b.at) });
    }
    const size = (line) => (kind === "gauge" ? line.points.at(-1).value : line.points.reduce((sum, point) => sum + point.count, 0));
    return [...merged.values()].sort((a, b) => size(b) - size(a) || a.name.localeCompare(b.name));
  }

  #colour(key) {
    if (!this.#colours.has(key)) this.#colours.set(key, `s${this.#colours.size % COLOURS}`);
    return this.#colours.get(key);
  }
}

/** The series of one agent, and those of none, such as queues. */
function ofAgent(metrics, agent) {
  if (!agent) return metrics;
  const kept = [...metrics].map(([name, series]) => [name, new Map([...series].filter(([, { about }]) => isOf(about.agent ?? agent, agent)))]);
  return new Map(kept.filter(([, series]) => series.size > 0));
}

function guessKind(series) {
  const [first] = series.values();
  return first.points[0].max === undefined ? "gauge" : "histogram";
}

/** The time from the first point to the last, at least a minute. */
function extent(metrics) {
  let [from, to] = [Infinity, -Infinity];
  for (const series of metrics.values()) for (const { points } of series.values()) [from, to] = [Math.min(from, points[0].at), Math.max(to, points.at(-1).at)];
  return [Math.min(from, to - 60_000), to];
}

function summary({ points }, kind, unit) {
  const sum = points.reduce((total, point) => total + point.value, 0);
  if (kind === "gauge") return [amount(points.at(-1).value, unit), ""];
  if (kind === "counter") return [amount(sum, unit), ""];
  const count = points.reduce((total, point) => total + point.count, 0);
  return [amount(sum / count, unit), count > 1 ? `mean of ${count}` : ""];
}

function amount(value, unit) {
  if (unit === "s") return value === 0 ? "0 s" : duration(value * 1000);
  if (unit === "1") return `${Number((value * 100).toPrecision(3))} %`;
  return Number(value.toPrecision(4)).toLocaleString("en");
}

/** name, value, note. */
export function dora(metrics) {
  const points = (name, matches = () => true) => [...(metrics.get(name)?.values() ?? [])].filter(({ about }) => matches(about)).flatMap((series) => series.points);
  const sum = (points, property) => points.reduce((total, point) => total + point[property], 0);
  const releases = (...outcomes) => sum(points("slipway.releases", (about) => outcomes.includes(about.outcome)), "value");
  const mean = (name) => {
    const [total, count] = [sum(points(name), "value"), sum(points(name), "count")];
    return count > 0 ? [amount(total / count, "s"), `mean of ${count}`] : ["–", "no data yet"];
  };
  const [live, bad] = [releases("live"), releases("failed", "rolled_back")];
  return [
    ["Lead time", ...mean("slipway.release.lead_time")],
    ["Deployments", live.toLocaleString("en"), "went live"],
    ["Change-fail rate", live + bad > 0 ? `${Math.round((100 * bad) / (live + bad))} %` : "–", `${bad} of ${live + bad}`],
    ["Time to restore", ...mean("slipway.release.time_to_restore")],
  ];
}
