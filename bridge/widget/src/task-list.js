/**
 * The element `<task-list user="..." | root="..." | jobs="...">`: many jobs in one.
 *
 * Only what a page must have at once is here; `list` is loaded when the first such element is there.
 *
 * @module
 */

import { drawNoMore, drawSoon } from "./frames.js";
import { looksLoaded } from "./task-progress.js";
import { WIRE } from "./wire.js";
import { WatchError } from "./watch.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./words.js").SomeWords} SomeWords */

/** What changes the watch, not only the looks. */
const WATCHED = ["user", "root", "jobs", "token", "token-url", "url", "namespace", "limit", "snapshot"];

/**
 * Many jobs, live.
 *
 * @tag task-list
 *
 * @attr {string} user        whose jobs
 * @attr {string} root        or those of which workflow
 * @attr {string} jobs        or these: ids with spaces between
 * @attr {string} token       permission to watch them, and maybe to cancel them
 * @attr {string} token-url   where to get a fresh token
 * @attr {"groups" | "tree" | "flat"} view
 * @attr {string} filter      words that must be in what is shown of a job
 * @attr {string} show        groups to show: running retrying lost waiting failed done cancelled
 * @attr {"none"} controls    without search and groups
 * @attr {string} href        address of a job's page, with `{job}` for its id
 * @attr {string} limit       how many of the newest jobs to ask for at first
 * @attr {string} snapshot    a JSON array of state records, shown until the server has answered
 * @attr {string} label       what the list is called
 * @attr {string} url         the server
 * @attr {string} namespace   Socket.IO namespace
 * @attr {string} lang        language of figures
 *
 * @csspart list      all of it
 * @csspart header    name, overall bar, search
 * @csspart find      search
 * @csspart chip      button of a group
 * @csspart scroller  where the rows are
 * @csspart row       a row; also `job`, `group` or `more`
 *
 * @fires change            counts or the overall figure: `{counts, part, total}`
 * @fires job-selected      a row was chosen: `{job, state}`
 * @fires filter-changed    somebody searched: `{filter, show}`
 * @fires cancel-requested  a job's button was pressed; `preventDefault()` stops it
 * @fires online            the connection is there
 * @fires offline           the connection is gone
 * @fires error             the server refused: `{error, message}`
 */
export class TaskList extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = [...WATCHED, "view", "filter", "show", "href", "label", "lang", "controls"];

  /**
   * Registers the element; a second time does nothing.
   *
   * @param {string} [tag]
   * @param {CustomElementRegistry} [registry]
   */
  static define(tag = "task-list", registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this);
  }

  /** @type {import("./list.js").List | null} */
  #list = null;
  /** @type {SomeWords} */
  #words = {};
  #restarting = false;
  #draw = () => this.#list?.draw();

  constructor() {
    super();
    this.attachShadow({ mode: "open" });
  }

  /** The newest state of each job. @returns {StateRecord[]} */
  get states() {
    return [...(this.#list?.states.values() ?? [])];
  }

  /** How many jobs are "running", "failed", "done" and so on. @returns {Record<string, number>} */
  get counts() {
    return this.#list?.summary.counts ?? {};
  }

  /** How far all of them are together, 0 to 1; null where there are none. @returns {number | null} */
  get fraction() {
    return this.#list?.summary.part ?? null;
  }

  /** Sentences of this element, where they are not to be those of the page. @returns {SomeWords} */
  get words() {
    return this.#words;
  }
  set words(value) {
    this.#words = value;
    drawSoon(this.#draw);
  }

  /**
   * Asks a job to stop, as its button does, but without the event.
   *
   * @param {string} job
   * @throws {WatchError} where the server refused, or did not answer
   */
  async cancel(job) {
    const refusal = await this.#list?.cancel(job);
    if (refusal) throw new WatchError(refusal);
  }

  connectedCallback() {
    this.#restart();
  }

  disconnectedCallback() {
    this.#list?.close();
    drawNoMore(this.#draw);
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (!WATCHED.includes(name)) {
      this.#list?.changed();
      drawSoon(this.#draw);
    } else if (!this.#restarting) {
      // A page that changes user and token means one change.
      this.#restarting = true;
      queueMicrotask(() => {
        this.#restarting = false;
        if (this.isConnected) this.#restart();
      });
    }
  }

  async #restart() {
    const [{ List }, looks] = await Promise.all([import("./list.js"), looksLoaded()]);
    if (!this.isConnected) return;
    this.#list ??= new List(this, WIRE, looks, () => drawSoon(this.#draw));
    this.#list.open();
  }
}
