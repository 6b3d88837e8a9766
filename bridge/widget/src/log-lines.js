/**
 * Events as lines of text, and which of them are in sight. Pure.
 *
 * @module
 */

/** @typedef {import("./records.js").EventRecord & {name: string}} NamedEvent */

/**
 * @typedef {object} Line
 * @property {number} at     Unix seconds; NaN: nobody knows
 * @property {string} name   the event's, or of a log line its level
 * @property {string} text
 * @property {"event" | "debug" | "info" | "warning" | "error" | "gap"} kind
 */

const LINE_CHARS = 2000;
const DEPTH = 4;

/** @type {Map<string, Line["kind"]>} */
const LEVELS = new Map([
  ["DEBUG", "debug"],
  ["INFO", "info"],
  ["WARNING", "warning"],
  ["ERROR", "error"],
  ["CRITICAL", "error"],
]);

/**
 * @param {NamedEvent} event
 * @returns {Line}
 */
export const lineOf = ({ name, at, data }) => {
  const seconds = typeof at === "number" ? at : NaN;
  if (name === "log" && isObject(data) && typeof data.text === "string") {
    const level = String(data.level ?? "").toUpperCase();
    const logger = typeof data.logger === "string" && data.logger ? `${data.logger}: ` : "";
    return { at: seconds, name: level || "LOG", text: oneLine(logger + data.text), kind: LEVELS.get(level) ?? "info" };
  }
  return { at: seconds, name: String(name), text: oneLine(told(data, DEPTH)), kind: "event" };
};

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {string} text */
const oneLine = (text) => text.replace(/\s+/g, " ").slice(0, LINE_CHARS);

/**
 * A JSON value for people: "line 7, reason too long".
 *
 * @param {unknown} value
 * @param {number} depth of what is told
 * @returns {string}
 */
const told = (value, depth) => {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value).slice(0, LINE_CHARS);
  if (!depth) return "…";
  if (Array.isArray(value)) return value.slice(0, 50).map((each) => told(each, depth - 1)).filter(Boolean).join(", ");
  const pairs = Object.entries(value).slice(0, 50);
  return pairs.map(([key, each]) => `${key} ${isObject(each) ? `(${told(each, depth - 1)})` : told(each, depth - 1)}`.trim()).join(", ");
};

/** @param {number} seconds @returns {string} for a machine, too; "" where nobody knows */
const stamp = (seconds) => {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
};

/** @param {readonly Line[]} lines @returns {string} to be pasted elsewhere */
export const pasted = (lines) => lines.map(({ at, name, text }) => [stamp(at), name, text].filter(Boolean).join("\t")).join("\n");

/**
 * The newest lines, so many and no more.
 */
export class Lines {
  /** @type {Line[]} */
  all = [];
  /** How many there were in all. */
  count = 0;
  #most;

  /** @param {number} most */
  constructor(most) {
    this.#most = most;
  }

  /** @param {Line} line */
  add(line) {
    this.all.push(line);
    this.count += 1;
    // Not at each one: taking from the front costs as much as all that is behind.
    if (this.all.length > this.#most * 1.25) this.all.splice(0, this.all.length - this.#most);
  }

  /** The last ones. @returns {readonly Line[]} */
  get kept() {
    return this.all.length > this.#most ? this.all.slice(-this.#most) : this.all;
  }
}
