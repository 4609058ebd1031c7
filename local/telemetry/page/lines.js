// A decision as a line: time, reason, agent, what it is about; all other properties on demand.

import { withCommands } from "./commands.js";
import { h } from "./dom.js";
import { meanings } from "./reasons.js";
import { tone } from "./store.js";
import { duration, timestamp } from "./time.js";
import { releaseId } from "./trace.js";

const MARKS = { good: "✓", bad: "✕", warn: "!", on: "→", calm: "·" };
/** Causes of a release other than a push, in words. */
export const CAUSES = { secret: "rotated secret", configuration: "changed agents.yaml", person: "a person" };
const SHOWN = new Set(["at", "agent", "reason", "severity", "repository", "tag", "detail", "help"]);

/** A badge with the reason, which opens the reason's page. */
export function badge(about, focus) {
  const kind = tone(about);
  return h(
    "button",
    { type: "button", class: `reason ${kind}`, "data-reason": about.reason, "data-help": about.help, "data-agent": about.agent, "data-focus": focus, "aria-haspopup": "dialog" },
    h("span", { class: "mark", "aria-hidden": "true" }, MARKS[kind]),
    about.reason ?? "?",
  );
}

/** A decision; with `since` in milliseconds its time is relative to that. */
export function decisionLine(record, { since = null, open = false, onOpen = () => {}, hasRelease = false } = {}) {
  const { about } = record;
  const more = h("button", { type: "button", class: "more", "aria-expanded": String(open), "aria-label": "All properties", "data-focus": `more-${record.key}` }, "⋯");
  const rest = h("div", { class: "rest", hidden: !open });
  if (open) rest.append(properties(about));
  more.addEventListener("click", () => {
    const opened = rest.hidden;
    rest.hidden = !opened;
    more.setAttribute("aria-expanded", String(opened));
    if (opened && !rest.hasChildNodes()) rest.append(properties(about));
    onOpen(record.key, opened);
  });
  return h(
    "li",
    { class: `line ${tone(about)}` },
    h("span", { class: "when" }, since === null ? timestamp(record.at) : after(record, since)),
    h("span", { class: "why" }, badge(about, `reason-${record.key}`)),
    h("span", { class: "who" }, about.agent ?? "–"),
    h("span", { class: "what" }, subject(about)),
    h("span", { class: "open" }, hasRelease ? toRelease(record) : null, more),
    rest,
  );
}

/** Another line of a trace: an exception, or a line of another logger. */
export function otherLine(record, since) {
  return h(
    "li",
    { class: `line ${record.bad ? "bad" : "calm"}` },
    h("span", { class: "when" }, after(record, since)),
    h("span", { class: "why" }, record.bad ? "error" : "log"),
    h("span", { class: "who" }),
    h("span", { class: "what" }, record.text),
  );
}

/** `repository:tag`, or the secret or queue. */
export function image(about) {
  if (about.repository) return about.tag ? `${about.repository}:${about.tag}` : `${about.repository} (no tag)`;
  return about.secret ? `secret ${about.secret}` : (about.queue ?? "");
}

/** The version, or the change from one version to another. */
export function versions(about) {
  const to = about.to_version ?? about.version;
  if (!to) return "";
  return about.from_version && about.from_version !== to ? `${about.from_version} → ${to}` : `version ${to}`;
}

function subject(about) {
  const urgent = about.severity !== "info";
  return [
    image(about) ? h("code", { class: "image" }, image(about)) : null,
    versions(about) ? h("span", { class: "versions" }, versions(about)) : null,
    about.images !== undefined ? h("span", { class: "versions" }, `${about.versions ?? "?"} of ${about.limit ?? "?"} versions`) : null,
    about.detail ? h("span", { class: "detail" }, about.detail) : h("span", { class: "quiet" }, meanings.get(about.reason) ?? ""),
    urgent && about.help ? h("span", { class: "help" }, withCommands(about.help, about.agent)) : null,
  ].flatMap((part) => [part, " "]);
}

function after(record, since) {
  return [
    h("time", { datetime: new Date(record.at).toISOString(), title: new Date(record.at).toISOString() }, `+${duration(Math.max(record.at - since, 0))}`),
  ];
}

function toRelease(record) {
  return h("a", { class: "trace", href: `#/releases/${encodeURIComponent(releaseId(record))}`, "aria-label": `Release of ${record.about.reason}`, "data-focus": `trace-${record.key}` }, "release");
}

function properties(about) {
  return propertyList(Object.entries(about).filter(([name]) => !SHOWN.has(name) || name === "help" || name === "at"));
}

/** A list of names and values. */
export function propertyList(entries) {
  return h("dl", { class: "facts" }, entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
