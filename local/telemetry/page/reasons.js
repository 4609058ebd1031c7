// What a reason means: its page of docs/reference/reasons/, in a dialog.

import { h } from "./dom.js";

/** Let every badge of the page open its reason. */
export function explain(dialog) {
  document.addEventListener("click", (event) => {
    const asked = event.target.closest("button[data-reason]");
    if (asked) open(dialog, asked.dataset.reason, asked.dataset.help ?? "");
  });
  dialog.addEventListener("click", (event) => {
    const link = event.target.closest("button[data-page]");
    if (link) open(dialog, link.dataset.page, "");
    else if (event.target === dialog) dialog.close(); // beside it
  });
}

async function open(dialog, reason, help) {
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", click: () => dialog.close() }, "✕");
  const body = h("div", { class: "page" }, h("p", { class: "quiet" }, "…"));
  dialog.replaceChildren(
    h("header", {}, h("h2", { id: "reason-title" }, reason), close),
    help ? h("p", { class: "help" }, help) : "",
    body,
    h("footer", {}, h("a", { href: `#/decisions?reason=${encodeURIComponent(reason)}`, click: () => dialog.close() }, "Decisions with this reason")),
  );
  if (!dialog.open) dialog.showModal();
  body.replaceChildren(...(await page(reason)));
}

async function page(reason) {
  if (!/^[A-Z_]+$/.test(reason)) return [h("p", {}, "No reason has this name.")];
  try {
    const answer = await fetch(`/reasons/${reason}`);
    return answer.ok ? written(await answer.text()) : [h("p", {}, "This reason has no page.")];
  } catch {
    return [h("p", {}, "The stack has stopped, so its page cannot be read.")];
  }
}

/** The little Markdown that those pages use, as elements. */
export function written(text) {
  const blocks = text.split(/^```.*\n([\s\S]*?)^```$/m); // every second one is code
  return blocks.flatMap((block, index) => (index % 2 === 1 ? [h("pre", { tabindex: "0" }, h("code", {}, block.trimEnd()))] : prose(block)));
}

function prose(text) {
  return text.split(/\n(?=## )|\n\n+/).map((part) => part.trim()).filter((part) => part && !/^# \S+$/.test(part)).flatMap((part) => {
    const [first, ...rest] = part.split("\n");
    if (first.startsWith("# ")) return rest.length > 0 ? [paragraph(rest.join(" "))] : [];
    if (first.startsWith("## ")) return [h("h3", {}, first.slice(3)), ...(rest.length > 0 ? prose(rest.join("\n")) : [])];
    if (part.startsWith("- ")) return [h("ul", {}, part.split(/\n(?=- )/).map((one) => h("li", {}, inline(one.slice(2).replaceAll("\n", " ")))))];
    return [paragraph(part.replaceAll("\n", " "))];
  });
}

function paragraph(text) {
  return h("p", {}, inline(text));
}

/** Code, bold, and links: to another reason they open it, elsewhere they are their words. */
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/).filter(Boolean).map((part) => {
    const link = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part);
    if (link) {
      const to = /^([A-Z_]+)\.md$/.exec(link[2]);
      return to ? h("button", { type: "button", class: "plain", "data-page": to[1] }, link[1]) : h("span", {}, inline(link[1]));
    }
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    return part.startsWith("**") ? h("strong", {}, part.slice(2, -2)) : part;
  });
}
