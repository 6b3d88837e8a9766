/** In which order the job list stands; `order.py` says the same for the first paint. */

import { counts, partOf, text } from "./figures.js";
import { GROUPS_IN_ORDER, groupOf } from "./job-lines.js";

/** The usual one: the newest first. */
const USUAL = { column: "age", falling: false };
/** Of these one looks for the greatest. */
const GREATEST_FIRST = new Set(["progress", "rate", "tries"]);

/** What a job is put in order by, per column; undefined where it has nothing of the kind. */
const VALUES = {
  state: (record) => GROUPS_IN_ORDER.indexOf(groupOf(record)),
  job: (record, title) => title.toLowerCase(),
  progress: ({ current, total }) => partOf(current, total) ?? undefined,
  worker: ({ worker }) => text(worker).toLowerCase() || undefined,
  rate: (record) => (groupOf(record) === "running" && counts(record.rate) && record.rate > 0 ? record.rate : undefined),
  tries: ({ run, attempt }) => (run || attempt ? (attempt ?? 0) + 1 : undefined),
};

/** @param {string} name as in an address, such as "-rate"; what it can't mean is the usual one */
export const orderOf = (name) => {
  const column = name.replace(/^-/, "");
  return column === "age" || Object.hasOwn(VALUES, column) ? { column, falling: name.startsWith("-") } : USUAL;
};

/** @returns {string} what an address calls it; "": the usual one */
export const nameOf = ({ column, falling }) => (column === "age" && !falling ? "" : `${falling ? "-" : ""}${column}`);

/** The order that a column's title leads to: its own, or that turned round. */
export const orderBy = (order, column) =>
  nameOf({ column, falling: column === order.column ? !order.falling : GREATEST_FIRST.has(column) });

/**
 * @param {object[]} records the newest first; those of one value stay so, and those without any come last
 * @param {{column: string, falling: boolean}} order
 * @param {(record: object) => string} titleOf
 */
export const inOrder = (records, { column, falling }, titleOf) => {
  if (column === "age") return falling ? records.toReversed() : records;
  const way = falling ? -1 : 1;
  const values = new Map(records.map((record) => [record, VALUES[column](record, titleOf(record))]));
  return records.toSorted((one, other) => {
    const [a, b] = [values.get(one), values.get(other)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return a < b ? -way : a > b ? way : 0;
  });
};
