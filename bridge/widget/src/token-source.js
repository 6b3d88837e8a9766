/**
 * Where fresh tokens come from: an address, or a function of the page.
 *
 * What a token allows and until when, only the server can read. So a fresh one is asked for once
 * the old one is refused as expired, and ahead of time only where its lifetime was told with it.
 *
 * @module
 */

import { backoffMs } from "./backoff.js";

/** @typedef {string | {token: string, expires_in?: number}} Grant  `expires_in`: seconds from now */
/** @typedef {() => Grant | Promise<Grant>} Grants */

const TRIES = 3;
const ANSWER_TIMEOUT_MS = 10_000;
/** Ahead of the end of a lifetime: this share of it, but at most that long. */
const AHEAD = 0.2;
const AHEAD_MS = 60_000;
const SOONEST_MS = 1000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Whoever is not logged in gets no token by asking again. */
class Denied extends Error {}

/** By address or function: all watches of a page share one. @type {Map<string | Grants, TokenSource>} */
const sources = new Map();

/**
 * @param {string | URL | Grants} from
 * @returns {TokenSource}
 * @throws {TypeError} where an address is not http(s)
 */
export const tokenSource = (from) => {
  if (typeof from === "function") return kept(from, from);
  const url = new URL(from, globalThis.document?.baseURI);
  if (!url.protocol.startsWith("http")) throw new TypeError(`token-url must start with http: or https:, not ${url.protocol}`);
  return kept(url.href, () => ask(url));
};

/** @param {string | Grants} key @param {Grants} grants @returns {TokenSource} */
const kept = (key, grants) => {
  const source = sources.get(key) ?? new TokenSource(grants);
  sources.set(key, source);
  return source;
};

/** @param {URL} url @returns {Promise<Grant>} */
const ask = async (url) => {
  const response = await fetch(url, {
    credentials: "same-origin",
    cache: "no-store",
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  const { ok, status } = response;
  if (ok) return response.json();
  const problem = `${url.pathname} answered ${status}`;
  throw status < 500 && status !== 429 ? new Denied(problem) : new Error(problem);
};

export class TokenSource {
  #grants;
  /** @type {string | undefined} */
  #token;
  #ends = Infinity;
  /** One renewal serves all who wait. @type {Promise<string> | null} */
  #pending = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Set<(token: string) => void>} */
  #holders = new Set();

  /** @param {Grants} grants */
  constructor(grants) {
    this.#grants = grants;
  }

  /**
   * Tells a holder of every token that was renewed ahead of time.
   *
   * @param {(token: string) => void} holder
   * @returns {() => void} ends it
   */
  hold(holder) {
    this.#holders.add(holder);
    this.#renewInTime();
    return () => {
      this.#holders.delete(holder);
      if (!this.#holders.size) clearTimeout(this.#timer);
    };
  }

  /**
   * A token that the server has not refused yet, as far as we know.
   *
   * @param {string | undefined} refused
   * @returns {Promise<string>}
   * @throws {Error} where there is none after a few tries
   */
  async fresh(refused) {
    if (this.#token && this.#token !== refused && Date.now() < this.#ends) return this.#token;
    this.#pending ??= this.#renew().finally(() => (this.#pending = null));
    return this.#pending;
  }

  /** @returns {Promise<string>} */
  async #renew() {
    for (let tries = 0; ; tries += 1) {
      try {
        return this.#take(await this.#grants());
      } catch (error) {
        if (tries + 1 >= TRIES || error instanceof Denied) throw error;
        await new Promise((resolve) => setTimeout(resolve, backoffMs(tries)));
      }
    }
  }

  /** @param {Grant} grant @returns {string} */
  #take(grant) {
    const { token, expires_in: seconds } = typeof grant === "string" ? { token: grant } : (grant ?? {});
    if (typeof token !== "string" || !token) throw new Error("the answer holds no token");
    this.#token = token;
    this.#ends = typeof seconds === "number" && seconds > 0 ? Date.now() + seconds * 1000 : Infinity;
    this.#renewInTime();
    return token;
  }

  #renewInTime() {
    clearTimeout(this.#timer);
    if (this.#ends === Infinity || !this.#holders.size) return;
    const left = this.#ends - Date.now();
    // Jittered, so that a thousand browsers that came together don't ask together.
    const ahead = Math.min(AHEAD_MS, left * AHEAD) * (0.5 + Math.random() / 2);
    const delay = Math.min(LONGEST_TIMER_MS, Math.max(SOONEST_MS, left - ahead));
    this.#timer = setTimeout(() => this.#renewAhead(), delay);
  }

  async #renewAhead() {
    try {
      const token = await this.fresh(this.#token);
      for (const holder of [...this.#holders]) holder(token);
    } catch {
      // The token in use may still be good; once it is refused, a fresh one is asked for again.
    }
  }
}
