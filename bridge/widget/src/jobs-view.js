/**
 * What a list knows of its jobs: the newest state of each, whatever order the news come in.
 *
 * Pure: no socket, no DOM.
 *
 * @module
 */

import { isFinal, isState } from "./job-view.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").Reading} Reading */
/** @typedef {import("./connection.js").Effect} Effect */

/** Jobs that are kept; beyond it the oldest ones that have ended are forgotten. */
const MOST_JOBS = 10_000;
/** Jobs asked for at once: few at first, so that something is seen soon. */
const FIRST_PAGE = 50;
const PAGE = 250;

const NOTHING = Object.freeze(/** @type {string[]} */ ([]));

export class JobsView {
  /** By id, in the order in which they became known. @type {Map<string, StateRecord>} */
  states = new Map();
  /** Whether the server has older ones that were not asked for. */
  hasMore = false;
  /** @type {Map<string, readonly string[]>} */
  #actions = new Map();
  /** What the newest answer allowed: good for jobs that came since. @type {readonly string[]} */
  #usualActions = NOTHING;
  /** @type {string | null} */
  #cursor = null;
  #asked = 0;
  #wanted;

  /** @param {number} [wanted] jobs of a root or user to ask for */
  constructor(wanted = 1000) {
    this.#wanted = wanted;
  }

  /** @param {string} job @returns {readonly string[]} what may be done with it */
  actions(job) {
    return this.#actions.get(job) ?? this.#usualActions;
  }

  /** What to ask for next. */
  get page() {
    const limit = Math.min(this.#cursor === null ? FIRST_PAGE : PAGE, Math.max(1, this.#wanted - this.#asked));
    return this.#cursor === null ? { limit } : { limit, cursor: this.#cursor };
  }

  /** Asks for some more, older ones. @param {number} more @returns {boolean} whether there are any */
  want(more) {
    if (!this.hasMore) return false;
    this.#wanted = this.#asked + more;
    return true;
  }

  /** The connection is new: what was missed is asked for from the newest one on. */
  restart() {
    this.#cursor = null;
    this.#asked = 0;
  }

  /** @param {unknown} record @returns {Effect[]} nothing where something newer is known */
  take(record) {
    if (!isState(record) || typeof record.job !== "string") return [];
    const previous = this.states.get(record.job) ?? null;
    if (previous && previous.rev >= record.rev) return [];
    this.states.set(record.job, record);
    if (!previous && this.states.size > MOST_JOBS) this.#forgetOne();
    return [{ type: "state", state: record, previous }];
  }

  /**
   * The answer to a watch of a root's or user's jobs.
   *
   * @param {{jobs?: Record<string, {snapshot?: unknown, actions?: unknown}>, cursor?: unknown}} answer
   * @returns {Effect[]}
   */
  answered({ jobs, cursor }) {
    const read = Object.entries(jobs && typeof jobs === "object" ? jobs : {});
    const effects = read.flatMap(([job, reading]) => this.#takeReading(job, reading));
    this.#asked += read.length;
    this.#cursor = typeof cursor === "string" ? cursor : null;
    this.hasMore = this.#cursor !== null;
    const more = this.hasMore && read.length > 0 && this.#asked < this.#wanted;
    return [...effects, { type: more ? "more" : "loaded" }];
  }

  /**
   * The answer to a watch of one of several jobs.
   *
   * @param {string} job
   * @param {Partial<Reading> & {actions?: unknown}} reading
   * @returns {Effect[]}
   */
  answeredOne(job, reading) {
    return this.#takeReading(job, reading);
  }

  /** @param {string} job @param {{snapshot?: unknown, actions?: unknown} | null} reading @returns {Effect[]} */
  #takeReading(job, reading) {
    if (Array.isArray(reading?.actions)) {
      this.#usualActions = reading.actions.map(String);
      this.#actions.set(job, this.#usualActions);
    }
    return this.take(reading?.snapshot);
  }

  #forgetOne() {
    for (const [job, state] of this.states) {
      if (!isFinal(state)) continue;
      this.states.delete(job);
      this.#actions.delete(job);
      return;
    }
    const [oldest] = this.states.keys();
    this.states.delete(oldest ?? "");
  }
}
