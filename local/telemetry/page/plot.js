// Small plots: bars for counts, steps for levels, a mean between its least and its most for durations.

import { h, svg } from "./dom.js";

const [WIDTH, HEIGHT, PAD] = [320, 84, 4];
const BINS = 48;

/** `series` is [{colour, points}], `kind` counter, gauge or histogram, `span` the times [from, to] of every plot. */
export function plot({ kind, series, span, label }) {
  const top = highest(kind, series, span);
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

function highest(kind, series, span) {
  const values = kind === "counter" ? binned(series, span).map((bin) => bin.reduce((sum, one) => sum + one, 0)) : series.flatMap(({ points }) => points.map((one) => Math.max(one.max ?? 0, one.value / (kind === "histogram" ? one.count : 1))));
  return nice(Math.max(...values, 0));
}

/** The next of 1, 2, 5 × 10ⁿ. */
export function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= value * 0.999);
}

/** Sums by time and series. */
function binned(series, [from, to]) {
  const bins = Array.from({ length: BINS }, () => series.map(() => 0));
  series.forEach(({ points }, index) => {
    for (const one of points) {
      const bin = Math.floor(((one.at - from) / Math.max(to - from, 1)) * BINS);
      bins[Math.min(Math.max(bin, 0), BINS - 1)][index] += one.value;
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
    const path = points.map((one, index) => (index === 0 ? `M${x(one.at)} ${y(one.value)}` : `H${x(one.at)}V${y(one.value)}`)).join("");
    const last = points.at(-1);
    return [svg("path", { class: `level ${colour}`, d: path }), dot(colour, x(last.at), y(last.value))];
  });
}

function spreads(series, span, { x, y }) {
  return series.flatMap(({ colour, points }) =>
    points.flatMap((one) => {
      const [at, mean] = [x(one.at), y(one.value / one.count)];
      const spread = one.max > one.min ? svg("path", { class: `spread ${colour}`, d: `M${at} ${y(one.min)}V${y(one.max)}` }) : null;
      return [spread, dot(colour, at, mean)];
    }),
  );
}

/** Round at every width: a line without length, with round ends. */
function dot(colour, x, y) {
  return svg("path", { class: `dot ${colour}`, d: `M${x} ${y}h0.001` });
}

/** What a plot's colours mean, with the numbers themselves. */
export function legend(rows) {
  return h("table", { class: "legend" }, h("tbody", {}, rows.map(({ colour, name, value, note }) =>
    h("tr", {}, h("th", { scope: "row" }, h("span", { class: `swatch ${colour}`, "aria-hidden": "true" }), name), h("td", {}, value, note ? h("span", { class: "quiet" }, ` ${note}`) : null)))));
}
