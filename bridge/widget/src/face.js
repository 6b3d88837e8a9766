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

export class Face {
  #root;
  #frame;
  #icon;
  #label;
  #attempt;
  #figure;
  #cancel;
  #cancelWord;
  #disclose;
  #bell;
  #bar;
  #status;
  #stage;
  #message;
  #brief;
  #briefText;
  #hint;
  #result;
  #fault;
  #figures;
  #details;
  #spoken;
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
    this.#root = root;
    this.#frame = this.#find(".frame");
    this.#icon = /** @type {SVGSVGElement} */ (root.querySelector(".icon"));
    this.#label = this.#find(".label span");
    this.#attempt = this.#find(".attempt");
    this.#figure = this.#find(".figure");
    this.#cancel = this.#find(".cancel");
    this.#cancelWord = this.#find(".cancel .word");
    this.#disclose = this.#find(".disclose");
    this.#bell = this.#find(".bell");
    this.#bar = this.#find(".bar");
    this.#status = this.#find(".status");
    this.#stage = this.#find(".stage > span");
    this.#message = this.#find(".message > span");
    this.#brief = this.#find(".brief");
    this.#briefText = this.#find(".brief span");
    this.#hint = this.#find(".hint > span");
    this.#result = this.#find(".answer > span");
    this.#fault = this.#find(".fault");
    this.#figures = this.#find(".figures");
    this.#details = this.#find(".details");
    this.#spoken = this.#find(".spoken");
    this.#cancel.addEventListener("click", () => {
      if (!this.#cancel.hasAttribute("aria-disabled")) pressed.cancel();
    });
    this.#disclose.addEventListener("click", () => pressed.disclose(this.#details.hidden));
    this.#bell.addEventListener("click", pressed.bell);
    this.#find(".copy").addEventListener("click", () => this.#copyError());
    this.#find("slot[name=result]").addEventListener("slotchange", ({ target }) => {
      const given = /** @type {HTMLSlotElement} */ (target).assignedNodes().length > 0;
      this.#find(".outcome").classList.toggle("given", given);
    });
  }

  /** @param {string} selector @returns {HTMLElement} */
  #find(selector) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(selector));
  }

  /** Where the list of events goes. */
  get log() {
    return this.#find(".log");
  }

  /** Another job comes: its first state is no change to be announced. */
  forget() {
    this.#said = null;
    this.#glide.forget();
    put(this.#spoken, "");
  }

  /**
   * @param {Display} shown
   * @param {import("./words.js").Words} words
   * @param {object} more
   * @param {boolean} more.open   the details are wanted
   * @param {unknown} more.run    what the bar belongs to
   * @param {boolean} more.ended
   * @param {boolean} more.bell   a notification is to be had for the asking
   */
  show(shown, words, { open, run, ended, bell }) {
    this.#showTone(shown);
    showBar(this.#bar, shown);
    this.#move(shown.part, run, ended);
    put(this.#label, shown.label);
    mark(this.#label, "title", shown.label);
    put(this.#attempt, shown.attempt);
    put(this.#figure, shown.figure);
    this.#showLine(shown);
    this.#showCancel(shown);
    this.#bell.hidden = !bell;
    mark(this.#bell, "aria-label", words.notify);
    mark(this.#bell, "title", words.notify);
    this.#showDetails(shown, words, open);
    this.#say(shown);
  }

  /** @param {Display} shown */
  #showTone({ tone, part }) {
    this.#icon.classList.toggle("spinning", part === null);
    if (tone === this.#tone) return;
    this.#tone = tone;
    mark(this.#frame, "data-tone", tone);
    drawIcon(this.#icon, tone);
  }

  /** @param {number | null} part @param {unknown} run @param {boolean} ended */
  #move(part, run, ended) {
    const ms = this.#glide.to(part, run, ended, performance.now());
    if (ms === null) return;
    this.#bar.style.setProperty("--_glide", `${ms}ms`);
    this.#bar.style.setProperty("--_part", String(part ?? 0));
  }

  /** @param {Display} shown */
  #showLine({ status, stage, message, errorType, errorText, hint, result, fault, figures }) {
    const error = [errorType, errorText].filter(Boolean).join(": ");
    put(this.#status, fault ? "" : status);
    put(this.#stage, fault ? "" : stage);
    put(this.#message, fault ? "" : message);
    this.#brief.hidden = !error || Boolean(fault);
    put(this.#briefText, error);
    put(this.#hint, fault ? "" : hint);
    put(this.#result, fault ? "" : result);
    put(this.#fault, fault);
    put(this.#figures, figures);
    mark(this.#find(".telling"), "title", fault || [error, message, hint].find(Boolean) || null);
  }

  /** @param {Display} shown */
  #showCancel({ cancel, cancelable }) {
    // Who has just pressed it must not be thrown back to the top of the page.
    if (!cancel && this.#cancel.matches(":focus")) this.#frame.focus({ preventScroll: true });
    this.#cancel.hidden = !cancel;
    put(this.#cancelWord, cancel);
    mark(this.#cancel, "title", cancel || null);
    mark(this.#cancel, "aria-disabled", cancelable ? null : "true");
  }

  /** @param {Display} shown @param {import("./words.js").Words} words @param {boolean} wanted */
  #showDetails({ stages, errorType, errorText }, words, wanted) {
    const hasError = Boolean(errorType || errorText);
    const some = hasError || stages.length > 0;
    const open = wanted && some;
    if (!some && this.#disclose.matches(":focus")) this.#frame.focus({ preventScroll: true });
    this.#disclose.hidden = !some;
    mark(this.#disclose, "aria-expanded", String(open));
    mark(this.#disclose, "aria-label", words.details);
    this.#details.hidden = !open;
    this.#find(".error").hidden = !hasError;
    put(this.#find(".error-type"), errorType);
    put(this.#find(".error-text"), errorType && errorText ? `: ${errorText}` : errorText);
    put(this.#find(".copy"), words.copy);
    if (open) showStages(this.#find(".stages"), stages);
  }

  async #copyError() {
    const text = this.#find(".error p").textContent ?? "";
    await navigator.clipboard?.writeText(text).catch(() => {});
  }

  /** Only a change of state is worth interrupting a reader. @param {Display} shown */
  #say({ label, status, errorType, errorText, fault }) {
    const said = `${label}: ${[status, errorType, errorText, fault].filter(Boolean).join(", ")}`;
    if (this.#said !== null && this.#said !== said) put(this.#spoken, said);
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
