/** Jobs as lines of the list: which are known, what they are called, which a filter lets through. */

import { text } from "./figures.js";

const GROUPS = new Map([
  ["STARTED", "running"],
  ["PROGRESS", "running"],
  ["PENDING", "waiting"],
  ["RETRY", "retrying"],
  ["LOST", "lost"],
  ["FAILURE", "failed"],
  ["REVOKED", "cancelled"],
  ["SUCCESS", "done"],
]);
/** As the filter has them. */
export const GROUPS_IN_ORDER = ["running", "waiting", "retrying", "lost", "failed", "cancelled", "done"];
const FINAL = new Set(["failed", "cancelled", "done"]);
const SEARCHED = ["job", "task", "message", "worker", "queue", "user", "stage"];

export const groupOf = (record) => GROUPS.get(record.state) ?? "waiting";
export const isOpen = (record) => !FINAL.has(groupOf(record));

/** What a job says, or why it failed. */
export const noteOf = (record) => {
  const { type, message } = record.error ?? {};
  if (type && ["failed", "retrying"].includes(groupOf(record))) return `${text(type)}: ${text(message)}`;
  return text(record.message) || text(record.stage);
};

const titled = (task) => {
  const last = (text(task) || "task").split(".").at(-1).replaceAll("_", " ").trim();
  return last ? last[0].toUpperCase() + last.slice(1) : "Task";
};

export class JobLines {
  /** @type {Map<string, object>} */
  #records = new Map();
  #searched = new WeakMap();
  #titles;

  /** @param {Record<string, string>} titles the tasks' names for people */
  constructor(titles) {
    this.#titles = new Map(Object.entries(titles));
  }

  get size() {
    return this.#records.size;
  }

  get all() {
    return this.#records.values();
  }

  /** Keeps a record if it is newer than what is known. @returns {boolean} whether it was */
  take(record) {
    if (typeof record?.job !== "string" || !(record.rev > (this.#records.get(record.job)?.rev ?? -1))) return false;
    this.#records.set(record.job, record);
    return true;
  }

  titleOf(record) {
    return this.#titles.get(record.task) ?? titled(record.task);
  }

  /**
   * The jobs that a filter lets through, the newest first, and how many of each group have its words.
   *
   * @param {{query: string, group: string}} filter
   */
  matching({ query, group }) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...this.all].filter((record) => {
      const searched = words.length ? this.#textOf(record) : "";
      return words.every((word) => searched.includes(word));
    });
    const counts = {};
    for (const record of found) counts[groupOf(record)] = (counts[groupOf(record)] ?? 0) + 1;
    const shown = group ? found.filter((record) => groupOf(record) === group) : found;
    shown.sort((a, b) => (b.epoch ?? b.rev) - (a.epoch ?? a.rev));
    return { shown, counts, found: found.length };
  }

  #textOf(record) {
    if (!this.#searched.has(record)) {
      const texts = [this.titleOf(record), noteOf(record), ...SEARCHED.map((key) => text(record[key]))];
      this.#searched.set(record, texts.join("\n").toLowerCase());
    }
    return this.#searched.get(record);
  }
}
