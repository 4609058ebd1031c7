// One trace: what it is about, its spans on a line of time, and what was decided meanwhile.

import { axis } from "./axis.js";
import { h, keyed, say } from "./dom.js";
import { badge, decided, facts, image, other, versions } from "./lines.js";
import { tone } from "./store.js";
import { clock, lasted, stamp } from "./time.js";
import { rows } from "./tree.js";

const SAID = { decision: "a decision", step: "a step", waiting: "waits for Foundry", call: "a call of an SDK", nothing: "nothing ran" };
const DEEPEST = 100; // parents up: ids are a stranger's, and may go in a circle
const MOST = 500; // rows, and lines
const LEAST = 0.004; // of the width: what took no time is still seen

/** Shows traces in an element; remembers what a person opened. */
export class Waterfall {
  #opened = new Set(); // spans, and keys of lines
  #unfolded = new Set();

  constructor(element) {
    this.head = h("header", { class: "about" });
    this.table = h("div", { class: "spans", role: "table", "aria-label": "Steps, by when they began" });
    this.lines = h("ol", { class: "lines within", role: "list" });
    this.key = h("p", { class: "key quiet", "aria-hidden": "true" }, ["decision", "step", "waiting", "call", "nothing"].map((one) => h("span", { class: one }, SAID[one])));
    this.note = h("p", { class: "note quiet", hidden: true });
    element.append(this.head, this.table, this.key, this.note, h("h3", {}, "What was decided"), this.lines);
  }

  show(trace) {
    this.trace = trace;
    const found = rows(trace);
    this.#about(trace);
    this.table.hidden = this.key.hidden = found.length === 0;
    this.lines.classList.toggle("same", new Set(trace.decisions.map((line) => line.about.agent)).size < 2);
    const left = found.length > 0 ? this.#spans(trace, found) : 0;
    this.#say(trace, left, trace.lines.length - MOST);
    const onOpen = (key, open) => (open ? this.#opened.add(key) : this.#opened.delete(key));
    keyed(this.lines, trace.lines.slice(0, MOST), {
      key: (line) => line.key,
      version: () => trace.begun, // a span that arrives later may have begun earlier
      make: (line) => (line.kind === "decision" ? decided(line, { since: trace.begun, open: this.#opened.has(line.key), onOpen }) : other(line, trace.begun)),
    });
  }

  #say(trace, steps, lines) {
    const notes = [
      trace.spans.size === 0 ? "No step has arrived yet: a span is sent when it ends, at most five seconds later." : "",
      steps > 0 ? `${steps} more steps are not shown.` : "",
      lines > 0 ? `${lines} more decisions are not shown here; the view of all has them.` : "",
    ].filter(Boolean);
    this.note.hidden = notes.length === 0;
    say(this.note, notes.join(" "));
  }

  #about(trace) {
    const about = trace.subject;
    const last = trace.outcomes;
    const agents = last.map((line) => line.about.agent).filter(Boolean);
    const parts = [
      h("h2", { tabindex: "-1" }, agents.join(", ") || image(about) || "Nobody’s push"),
      h("p", { class: "outcome" }, last.map((line) => badge(line.about, `outcome-${line.about.agent}`)), h("span", { class: "versions" }, versions(last.at(-1)?.about ?? {}))),
      facts([
        ["image", h("code", {}, image(about) || "–")],
        ["begun", h("span", {}, stamp(trace.begun))],
        ["took", lasted(trace.ended - trace.begun)],
        ["cause", about.cause ?? "–"],
        ["digest", h("code", { class: "digest" }, about.digest ?? "–")],
        ["trace", h("code", {}, trace.id)],
      ]),
      last.filter((line) => line.about.severity !== "info").map((line) => h("p", { class: `advice ${tone(line.about)}` }, [line.about.detail, line.about.help].filter(Boolean).join(" — "))),
    ];
    keyed(this.head, [parts], { key: () => trace.id, version: () => trace.changes, make: () => h("div", {}, parts) });
  }

  /** Draws them; returns how many there was no room for. */
  #spans(trace, found) {
    const spans = found.filter((row) => row.span).map(({ span }) => [span.at, span.at + span.took]);
    const scale = axis([...spans, ...trace.decisions.map((line) => [line.at, line.at])]);
    const wanted = found.filter((row) => !row.call || !row.within || this.#unfolded.has(row.within.span.id));
    const shown = wanted.slice(0, MOST);
    const marks = marked(trace, shown);
    keyed(this.table, [{ head: true }, ...shown], {
      key: (row) => (row.head ? "head" : (row.span?.id ?? `wait-${row.from}`)),
      version: (row) => `${trace.id} ${trace.changes} ${this.#opened.has(row.span?.id)} ${this.#unfolded.has(row.span?.id)}`,
      make: (row) => (row.head ? header(scale) : row.span ? this.#span(row, scale, marks.get(row.span.id) ?? []) : wait(row, scale)),
    });
    return wanted.length - shown.length;
  }

  #span(row, scale, marks) {
    const { span, depth, call } = row;
    const open = this.#opened.has(span.id);
    const bar = h("span", { class: `bar ${kind(row)}`, "--x": percent(scale.at(span.at)), "--w": percent(Math.max(scale.at(span.at + span.took) - scale.at(span.at), LEAST)) });
    return h(
      "div",
      { role: "row", class: `span${call ? " call" : ""}${span.good ? "" : " failed"}`, "--depth": depth },
      h("div", { role: "rowheader", class: "name" }, this.#fold(row), this.#label(span, open)),
      h("div", { role: "cell", class: "bars" }, h("span", { class: "track" }, bar, marks.map((line) => mark(line, scale)))),
      h("div", { role: "cell", class: "took" }, lasted(span.took), span.good ? null : h("span", { class: "hidden" }, " failed")),
      open ? h("div", { role: "cell", class: "rest" }, facts(said(span, scale.from))) : null,
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
      { type: "button", class: "fold", "aria-expanded": String(open), "aria-label": `${calls} calls of ${span.name}`, "data-focus": `fold-${span.id}`, click: () => this.#toggle(this.#unfolded, span.id) },
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

/** The decisions of each shown span; those of a folded call stand at the step that made it. */
function marked(trace, shown) {
  const there = new Set(shown.map((row) => row.span?.id));
  const found = new Map();
  for (const line of trace.decisions) {
    let id = line.parent;
    for (let up = 0; id && !there.has(id); up += 1) id = up < DEEPEST ? trace.spans.get(id)?.parent : undefined;
    if (id) found.set(id, [...(found.get(id) ?? []), line]);
  }
  return found;
}

function mark(line, scale) {
  return h("span", { class: `decision ${tone(line.about)}`, "--x": percent(scale.at(line.at)), title: `${line.about.reason} · +${lasted(Math.max(line.at - scale.from, 0))}` });
}

function header(scale) {
  return h(
    "div",
    { role: "row", class: "head" },
    h("div", { role: "columnheader", class: "name" }, "Step"),
    h("div", { role: "columnheader", class: "bars", "aria-label": "When" }, h("span", { class: "track" }, scale.ticks.map((tick) => h("span", { class: "tick", "--x": percent(tick.where) }, tick.after === 0 ? "0" : `+${lasted(tick.after)}`)))),
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
    h("div", { role: "cell", class: "bars" }, h("span", { class: "track" }, h("span", { class: `bar nothing${cut ? " cut" : ""}`, "--x": percent(x), "--w": percent(Math.max(end - x, LEAST)) }))),
    h("div", { role: "cell", class: "took" }, lasted(row.to - row.from)),
  );
}

function said(span, from) {
  const told = [["began", `${clock(span.at)}, +${lasted(Math.max(span.at - from, 0))}`], ["took", lasted(span.took)]];
  for (const name of ["type", "code", "target", "address"]) if (span[name]) told.push([name, span[name]]);
  return [...told, ...Object.entries(span.about)];
}
