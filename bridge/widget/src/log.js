/**
 * The list of a job's events under its bar: as long as it is, only what is in sight is drawn.
 *
 * @module
 */

import { CSS } from "./log.css.js";
import { Lines, lineOf, pasted } from "./log-lines.js";
import { LOG_WORDS } from "./log-words.js";

/** @typedef {import("./log-lines.js").Line} Line */
/** @typedef {import("./log-lines.js").NamedEvent} NamedEvent */
/** @typedef {import("./task-progress.js").Looks} Looks */
/** @typedef {import("./words.js").BarWords & import("./words.js").SomeWords} Words */

const LINE_PX = 24;
const BEYOND = 8;
const COPIED_MS = 2000;

/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();

/** @param {number} seconds @param {string | undefined} locale */
const clock = (seconds, locale) => {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "";
  const key = String(locale);
  const format = clocks.get(key) ?? new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
  clocks.set(key, format);
  return format.format(date);
};

export class Log {
  #looks;
  #lines;
  #drawSoon;
  #title;
  #count;
  #copy;
  #scroller;
  #list;
  #empty;
  /** Whoever reads further up is not pulled down by what comes. */
  #follows = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #copied;

  /**
   * @param {HTMLElement} box where it goes
   * @param {Looks} looks
   * @param {number} most lines that are kept
   * @param {() => void} drawSoon
   */
  constructor(box, looks, most, drawSoon) {
    const { make, sheet } = looks;
    const root = /** @type {ShadowRoot} */ (box.getRootNode());
    root.adoptedStyleSheets = [...root.adoptedStyleSheets.filter((each) => each !== sheet(CSS)), sheet(CSS)];
    this.#looks = looks;
    this.#lines = new Lines(most);
    this.#drawSoon = drawSoon;
    this.#title = make("span", "log-title");
    this.#count = make("span", "log-count");
    this.#copy = make("button", "log-copy");
    this.#copy.type = "button";
    this.#list = make("ol", "log-lines");
    this.#empty = make("p", "log-empty");
    this.#scroller = make("div", "log-scroller", this.#list, this.#empty);
    this.#scroller.tabIndex = 0;
    this.#scroller.setAttribute("role", "region");
    box.replaceChildren(make("div", "log-head", this.#title, this.#count, this.#copy), this.#scroller);
    this.#copy.addEventListener("click", () => this.#copyAll());
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(drawSoon).observe(this.#scroller);
  }

  /** @param {NamedEvent} event */
  add(event) {
    this.#lines.add(lineOf(event));
    this.#drawSoon();
  }

  /** Some are lost. @param {Words} given */
  gap(given) {
    this.#lines.add({ at: NaN, name: "…", text: given.gap ?? LOG_WORDS.gap, kind: "gap" });
    this.#drawSoon();
  }

  /** @param {Words} given @param {string | undefined} locale */
  draw(given, locale) {
    const words = { ...LOG_WORDS, ...given };
    const { put, mark, number } = this.#looks;
    const lines = this.#lines.kept;
    put(this.#title, words.events);
    put(this.#count, this.#lines.count ? number(this.#lines.count, locale) : "");
    put(this.#copy, this.#copied ? words.copied : words.copy);
    this.#copy.hidden = !lines.length;
    put(this.#empty, words.noEvents);
    this.#empty.hidden = lines.length > 0;
    mark(this.#scroller, "aria-label", words.events);
    this.#list.style.setProperty("block-size", `${lines.length * LINE_PX}px`);
    if (this.#follows) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#drawLines(lines, locale);
  }

  /** @param {readonly Line[]} lines @param {string | undefined} locale */
  #drawLines(lines, locale) {
    const { make, put, mark } = this.#looks;
    const { scrollTop, clientHeight } = this.#scroller;
    const first = Math.max(0, Math.floor(scrollTop / LINE_PX) - BEYOND);
    const last = Math.min(lines.length, Math.ceil((scrollTop + clientHeight) / LINE_PX) + BEYOND);
    while (this.#list.children.length > last - first) this.#list.lastElementChild?.remove();
    while (this.#list.children.length < last - first) {
      this.#list.append(make("li", "log-line", make("time", ""), make("b", ""), make("span", "")));
    }
    for (let index = first; index < last; index += 1) {
      const { at, name, text, kind } = /** @type {Line} */ (lines[index]);
      const row = /** @type {HTMLElement} */ (this.#list.children[index - first]);
      const [time, label, words] = /** @type {any} */ (row.children);
      row.style.setProperty("transform", `translateY(${index * LINE_PX}px)`);
      mark(row, "data-kind", kind);
      mark(row, "aria-posinset", String(index + 1));
      mark(row, "aria-setsize", String(lines.length));
      put(time, clock(at, locale));
      put(label, name);
      put(words, text);
      mark(words, "title", text);
    }
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#follows = scrollHeight - scrollTop - clientHeight < LINE_PX;
    this.#drawSoon();
  }

  async #copyAll() {
    try {
      await navigator.clipboard.writeText(pasted(this.#lines.kept));
    } catch {
      return;
    }
    clearTimeout(this.#copied);
    this.#copied = setTimeout(() => {
      this.#copied = undefined;
      this.#drawSoon();
    }, COPIED_MS);
    this.#drawSoon();
  }
}
