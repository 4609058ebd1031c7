// Releases, newest first, and one of them as a waterfall.

import { h, keyed, setText } from "./dom.js";
import { hasWords, isOf, query } from "./filter.js";
import { CAUSES, badge, image, versions } from "./lines.js";
import { tone } from "./store.js";
import { duration, timestamp } from "./time.js";
import { Waterfall } from "./waterfall.js";

const PAGE = 100;
const NARROW = matchMedia("(max-width: 760px)");

export class Releases {
  #limit = PAGE;

  constructor(element, store) {
    this.store = store;
    this.list = h("ol", { class: "pushes", role: "list", "aria-label": "Releases, newest first; use the arrow keys", keydown: (event) => this.#move(event) });
    this.none = h("p", { class: "none quiet", hidden: true }, "No release matches.");
    this.older = h("button", { type: "button", class: "plain", hidden: true, click: () => this.#more() }, "Show older");
    this.detail = h("article", { class: "release", "aria-label": "Release" });
    this.back = h("a", { class: "back", href: "#/releases" }, "← All releases");
    this.waterfall = new Waterfall(this.detail);
    this.detail.prepend(this.back);
    element.append(h("div", { class: "side" }, this.list, this.none, this.older), this.detail);
    this.element = element;
    for (const kind of ["focusin", "pointerdown"]) this.detail.addEventListener(kind, () => this.#pick());
    addEventListener("scroll", () => scrollY > 80 && this.#pick(), { passive: true });
  }

  /** Show the release `id`, or without it the newest one, until the person interacts with it; return how many are listed. */
  show({ id, filter = {}, arrived }) {
    const all = this.store.releases();
    const traces = all.filter((release) => matches(release, filter));
    const byId = id && this.store.release(id);
    this.filter = filter;
    this.none.hidden = traces.length > 0;
    setText(this.none, all.length > 0 ? "No release matches the filter." : "No release yet: push an image of an agent in agents.yaml.");
    this.back.href = `#/releases${query(filter)}`;
    const trace = byId ?? (id || (NARROW.matches && !id) ? undefined : traces[0]);
    this.shown = trace;
    this.picked = Boolean(id);
    this.element.classList.toggle("picked", Boolean(id));
    this.older.hidden = traces.length <= this.#limit;
    keyed(this.list, traces.slice(0, this.#limit), {
      key: (item) => item.id,
      version: (item) => `${item.changes} ${item.spans.size} ${item.begun} ${item.id === trace?.id} ${query(filter)}`,
      make: (item) => entry(item, item.id === trace?.id, filter),
    });
    this.#updateTabStop();
    this.detail.classList.toggle("gone", !trace);
    if (trace) this.waterfall.show(trace);
    else if (id && !NARROW.matches) this.#showMissing();
    if (arrived && id && NARROW.matches) this.detail.querySelector("h2")?.focus();
    return [traces.length, all.length];
  }

  #showMissing() {
    setText(this.waterfall.note, "This trace is not here: it is too old to be kept, or has not arrived yet.");
    this.waterfall.note.hidden = false;
  }

  /** Keep the shown release when newer ones arrive. */
  #pick() {
    if (this.picked || !this.shown || NARROW.matches || !location.hash.startsWith("#/releases")) return;
    this.picked = true;
    history.replaceState(null, "", address(this.shown.id, this.filter));
    dispatchEvent(new HashChangeEvent("hashchange"));
  }

  #more() {
    this.#limit += PAGE;
    this.show({ id: this.picked ? this.shown?.id : undefined, filter: this.filter });
  }

  /** Keep one tab stop in the list: the focused, the picked or the first entry. */
  #updateTabStop() {
    const links = [...this.list.querySelectorAll("a")];
    const stop = links.find((link) => link === document.activeElement) ?? links.find((link) => link.ariaCurrent === "true") ?? links[0];
    for (const link of links) link.tabIndex = link === stop ? 0 : -1;
  }

  #move(event) {
    const links = [...this.list.querySelectorAll("a")];
    const index = links.indexOf(document.activeElement);
    const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: links.length - 1 }[event.key];
    if (index < 0 || next === undefined || !links[next]) return;
    event.preventDefault();
    links[next].focus();
    if (!NARROW.matches) location.replace(links[next].href);
    else this.#updateTabStop();
  }
}

function address(id, filter) {
  return `#/releases/${encodeURIComponent(id)}${query(filter)}`;
}

function matches(release, { agent, state, reason, words }) {
  const { decisions } = release;
  if (agent && !isOf(decisions[0].about.agent, agent)) return false;
  if (state && !release.outcomes.some((line) => tone(line.about) === state)) return false;
  if (reason && !decisions.some((line) => line.about.reason === reason)) return false;
  return hasWords(words ? decisions.flatMap((line) => Object.values(line.about)).join("\n").toLowerCase() : "", words);
}

function entry(trace, current, filter) {
  const { outcomes } = trace;
  const about = trace.subject;
  const agents = [...new Set(outcomes.map((line) => line.about.agent).filter(Boolean))];
  const worst = ["bad", "warn", "on", "good", "calm"].find((candidate) => outcomes.some((line) => tone(line.about) === candidate));
  return h(
    "li",
    { class: `push ${worst}` },
    h(
      "a",
      { href: address(trace.id, filter), "aria-current": current ? "true" : false, "data-focus": `push-${trace.id}` },
      h("span", { class: "top" }, h("strong", {}, agents.join(", ") || h("code", {}, subject(about))), h("span", { class: "codes" }, outcomes.map((line) => staticBadge(line)))),
      agents.length > 0 && h("span", { class: "mid" }, h("code", {}, subject(about)), h("span", { class: "versions" }, versions(outcomes.at(-1)?.about ?? {}))),
      h("span", { class: "low quiet" }, h("span", { class: "moment" }, timestamp(trace.begun, { brief: true }), CAUSES[about.cause] ? ` · ${CAUSES[about.cause]}` : null), h("span", {}, duration(trace.ended - trace.begun))),
    ),
  );
}

/** A badge that is not a button, since the whole entry is a link. */
function staticBadge(line) {
  const button = badge(line.about);
  return h("span", { class: button.className }, [...button.childNodes]);
}

function subject(about) {
  return about.cause === "secret" ? `rotation of ${about.secret ?? "a secret"}` : image(about);
}
