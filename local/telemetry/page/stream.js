// Reads the stream of records; reports when the stack stops and when it is back.

/** Listen for ever; `on` has begin(), records(list), caughtUp() and disconnected(). */
export function listen(on) {
  const source = new EventSource("/_local/stream");
  source.addEventListener("begin", () => on.begin());
  source.addEventListener("message", (event) => on.records(JSON.parse(event.data)));
  source.addEventListener("caught-up", () => on.caughtUp());
  source.addEventListener("error", () => {
    on.disconnected();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(on), 2000); // the browser gave up
  });
}
