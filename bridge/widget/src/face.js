/**
 * The element's shadow tree: puts a `Display` on the screen, and touches only what changed.
 *
 * @module
 */

import { drawIcon, newIcon } from "./icon.js";
import { CSS } from "./task-progress.css.js";

/** @typedef {import("./display.js").Display} Display */

/** @type {CSSStyleSheet | undefined} */
let sheet;

/** One sheet for all elements of a page. */
const sharedSheet = () => {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
};

/**
 * @param {string} tag
 * @param {string} name class, and part to style it from outside
 * @param {...Node} children
 * @returns {HTMLElement}
 */
const make = (tag, name, ...children) => {
  const element = document.createElement(tag);
  element.className = name;
  element.setAttribute("part", name);
  element.append(...children);
  return element;
};

/** @param {Node} node @param {string} text */
const put = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

/** @param {Element} element @param {string} name @param {string | null} value null: without it */
const mark = (element, name, value) => {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

export class Face {
  #icon = newIcon();
  #label = make("span", "label");
  #line = make("span", "connection");
  #attempt = make("span", "attempt");
  #figure = make("span", "figure");
  #cancel = make("button", "cancel");
  #fill = make("div", "fill");
  #bar = make("div", "bar", this.#fill);
  #status = make("span", "status");
  #stage = make("span", "stage");
  #message = make("span", "message");
  #telling = make("span", "telling", this.#status, this.#stage, this.#message);
  #figures = make("span", "figures");
  #errorType = make("span", "error-type");
  #errorText = make("span", "error-text");
  #error = make("div", "error", this.#errorType, this.#errorText);
  #hint = make("div", "hint");
  #spoken = make("div", "spoken");
  #frame;
  /** @type {string | null} */
  #said = null;
  /** @type {string | null} */
  #tone = null;

  /** @param {ShadowRoot} root @param {() => void} cancel the button was pressed */
  constructor(root, cancel) {
    root.adoptedStyleSheets = [sharedSheet()];
    this.#icon.setAttribute("class", "icon");
    this.#icon.setAttribute("part", "icon");
    this.#bar.setAttribute("role", "progressbar");
    this.#bar.setAttribute("aria-valuemin", "0");
    this.#bar.setAttribute("aria-valuemax", "100");
    this.#error.hidden = this.#cancel.hidden = true;
    this.#cancel.setAttribute("type", "button");
    // "Cancel Import rows", where several are on a page.
    this.#cancel.id = "cancel";
    this.#label.id = "label";
    this.#cancel.setAttribute("aria-labelledby", "cancel label");
    this.#cancel.addEventListener("click", () => {
      if (!this.#cancel.hasAttribute("aria-disabled")) cancel();
    });
    this.#spoken.setAttribute("role", "status");
    this.#spoken.removeAttribute("part");
    this.#frame = make(
      "div",
      "frame",
      this.#icon,
      make("div", "head", this.#label, this.#attempt, this.#line),
      make("div", "side", this.#figure, this.#cancel),
      this.#bar,
      make("div", "line", this.#telling, this.#figures),
      this.#error,
      this.#hint,
    );
    this.#frame.tabIndex = -1;
    root.append(this.#frame, this.#spoken);
  }

  /** Another job comes: its first state is no change to be announced. */
  forget() {
    this.#said = null;
    put(this.#spoken, "");
  }

  /** @param {Display} shown */
  show(shown) {
    this.#showTone(shown);
    this.#showBar(shown);
    put(this.#label, shown.label);
    put(this.#line, shown.line);
    put(this.#attempt, shown.attempt);
    put(this.#figure, shown.figure);
    put(this.#status, shown.status);
    put(this.#stage, shown.stage && ` · ${shown.stage}`);
    put(this.#message, shown.message && ` · ${shown.message}`);
    mark(this.#telling, "title", shown.message || null);
    put(this.#figures, [shown.amount, shown.pace, shown.remaining].filter(Boolean).join(" · "));
    put(this.#errorType, shown.errorType);
    put(this.#errorText, [shown.errorType, shown.errorText].every(Boolean) ? `: ${shown.errorText}` : shown.errorText);
    this.#error.hidden = !shown.errorType && !shown.errorText;
    put(this.#hint, shown.fault || shown.hint);
    this.#showCancel(shown);
    this.#say(shown);
  }

  /** @param {Display} shown */
  #showTone({ tone, offline }) {
    mark(this.#frame, "data-offline", offline ? "" : null);
    if (tone === this.#tone) return;
    this.#tone = tone;
    mark(this.#frame, "data-tone", tone);
    drawIcon(this.#icon, tone);
  }

  /** @param {Display} shown */
  #showBar({ part, moving, label, valueText }) {
    mark(this.#bar, "data-indeterminate", part !== null ? null : moving ? "moving" : "still");
    mark(this.#bar, "aria-label", label);
    mark(this.#bar, "aria-valuenow", part === null ? null : String(Math.floor(part * 100)));
    mark(this.#bar, "aria-valuetext", valueText);
    this.#fill.style.setProperty("--_part", String(part ?? 0));
  }

  /** @param {Display} shown */
  #showCancel({ cancel, cancelable }) {
    // Who has just pressed it must not be thrown back to the top of the page.
    if (!cancel && this.#cancel.matches(":focus")) this.#frame.focus({ preventScroll: true });
    this.#cancel.hidden = !cancel;
    put(this.#cancel, cancel);
    mark(this.#cancel, "aria-disabled", cancelable ? null : "true");
  }

  /** Only a change of state is worth interrupting a reader. @param {Display} shown */
  #say({ label, status, line, errorType, errorText, fault }) {
    const said = `${label}: ${[status, line, errorType, errorText, fault].filter(Boolean).join(", ")}`;
    if (this.#said !== null && this.#said !== said) put(this.#spoken, said);
    this.#said = said;
  }
}
