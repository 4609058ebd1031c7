// The page: routing between views, incoming records, and whether the stack still runs.

import { h, setText } from "./dom.js";
import { Board } from "./board.js";
import { Decisions } from "./decisions.js";
import { FilterBar, query } from "./filter.js";
import { Metrics } from "./metrics.js";
import { openReasons, readMeanings } from "./reasons.js";
import { Releases } from "./releases.js";
import { Store } from "./store.js";
import { listen } from "./stream.js";
import { ago, clock, refresh } from "./time.js";

const VIEWS = ["board", "releases", "decisions", "metrics"];
const store = new Store();
const section = (name) => document.getElementById(name);
const filterBar = new FilterBar(section("filter"), store, (filter) => {
  const { view, id } = route();
  go(`#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${query(filter)}`);
});
const views = {
  board: new Board(section("board"), store),
  releases: new Releases(section("releases"), store),
  decisions: new Decisions(section("decisions"), store, () => go("#/decisions")),
  metrics: new Metrics(section("metrics"), store),
};
const stateText = document.querySelector(".state .state-text");
let [ready, scheduled, boardDue] = [false, false, false];

/** Change the address without a new entry in the history, so that typing a filter adds none. */
function go(hash) {
  history.replaceState(null, "", hash);
  show();
}

/** Parse the address. */
function route() {
  const [path, search] = location.hash.slice(1).split("?");
  const [, name, id] = path.split("/");
  const view = VIEWS.includes(name) ? name : "board";
  return { view, id: id && decoded(id), filter: Object.fromEntries(new URLSearchParams(search)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % in the address
  }
}

function show(arrived = false) {
  scheduled = false;
  const { view, ...rest } = route();
  if (!ready && (view !== "board" || store.board.length === 0)) return;
  const { empty } = store;
  section("empty").hidden = !empty;
  section("filter").hidden = empty;
  for (const name of VIEWS) section(name).hidden = empty || name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.href = `#/${link.dataset.view}${query(rest.filter)}`;
    setText(link.querySelector(".count"), count(link.dataset.view));
  }
  document.title = `${view[0].toUpperCase()}${view.slice(1)} · Slipway, locally`;
  if (empty) return;
  filterBar.show(view, rest.filter);
  const counted = views[view].show({ ...rest, arrived });
  if (counted) filterBar.count(...counted);
}

function count(view) {
  if (!ready) return "";
  const counts = { board: store.board.length, releases: store.releases().length, decisions: store.decisions.length, metrics: store.metrics.size };
  return counts[view] === 0 ? "" : counts[view].toLocaleString("en");
}

function scheduleShow() {
  if (scheduled || !ready) return;
  scheduled = true;
  setTimeout(() => show(), 150);
}

function setState(kind, text) {
  document.body.dataset.state = kind;
  setText(stateText, text);
}

const broken = document.querySelector(".broken");

function showStopped() {
  ready = true;
  const since = store.newest > 0 ? `The newest record shown is from ${clock(store.newest).replace(/\.\d+$/, "")}. ` : "";
  if (document.body.dataset.state !== "stopped") {
    broken.replaceChildren(h("strong", {}, "The stack has stopped or cannot be reached. "), since, h("code", {}, "make up"), " starts it; then this page reconnects.");
  }
  broken.hidden = false;
  setState("stopped", "Stopped");
  scheduleShow();
}

/** Read what runs where: once records have arrived, and now and then, since time alone ends a pause or a window. */
async function readBoard() {
  boardDue = false;
  try {
    const response = await fetch("/_local/board");
    if (!response.ok) return; // the rows that were read last stay
    store.setBoard(await response.json());
    scheduleShow();
  } catch {
    // the stack stopped: the stream reports it
  }
}

function scheduleBoard() {
  if (boardDue) return;
  boardDue = true;
  setTimeout(readBoard, 500);
}

/** The board is shown before the records of many releases have arrived. */
const opened = Promise.all([readBoard(), readMeanings()]).then(() => show());

listen({
  begin() {
    store.clear();
  },
  records(records) {
    store.add(records);
    if (ready && records.some(({ kind }) => kind === "decision")) scheduleBoard();
    scheduleShow();
  },
  async caughtUp() {
    await opened;
    if (document.body.dataset.state === "stopped") await readBoard();
    ready = true;
    broken.hidden = true;
    showLive();
    scheduleShow();
  },
  disconnected: showStopped,
});

function showLive() {
  setState("live", store.newest > 0 ? `Connected · newest record ${ago(store.newest)}` : "Connected · no records yet");
}

openReasons(section("reason"));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the view
  section("main").focus();
});
addEventListener("hashchange", () => {
  section("reason").close();
  show(true);
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  if (route().view === "metrics") location.hash = "#/decisions";
  setTimeout(() => filterBar.focus());
});
setInterval(() => {
  refresh();
  if (document.visibilityState === "visible" && document.body.dataset.state === "live") scheduleBoard(); // the server asks at most every 30 s
  if (document.body.dataset.state === "live") showLive();
}, 5000);
