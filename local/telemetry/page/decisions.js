// Every decision, newest first, by agent, reason and words; what is new waits while somebody reads.

import { h, keyed, say } from "./dom.js";
import { decided } from "./lines.js";
import { tone } from "./store.js";

const PAGE = 150;
const TONES = [["bad", "errors"], ["warn", "warnings"], ["good", "live"], ["on", "steps"], ["calm", "everything else"]];

export class Decisions {
  #limit = PAGE;
  #upTo = Infinity; // the newest that is shown while somebody reads
  #open = new Set();

  constructor(element, store, go) {
    this.store = store;
    this.go = go;
    this.agent = h("select", { id: "agent", change: () => this.#asked() });
    this.reason = h("select", { id: "reason-code", change: () => this.#asked() });
    this.words = h("input", { id: "words", type: "search", placeholder: "tag, digest, detail …", autocomplete: "off", spellcheck: "false", input: () => this.#asked() });
    this.clear = h("button", { type: "button", class: "plain", click: () => this.go({}) }, "Clear");
    this.found = h("p", { class: "found quiet" });
    this.spoken = h("p", { class: "hidden", role: "status" }); // when asked, and not with everything that arrives
    this.fresh = h("button", { type: "button", class: "fresh", hidden: true, click: () => this.#catchUp() });
    this.list = h("ol", { class: "lines", role: "list", "aria-label": "Decisions, newest first" });
    this.none = h("p", { class: "empty", hidden: true }, "No decision is like that. ", h("button", { type: "button", class: "plain", click: () => this.go({}) }, "Show all"));
    this.more = h("button", { type: "button", class: "plain", hidden: true, click: () => this.#older() });
    element.append(
      h("form", { class: "filter", role: "search", "aria-label": "Filter decisions", submit: (event) => event.preventDefault() },
        field("Agent", this.agent), field("Reason", this.reason), field("Words", this.words), this.clear, this.found, this.spoken),
      this.fresh, this.list, this.none, this.more,
    );
    new IntersectionObserver(([entry]) => entry.isIntersecting && !this.more.hidden && this.#older(), { rootMargin: "600px" }).observe(this.more);
  }

  show({ filter = {}, arrived = false }) {
    const asked = JSON.stringify(filter);
    const anew = arrived || asked !== this.asked;
    if (anew) [this.#limit, this.#upTo] = [PAGE, Infinity];
    this.asked = asked;
    this.filter = filter;
    this.#choices(filter);
    if (!this.#reading()) this.#upTo = this.store.serial;
    const all = this.store.decisions.filter((line) => fits(line, filter));
    const shown = all.filter((line) => line.key <= this.#upTo).reverse();
    this.#count(shown.length, all.length - shown.length);
    if (anew) say(this.spoken, `${shown.length} decisions`);
    keyed(this.list, shown.slice(0, this.#limit), {
      key: (line) => line.key,
      make: (line) => decided(line, { open: this.#open.has(line.key), onOpen: (key, open) => (open ? this.#open.add(key) : this.#open.delete(key)) }),
    });
  }

  /** Put the cursor where words are typed. */
  focus() {
    this.words.focus();
    this.words.select();
  }

  #reading() {
    return this.#upTo !== Infinity && (scrollY > 60 || this.#open.size > 0 || this.list.contains(document.activeElement));
  }

  #count(shown, fresh) {
    this.fresh.hidden = fresh === 0;
    say(this.fresh, `Show ${fresh.toLocaleString("en")} newer`);
    say(this.found, `${shown.toLocaleString("en")} of ${(this.store.decisions.length - fresh).toLocaleString("en")}`);
    this.none.hidden = shown > 0 || this.store.decisions.length === 0;
    this.clear.hidden = this.asked === "{}";
    const older = shown - this.#limit;
    this.more.hidden = older <= 0;
    say(this.more, `${Math.max(older, 0).toLocaleString("en")} older ones`);
  }

  #catchUp() {
    this.#open.clear();
    this.#upTo = this.store.serial;
    scrollTo(0, 0);
    this.show({ filter: this.filter });
    this.list.querySelector("button")?.focus({ preventScroll: true });
  }

  #older() {
    this.#limit += PAGE;
    this.show({ filter: this.filter });
  }

  #asked() {
    const filter = { agent: this.agent.value, reason: this.reason.value, words: this.words.value.trim() };
    this.go(Object.fromEntries(Object.entries(filter).filter(([, value]) => value)));
  }

  #choices(filter) {
    const [agents, reasons] = [new Map(), new Map()];
    for (const { about } of this.store.decisions) {
      if (about.agent) agents.set(about.agent, (agents.get(about.agent) ?? 0) + 1);
      const reason = reasons.get(about.reason) ?? { count: 0, tone: tone(about) };
      reasons.set(about.reason, { ...reason, count: reason.count + 1 });
    }
    if (filter.agent && !agents.has(filter.agent)) agents.set(filter.agent, 0);
    if (filter.reason && !reasons.has(filter.reason)) reasons.set(filter.reason, { count: 0, tone: "calm" });
    offer(this.agent, "every agent", filter.agent, [...agents].sort().map(([name, count]) => option(name, count)));
    const groups = TONES.map(([key, label]) => [label, [...reasons].filter(([, one]) => one.tone === key).sort()]);
    offer(this.reason, "every reason", filter.reason, groups.filter(([, all]) => all.length > 0).map(([label, all]) => h("optgroup", { label }, all.map(([name, one]) => option(name, one.count)))));
    if (document.activeElement !== this.words) this.words.value = filter.words ?? "";
  }
}

function field(label, input) {
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input);
}

function option(name, count) {
  return h("option", { value: name }, `${name}  (${count})`);
}

/** New choices, but never under the hands of who is choosing. */
function offer(select, every, value, options) {
  const fresh = [h("option", { value: "" }, every), ...options];
  const same = fresh.map((one) => one.textContent).join("\n");
  if (select.dataset.offered !== same && (document.activeElement !== select || select.options.length < 2)) {
    select.replaceChildren(...fresh);
    select.dataset.offered = same;
  }
  if (select.value !== (value ?? "")) select.value = value ?? "";
}

function fits(line, { agent, reason, words }) {
  if (agent && line.about.agent !== agent) return false;
  if (reason && line.about.reason !== reason) return false;
  if (!words) return true;
  line.words ??= Object.values(line.about).join("\n").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => line.words.includes(word));
}
