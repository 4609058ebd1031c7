// Times and durations as a person reads them.

import { h } from "./dom.js";

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const STEPS = [["d", 86_400], ["h", 3600], ["min", 60]];

/** The time of day, here, with the day where it is another one than today. */
export function clock(at) {
  const when = new Date(at);
  const today = when.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(when) : `${DAY.format(when)} ${CLOCK.format(when)}`;
}

/** How long ago, in one unit. */
export function ago(at, now = Date.now()) {
  const seconds = (now - at) / 1000;
  if (seconds < 5) return "just now";
  for (const [unit, size] of STEPS) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  return `${Math.floor(seconds)} s ago`;
}

/** Milliseconds as a duration with three figures. */
export function lasted(ms) {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const [unit, size] = STEPS.find(([, length]) => seconds >= length);
  const [below, part] = { d: ["h", 3600], h: ["min", 60], min: ["s", 1] }[unit];
  return `${Math.floor(seconds / size)} ${unit} ${Math.floor((seconds % size) / part)} ${below}`;
}

/** A time, absolute and relative; the relative one is kept true by `refresh`. */
export function stamp(at, { brief = false } = {}) {
  const text = brief ? clock(at).replace(/\.\d+$/, "") : clock(at);
  return [
    h("time", { datetime: new Date(at).toISOString(), title: new Date(at).toISOString() }, text),
    " · ",
    h("span", { class: "ago", "data-at": at }, ago(at)),
  ];
}

/** Bring every relative time of the page up to date. */
export function refresh() {
  const now = Date.now();
  for (const one of document.querySelectorAll(".ago")) {
    const text = ago(Number(one.dataset.at), now);
    if (one.textContent !== text) one.textContent = text;
  }
}
