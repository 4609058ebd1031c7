// Shows a reason's page of docs/reference/reasons/ in a dialog.

import { withCommands } from "./commands.js";
import { h } from "./dom.js";

/** Make every badge of the page open its reason. */
export function openReasons(dialog) {
  document.addEventListener("click", (event) => {
    const badge = event.target.closest("button[data-reason]");
    if (badge) open(dialog, badge.dataset);
  });
  dialog.addEventListener("click", (event) => {
    const link = event.target.closest("button[data-page]");
    if (link) open(dialog, { reason: link.dataset.page });
    else if (event.target === dialog) dialog.close(); // a click beside it
  });
}

/** Open the page of a reason, with what to do about an agent. */
async function open(dialog, { reason, help = "", agent = "" }) {
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", click: () => dialog.close() }, "✕");
  const body = h("div", { class: "page" }, h("p", { class: "quiet" }, "…"));
  dialog.replaceChildren(
    h("header", {}, h("h2", { id: "reason-title" }, reason), close),
    body,
    h("footer", {}, h("a", { href: `#/decisions?reason=${encodeURIComponent(reason)}`, click: () => dialog.close() }, "Decisions with this reason")),
  );
  if (!dialog.open) dialog.showModal();
  const [meaning, ...rest] = await page(reason);
  body.replaceChildren(meaning, ...(help ? [h("p", { class: "help" }, withCommands(help, agent))] : []), ...rest);
}

/** What each reason means, from the index of the pages; filled before the first view. */
export const meanings = new Map();

export async function readMeanings() {
  try {
    const index = await (await fetch("/reasons/README")).text();
    for (const [, reason, meaning] of index.matchAll(/^\| \[([A-Z_]+)\]\([A-Z_]+\.md\) \| \w+ \| (.+) \|$/gm)) meanings.set(reason, meaning.replaceAll("`", ""));
  } catch {
    // the stack stopped: the stream reports it
  }
}

async function page(reason) {
  if (!/^[A-Z_]+$/.test(reason)) return [h("p", {}, "No reason has this name.")];
  try {
    const response = await fetch(`/reasons/${reason}`);
    return response.ok ? renderMarkdown(await response.text()) : [h("p", {}, "This reason has no page.")];
  } catch {
    return [h("p", {}, "The stack has stopped, so this page cannot be loaded.")];
  }
}

/** Render the Markdown subset of these pages as elements. */
export function renderMarkdown(text) {
  const blocks = text.split(/^```.*\n([\s\S]*?)^```$/m); // every second block is code
  return blocks.flatMap((block, index) => (index % 2 === 1 ? [h("pre", { tabindex: "0" }, h("code", {}, block.trimEnd().split("\n").flatMap((line) => [line, h("br")])))] : prose(block)));
}

function prose(text) {
  return text.split(/\n(?=## )|\n\n+/).map((part) => part.trim()).filter((part) => part && !/^# \S+$/.test(part)).flatMap((part) => {
    const [first, ...rest] = part.split("\n");
    if (first.startsWith("# ")) return rest.length > 0 ? [paragraph(rest.join(" "))] : [];
    if (first.startsWith("## ")) return [h("h3", {}, first.slice(3)), ...(rest.length > 0 ? prose(rest.join("\n")) : [])];
    if (part.startsWith("- ")) return [h("ul", {}, part.split(/\n(?=- )/).map((item) => h("li", {}, inline(item.slice(2).replaceAll("\n", " ")))))];
    return [paragraph(part.replaceAll("\n", " "))];
  });
}

function paragraph(text) {
  return h("p", {}, inline(text));
}

/** Code, bold, and links; a link to another reason opens it, any other link is plain text. */
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/).filter(Boolean).map((part) => {
    const link = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part);
    if (link) {
      const reason = /^([A-Z_]+)\.md$/.exec(link[2]);
      return reason ? h("button", { type: "button", class: "plain", "data-page": reason[1] }, link[1]) : h("span", {}, inline(link[1]));
    }
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    return part.startsWith("**") ? h("strong", {}, part.slice(2, -2)) : part;
  });
}
