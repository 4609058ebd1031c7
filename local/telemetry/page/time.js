// Formats times and durations for people.

import { h } from "./dom.js";

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const STEPS = [["d", 86_400], ["h", 3600], ["min", 60]];

/** The local time of day, with the date if it is not today. */
export function clock(at) {
  const when = new Date(at);
  const today = when.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(when) : `${DAY.format(when)} ${CLOCK.format(when)}`;
}

/** The time since, in one unit. */
export function ago(at, now = Date.now()) {
  const seconds = (now - at) / 1000;
  if (seconds < 5) return "just now";
  for (const [unit, size] of STEPS) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  return `${Math.floor(seconds)} s ago`;
}

/** Milliseconds as a duration with three digits. */
export function duration(ms) {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const [unit, size] = STEPS.find(([, length]) => seconds >= length);
  const [below, part] = { d: ["h", 3600], h: ["min", 60], min: ["s", 1] }[unit];
  return `${Math.floor(seconds / size)} ${unit} ${Math.floor((seconds % size) / part)} ${below}`;
}

/** A time, absolute and relative; `refresh` updates the relative one. */
export function timestamp(at, { brief = false } = {}) {
  const text = brief ? clock(at).replace(/\.\d+$/, "") : clock(at);
  return [
    h("time", { datetime: new Date(at).toISOString(), title: new Date(at).toISOString() }, text),
    " · ",
    h("span", { class: "ago", "data-at": at }, ago(at)),
  ];
}

/** Update every relative time of the page. */
export function refresh() {
  const now = Date.now();
  for (const element of document.querySelectorAll(".ago")) {
    const text = ago(Number(element.dataset.at), now);
    if (element.textContent !== text) element.textContent = text;
  }
}
