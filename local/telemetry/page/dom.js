// Creates elements from text; no code of this page parses a string as markup.

const SVG = "http://www.w3.org/2000/svg";
/** Control characters, bidi marks (which act outside their own element too), zero-width characters, lone surrogates. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;
/** Attributes whose text is shown or spoken; others are compared. */
const SHOWN_ATTRIBUTES = new Set(["title", "aria-label", "label", "placeholder"]);

/** Create an element; functions become listeners, `false`, `null` and `undefined` attributes are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Create an SVG element in the same way. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, SHOWN_ATTRIBUTES.has(name) ? visible(value) : String(value));
  }
  const present = children.flat(2).filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...present.map((child) => (child instanceof Node ? child : visible(child))));
  return element;
}

/** Show characters that act on the page or cannot be seen as text, such as \u202e as its six characters. */
export function visible(text) {
  return String(text).replace(CONTROLS, (char) => {
    const code = char.codePointAt(0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, "0")}` : code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
  });
}

/** Set text only if it changed, so that a selection stays and a screen reader does not repeat it. */
export function setText(element, text) {
  const shown = visible(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/**
 * Make the children of `parent` those of `items`, in their order. Children with the same version are not touched, so
 * that focus, selection and scroll position stay.
 */
export function keyed(parent, items, { key, version = () => "", make }) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let current = parent.firstElementChild;
  for (const item of items) {
    const [name, state] = [String(key(item)), String(version(item))];
    let child = old.get(name);
    if (child?.dataset.version !== state) {
      const fresh = make(item);
      Object.assign(fresh.dataset, { key: name, version: state });
      if (current === child && child) current = fresh;
      child?.replaceWith(fresh);
      child = fresh;
    }
    old.delete(name);
    if (child === current) current = current.nextElementSibling;
    else parent.insertBefore(child, current);
  }
  for (const child of old.values()) child.remove();
  if (focused !== undefined && !parent.contains(document.activeElement)) {
    parent.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}
