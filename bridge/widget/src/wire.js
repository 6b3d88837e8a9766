/**
 * What parts that are loaded later take from the one that holds the page's connections.
 *
 * They must not bring a copy of their own: a page has one connection.
 *
 * @module
 */

import { connectionTo, roomKey } from "./connection.js";
import { tokenSource } from "./token-source.js";
import { serverUrl } from "./watch.js";

export const WIRE = Object.freeze({ connectionTo, roomKey, tokenSource, serverUrl });

/** @typedef {typeof WIRE} Wire */

/**
 * Watches all jobs of a user or of a workflow, or several at once.
 *
 * @param {import("./list-watch.js").ListOptions} options
 * @returns {Promise<import("./list-watch.js").ListWatch>}
 * @throws {TypeError} where not exactly one of `user`, `root` and `jobs` is given, or `url` is no http(s) address
 *
 * @example
 * const list = await watchList({ user: "7", token });
 * list.addEventListener("progress", ({ detail }) => console.log(detail.job, detail.state));
 */
export const watchList = async (options) => {
  const { ListWatch } = await import("./list.js");
  return new ListWatch(WIRE, options);
};
