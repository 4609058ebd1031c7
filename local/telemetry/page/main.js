// The page: which view is asked for, what arrived, and whether the stack still runs.

import { h, say } from "./dom.js";
import { Decisions } from "./decisions.js";
import { Metrics } from "./metrics.js";
import { explain } from "./reasons.js";
import { Releases } from "./releases.js";
import { Store } from "./store.js";
import { listen } from "./stream.js";
import { ago, clock, refresh } from "./time.js";

const VIEWS = ["releases", "decisions", "metrics"];
const store = new Store();
const section = (name) => document.getElementById(name);
const views = {
  releases: new Releases(section("releases"), store),
  decisions: new Decisions(section("decisions"), store, (filter) => go(`#/decisions${asked(filter)}`)),
  metrics: new Metrics(section("metrics"), store),
};
const said = document.querySelector(".state .said");
let [ready, due] = [false, false];

function asked(filter) {
  const query = new URLSearchParams(filter).toString();
  return query && `?${query}`;
}

/** Typing a filter is one place, not twenty in the history. */
function go(hash) {
  history.replaceState(null, "", hash);
  show();
}

/** What the address asks for. */
function route() {
  const [path, query] = location.hash.slice(1).split("?");
  const [, name, id] = path.split("/");
  const view = VIEWS.includes(name) ? name : "releases";
  return { view, id: id && decoded(id), filter: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody typed a stray %
  }
}

function show(arrived = false) {
  due = false;
  if (!ready) return;
  const { view, ...rest } = route();
  const nothing = store.empty;
  section("empty").hidden = !nothing;
  for (const name of VIEWS) section(name).hidden = nothing || name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    say(link.querySelector(".count"), count(link.dataset.view));
  }
  document.title = `${view[0].toUpperCase()}${view.slice(1)} · Slipway, locally`;
  if (!nothing) views[view].show({ ...rest, arrived });
}

function count(view) {
  const all = { releases: store.releases().length, decisions: store.decisions.length, metrics: store.metrics.size };
  return all[view] === 0 ? "" : all[view].toLocaleString("en");
}

function soon() {
  if (due || !ready) return;
  due = true;
  setTimeout(() => show(), 150);
}

function state(kind, text) {
  document.body.dataset.state = kind;
  say(said, text);
}

const broken = document.querySelector(".broken");

function stopped() {
  ready = true;
  const since = store.newest > 0 ? `What you see arrived before ${clock(store.newest).replace(/\.\d+$/, "")}. ` : "";
  if (document.body.dataset.state !== "stopped") {
    broken.replaceChildren(h("strong", {}, "The stack has stopped, or cannot be reached. "), since, h("code", {}, "make up"), " starts it; this page goes on by itself.");
  }
  broken.hidden = false;
  state("stopped", "Stopped");
  soon();
}

listen({
  begin() {
    store.clear();
  },
  records(records) {
    store.add(records);
    soon();
  },
  caughtUp() {
    ready = true;
    broken.hidden = true;
    heard();
    soon();
  },
  broken: stopped,
});

function heard() {
  state("live", store.newest > 0 ? `Live · ${ago(store.newest)}` : "Live · nothing yet");
}

explain(section("reason"));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which view is shown
  section("main").focus();
});
addEventListener("hashchange", () => {
  section("reason").close();
  show(true);
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  if (route().view !== "decisions") location.hash = "#/decisions";
  setTimeout(() => views.decisions.focus());
});
setInterval(() => {
  refresh();
  if (document.body.dataset.state === "live") heard();
}, 5000);
