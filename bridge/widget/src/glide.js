/**
 * How long a bar takes to its next value: as long as the value after that will let wait. Pure.
 *
 * So it moves all the time, at the pace of the news, instead of hopping and standing still.
 *
 * @module
 */

const LEAST_MS = 100;
const MOST_MS = 1100;
/** How much of the newest interval goes into the mean. */
const SHARE = 0.4;
/** An end is not waited for. */
const END_MS = 180;

export class Glide {
  /** @type {number | null} */
  #last = null;
  #meanMs = 350;
  /** @type {unknown} */
  #run = null;
  /** @type {number | null} */
  #part = null;

  /**
   * @param {number | null} part where the bar goes, 0 to 1; null: nobody knows
   * @param {unknown} run the execution that it belongs to
   * @param {boolean} ended
   * @param {number} nowMs
   * @returns {number | null} milliseconds; 0: at once; null: the bar stays where it is
   */
  to(part, run, ended, nowMs) {
    const before = this.#part;
    const anew = run !== this.#run || before === null || part === null;
    this.#part = part;
    this.#run = run;
    if (anew) {
      this.#last = nowMs;
      return 0;
    }
    if (part === before) return null;
    const interval = Math.min(MOST_MS, Math.max(LEAST_MS, nowMs - (this.#last ?? nowMs)));
    this.#last = nowMs;
    this.#meanMs += SHARE * (interval - this.#meanMs);
    return ended ? END_MS : Math.round(this.#meanMs);
  }

  forget() {
    this.#part = this.#run = this.#last = null;
  }
}
