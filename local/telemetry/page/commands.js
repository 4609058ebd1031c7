// Commands of `slipway` within sentences: shown as code for the local stack, with a button that copies them.

import { h } from "./dom.js";

const OPTION = "--[a-z-]+";
const PLACEHOLDER = "[A-Z]{2,}(?::[A-Z]+)?";
const VALUE = "[^\\s,;]*[\\d:][^\\s,;]*(?<!\\.)"; // a number, a time or an image; a sentence may end after it
const COPIED_MS = 2000;

/** The parts of a sentence; the words after a command's last argument are not a part of it. */
export function withCommands(text, agent) {
  const names = agent ? `${escaped(agent)}(?![\\w@-])|` : "";
  const commands = new RegExp(`(\\bslipway [a-z]+(?: (?:${names}${OPTION}|${PLACEHOLDER}|${VALUE}))*)`, "g");
  return text.split(commands).map((part, index) => (index % 2 === 1 ? command(`${part} --local`) : part));
}

function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function command(text) {
  const copy = h("button", { type: "button", class: "copy", "aria-label": `Copy ${text}`, click: () => copied(copy, text) }, "copy");
  return h("span", { class: "command" }, h("code", {}, text), " ", copy);
}

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    button.textContent = "not allowed"; // by the browser; the text can be selected
  }
  setTimeout(() => (button.textContent = "copy"), COPIED_MS);
}
