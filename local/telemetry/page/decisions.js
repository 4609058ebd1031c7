// All decisions, newest first, filtered by agent, reason and words; new ones stay hidden while a person reads.

import { h, keyed, setText } from "./dom.js";
import { decisionLine } from "./lines.js";
import { tone } from "./store.js";

const PAGE = 150;
const TONES = [["bad", "errors"], ["warn", "warnings"], ["good", "live"], ["on", "steps"], ["calm", "other"]];

export class Decisions {
  #limit = PAGE;
  #upTo = Infinity; // key of the newest decision to show
  #open = new Set();

  constructor(element, store, go) {
    this.store = store;
    this.go = go;
    this.agent = h("select", { id: "agent", change: () => this.#applyFilter() });
    this.reason = h("select", { id: "reason-code", change: () => this.#applyFilter() });
    this.words = h("input", { id: "words", type: "search", placeholder: "tag, digest, detail …", autocomplete: "off", spellcheck: "false", input: () => this.#applyFilter() });
    this.clear = h("button", { type: "button", class: "plain", click: () => this.go({}) }, "Clear");
    this.found = h("p", { class: "found quiet" });
    this.spoken = h("p", { class: "hidden", role: "status" }); // announced when the filter changes, not when decisions arrive
    this.fresh = h("button", { type: "button", class: "fresh", hidden: true, click: () => this.#showNewer() });
    this.list = h("ol", { class: "lines", role: "list", "aria-label": "Decisions, newest first" });
    this.none = h("p", { class: "empty", hidden: true }, "No decision matches. ", h("button", { type: "button", class: "plain", click: () => this.go({}) }, "Show all"));
    this.more = h("button", { type: "button", class: "plain", hidden: true, click: () => this.#showOlder() });
    element.append(
      h("form", { class: "filter", role: "search", "aria-label": "Filter decisions", submit: (event) => event.preventDefault() },
        field("Agent", this.agent), field("Reason", this.reason), field("Words", this.words), this.clear, this.found, this.spoken),
      this.fresh, this.list, this.none, this.more,
    );
    new IntersectionObserver(([entry]) => entry.isIntersecting && !this.more.hidden && this.#showOlder(), { rootMargin: "600px" }).observe(this.more);
  }

  show({ filter = {}, arrived = false }) {
    const filterKey = JSON.stringify(filter);
    const reset = arrived || filterKey !== this.filterKey;
    if (reset) [this.#limit, this.#upTo] = [PAGE, Infinity];
    this.filterKey = filterKey;
    this.filter = filter;
    this.#updateChoices(filter);
    if (!this.#isReading()) this.#upTo = this.store.serial;
    const all = this.store.decisions.filter((line) => matches(line, filter));
    const shown = all.filter((line) => line.key <= this.#upTo).reverse();
    this.#updateCounts(shown.length, all.length - shown.length);
    if (reset) setText(this.spoken, `${shown.length} decisions`);
    keyed(this.list, shown.slice(0, this.#limit), {
      key: (line) => line.key,
      make: (line) => decisionLine(line, { open: this.#open.has(line.key), onOpen: (key, open) => (open ? this.#open.add(key) : this.#open.delete(key)) }),
    });
  }

  /** Focus the search field. */
  focus() {
    this.words.focus();
    this.words.select();
  }

  #isReading() {
    return this.#upTo !== Infinity && (scrollY > 60 || this.#open.size > 0 || this.list.contains(document.activeElement));
  }

  #updateCounts(shown, fresh) {
    this.fresh.hidden = fresh === 0;
    setText(this.fresh, `Show ${fresh.toLocaleString("en")} newer`);
    setText(this.found, `${shown.toLocaleString("en")} of ${(this.store.decisions.length - fresh).toLocaleString("en")}`);
    this.none.hidden = shown > 0 || this.store.decisions.length === 0;
    this.clear.hidden = this.filterKey === "{}";
    const older = shown - this.#limit;
    this.more.hidden = older <= 0;
    setText(this.more, `${Math.max(older, 0).toLocaleString("en")}older`);
  }

  #showNewer() {
    this.#open.clear();
    this.#upTo = this.store.serial;
    scrollTo(0, 0);
    this.show({ filter: this.filter });
    this.list.querySelector("button")?.focus({ preventScroll: true });
  }

  #showOlder() {
    this.#limit += PAGE;
    this.show({ filter: this.filter });
  }

  #applyFilter() {
    const filter = { agent: this.agent.value, reason: this.reason.value, words: this.words.value.trim() };
    this.go(Object.fromEntries(Object.entries(filter).filter(([, value]) => value)));
  }

  #updateChoices(filter) {
    const [agents, reasons] = [new Map(), new Map()];
    for (const { about } of this.store.decisions) {
      if (about.agent) agents.set(about.agent, (agents.get(about.agent) ?? 0) + 1);
      const reason = reasons.get(about.reason) ?? { count: 0, tone: tone(about) };
      reasons.set(about.reason, { ...reason, count: reason.count + 1 });
    }
    if (filter.agent && !agents.has(filter.agent)) agents.set(filter.agent, 0);
    if (filter.reason && !reasons.has(filter.reason)) reasons.set(filter.reason, { count: 0, tone: "calm" });
    setChoices(this.agent, "all agents", filter.agent, [...agents].sort().map(([name, count]) => option(name, count)));
    const groups = TONES.map(([key, label]) => [label, [...reasons].filter(([, group]) => group.tone === key).sort()]);
    setChoices(this.reason, "all reasons", filter.reason, groups.filter(([, members]) => members.length > 0).map(([label, members]) => h("optgroup", { label }, members.map(([name, { count }]) => option(name, count)))));
    if (document.activeElement !== this.words) this.words.value = filter.words ?? "";
  }
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

function matches(line, { agent, reason, words }) {
  if (agent && line.about.agent !== agent) return false;
  if (reason && line.about.reason !== reason) return false;
  if (!words) return true;
  line.words ??= Object.values(line.about).join("\n").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => line.words.includes(word));
}
