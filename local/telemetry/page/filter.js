// The filter above every view: agent, state, reason and words. It is kept in the address.

import { h, setText } from "./dom.js";
import { tone } from "./store.js";

export const STATES = [["bad", "failed"], ["warn", "waiting for a person"], ["good", "live"], ["on", "in progress"], ["calm", "other"]];
const TYPING_MS = 100;
/** Fields that a view can use; metrics have no reason. */
const FIELDS = { board: ["agent", "state", "reason", "words"], releases: ["agent", "state", "reason", "words"], decisions: ["agent", "state", "reason", "words"], metrics: ["agent"] };

export class FilterBar {
  constructor(element, store, go) {
    this.element = element;
    this.store = store;
    this.go = go;
    const changed = () => this.#apply();
    this.agent = h("select", { id: "agent", change: changed });
    this.state = h("select", { id: "state", change: changed });
    this.reason = h("select", { id: "reason-code", change: changed });
    this.words = h("input", { id: "words", type: "search", placeholder: "tag, digest, detail …", autocomplete: "off", spellcheck: "false", input: () => this.#applySoon() });
    this.fields = { agent: field("Agent", this.agent), state: field("State", this.state), reason: field("Reason", this.reason), words: field("Words", this.words) };
    this.clear = h("button", { type: "button", class: "plain", click: () => go({}) }, "Clear");
    this.found = h("p", { class: "found quiet" });
    element.append(...Object.values(this.fields), this.clear, this.found);
    element.addEventListener("submit", (event) => event.preventDefault());
  }

  show(view, filter) {
    this.element.dataset.view = view;
    for (const [name, element] of Object.entries(this.fields)) element.hidden = !FIELDS[view].includes(name);
    this.clear.hidden = Object.keys(filter).length === 0;
    setText(this.found, "");
    this.#updateChoices(filter);
  }

  /** Say how many rows of all are shown. */
  count(shown, all) {
    setText(this.found, `${shown.toLocaleString("en")} of ${all.toLocaleString("en")}`);
  }

  /** Focus the search field. */
  focus() {
    this.words.focus();
    this.words.select();
  }

  /** Wait for the end of a word, since each change is drawn and is an address. */
  #applySoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#apply(), TYPING_MS);
  }

  #apply() {
    clearTimeout(this.timer);
    const filter = { agent: this.agent.value, state: this.state.value, reason: this.reason.value, words: this.words.value.trim() };
    this.go(Object.fromEntries(Object.entries(filter).filter(([, value]) => value)));
  }

  /** How often each agent and each reason occurs, counted once for the same records. */
  #counted() {
    const { board, decisions, serial } = this.store;
    if (this.counts?.board !== board || this.counts.serial !== serial) this.counts = { board, serial, ...countsOf(board, decisions) };
    return [new Map(this.counts.agents), new Map(this.counts.reasons)];
  }

  #updateChoices(filter) {
    const [agents, reasons] = this.#counted();
    if (filter.agent && !agents.has(filter.agent)) agents.set(filter.agent, 0);
    if (filter.reason && !reasons.has(filter.reason)) reasons.set(filter.reason, { count: 0, tone: "calm" });
    setChoices(this.agent, "all agents", filter.agent, [...agents].sort().map(([name, count]) => option(name, count)));
    setChoices(this.state, "all states", filter.state, STATES.map(([key, label]) => h("option", { value: key }, label)));
    const groups = STATES.map(([key, label]) => [label, [...reasons].filter(([, group]) => group.tone === key).sort()]);
    setChoices(this.reason, "all reasons", filter.reason, groups.filter(([, members]) => members.length > 0).map(([label, members]) => h("optgroup", { label }, members.map(([name, { count }]) => option(name, count)))));
    if (document.activeElement !== this.words) this.words.value = filter.words ?? "";
  }
}

function countsOf(board, decisions) {
  const agents = new Map(board.flatMap(({ agent, target }) => [[agent, 0], [target, 0]]));
  const reasons = new Map(board.map((row) => [row.state, { count: 0, tone: tone(row.about) }]));
  for (const { about } of decisions) {
    if (about.agent) agents.set(about.agent, (agents.get(about.agent) ?? 0) + 1);
    const reason = reasons.get(about.reason) ?? { count: 0, tone: tone(about) };
    reasons.set(about.reason, { ...reason, count: reason.count + 1 });
  }
  return { agents, reasons };
}

/** The filter as the end of an address. */
export function query(filter) {
  const text = new URLSearchParams(filter).toString();
  return text && `?${text}`;
}

/** Whether a target is the one that is meant, or one of the agent's: `support-agent@prod-eu` is one of `support-agent`. */
export function isOf(target, agent) {
  return target === agent || target?.split("@")[0] === agent;
}

/** Whether a decision or a row of the board passes; `text` gives what its words are looked for in, once. */
export function matches(item, { agent, state, reason, words }, text) {
  const { about } = item;
  if (agent && !isOf(about.agent, agent)) return false;
  if (state && tone(about) !== state) return false;
  if (reason && about.reason !== reason) return false;
  if (!words) return true;
  item.words ??= text(item).toLowerCase();
  return hasWords(item.words, words);
}

/** Whether every word is somewhere in the text. */
export function hasWords(text, words) {
  return !words || words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function field(label, input) {
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input);
}

function option(name, count) {
  return h("option", { value: name }, `${name}  (${count})`);
}

/** Replace the choices, but not while the person chooses. */
function setChoices(select, all, value, options) {
  const fresh = [h("option", { value: "" }, all), ...options];
  const same = fresh.map((choice) => choice.textContent).join("\n");
  if (select.dataset.offered !== same && (document.activeElement !== select || select.options.length < 2)) {
    select.replaceChildren(...fresh);
    select.dataset.offered = same;
  }
  if (select.value !== (value ?? "")) select.value = value ?? "";
}
