// All decisions, newest first, filtered; new ones stay hidden while a person reads.

import { h, keyed, setText } from "./dom.js";
import { matches } from "./filter.js";
import { decisionLine } from "./lines.js";
import { releaseId } from "./trace.js";

const PAGE = 150;

export class Decisions {
  #limit = PAGE;
  #upTo = Infinity; // key of the newest decision to show
  #open = new Set();

  constructor(element, store, go) {
    this.store = store;
    this.go = go;
    this.spoken = h("p", { class: "hidden", role: "status" }); // announced when the filter changes, not when decisions arrive
    this.fresh = h("button", { type: "button", class: "fresh", hidden: true, click: () => this.#showNewer() });
    this.list = h("ol", { class: "lines", role: "list", "aria-label": "Decisions, newest first" });
    this.none = h("p", { class: "empty", hidden: true }, h("span", {}), h("button", { type: "button", class: "plain", click: () => this.go({}) }, "Show all"));
    this.more = h("button", { type: "button", class: "plain", hidden: true, click: () => this.#showOlder() });
    element.append(
      this.spoken, this.fresh, this.list, this.none, this.more,
    );
    new IntersectionObserver(([entry]) => entry.isIntersecting && !this.more.hidden && this.#showOlder(), { rootMargin: "600px" }).observe(this.more);
  }

  show({ filter = {}, arrived = false }) {
    const filterKey = JSON.stringify(filter);
    const reset = arrived || filterKey !== this.filterKey;
    if (reset) [this.#limit, this.#upTo] = [PAGE, Infinity];
    this.filterKey = filterKey;
    this.filter = filter;
    if (!this.#isReading()) this.#upTo = this.store.serial;
    const all = this.store.decisions.filter((line) => matches(line, filter, textOf));
    const shown = all.filter((line) => line.key <= this.#upTo).reverse();
    this.#updateCounts(shown.length, all.length - shown.length);
    if (reset) setText(this.spoken, `${shown.length} decisions`);
    keyed(this.list, shown.slice(0, this.#limit), {
      key: (line) => line.key,
      make: (line) => decisionLine(line, { hasRelease: this.store.hasRelease(releaseId(line)), open: this.#open.has(line.key), onOpen: (key, open) => (open ? this.#open.add(key) : this.#open.delete(key)) }),
    });
    return [shown.length, this.store.decisions.length - (all.length - shown.length)];
  }

  #isReading() {
    return this.#upTo !== Infinity && (scrollY > 60 || this.#open.size > 0 || this.list.contains(document.activeElement));
  }

  #updateCounts(shown, fresh) {
    this.fresh.hidden = fresh === 0;
    setText(this.fresh, `Show ${fresh.toLocaleString("en")} newer`);
    this.none.hidden = shown > 0;
    setText(this.none.firstElementChild, this.store.decisions.length > 0 ? "No decision matches. " : "No decision yet: push an image of an agent in agents.yaml.");
    this.none.lastElementChild.hidden = this.store.decisions.length === 0;
    const older = shown - this.#limit;
    this.more.hidden = older <= 0;
    setText(this.more, `Show ${Math.max(older, 0).toLocaleString("en")} older`);
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
}

function textOf({ about }) {
  return Object.values(about).join("\n");
}
