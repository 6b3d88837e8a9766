/**
 * What `<task-list>` does once it is there: watches, arranges, and draws the rows that are in sight.
 *
 * @module
 */

import { CSS } from "./list.css.js";
import { ListWatch } from "./list-watch.js";
import { GROUPS, matching, overall, rowsOf } from "./list-rows.js";
import { RowFace } from "./list-row-face.js";
import { LIST_WORDS } from "./list-words.js";
import { languageOf } from "./page-language.js";

export { ListWatch };

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").Refusal} Refusal */
/** @typedef {import("./list-rows.js").Row} Row */
/** @typedef {import("./list-rows.js").Group} Group */
/** @typedef {import("./task-progress.js").Looks} Looks */
/** @typedef {import("./task-list.js").TaskList} TaskList */

/** Rows are put in order anew at most so often, however fast the news come. */
const ARRANGE_MS = 200;
/** Rows beyond the edges, so that a quick scroll finds them drawn. */
const BEYOND = 6;
const CANCEL_REQUESTED = "cancel-requested";
const TONES = /** @type {const} */ ({
  running: "running", retrying: "retrying", lost: "lost", waiting: "waiting", failed: "failure", done: "success", cancelled: "revoked",
});

export class List {
  /** @type {ReturnType<typeof overall>} */
  summary = overall([]);
  #host;
  #wire;
  #looks;
  #drawSoon;
  /** @type {ListWatch | null} */
  #watch = null;
  /** What is wrong with the attributes. @type {Refusal | null} */
  #fault = null;
  /** What the page knew when it was written. @type {Map<string, StateRecord>} */
  #snapshot = new Map();
  /** @type {Row[]} */
  #rows = [];
  #arrangedAt = -Infinity;
  #stale = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Keys of what is folded up. @type {Set<string>} */
  #closed = new Set();
  /** The row that the keyboard is on. */
  #active = "";
  /** @type {Set<string>} */
  #cancelling = new Set();
  /** By key of the row that it shows. @type {Map<string, RowFace>} */
  #faces = new Map();
  #rowHeight = 40;
  #told = "";
  #said = "";
  /** @type {Record<string, HTMLElement>} */
  #at = {};

  /**
   * @param {TaskList} host
   * @param {import("./wire.js").Wire} wire
   * @param {Looks} looks
   * @param {() => void} drawSoon
   */
  constructor(host, wire, looks, drawSoon) {
    this.#host = host;
    this.#wire = wire;
    this.#looks = looks;
    this.#drawSoon = drawSoon;
    this.#build();
  }

  /** @returns {ReadonlyMap<string, StateRecord>} */
  get states() {
    const live = this.#watch?.jobs;
    return live?.size ? live : this.#snapshot;
  }

  /** Begins anew, by the attributes as they are. */
  open() {
    this.close();
    this.#fault = null;
    this.#cancelling.clear();
    this.#snapshot = new Map(snapshotsOf(this.#host.getAttribute("snapshot")).map((state) => [state.job, state]));
    this.#watch = this.#newWatch();
    this.changed();
    this.#drawSoon();
  }

  close() {
    this.#watch?.close();
    this.#watch = null;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** What is shown, or how, is to be worked out anew. */
  changed() {
    this.#stale = true;
    this.#arrangedAt = -Infinity;
  }

  /** @param {string} job @returns {Promise<Refusal | null>} */
  async cancel(job) {
    if (!this.#watch || this.#cancelling.has(job)) return null;
    this.#cancelling.add(job);
    this.#drawSoon();
    const refusal = await this.#watch.cancel(job);
    if (refusal) this.#cancelling.delete(job);
    this.#drawSoon();
    return refusal;
  }

  /** @param {string} name */
  #attribute(name) {
    return this.#host.getAttribute(name) ?? undefined;
  }

  /** @returns {import("./words.js").ListWords} */
  get #words() {
    const page = /** @type {any} */ (customElements.get("task-progress"));
    return { ...LIST_WORDS, ...this.#looks.wordsOf(languageOf(this.#host), page?.languages ?? {}, page?.words, this.#host.words) };
  }

  #newWatch() {
    const jobs = this.#attribute("jobs")?.split(/[\s,]+/).filter(Boolean);
    const user = this.#attribute("user");
    const root = this.#attribute("root");
    if (!jobs && !user && !root) return null;
    const limit = Number(this.#attribute("limit"));
    try {
      const watch = new ListWatch(this.#wire, {
        ...(user ? { user } : root ? { root } : { jobs: jobs ?? [] }),
        token: this.#attribute("token"),
        tokenUrl: this.#attribute("token-url"),
        url: this.#attribute("url"),
        namespace: this.#attribute("namespace"),
        limit: limit > 0 ? limit : undefined,
      });
      watch.addEventListener("progress", () => this.#news());
      watch.addEventListener("loaded", () => this.#news());
      for (const name of ["online", "offline", "error"]) {
        watch.addEventListener(name, (event) => {
          this.#drawSoon();
          this.#host.dispatchEvent(new CustomEvent(name, { detail: /** @type {CustomEvent} */ (event).detail }));
        });
      }
      return watch;
    } catch (error) {
      this.#fault = { error: "bad_request", message: String(/** @type {Error} */ (error).message) };
      return null;
    }
  }

  #news() {
    this.#stale = true;
    this.#drawSoon();
  }

  #build() {
    const { make, sheet, PALETTE, newBar } = this.#looks;
    const root = /** @type {ShadowRoot} */ (this.#host.shadowRoot);
    root.adoptedStyleSheets = [sheet(PALETTE), sheet(CSS)];
    const heading = make("span", "heading");
    const summary = make("span", "summary");
    const figure = make("span", "figure");
    const bar = newBar();
    const find = make("input", "find");
    find.type = "search";
    const chips = make("div", "chips");
    chips.setAttribute("role", "group");
    const controls = make("div", "controls", find, chips);
    const rows = make("div", "rows");
    rows.setAttribute("role", "rowgroup");
    const empty = make("div", "empty");
    const scroller = make("div", "scroller", rows, empty);
    const header = make("header", "header", make("div", "title", heading, summary, figure), bar, controls);
    const list = make("div", "list", header, scroller);
    const spoken = make("div", "spoken");
    spoken.setAttribute("role", "status");
    root.append(list, spoken);
    this.#at = { list, heading, summary, figure, bar, find, chips, controls, scroller, rows, empty, spoken };

    find.addEventListener("input", () => this.#filterBy("filter", find.value));
    scroller.addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    scroller.addEventListener("keydown", (event) => this.#steer(event));
    scroller.addEventListener("focusin", ({ target }) => this.#focused(/** @type {Element} */ (target)));
    scroller.addEventListener("click", (event) => this.#clicked(event));
    new ResizeObserver(() => this.#drawSoon()).observe(scroller);
  }

  /** @param {"filter" | "show"} name @param {string} value */
  #filterBy(name, value) {
    if (value) this.#host.setAttribute(name, value);
    else this.#host.removeAttribute(name);
    const detail = { filter: this.#attribute("filter") ?? "", show: this.#attribute("show") ?? "" };
    this.#host.dispatchEvent(new CustomEvent("filter-changed", { detail, bubbles: true, composed: true }));
  }

  get #shown() {
    return new Set((this.#attribute("show") ?? "").split(/[\s,]+/).filter((name) => GROUPS.includes(/** @type {Group} */ (name))));
  }

  /** Puts the rows in order, if it is time. */
  #arrange() {
    if (!this.#stale) return;
    const wait = this.#arrangedAt + ARRANGE_MS - performance.now();
    // The first jobs don't wait: until they are there, it would look as if there were none.
    if (wait > 0 && this.#rows.length) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#drawSoon();
      }, wait);
      return;
    }
    this.#stale = false;
    this.#arrangedAt = performance.now();
    const view = this.#attribute("view") ?? (this.#attribute("root") ? "tree" : "groups");
    const { states } = this;
    this.summary = overall(states.values());
    this.#rows = rowsOf(states, {
      shape: view === "tree" || view === "flat" ? view : "groups",
      matches: matching(this.#attribute("filter") ?? "", this.#shown, textOf),
      closed: this.#closed,
      order: this.#attribute("jobs")?.split(/[\s,]+/),
      more: this.#watch?.hasMore ?? false,
    });
    this.#tellChange();
  }

  #tellChange() {
    const { counts, part, total } = this.summary;
    const told = JSON.stringify([counts, part]);
    if (told === this.#told) return;
    this.#told = told;
    this.#host.dispatchEvent(new CustomEvent("change", { detail: { counts, part, total } }));
  }

  draw() {
    this.#arrange();
    const words = this.#words;
    this.#drawHeader(words);
    this.#drawEmpty(words);
    this.#drawRows(words);
    this.#say(words);
  }

  /** @param {import("./words.js").ListWords} words */
  #drawHeader(words) {
    const { put, mark, number, percent, showBar } = this.#looks;
    const { heading, summary, figure, bar, find, controls, scroller, list } = /** @type {any} */ (this.#at);
    const locale = languageOf(this.#host);
    const { counts, part, total, ended } = this.summary;
    const label = this.#attribute("label") || words.jobs;
    const offline = this.#watch?.online === false;
    const telling = GROUPS.filter((group) => counts[group] && group !== "done").map((group) => words.countOf(number(counts[group], locale), words.groups[group]));
    const plain = this.#attribute("controls") === "none";
    const endings = total ? words.endedOf(number(ended, locale), number(total, locale)) : "";
    // Where there are chips, they tell the rest.
    const text = [endings, ...(plain ? telling : [])].join(" · ");
    put(heading, label);
    put(summary, offline ? words.offline : text);
    put(figure, part === null ? "" : percent(part, locale));
    const tone = offline ? "offline" : !total || ended < total ? "running" : counts.failed ? "failure" : "success";
    mark(list, "data-tone", tone);
    list.classList.toggle("offline", offline);
    showBar(bar, { part: part ?? 0, moving: false, label, valueText: [figure.textContent, text].filter(Boolean).join(", ") });
    bar.style.setProperty("--_part", String(part ?? 0));
    bar.style.setProperty("--_glide", "200ms");
    controls.hidden = plain;
    mark(find, "placeholder", words.find);
    mark(find, "aria-label", words.find);
    if (find.value !== (this.#attribute("filter") ?? "")) find.value = this.#attribute("filter") ?? "";
    const filled = this.#hasJobs();
    mark(scroller, "role", filled ? "treegrid" : null);
    mark(scroller, "aria-label", filled ? label : null);
    mark(scroller, "aria-rowcount", filled ? String(this.#rows.length) : null);
    this.#drawChips(words, locale);
  }

  /** @param {import("./words.js").ListWords} words @param {string | undefined} locale */
  #drawChips(words, locale) {
    const { make, mark, put, newIcon, drawIcon, number } = this.#looks;
    const { chips } = /** @type {any} */ (this.#at);
    mark(chips, "aria-label", words.find);
    const shown = this.#shown;
    for (const group of GROUPS) {
      let chip = chips.querySelector(`[data-group="${group}"]`);
      if (!chip) {
        chip = make("button", "chip", newIcon(), make("span", "chip-text"));
        chip.type = "button";
        chip.dataset.group = group;
        chip.dataset.tone = TONES[group];
        drawIcon(chip.querySelector("svg"), TONES[group]);
        chip.addEventListener("click", () => this.#toggleShown(group));
        chips.append(chip);
      }
      const count = this.summary.counts[group];
      put(chip.querySelector("span"), `${words.groups[group]} ${number(count, locale)}`);
      mark(chip, "aria-pressed", String(shown.has(group)));
      chip.hidden = !count && !shown.has(group);
    }
  }

  /** @param {Group} group */
  #toggleShown(group) {
    const shown = this.#shown;
    if (!shown.delete(group)) shown.add(group);
    this.#filterBy("show", GROUPS.filter((each) => shown.has(each)).join(" "));
  }

  #hasJobs() {
    return this.#rows.some(({ type }) => type !== "more");
  }

  /** @param {import("./words.js").ListWords} words */
  #drawEmpty(words) {
    const { make, newIcon } = this.#looks;
    const { empty, rows } = /** @type {any} */ (this.#at);
    const [tone, title, hint] = this.#emptiness(words);
    empty.hidden = !title;
    rows.hidden = Boolean(title);
    const told = `${tone} ${title} ${hint} ${this.#watch?.hasMore}`;
    if (empty.dataset.told === told) return;
    empty.dataset.told = told;
    empty.dataset.tone = tone;
    if (!title) return;
    const buttons = [];
    if (title === words.noMatch) buttons.push(this.#button(words.clear, () => this.#showAll()));
    if (this.#watch?.hasMore) buttons.push(this.#button(words.older, () => this.#watch?.more()));
    empty.replaceChildren(newIcon(/** @type {any} */ (tone)), make("b", "", title), ...(hint ? [make("span", "", hint)] : []), ...buttons);
  }

  #showAll() {
    this.#filterBy("show", "");
    this.#filterBy("filter", "");
  }

  /** @param {string} text @param {() => void} pressed */
  #button(text, pressed) {
    const button = this.#looks.make("button", "", text);
    button.type = "button";
    button.addEventListener("click", pressed);
    return button;
  }

  /** @param {import("./words.js").ListWords} words @returns {[string, string, string]} tone, title and hint; no title: there are jobs to show */
  #emptiness(words) {
    const refusal = this.#watch?.refusal ?? this.#fault;
    if (refusal) {
      const known = refusal.error === "forbidden" || refusal.error === "expired";
      const kind = /** @type {"forbidden" | "expired"} */ (refusal.error);
      return [known ? kind : "refused", known ? words[kind] : words.refused, known ? words[`${kind}Hint`] : refusal.message];
    }
    if (this.#hasJobs()) return ["", "", ""];
    if (this.states.size) return ["idle", words.noMatch, ""];
    if (this.#watch?.online === false) return ["offline", words.offline, words.offlineHint];
    if (this.#watch && !this.#watch.loaded) return ["waiting", words.loading, ""];
    return ["idle", words.noJobs, ""];
  }

  /** @param {import("./words.js").ListWords} words */
  #drawRows(words) {
    const { scroller, rows } = /** @type {any} */ (this.#at);
    const height = this.#rowHeight;
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - BEYOND);
    const last = Math.min(this.#rows.length, Math.ceil((scroller.scrollTop + (scroller.clientHeight || 600)) / height) + BEYOND);
    const wanted = this.#rows.slice(first, last);
    rows.style.setProperty("block-size", `${this.#rows.length * height}px`);
    if (!this.#rows.some(({ key }) => key === this.#active)) this.#active = this.#rows[0]?.key ?? "";
    const kept = new Set(wanted.map(({ key, type }) => `${type} ${key}`));
    // A row that has the focus stays, else the keyboard would be lost by scrolling.
    const focused = /** @type {ShadowRoot} */ (this.#host.shadowRoot).activeElement?.closest(".row");
    /** @type {RowFace[]} */
    const idle = [];
    for (const [id, face] of this.#faces) {
      if (kept.has(id) || (face.element === focused && this.#rows.some(({ key, type }) => `${type} ${key}` === id))) continue;
      this.#faces.delete(id);
      idle.push(face);
    }
    let at = rows.firstElementChild;
    wanted.forEach((row, index) => {
      const id = `${row.type} ${row.key}`;
      const face = this.#faces.get(id) ?? idle.find(({ type }) => type === row.type) ?? new RowFace(this.#looks, row.type);
      if (idle.includes(face)) idle.splice(idle.indexOf(face), 1);
      this.#faces.set(id, face);
      at = this.#putInOrder(rows, face.element, at, focused);
      face.place(row, first + index, height, row.key === this.#active);
      face.show(row, this.#situation(row, words), words);
    });
    for (const face of idle) face.element.remove();
    this.#measure(rows.querySelector(".row"));
  }

  /**
   * Who has the page read out hears the rows as they stand. The one with the focus is not moved: it would lose it.
   *
   * @param {HTMLElement} rows
   * @param {Element} row
   * @param {Element | null} at where it belongs
   * @param {Element | null | undefined} focused
   * @returns {Element | null} where the next one belongs
   */
  #putInOrder(rows, row, at, focused) {
    const ahead = at && at.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (ahead && row === focused) {
      while (at && at !== row) {
        const next = at.nextElementSibling;
        rows.append(at);
        at = next;
      }
    } else if (row !== at) {
      rows.insertBefore(row, at);
      return at;
    }
    return row.nextElementSibling;
  }

  /** @param {Row} row @param {import("./words.js").ListWords} words */
  #situation(row, words) {
    const state = this.states.get(row.key) ?? null;
    const locale = languageOf(this.#host);
    const { number } = this.#looks;
    if (row.type !== "job") return { tone: TONES[/** @type {Group} */ (row.key)], count: number(row.count, locale), display: null, href: "", run: null };
    const ended = state && ["SUCCESS", "FAILURE", "REVOKED"].includes(state.state);
    if (ended) this.#cancelling.delete(row.key);
    const display = this.#looks.display(
      {
        state,
        online: this.#watch?.online ?? null,
        refusal: this.#watch?.refusals.get(row.key) ?? null,
        mayCancel: this.#watch?.actions(row.key).includes("cancel") ?? false,
        cancelling: this.#cancelling.has(row.key),
        notCancelled: null,
        job: row.key,
        label: "",
        now: Date.now() / 1000,
        locale,
      },
      words,
    );
    const href = this.#attribute("href")?.replaceAll("{job}", encodeURIComponent(row.key)) ?? "";
    return { tone: display.tone, count: row.count ? words.below(number(row.count, locale)) : "", display, href: safeAddress(href), run: state?.run ?? null };
  }

  /** @param {HTMLElement | null} row */
  #measure(row) {
    const height = row?.offsetHeight ?? 0;
    if (!height || height === this.#rowHeight) return;
    this.#rowHeight = height;
    this.#drawSoon();
  }

  /** An end or a failure is worth interrupting a reader, not every percent. @param {import("./words.js").ListWords} words */
  #say(words) {
    const { counts, total, ended } = this.summary;
    const failed = counts.failed ? words.countOf(String(counts.failed), words.groups.failed) : "";
    const said = [total && ended === total ? words.endedOf(String(ended), String(total)) : "", failed].filter(Boolean).join(", ");
    if (said !== this.#said && this.#said !== "" && said) this.#looks.put(/** @type {HTMLElement} */ (this.#at.spoken), said);
    this.#said = said || " ";
  }

  /** @param {Element} target */
  #rowAt(target) {
    const element = target.closest(".row");
    for (const [id, face] of this.#faces) {
      if (face.element === element) return this.#rows.find(({ key, type }) => `${type} ${key}` === id);
    }
    return undefined;
  }

  /** @param {Element} target */
  #focused(target) {
    const row = this.#rowAt(target);
    if (!row || row.key === this.#active) return;
    this.#active = row.key;
    this.#drawSoon();
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = /** @type {Element} */ (event.target);
    const row = this.#rowAt(target);
    if (!row) return;
    if (target.closest(".cancel")) this.#requestCancel(row.key);
    else if (row.type === "group" || target.closest(".fold")) this.#fold(row, !row.open);
    else if (row.type === "more") this.#watch?.more();
    else if (!target.closest("a")) this.#select(row);
  }

  /** @param {Row} row */
  #select(row) {
    const detail = { job: row.key, state: this.states.get(row.key) };
    this.#host.dispatchEvent(new CustomEvent("job-selected", { detail, bubbles: true, composed: true }));
  }

  /** @param {string} job */
  #requestCancel(job) {
    const request = new CustomEvent(CANCEL_REQUESTED, { detail: { job }, bubbles: true, composed: true, cancelable: true });
    if (this.#host.dispatchEvent(request)) this.cancel(job);
  }

  /** @param {Row} row @param {boolean} open */
  #fold(row, open) {
    if (row.open === null) return;
    if (open) this.#closed.delete(row.key);
    else this.#closed.add(row.key);
    this.changed();
    this.#drawSoon();
  }

  /** The keys of a treegrid. @param {KeyboardEvent} event */
  #steer(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const here = this.#rows.findIndex(({ key }) => key === this.#active);
    const row = this.#rows[here];
    if (!row || !target.closest(".row")) return;
    const page = Math.max(1, Math.floor(this.#at.scroller ? this.#at.scroller.clientHeight / this.#rowHeight : 1) - 1);
    const rtl = getComputedStyle(this.#host).direction === "rtl";
    const inwards = rtl ? "ArrowLeft" : "ArrowRight";
    const outwards = rtl ? "ArrowRight" : "ArrowLeft";
    const steps = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity });
    if (event.key in steps) this.#goTo(here + (steps[event.key] ?? 0));
    else if (event.key === inwards && row.open === false) this.#fold(row, true);
    else if (event.key === inwards && row.open) this.#goTo(here + 1);
    else if (event.key === outwards && row.open) this.#fold(row, false);
    else if (event.key === outwards && row.parent !== null) this.#goTo(this.#rows.findIndex(({ key }) => key === row.parent));
    else if (target.matches(".row") && (event.key === "Enter" || event.key === " ")) this.#activate(row, target);
    else return;
    event.preventDefault();
  }

  /** @param {Row} row @param {HTMLElement} element */
  #activate(row, element) {
    if (row.type === "group") this.#fold(row, !row.open);
    else if (row.type === "more") this.#watch?.more();
    else if (element.querySelector("a")) element.querySelector("a")?.click();
    else this.#select(row);
  }

  /** @param {number} index */
  #goTo(index) {
    const place = Math.min(this.#rows.length - 1, Math.max(0, index));
    const row = this.#rows[place];
    if (!row) return;
    this.#active = row.key;
    const scroller = /** @type {HTMLElement} */ (this.#at.scroller);
    const top = place * this.#rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + this.#rowHeight > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + this.#rowHeight - scroller.clientHeight;
    this.#drawRows(this.#words);
    this.#faces.get(`${row.type} ${row.key}`)?.element.focus({ preventScroll: true });
  }
}

/** What people look for. @param {StateRecord} state */
const textOf = ({ job, task, message, worker, queue, stage, error }) =>
  [job, task, String(task ?? "").replaceAll("_", " "), message, worker, queue, stage, error?.type, error?.message].filter(Boolean).join(" ");

/** A page's own template, but never a script. @param {string} href @returns {string} */
const safeAddress = (href) => {
  if (!href) return "";
  try {
    return /^https?:$/.test(new URL(href, document.baseURI).protocol) ? href : "";
  } catch {
    return "";
  }
};

/** @param {string | null} json @returns {StateRecord[]} */
const snapshotsOf = (json) => {
  try {
    const found = JSON.parse(json ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each?.job === "string" && typeof each.state === "string") : [];
  } catch {
    return [];
  }
};
