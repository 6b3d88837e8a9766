/**
 * Draws before the next frame, and lets go of the main thread in time.
 *
 * Two hundred elements that come to life together are drawn over some frames, instead of holding
 * the page up in one.
 *
 * @module
 */

const BUDGET_MS = 8;

/** @type {Set<() => void>} */
const due = new Set();
let frame = 0;

const draw = () => {
  const end = performance.now() + BUDGET_MS;
  for (const each of due) {
    due.delete(each);
    each();
    if (performance.now() > end) break;
  }
  frame = due.size ? requestAnimationFrame(draw) : 0;
};

/**
 * However often it is asked for, it is drawn once.
 *
 * @param {() => void} what the same function each time
 */
export const drawSoon = (what) => {
  due.add(what);
  frame ||= requestAnimationFrame(draw);
};

/** @param {() => void} what */
export const drawNoMore = (what) => due.delete(what);
