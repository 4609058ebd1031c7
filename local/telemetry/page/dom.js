// Elements made of text: nothing here, or anywhere in this page, reads a string as markup.

const SVG = "http://www.w3.org/2000/svg";
/** Characters that turn the direction of what follows, also beyond the text that they stand in. */
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** An element; attributes that are functions are listeners, `false`, `null` and `undefined` ones are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  const there = children.flat(2).filter((one) => one !== null && one !== undefined && one !== false);
  element.append(...there.map((one) => (one instanceof Node ? one : seen(one))));
  return element;
}

/** A text in which nothing is reordered unseen. */
function seen(text) {
  return String(text).replace(TURNS, "\ufffd");
}

/** Set text only where it changed, so that a selection and a screen reader are left in peace. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make the children of `parent` those of `items`, in their order, touching only what is new or has another version:
 * who reads, selects or tabs through the rest is not disturbed.
 */
export function keyed(parent, items, { key, version = () => "", make }) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let here = parent.firstElementChild;
  for (const item of items) {
    const [name, state] = [String(key(item)), String(version(item))];
    let child = old.get(name);
    if (child?.dataset.version !== state) {
      const fresh = make(item);
      Object.assign(fresh.dataset, { key: name, version: state });
      if (here === child && child) here = fresh;
      child?.replaceWith(fresh);
      child = fresh;
    }
    old.delete(name);
    if (child === here) here = here.nextElementSibling;
    else parent.insertBefore(child, here);
  }
  for (const gone of old.values()) gone.remove();
  if (focused !== undefined && !parent.contains(document.activeElement)) {
    parent.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}
