/**
 * Which rows a list has, in which order: groups by state, or a tree by parent. Pure.
 *
 * @module
 */

import { fraction } from "./format.js";
import { isFinal } from "./job-view.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {"running" | "retrying" | "lost" | "waiting" | "failed" | "done" | "cancelled"} Group */
/** @typedef {"groups" | "tree" | "flat"} Shape */

/**
 * @typedef {object} Row
 * @property {"group" | "job" | "more"} type
 * @property {string} key        the group's name, or the job's id
 * @property {number} level      from 1
 * @property {number} position   among its siblings, from 1
 * @property {number} siblings
 * @property {boolean | null} open  null: there is nothing below it
 * @property {number} count      jobs in the group, or below the job
 * @property {string | null} parent  key of the row above it
 */

/** In the order in which they are of interest. @type {readonly Group[]} */
export const GROUPS = Object.freeze(["running", "retrying", "lost", "waiting", "failed", "done", "cancelled"]);

/** @type {Map<string, Group>} */
const GROUP_OF = new Map([
  ["STARTED", "running"],
  ["PROGRESS", "running"],
  ["RETRY", "retrying"],
  ["LOST", "lost"],
  ["FAILURE", "failed"],
  ["SUCCESS", "done"],
  ["REVOKED", "cancelled"],
]);

/** @param {StateRecord} state @returns {Group} */
export const groupOf = ({ state }) => GROUP_OF.get(state) ?? "waiting";

/** @param {StateRecord} state @returns {number} Unix seconds */
const bornAt = ({ queued_at, started_at, rev }) => Number(queued_at ?? started_at ?? rev / 1e6) || 0;

/** @param {StateRecord} a @param {StateRecord} b @returns {number} the older one first; a tie stays as it was decided */
export const byAge = (a, b) => bornAt(a) - bornAt(b) || (a.job < b.job ? -1 : 1);

/**
 * What all of them come to.
 *
 * @param {Iterable<StateRecord>} states
 * @returns {{total: number, ended: number, part: number | null, counts: Record<Group, number>}} `part`: 0 to 1;
 *   null where there are none
 */
export const overall = (states) => {
  const counts = /** @type {Record<Group, number>} */ (Object.fromEntries(GROUPS.map((group) => [group, 0])));
  let total = 0;
  let ended = 0;
  let sum = 0;
  for (const state of states) {
    const over = isFinal(state);
    counts[groupOf(state)] += 1;
    total += 1;
    ended += Number(over);
    sum += over ? 1 : (fraction(state.current, state.total) ?? 0);
  }
  return { total, ended, part: total ? sum / total : null, counts };
};

/**
 * @param {string} filter words that must all be in it
 * @param {ReadonlySet<string>} show groups that are wanted; empty: all
 * @param {(state: StateRecord) => string} textOf what people see of a job
 * @returns {(state: StateRecord) => boolean}
 */
export const matching = (filter, show, textOf) => {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return (state) => {
    if (show.size && !show.has(groupOf(state))) return false;
    if (!words.length) return true;
    const text = textOf(state).toLowerCase();
    return words.every((word) => text.includes(word));
  };
};

/**
 * @param {ReadonlyMap<string, StateRecord>} states
 * @param {object} how
 * @param {Shape} how.shape
 * @param {(state: StateRecord) => boolean} how.matches
 * @param {ReadonlySet<string>} how.closed  keys of what is folded up
 * @param {readonly string[]} [how.order]   ids in the order wanted; else the newest come first
 * @param {boolean} [how.more]              whether there are older ones to be had
 * @returns {Row[]}
 */
export const rowsOf = (states, { shape, matches, closed, order, more = false }) => {
  const rows = shape === "tree" ? treeRows(states, matches, closed) : listRows(states, shape, matches, closed, order);
  if (more) rows.push({ type: "more", key: "", level: 1, position: 1, siblings: 1, open: null, count: 0, parent: null });
  return rows;
};

/**
 * @param {ReadonlyMap<string, StateRecord>} states
 * @param {Shape} shape
 * @param {(state: StateRecord) => boolean} matches
 * @param {ReadonlySet<string>} closed
 * @param {readonly string[] | undefined} order
 */
const listRows = (states, shape, matches, closed, order) => {
  const found = [...states.values()].filter(matches);
  if (order) {
    const place = new Map(order.map((job, index) => [job, index]));
    found.sort((a, b) => (place.get(a.job) ?? 0) - (place.get(b.job) ?? 0));
  } else found.sort((a, b) => byAge(b, a));
  if (shape === "flat") return found.map((state, index) => jobRow(state.job, 1, index, found.length, null));
  /** @type {Map<Group, StateRecord[]>} */
  const groups = new Map(GROUPS.map((group) => [group, []]));
  for (const state of found) groups.get(groupOf(state))?.push(state);
  const filled = [...groups].filter(([, jobs]) => jobs.length);
  return filled.flatMap(([group, jobs], index) => {
    const open = !closed.has(group);
    /** @type {Row} */
    const head = { type: "group", key: group, level: 1, position: index + 1, siblings: filled.length, open, count: jobs.length, parent: null };
    return [head, ...(open ? jobs.map(({ job }, place) => jobRow(job, 2, place, jobs.length, group)) : [])];
  });
};

/** @param {string} job @param {number} level @param {number} index @param {number} siblings @param {string | null} parent @returns {Row} */
const jobRow = (job, level, index, siblings, parent) => ({
  type: "job", key: job, level, position: index + 1, siblings, open: null, count: 0, parent,
});

/**
 * A job that matches is shown with all those above it.
 *
 * @param {ReadonlyMap<string, StateRecord>} states
 * @param {(state: StateRecord) => boolean} matches
 * @param {ReadonlySet<string>} closed
 */
const treeRows = (states, matches, closed) => {
  const parents = parentsOf(states);
  const wanted = new Set();
  for (const state of states.values()) {
    if (!matches(state)) continue;
    for (let job = /** @type {string | null} */ (state.job); job !== null && !wanted.has(job); job = parents.get(job) ?? null) wanted.add(job);
  }
  /** @type {Map<string | null, string[]>} */
  const children = new Map();
  for (const state of [...states.values()].sort(byAge)) {
    if (!wanted.has(state.job)) continue;
    const parent = parents.get(state.job) ?? null;
    const siblings = children.get(parent);
    if (siblings) siblings.push(state.job);
    else children.set(parent, [state.job]);
  }
  /** @type {Row[]} */
  const rows = [];
  /** @type {[string, number, number, number, string | null][]} */
  const stack = [];
  const push = (/** @type {string | null} */ parent, /** @type {number} */ level) => {
    const jobs = children.get(parent) ?? [];
    for (let index = jobs.length - 1; index >= 0; index -= 1) stack.push([jobs[index] ?? "", level, index, jobs.length, parent]);
  };
  push(null, 1);
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [job, level, index, siblings, parent] = next;
    const below = children.get(job)?.length ?? 0;
    const open = below ? !closed.has(job) : null;
    rows.push({ ...jobRow(job, level, index, siblings, parent), open, count: below });
    if (open) push(job, level + 1);
  }
  return rows;
};

/**
 * The parent, else the root, as far as the list has them; what runs in a circle hangs on nothing.
 *
 * @param {ReadonlyMap<string, StateRecord>} states
 * @returns {Map<string, string | null>}
 */
const parentsOf = (states) => {
  /** @type {Map<string, string | null>} */
  const parents = new Map();
  const known = (/** @type {unknown} */ id, /** @type {string} */ job) => typeof id === "string" && id !== job && states.has(id);
  for (const { job, parent, root } of states.values()) {
    parents.set(job, known(parent, job) ? /** @type {string} */ (parent) : known(root, job) ? /** @type {string} */ (root) : null);
  }
  /** Those whose way up is known to end. */
  const sound = new Set();
  for (const job of parents.keys()) {
    const way = new Set([job]);
    let last = job;
    for (let above = parents.get(job); above && !sound.has(above); above = parents.get(above)) {
      if (way.has(above)) {
        parents.set(last, null);
        break;
      }
      way.add(above);
      last = above;
    }
    for (const each of way) sound.add(each);
  }
  return parents;
};
