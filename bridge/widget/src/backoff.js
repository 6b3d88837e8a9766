/**
 * How long to wait before the next try.
 *
 * @module
 */

const FIRST_MS = 500;
/** Who comes back must show the truth within 5 s of the end of whatever was wrong, the answer included. */
export const MOST_MS = 3_000;

/**
 * Doubling, capped, jittered, so that a thousand browsers don't come back in step.
 *
 * @param {number} tries failed tries so far, from 0
 * @param {() => number} [random] in [0, 1)
 * @returns {number} milliseconds, between half and all of min(3 s, 0.5 s * 2^tries)
 */
export const backoffMs = (tries, random = Math.random) =>
  Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(tries, 16)) * (0.5 + random() / 2);
