// One trace: a header, its spans on a time axis, and its decisions.

import { axis } from "./axis.js";
import { withCommands } from "./commands.js";
import { h, keyed, setText } from "./dom.js";
import { CAUSES, badge, decisionLine, image, otherLine, propertyList, versions } from "./lines.js";
import { tone } from "./store.js";
import { clock, duration, timestamp } from "./time.js";
import { rows } from "./tree.js";

const KEY_LABELS = { decision: "decision", step: "step", waiting: "waits for Foundry", call: "SDK call", nothing: "nothing runs" };
const MAX_DEPTH = 100; // ids come from outside and may form a cycle
const MAX_ROWS = 500; // and lines
const MIN_WIDTH = 0.004; // share of the width, so that short spans are visible

/** Shows a trace in an element; remembers which rows are open. */
export class Waterfall {
  #opened = new Set(); // ids of spans, and keys of lines
  #unfolded = new Set();

  constructor(element) {
    this.head = h("header", { class: "about" });
    this.table = h("div", { class: "spans", role: "table", "aria-label": "Steps, by when they began" });
    this.lines = h("ol", { class: "lines within", role: "list" });
    this.key = h("p", { class: "key quiet", "aria-hidden": "true" }, ["decision", "step", "waiting", "call", "nothing"].map((name) => h("span", { class: name }, KEY_LABELS[name])));
    this.note = h("p", { class: "note quiet", hidden: true });
    element.append(this.head, this.table, this.key, this.note, h("h3", {}, "Decisions"), this.lines);
  }

  show(trace) {
    this.trace = trace;
    const allRows = rows(trace);
    this.#showHeader(trace);
    this.table.hidden = this.key.hidden = allRows.length === 0;
    this.lines.classList.toggle("same", new Set(trace.decisions.map((line) => line.about.agent)).size < 2);
    this.lines.classList.toggle("same-image", new Set(trace.decisions.map((line) => image(line.about)).filter(Boolean)).size < 2);
    const hidden = allRows.length > 0 ? this.#showSpans(trace, allRows) : 0;
    this.#showNotes(trace, hidden, trace.lines.length - MAX_ROWS);
    const onOpen = (key, open) => (open ? this.#opened.add(key) : this.#opened.delete(key));
    keyed(this.lines, trace.lines.slice(0, MAX_ROWS), {
      key: (line) => line.key,
      version: () => trace.begun, // a span that arrives later may have begun earlier
      make: (line) => (line.kind === "decision" ? decisionLine(line, { since: trace.begun, open: this.#opened.has(line.key), onOpen }) : otherLine(line, trace.begun)),
    });
  }

  #showNotes(trace, steps, lines) {
    const notes = [
      trace.spans.size === 0 ? "No steps have arrived yet: a span is sent up to five seconds after it ends." : "",
      steps > 0 ? `${steps} more steps are not shown.` : "",
      lines > 0 ? `${lines} more decisions are not shown here; see Decisions.` : "",
    ].filter(Boolean);
    this.note.hidden = notes.length === 0;
    setText(this.note, notes.join(" "));
  }

  #showHeader(trace) {
    const about = trace.subject;
    const { outcomes } = trace;
    const agents = outcomes.map((line) => line.about.agent).filter(Boolean);
    const parts = [
      h("h2", { tabindex: "-1" }, agents.join(", ") || image(about) || "Push without an image"),
      h("p", { class: "outcome" }, outcomes.map((line) => badge(line.about, `outcome-${line.about.agent}`)), h("span", { class: "versions" }, versions(outcomes.at(-1)?.about ?? {}))),
      propertyList([
        ["image", h("code", {}, image(about) || "–")],
        ["begun", h("span", {}, timestamp(trace.begun))],
        ["took", duration(trace.ended - trace.begun)],
        ["cause", CAUSES[about.cause] ?? about.cause ?? "–"],
        ["digest", h("code", { class: "digest" }, about.digest ?? "–")],
        ["trace", h("code", {}, [...trace.traces].join(", "))],
      ]),
      outcomes.filter((line) => line.about.severity !== "info").map((line) => h("p", { class: `advice ${tone(line.about)}` }, line.about.detail ? h("span", {}, line.about.detail) : null, " ", line.about.help ? h("span", { class: "help" }, withCommands(line.about.help, line.about.agent)) : null)),
    ];
    keyed(this.head, [parts], { key: () => trace.id, version: () => trace.changes, make: () => h("div", {}, parts) });
  }

  /** Show the spans; return how many are left out. */
  #showSpans(trace, allRows) {
    const spans = allRows.filter((row) => row.span).map(({ span }) => [span.at, span.at + span.took]);
    const scale = axis([...spans, ...trace.decisions.map((line) => [line.at, line.at])]);
    const visible = allRows.filter((row) => !row.call || !row.within || this.#unfolded.has(row.within.span.id));
    const shown = visible.slice(0, MAX_ROWS);
    const marks = marksBySpan(trace, shown);
    keyed(this.table, [{ head: true }, ...shown], {
      key: (row) => (row.head ? "head" : (row.span?.id ?? `wait-${row.from}`)),
      version: (row) => `${trace.id} ${trace.changes} ${this.#opened.has(row.span?.id)} ${this.#unfolded.has(row.span?.id)}`,
      make: (row) => (row.head ? header(scale) : row.span ? this.#span(row, scale, marks.get(row.span.id) ?? []) : wait(row, scale)),
    });
    return visible.length - shown.length;
  }

  #span(row, scale, marks) {
    const { span, depth, call } = row;
    const open = this.#opened.has(span.id);
    const bar = h("span", { class: `bar ${kind(row)}`, "--x": percent(scale.at(span.at)), "--w": percent(Math.max(scale.at(span.at + span.took) - scale.at(span.at), MIN_WIDTH)) });
    return h(
      "div",
      { role: "row", class: `span${call ? " call" : ""}${span.good ? "" : " failed"}`, "--depth": depth },
      h("div", { role: "rowheader", class: "name" }, this.#fold(row), this.#label(span, open)),
      h("div", { role: "cell", class: "bars" }, h("span", { class: "track" }, bar, marks.map((line) => mark(line, scale)))),
      h("div", { role: "cell", class: "took" }, duration(span.took), span.good ? null : h("span", { class: "hidden" }, " failed")),
      open ? h("div", { role: "cell", class: "rest" }, propertyList(spanProperties(span, scale.from))) : null,
    );
  }

  #label(span, open) {
    const [first, ...rest] = span.name.split(/(?<=^[a-z_]+\.)/);
    return h(
      "button",
      { type: "button", class: "label", "aria-expanded": String(open), "data-focus": `span-${span.id}`, title: span.name, click: () => this.#toggle(this.#opened, span.id) },
      rest.length > 0 && first.endsWith(".") ? [h("span", { class: "quiet" }, first), rest.join("")] : span.name,
      span.good ? null : h("span", { class: "mark", "aria-label": "failed" }, " ✕"),
    );
  }

  #fold({ span, call, calls }) {
    if (call || calls === 0) return h("span", { class: "fold" });
    const open = this.#unfolded.has(span.id);
    return h(
      "button",
      { type: "button", class: "fold", "aria-expanded": String(open), "aria-label": `${calls} calls in ${span.name}`, "data-focus": `fold-${span.id}`, click: () => this.#toggle(this.#unfolded, span.id) },
      open ? "▾" : "▸",
    );
  }

  #toggle(set, id) {
    if (!set.delete(id)) set.add(id);
    this.show(this.trace);
  }
}

function kind({ span, call }) {
  if (!span.good) return "bad";
  if (span.name === "release.wait") return "waiting";
  if (span.type === "request") return "request";
  return call ? "asked" : "step";
}

function percent(share) {
  return `${(100 * share).toFixed(3)}%`;
}

/** The decisions of each shown span; a folded call's decisions belong to its step. */
function marksBySpan(trace, shown) {
  const shownIds = new Set(shown.map((row) => row.span?.id));
  const marks = new Map();
  for (const line of trace.decisions) {
    let id = line.parent;
    for (let up = 0; id && !shownIds.has(id); up += 1) id = up < MAX_DEPTH ? trace.spans.get(id)?.parent : undefined;
    if (id) marks.set(id, [...(marks.get(id) ?? []), line]);
  }
  return marks;
}

function mark(line, scale) {
  return h("span", { class: `decision ${tone(line.about)}`, "--x": percent(scale.at(line.at)), title: `${line.about.reason} · +${duration(Math.max(line.at - scale.from, 0))}` });
}

function header(scale) {
  return h(
    "div",
    { role: "row", class: "head" },
    h("div", { role: "columnheader", class: "name" }, "Step"),
    h("div", { role: "columnheader", class: "bars", "aria-label": "When" }, h("span", { class: "track" }, scale.ticks.map((tick) => h("span", { class: "tick", "--x": percent(tick.where) }, tick.after === 0 ? "0" : `+${duration(tick.after)}`)))),
    h("div", { role: "columnheader", class: "took" }, "Took"),
  );
}

function wait(row, scale) {
  const cut = scale.cuts.some(([from]) => from >= row.from && from < row.to);
  const [x, end] = [scale.at(row.from), scale.at(row.to)];
  return h(
    "div",
    { role: "row", class: "span pause", "--depth": row.depth },
    h("div", { role: "rowheader", class: "name" }, h("span", { class: "fold" }), h("span", { class: "label" }, row.wait)),
    h("div", { role: "cell", class: "bars" }, h("span", { class: "track" }, h("span", { class: `bar nothing${cut ? " cut" : ""}`, "--x": percent(x), "--w": percent(Math.max(end - x, MIN_WIDTH)) }))),
    h("div", { role: "cell", class: "took" }, duration(row.to - row.from)),
  );
}

function spanProperties(span, from) {
  const properties = [["began", `${clock(span.at)}, +${duration(Math.max(span.at - from, 0))}`], ["took", duration(span.took)]];
  for (const name of ["type", "code", "target", "address"]) if (span[name]) properties.push([name, span[name]]);
  return [...properties, ...Object.entries(span.about)];
}
