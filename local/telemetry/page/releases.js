// Pushes, newest first, and one of them as a waterfall.

import { h, keyed, say } from "./dom.js";
import { badge, image, versions } from "./lines.js";
import { tone } from "./store.js";
import { lasted, stamp } from "./time.js";
import { Waterfall } from "./waterfall.js";

const SHOWN = 100;
const NARROW = matchMedia("(max-width: 760px)");

export class Releases {
  #limit = SHOWN;

  constructor(element, store) {
    this.store = store;
    this.list = h("ol", { class: "pushes", role: "list", "aria-label": "Pushes, newest first; arrow keys move", keydown: (event) => this.#move(event) });
    this.older = h("button", { type: "button", class: "plain", hidden: true, click: () => this.#more() }, "Older ones");
    this.detail = h("article", { class: "one", "aria-label": "One push" });
    this.back = h("a", { class: "back", href: "#/releases" }, "← All releases");
    this.waterfall = new Waterfall(this.detail);
    this.detail.prepend(this.back);
    element.append(h("div", { class: "side" }, this.list, this.older), this.detail);
    this.element = element;
    for (const kind of ["focusin", "pointerdown"]) this.detail.addEventListener(kind, () => this.#stay());
    addEventListener("scroll", () => scrollY > 80 && this.#stay(), { passive: true });
  }

  /** `id` is the trace that was picked; without one the newest is shown, until somebody looks closer. */
  show({ id, arrived }) {
    const traces = this.store.releases();
    const picked = id && this.store.traces.get(id);
    const trace = picked ?? (id || (NARROW.matches && !id) ? undefined : traces[0]);
    this.shown = trace;
    this.picked = Boolean(id);
    this.element.classList.toggle("picked", Boolean(id));
    this.older.hidden = traces.length <= this.#limit;
    keyed(this.list, traces.slice(0, this.#limit), {
      key: (one) => one.id,
      version: (one) => `${one.changes} ${one === trace}`,
      make: (one) => entry(one, one === trace),
    });
    this.#rove();
    this.detail.classList.toggle("gone", !trace);
    if (trace) this.waterfall.show(trace);
    else if (id && !NARROW.matches) this.#missing();
    if (arrived && id && NARROW.matches) this.detail.querySelector("h2")?.focus();
  }

  #missing() {
    say(this.waterfall.note, "This trace is not here: it may be older than what is kept, or not have arrived yet.");
    this.waterfall.note.hidden = false;
  }

  /** Somebody looks at the newest: it stays, whatever comes. */
  #stay() {
    if (this.picked || !this.shown || NARROW.matches || !location.hash.startsWith("#/releases")) return;
    this.picked = true;
    history.replaceState(null, "", where(this.shown.id));
    dispatchEvent(new HashChangeEvent("hashchange"));
  }

  #more() {
    this.#limit += SHOWN;
    this.show({ id: this.picked ? this.shown?.id : undefined });
  }

  /** One tab stop: the picked one, else the first. */
  #rove() {
    const links = [...this.list.querySelectorAll("a")];
    const stop = links.find((link) => link === document.activeElement) ?? links.find((link) => link.ariaCurrent === "true") ?? links[0];
    for (const link of links) link.tabIndex = link === stop ? 0 : -1;
  }

  #move(event) {
    const links = [...this.list.querySelectorAll("a")];
    const here = links.indexOf(document.activeElement);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
    if (here < 0 || next === undefined || !links[next]) return;
    event.preventDefault();
    links[next].focus();
    if (!NARROW.matches) location.replace(links[next].href);
    else this.#rove();
  }
}

function where(id) {
  return `#/releases/${encodeURIComponent(id)}`;
}

function entry(trace, current) {
  const last = trace.outcomes;
  const about = trace.subject;
  const agents = [...new Set(last.map((line) => line.about.agent).filter(Boolean))];
  const worst = ["bad", "warn", "on", "good", "calm"].find((one) => last.some((line) => tone(line.about) === one));
  return h(
    "li",
    { class: `push ${worst}` },
    h(
      "a",
      { href: where(trace.id), "aria-current": current ? "true" : false, "data-focus": `push-${trace.id}` },
      h("span", { class: "top" }, h("strong", {}, agents.join(", ") || h("span", { class: "quiet" }, "no agent")), h("span", { class: "codes" }, last.map((line) => code(line)))),
      h("span", { class: "mid" }, h("code", {}, cause(about)), h("span", { class: "versions" }, versions(last.at(-1)?.about ?? {}))),
      h("span", { class: "low quiet" }, h("span", { class: "moment" }, stamp(trace.begun, { brief: true })), h("span", {}, lasted(trace.ended - trace.begun))),
    ),
  );
}

/** The badge without its button: the whole entry is a link already. */
function code(line) {
  const shown = badge(line.about);
  return h("span", { class: shown.className }, [...shown.childNodes]);
}

function cause(about) {
  return about.cause === "secret" ? `rotation of ${about.secret ?? "a secret"}` : image(about);
}
