/**
 * The shadow tree of `<task-progress>`: puts a `Display` on the screen, and touches only what changed.
 *
 * @module
 */

import { CSS } from "./face.css.js";
import { Glide } from "./glide.js";
import { drawIcon, newIcon, svgElement } from "./icon.js";
import { PALETTE } from "./palette.css.js";
import { make, mark, put, sheet, slot } from "./shadow.js";

/** @typedef {import("./display.js").Display} Display */
/** @typedef {import("./display.js").StageDisplay} StageDisplay */

/** @returns {HTMLElement} the bar and the ring that it is in the size "ring" */
export const newBar = () => {
  const circle = { cx: "10", cy: "10", r: "9.1" };
  const arc = svgElement("circle", { ...circle, class: "arc", pathLength: "1" });
  const ring = svgElement("svg", { class: "ring", viewBox: "0 0 20 20", "aria-hidden": "true" });
  ring.append(svgElement("circle", circle), arc);
  const bar = make("div", "bar", make("div", "fill"), ring);
  for (const [name, value] of Object.entries({ role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" })) {
    bar.setAttribute(name, value);
  }
  return bar;
};

/** @param {HTMLElement} bar @param {Pick<Display, "part" | "moving" | "label" | "valueText">} shown */
export const showBar = (bar, { part, moving, label, valueText }) => {
  mark(bar, "data-indeterminate", part !== null ? null : moving ? "moving" : "still");
  mark(bar, "aria-label", label);
  mark(bar, "aria-valuenow", part === null ? null : String(Math.floor(part * 100)));
  mark(bar, "aria-valuetext", valueText || null);
};

/** @type {DocumentFragment | undefined} */
let pattern;

/** Built once, cloned for each element. */
const newTree = () => {
  pattern ??= build();
  return /** @type {DocumentFragment} */ (pattern.cloneNode(true));
};

const build = () => {
  const cancel = make("button", "cancel", make("span", "word"), newIcon("cross"));
  cancel.querySelector("span")?.removeAttribute("part");
  const disclose = make("button", "disclose icon-only", newIcon("more"));
  const bell = make("button", "bell icon-only", newIcon("bell"));
  disclose.setAttribute("part", "disclose");
  bell.setAttribute("part", "bell");
  cancel.type = disclose.type = bell.type = "button";
  bell.hidden = true;
  // "Cancel Import rows", where several are on a page.
  cancel.id = "cancel";
  cancel.hidden = true;
  cancel.setAttribute("aria-labelledby", "cancel label");
  disclose.setAttribute("aria-controls", "details");
  const label = make("span", "label", slot("label", make("span", "")));
  label.id = "label";
  const icon = newIcon();
  icon.setAttribute("part", "icon");
  const frame = make(
    "div",
    "frame",
    icon,
    make("div", "head", label, make("span", "attempt"), disclose),
    make("div", "side", slot("actions"), bell, cancel),
    make("span", "figure"),
    newBar(),
    make(
      "div",
      "line",
      make(
        "div",
        "telling",
        make("span", "status"),
        // Text within text: each has its own direction, and the dot before it that of the line.
        ...["hint", "stage", "message"].map((name) => make("span", name, make("span", ""))),
        make("span", "brief", slot("error", make("span", ""))),
        make("span", "answer", make("span", "")),
        make("span", "fault"),
      ),
      make("span", "figures"),
      make("div", "outcome", slot("result")),
    ),
  );
  frame.tabIndex = -1;
  const error = make("div", "error", make("p", "", make("span", "error-type"), make("span", "error-text")), make("button", "copy"));
  error.querySelector("button")?.setAttribute("type", "button");
  const details = make("div", "details", make("ol", "stages"), error);
  details.id = "details";
  details.hidden = true;
  const spoken = make("div", "spoken");
  spoken.removeAttribute("part");
  spoken.setAttribute("role", "status");
  const made = new DocumentFragment();
  made.append(frame, details, make("section", "log"), spoken);
  return made;
};

/** @param {ShadowRoot} root @param {string} names of classes @param {string} [inner] @returns {Record<string, any>} elements by class */
const places = (root, names, inner = "") =>
  Object.fromEntries(names.split(" ").map((name) => [name, root.querySelector(`.${name}${inner}`)]));

export class Face {
  #at;
  /** Where texts within texts are. */
  #text;
  #glide = new Glide();
  /** @type {string | null} */
  #said = null;
  /** @type {string | null} */
  #tone = null;

  /**
   * @param {ShadowRoot} root
   * @param {{cancel: () => void, disclose: (open: boolean) => void, bell: () => void}} pressed which button
   */
  constructor(root, pressed) {
    root.adoptedStyleSheets = [sheet(PALETTE), sheet(CSS)];
    root.append(newTree());
    this.#at = places(root, "frame icon attempt disclose bell cancel word figure bar telling status brief fault figures outcome details stages error copy log spoken");
    this.#text = places(root, "label hint stage message brief answer", " span");
    this.#at.cancel.addEventListener("click", () => {
      if (!this.#at.cancel.hasAttribute("aria-disabled")) pressed.cancel();
    });
    this.#at.disclose.addEventListener("click", () => pressed.disclose(this.#at.details.hidden));
    this.#at.bell.addEventListener("click", pressed.bell);
    this.#at.copy.addEventListener("click", () => this.#copyError());
    this.#at.outcome.firstChild.addEventListener("slotchange", (/** @type {Event} */ { target }) => {
      const given = /** @type {HTMLSlotElement} */ (target).assignedNodes().length > 0;
      this.#at.outcome.classList.toggle("given", given);
    });
  }

  /** Where the list of events goes. */
  get log() {
    return this.#at.log;
  }

  /** Another job comes: its first state is no change to be announced. */
  forget() {
    this.#said = null;
    this.#glide.forget();
    put(this.#at.spoken, "");
  }

  /**
   * @param {Display} shown
   * @param {import("./words.js").BarWords} words
   * @param {object} more
   * @param {boolean} more.open   the details are wanted
   * @param {unknown} more.run    what the bar belongs to
   * @param {boolean} more.ended
   * @param {boolean} more.bell   a notification is to be had for the asking
   */
  show(shown, words, { open, run, ended, bell }) {
    this.#showTone(shown);
    showBar(this.#at.bar, shown);
    this.#move(shown.part, run, ended);
    put(this.#text.label, shown.label);
    mark(this.#text.label, "title", shown.label);
    put(this.#at.attempt, shown.attempt);
    put(this.#at.figure, shown.figure);
    this.#showLine(shown);
    this.#showCancel(shown);
    this.#at.bell.hidden = !bell;
    mark(this.#at.bell, "aria-label", words.notify);
    mark(this.#at.bell, "title", words.notify);
    this.#showDetails(shown, words, open);
    this.#say(shown);
  }

  /** @param {Display} shown */
  #showTone({ tone, part }) {
    this.#at.icon.classList.toggle("spinning", part === null);
    if (tone === this.#tone) return;
    this.#tone = tone;
    mark(this.#at.frame, "data-tone", tone);
    drawIcon(this.#at.icon, tone);
  }

  /** @param {number | null} part @param {unknown} run @param {boolean} ended */
  #move(part, run, ended) {
    const ms = this.#glide.to(part, run, ended, performance.now());
    if (ms === null) return;
    this.#at.bar.style.setProperty("--_glide", `${ms}ms`);
    this.#at.bar.style.setProperty("--_part", String(part ?? 0));
  }

  /** @param {Display} shown */
  #showLine({ status, stage, message, errorType, errorText, hint, result, fault, figures }) {
    const error = [errorType, errorText].filter(Boolean).join(": ");
    put(this.#at.status, fault ? "" : status);
    put(this.#text.stage, fault ? "" : stage);
    put(this.#text.message, fault ? "" : message);
    this.#at.brief.hidden = !error || Boolean(fault);
    put(this.#text.brief, error);
    put(this.#text.hint, fault ? "" : hint);
    put(this.#text.answer, fault ? "" : result);
    put(this.#at.fault, fault);
    put(this.#at.figures, figures);
    mark(this.#at.telling, "title", fault || [error, message, hint].find(Boolean) || null);
  }

  /** @param {Display} shown */
  #showCancel({ cancel, cancelable }) {
    // Who has just pressed it must not be thrown back to the top of the page.
    if (!cancel && this.#at.cancel.matches(":focus")) this.#at.frame.focus({ preventScroll: true });
    this.#at.cancel.hidden = !cancel;
    put(this.#at.word, cancel);
    mark(this.#at.cancel, "title", cancel || null);
    mark(this.#at.cancel, "aria-disabled", cancelable ? null : "true");
  }

  /** @param {Display} shown @param {import("./words.js").BarWords} words @param {boolean} wanted */
  #showDetails({ stages, errorType, errorText }, words, wanted) {
    const hasError = Boolean(errorType || errorText);
    const some = hasError || stages.length > 0;
    const open = wanted && some;
    if (!some && this.#at.disclose.matches(":focus")) this.#at.frame.focus({ preventScroll: true });
    this.#at.disclose.hidden = !some;
    mark(this.#at.disclose, "aria-expanded", String(open));
    mark(this.#at.disclose, "aria-label", words.details);
    this.#at.details.hidden = !open;
    this.#at.error.hidden = !hasError;
    const [type, text] = this.#at.error.firstChild.children;
    put(type, errorType);
    put(text, errorType && errorText ? `: ${errorText}` : errorText);
    put(this.#at.copy, words.copy);
    if (open) showStages(this.#at.stages, stages);
  }

  async #copyError() {
    const text = this.#at.error.firstChild.textContent ?? "";
    await navigator.clipboard?.writeText(text).catch(() => {});
  }

  /** Only a change of state is worth interrupting a reader. @param {Display} shown */
  #say({ label, status, errorType, errorText, fault }) {
    const said = `${label}: ${[status, errorType, errorText, fault].filter(Boolean).join(", ")}`;
    if (this.#said !== null && this.#said !== said) put(this.#at.spoken, said);
    this.#said = said;
  }
}

/** @param {HTMLElement} list @param {StageDisplay[]} stages */
const showStages = (list, stages) => {
  while (list.children.length > stages.length) list.lastElementChild?.remove();
  while (list.children.length < stages.length) {
    const bar = newBar();
    bar.querySelector("svg")?.remove();
    list.append(make("li", "", newIcon(), make("span", "stage-name"), make("span", "stage-amount"), bar));
  }
  stages.forEach(({ name, tone, status, part, amount }, index) => {
    const line = /** @type {HTMLElement} */ (list.children[index]);
    const [icon, label, figures, bar] = /** @type {any} */ (line.children);
    if (line.dataset.tone !== tone) drawIcon(icon, tone);
    mark(line, "data-tone", tone);
    put(label, name);
    put(figures, amount);
    showBar(bar, { part, moving: tone === "running", label: name, valueText: [status, amount].filter(Boolean).join(", ") });
    bar.style.setProperty("--_part", String(part ?? 0));
  });
};
