/**
 * One row of a list on the screen; it is used again for another job when its own is out of sight.
 *
 * @module
 */

/** @typedef {import("./list-rows.js").Row} Row */
/** @typedef {import("./display.js").Display} Display */
/** @typedef {import("./display.js").Tone} Tone */
/** @typedef {import("./task-progress.js").Looks} Looks */
/** @typedef {import("./words.js").ListWords} Words */

/** Deeper than this is not moved in any further: a long chain would leave no room for its words. */
const DEEPEST = 6;

export class RowFace {
  #looks;
  /** @type {Tone | undefined} */
  #tone;
  /** Whose run the bar shows. */
  #shown = "";
  /** @type {Record<string, any>} */
  #at = {};

  /** @param {Looks} looks @param {Row["type"]} type */
  constructor(looks, type) {
    this.#looks = looks;
    this.type = type;
    this.element = looks.make("div", `row ${type}`);
    this.element.setAttribute("part", `row ${type}`);
    this.element.setAttribute("role", "row");
    if (type === "job") this.#buildJob();
    else if (type === "group") this.#buildGroup();
    else this.#buildMore();
  }

  /** @param {string} name @param {...Node} children */
  #cell(name, ...children) {
    const cell = this.#looks.make("div", name, ...children);
    cell.setAttribute("role", "gridcell");
    return cell;
  }

  #buildJob() {
    const { make, newIcon, newBar } = this.#looks;
    const sign = this.#cell("sign", newIcon());
    const fold = make("span", "fold", newIcon("more"));
    fold.hidden = true;
    const label = make("span", "label");
    const link = make("a", "link");
    const name = this.#cell("name", link, label, fold);
    const status = make("span", "status");
    const more = make("span", "");
    const bar = newBar();
    const figure = this.#cell("figure");
    const cancel = make("button", "cancel", newIcon("cross"));
    cancel.type = "button";
    const what = this.#cell("what", status, make("span", "more", more));
    this.element.append(sign, name, what, this.#cell("gauge", bar), figure, this.#cell("act", cancel));
    this.#at = { sign, icon: sign.firstChild, fold, label, link, status, more, what, bar, figure, cancel };
  }

  #buildGroup() {
    const { make, newIcon } = this.#looks;
    const fold = make("span", "fold", newIcon("more"));
    const icon = newIcon();
    const label = make("span", "label");
    const count = make("span", "count");
    this.element.append(this.#cell("sign", fold), this.#cell("group-name", icon, label, count));
    this.#at = { icon, label, count };
  }

  #buildMore() {
    const label = this.#looks.make("button", "older");
    label.type = "button";
    label.tabIndex = -1;
    this.element.append(this.#cell("all", label));
    this.#at = { label };
  }

  /** @param {Row} row @param {number} index @param {number} height @param {boolean} active whether the keyboard is on it */
  place(row, index, height, active) {
    const { mark } = this.#looks;
    const { element } = this;
    element.style.setProperty("transform", `translateY(${index * height}px)`);
    element.style.setProperty("--_indent", String(Math.min(DEEPEST, row.level - (row.type === "group" ? row.level : 1))));
    element.tabIndex = active ? 0 : -1;
    mark(element, "aria-rowindex", String(index + 1));
    mark(element, "aria-level", String(row.level));
    mark(element, "aria-posinset", String(row.position));
    mark(element, "aria-setsize", String(row.siblings));
    mark(element, "aria-expanded", row.open === null ? null : String(row.open));
    for (const inner of [this.#at.link, this.#at.cancel]) if (inner) inner.tabIndex = active ? 0 : -1;
  }

  /**
   * @param {Row} row
   * @param {{tone: Tone, count: string, display: Display | null, href: string, run: unknown}} situation
   * @param {Words} words
   */
  show(row, { tone, count, display, href, run }, words) {
    const { mark, put, drawIcon } = this.#looks;
    if (row.type === "more") {
      put(this.#at.label, words.older);
      return;
    }
    if (tone !== this.#tone) {
      this.#tone = tone;
      mark(this.element, "data-tone", tone);
      drawIcon(this.#at.icon, tone);
    }
    if (row.type === "group") {
      put(this.#at.label, words.groups[/** @type {keyof Words["groups"]} */ (row.key)]);
      put(this.#at.count, count);
    } else if (display) this.#showJob(row, display, href, count, words, run);
  }

  /** @param {Row} row @param {Display} display @param {string} href @param {string} count @param {Words} words @param {unknown} run */
  #showJob(row, display, href, count, words, run) {
    const { mark, put, showBar } = this.#looks;
    const { sign, fold, label, link, status, more, what, bar, figure, cancel } = this.#at;
    sign.classList.toggle("spinning", display.part === null);
    link.hidden = !href;
    label.hidden = Boolean(href);
    put(href ? link : label, display.label);
    if (href) mark(link, "href", href);
    mark(this.element, "data-job", row.key);
    fold.hidden = row.open === null;
    mark(fold, "title", count || null);
    put(status, display.status);
    const error = [display.errorType, display.errorText].filter(Boolean).join(": ");
    const told = [error || display.message || display.hint || display.stage || display.result, display.attempt, display.figures].filter(Boolean).join(" · ");
    put(more, told);
    mark(what, "title", told || null);
    // Another job in the same row begins where it stands.
    const shown = `${row.key} ${run}`;
    bar.style.setProperty("--_glide", shown === this.#shown ? "300ms" : "0s");
    this.#shown = shown;
    showBar(bar, display);
    bar.style.setProperty("--_part", String(display.part ?? 0));
    put(figure, display.figure);
    cancel.hidden = !display.cancel;
    mark(cancel, "aria-label", `${words.cancel} ${display.label}`);
    mark(cancel, "title", display.cancel || null);
    mark(cancel, "aria-disabled", display.cancelable ? null : "true");
  }
}
