/**
 * Small tools for shadow trees: made once, cloned often, and touched only where something changed.
 *
 * @module
 */

/** One sheet for all elements of a page. @type {Map<string, CSSStyleSheet>} */
const sheets = new Map();

/** @param {string} css @returns {CSSStyleSheet} */
export const sheet = (css) => {
  const known = sheets.get(css);
  if (known) return known;
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  sheets.set(css, made);
  return made;
};

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} name class, and part to style it from outside; "": neither
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export const make = (tag, name, ...children) => {
  const element = document.createElement(tag);
  if (name) {
    element.className = name;
    element.setAttribute("part", name);
  }
  element.append(...children);
  return element;
};

/** @param {string} name @param {...(Node | string)} children @returns {HTMLSlotElement} */
export const slot = (name, ...children) => {
  const made = make("slot", "", ...children);
  made.name = name;
  return made;
};

/** @param {Node} node @param {string} text */
export const put = (node, text) => {
  const { firstChild } = node;
  if (firstChild && !firstChild.nextSibling && firstChild.nodeType === Node.TEXT_NODE) {
    const kept = /** @type {Text} */ (firstChild);
    if (kept.data !== text) kept.data = text;
  } else if (node.textContent !== text) node.textContent = text;
};

/** @param {Element} element @param {string} name @param {string | null} value null: without it */
export const mark = (element, name, value) => {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};
