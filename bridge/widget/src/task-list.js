/**
 * The element `<task-list user="..." | root="..." | jobs="...">`: many jobs in one.
 *
 * Only what a page must have at once is here; `list` is loaded when the first such element is there.
 *
 * @module
 */

import { drawNoMore, drawSoon } from "./frames.js";
import { languageOf } from "./page-language.js";
import { looksLoaded } from "./task-progress.js";
import { WIRE } from "./wire.js";
import { WatchError } from "./watch.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./words.js").SomeWords} SomeWords */

/** What changes the watch, not only the looks. */
const WATCHED = ["user", "root", "jobs", "token", "token-url", "url", "namespace", "limit", "snapshot"];

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

  /** The language of its figures. @returns {string | undefined} */
  get language() {
    return languageOf(this);
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
