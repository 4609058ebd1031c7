// Creates elements from text; no code of this page parses a string as markup.

const SVG = "http://www.w3.org/2000/svg";
/** Characters that change the direction of the text after them, also outside their own element. */
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

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
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  const present = children.flat(2).filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...present.map((child) => (child instanceof Node ? child : withoutBidi(child))));
  return element;
}

/** Replace characters that reorder text invisibly. */
function withoutBidi(text) {
  return String(text).replace(BIDI_CONTROLS, "\ufffd");
}

/** Set text only if it changed, so that a selection stays and a screen reader does not repeat it. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
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
