// Small plots: bars for counters, steps for gauges, mean with minimum and maximum for histograms.

import { h, svg } from "./dom.js";

const [WIDTH, HEIGHT, PAD] = [320, 84, 4];
const BINS = 48;

/** `series` is [{colour, points}], `kind` counter, gauge or histogram, `span` the times [from, to] of every plot. */
export function plot({ kind, series, span, label }) {
  const top = maximum(kind, series, span);
  const scale = {
    x: (at) => PAD + ((at - span[0]) / Math.max(span[1] - span[0], 1)) * (WIDTH - 2 * PAD),
    y: (value) => HEIGHT - PAD - (value / top) * (HEIGHT - 3 * PAD),
  };
  const drawn = { counter: bars, gauge: steps, histogram: spreads }[kind](series, span, scale);
  const base = svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - PAD, y2: HEIGHT - PAD });
  const half = svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: scale.y(top / 2), y2: scale.y(top / 2) });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, half, base, drawn);
  return { picture, top };
}

function maximum(kind, series, span) {
  const values = kind === "counter" ? binned(series, span).map((bin) => bin.reduce((sum, value) => sum + value, 0)) : series.flatMap(({ points }) => points.map((point) => Math.max(point.max ?? 0, point.value / (kind === "histogram" ? point.count : 1))));
  return nice(Math.max(...values, 0));
}

/** Round up to 1, 2 or 5 × 10ⁿ. */
export function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= value * 0.999);
}

/** Sums by time and series. */
function binned(series, [from, to]) {
  const bins = Array.from({ length: BINS }, () => series.map(() => 0));
  series.forEach(({ points }, index) => {
    for (const point of points) {
      const bin = Math.floor(((point.at - from) / Math.max(to - from, 1)) * BINS);
      bins[Math.min(Math.max(bin, 0), BINS - 1)][index] += point.value;
    }
  });
  return bins;
}

function bars(series, span, { y }) {
  const width = (WIDTH - 2 * PAD) / BINS;
  return binned(series, span).flatMap((bin, number) => {
    let below = 0;
    return bin.map((value, index) => {
      if (value === 0) return null;
      const [low, high] = [y(below), y((below += value))];
      return svg("rect", { class: series[index].colour, x: PAD + number * width + 0.6, width: Math.max(width - 1.2, 1), y: high, height: Math.max(low - high - 0.8, 1) });
    });
  });
}

function steps(series, span, { x, y }) {
  return series.flatMap(({ colour, points }) => {
    const path = points.map((point, index) => (index === 0 ? `M${x(point.at)} ${y(point.value)}` : `H${x(point.at)}V${y(point.value)}`)).join("");
    const last = points.at(-1);
    return [svg("path", { class: `level ${colour}`, d: path }), dot(colour, x(last.at), y(last.value))];
  });
}

function spreads(series, span, { x, y }) {
  return series.flatMap(({ colour, points }) =>
    points.flatMap((point) => {
      const [at, mean] = [x(point.at), y(point.value / point.count)];
      const spread = point.max > point.min ? svg("path", { class: `spread ${colour}`, d: `M${at} ${y(point.min)}V${y(point.max)}` }) : null;
      return [spread, dot(colour, at, mean)];
    }),
  );
}

/** A dot that is round at every width: a line of no length with round ends. */
function dot(colour, x, y) {
  return svg("path", { class: `dot ${colour}`, d: `M${x} ${y}h0.001` });
}

/** The colours of a plot, with names and numbers. */
export function legend(rows) {
  return h("table", { class: "legend" }, h("tbody", {}, rows.map(({ colour, name, value, note }) =>
    h("tr", {}, h("th", { scope: "row" }, h("span", { class: `swatch ${colour}`, "aria-hidden": "true" }), name), h("td", {}, value, note ? h("span", { class: "quiet" }, ` ${note}`) : null)))));
}
