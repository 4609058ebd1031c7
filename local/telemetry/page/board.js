// What runs where: a row per target; where agents have stages a row per agent, and a column per stage.

import { withCommands } from "./commands.js";
import { h, keyed, setText } from "./dom.js";
import { STATES, matches, query } from "./filter.js";
import { badge } from "./lines.js";
import { tone } from "./store.js";
import { ago, clock } from "./time.js";

const HEADINGS = ["Agent", "Live", "State", "Since", "What to know"];
const CELLS = ["name", "live", "state", "since", "note"];
const DEFAULT_PROJECT = "default";

export class Board {
  constructor(element, store) {
    this.store = store;
    this.counts = h("p", { class: "counts" });
    this.head = h("tr", { role: "row" });
    this.body = h("tbody", { role: "rowgroup" });
    this.table = h("table", { class: "board", role: "table" }, h("caption", { class: "hidden" }, "What runs where"), h("thead", { role: "rowgroup" }, this.head), this.body);
    this.none = h("p", { class: "empty", hidden: true });
    element.append(this.counts, this.table, this.none);
  }

  /** Show the rows; return how many of how many. */
  show({ filter = {} }) {
    const all = this.store.board;
    const shown = all.filter((row) => matches(row, filter, textOf));
    const stages = Math.max(...all.map((row) => row.stage), 1);
    this.#showCounts(all, filter);
    this.table.hidden = shown.length === 0;
    this.none.hidden = shown.length > 0;
    setText(this.none, all.length === 0 ? "No target is known: agents.yaml names no agent, or its state could not be read." : "No target matches the filter.");
    this.table.classList.toggle("matrix", stages > 1);
    if (stages > 1) this.#showStages(shown, stages, filter);
    else this.#showList(shown, filter);
    return [shown.length, all.length];
  }

  #showCounts(all, filter) {
    const counted = STATES.map(([key, label]) => [key, label, all.filter((row) => tone(row.about) === key).length]).filter(([, , count]) => count > 0);
    keyed(this.counts, counted, {
      key: ([key]) => key,
      version: (item) => `${item} ${JSON.stringify(filter)}`,
      make: ([key, label, count]) => {
        const { state, ...rest } = filter;
        const on = state === key;
        return h("a", { class: `tally ${key}`, href: `#/board${query(on ? rest : { ...rest, state: key })}`, "aria-current": on ? "true" : false, "data-focus": `tally-${key}` }, h("strong", {}, String(count)), ` ${label}`);
      },
    });
  }

  #showList(rows, filter) {
    keyed(this.head, HEADINGS, { key: (name) => name, make: (name) => h("th", { scope: "col", role: "columnheader" }, name) });
    keyed(this.body, rows, {
      key: (row) => row.target,
      version: (row) => `${row.text} ${query(filter)}`,
      make: (row) => {
        const cells = [nameOf(row), liveImage(row), stateOf(row), since(row), note(row)];
        return h("tr", { role: "row", class: tone(row.about) }, cells.map((cell, index) => h(index === 0 ? "th" : "td", { role: index === 0 ? "rowheader" : "cell", class: CELLS[index], scope: index === 0 ? "row" : null }, cell)));
      },
    });
  }

  #showStages(rows, stages, filter) {
    const staged = new Set(this.store.board.filter((row) => row.stage > 1).map((row) => row.agent));
    this.table.style.setProperty("--stages", stages);
    const numbers = Array.from({ length: stages }, (_, index) => index + 1);
    keyed(this.head, ["Agent", ...numbers.map((stage) => `Stage ${stage}`)], { key: (name) => name, make: (name) => h("th", { scope: "col", role: "columnheader" }, name) });
    keyed(this.body, [...Map.groupBy(rows, (row) => row.agent)], {
      key: ([agent]) => agent,
      version: ([, targets]) => `${targets.map((row) => row.text)} ${stages} ${query(filter)}`,
      make: ([agent, targets]) =>
        h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader", class: "name" }, agentLink(agent)), staged.has(agent) ? numbers.map((stage) => stageCell(stage, targets)) : h("td", { role: "cell", class: "cell whole", colspan: stages }, targets.map((row) => targetOf(row, row.project !== DEFAULT_PROJECT)))),
    });
  }
}

function stageCell(stage, targets) {
  const here = targets.filter((row) => row.stage === stage);
  if (here.length === 0) return h("td", { role: "cell", class: "cell none" }, h("span", { class: "quiet" }, "–"));
  return h("td", { role: "cell", class: "cell" }, h("span", { class: "stage" }, `Stage ${stage}`), here.map((row) => targetOf(row, true)));
}

/** A target of a stage: its project, what it runs, its state, and what to know. */
function targetOf(row, hasProject) {
  const project = hasProject && h("a", { class: "project", href: `#/releases${query({ agent: row.target })}`, "data-focus": `board-${row.target}` }, row.project);
  return h("div", { class: `target ${tone(row.about)}` }, project, h("div", { class: "now" }, liveImage(row), h("span", {}, stateOf(row), " ", since(row))), note(row));
}

function nameOf(row) {
  const link = h("a", { href: `#/releases${query({ agent: row.target })}`, "data-focus": `board-${row.target}` }, row.agent);
  return row.project === DEFAULT_PROJECT ? link : [link, h("span", { class: "quiet" }, ` @${row.project}`)];
}

function agentLink(agent) {
  return h("a", { href: `#/releases${query({ agent })}`, "data-focus": `board-${agent}` }, agent);
}

function liveImage(row) {
  if (!row.live) return h("span", { class: "quiet" }, "nothing is live");
  const coming = row.desired_tag && row.desired_tag !== row.live_tag;
  return h("span", { class: "image" }, row.live_tag ? [h("code", {}, row.live_tag), " "] : null, h("span", { class: "quiet" }, `version ${row.live}`), row.live_signer ? h("span", { class: "quiet", title: `signed by ${row.live_signer}` }, ", signed") : null, coming ? h("span", { class: "coming" }, h("span", { class: "quiet" }, " desired "), h("code", {}, row.desired_tag)) : null);
}

/** The state with the tag that it is about, where another one is live. */
function stateOf(row) {
  const other = row.state_tag && row.state_tag !== row.live_tag ? h("code", { class: "about-tag" }, row.state_tag) : null;
  const shown = row.is_open ? h("span", { class: "reason on" }, h("span", { class: "mark", "aria-hidden": "true" }, "→"), row.state) : badge(row.about, `state-${row.target}`);
  return h("span", { class: "state-of" }, shown, other ? [" ", other] : null);
}

function since(row) {
  if (!row.since) return h("span", { class: "quiet" }, "–");
  const iso = new Date(row.since).toISOString();
  return h("time", { datetime: iso, title: `${clock(row.since)} · ${iso}`, class: "ago", "data-at": row.since }, ago(row.since));
}

function note(row) {
  const lines = [...row.notes, row.detail].filter(Boolean);
  if (lines.length === 0 && !row.next) return null;
  return h("div", { class: "notes" }, lines.map((line) => h("p", {}, line)), row.next ? h("p", { class: "quiet next" }, withCommands(row.next, row.target)) : null);
}

function textOf(row) {
  return row.text;
}
