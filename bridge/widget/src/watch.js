/**
 * The plain API: `watch(job, {token})`, an EventTarget that is also an async iterator.
 *
 * @module
 */

import { connectionTo } from "./connection.js";
import { JobView } from "./job-view.js";
import { tokenSource } from "./token-source.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").EventRecord} EventRecord */
/** @typedef {import("./records.js").Refusal} Refusal */

/**
 * @typedef {object} WatchOptions
 * @property {string | import("./token-source.js").Grants} [token]  permission for this job, as `submit` or
 *   `issue_token` made it, or a function that gets one, called again when it has expired
 * @property {string | URL} [tokenUrl]  where to GET a fresh one when it has expired, as `{token, expires_in?}`
 * @property {string | URL} [url]  server; default: where this module was loaded from
 * @property {string} [namespace]  default `/bridge`
 * @property {number} [since]      number of the last event that you have already; default 0: from the first retained
 */

/** Events that tell how a job is doing, by its state. @type {Map<string, string>} */
const OUTCOMES = new Map([
  ["SUCCESS", "success"],
  ["FAILURE", "failure"],
  ["RETRY", "retry"],
  ["REVOKED", "revoked"],
  ["LOST", "lost"],
]);

/** Names that mean something else here; a custom event of such a name comes as `bridge:event` only. */
const OWN_NAMES = new Set(["progress", "gap", "offline", "online", "error", ...OUTCOMES.values()]);

/** Every custom event also comes under this one name, for who wants them all. */
export const ANY_EVENT = "bridge:event";

/** What the token allows has become known, or is different now. */
export const ACTIONS_EVENT = "bridge:actions";

/** Unread events that an iterator holds at most; the oldest ones are dropped, and told as a `gap`. */
const UNREAD = 10_000;

/**
 * Where the server is.
 *
 * @param {string | URL | undefined} url
 * @returns {URL}
 * @throws {TypeError} where it can't be known, or isn't http(s)
 */
export const serverUrl = (url) => {
  const here = typeof location === "undefined" ? undefined : location.href;
  const module = import.meta.url.startsWith("http") ? new URL(import.meta.url).origin : undefined;
  const found = url ? new URL(url, here) : new URL(module ?? here ?? "");
  if (!found.protocol.startsWith("http")) {
    throw new TypeError(`url must start with http: or https:, not ${found.protocol} (${found})`);
  }
  return url ? found : new URL(found.origin);
};

/** @param {string} type @param {unknown} detail @returns {CustomEvent} */
const told = (type, detail) => new CustomEvent(type, { detail });

/** @param {CustomEvent[]} unread @param {CustomEvent} event */
const enqueue = (unread, event) => {
  if (event.type === "progress" && unread.at(-1)?.type === "progress") unread.pop();
  unread.push(event);
  if (unread.length <= UNREAD) return;
  unread.splice(0, 2, told("gap", { from: null, to: null }));
};

/** Wakes whoever waits for the next ring. */
class Bell {
  /** @type {() => void} */
  #wake = () => {};
  promise = this.#fresh();

  ring() {
    this.#wake();
    this.promise = this.#fresh();
  }

  /** @returns {Promise<void>} */
  #fresh() {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

/** Why a watch ended without an outcome: `error` is the server's code, such as "forbidden". */
export class WatchError extends Error {
  /** @param {Refusal} refusal */
  constructor({ error, message }) {
    super(message);
    this.name = "WatchError";
    this.error = error;
  }
}

export class Watch extends EventTarget {
  /** What each iterator has not read yet. @type {Set<CustomEvent[]>} */
  #readers = new Set();
  #news = new Bell();
  #closed = false;
  /** @type {WatchError | null} */
  #failure = null;
  /** @type {readonly string[]} */
  #actions = [];
  #connection;
  #view;
  #watcher;

  /**
   * @param {string} job
   * @param {WatchOptions} [options]
   */
  constructor(job, { token, tokenUrl, url, namespace = "/bridge", since = 0 } = {}) {
    super();
    if (typeof job !== "string" || !job) throw new TypeError(`job must be a job's id, not ${String(job)}`);
    const dynamic = typeof token === "function";
    if (dynamic && tokenUrl) throw new TypeError("token is a function already: leave tokenUrl out");
    this.job = job;
    this.#view = new JobView(since);
    this.#connection = connectionTo(serverUrl(url), namespace);
    this.#watcher = {
      key: job,
      subject: { job },
      token: dynamic ? undefined : token || undefined,
      tokens: dynamic ? tokenSource(token) : tokenUrl ? tokenSource(tokenUrl) : undefined,
      view: this.#view,
      take: (/** @type {import("./connection.js").Effect[]} */ effects) => this.#take(effects),
      refused: (/** @type {Refusal} */ refusal, /** @type {boolean} */ final) => this.#refused(refusal, final),
      granted: (/** @type {unknown} */ actions) => this.#granted(actions),
      line: (/** @type {boolean} */ online) => this.#tell(online ? "online" : "offline", null),
    };
    this.#connection.add(this.#watcher);
    // Who watches while the server is away learns it as soon as it can listen.
    queueMicrotask(() => this.online === false && this.#tell("offline", null));
  }

  /** The newest state; null while nothing is known. */
  get state() {
    return this.#view.state;
  }

  /** False while the server is out of reach; null before the first connection. */
  get online() {
    return this.#connection.online;
  }

  /** Why the server refused the watch for good; null where it did not. @returns {Refusal | null} */
  get refusal() {
    return this.#failure && { error: this.#failure.error, message: this.#failure.message };
  }

  /** Number of the last event; give it as `since` to go on from there later. */
  get since() {
    return this.#view.seq;
  }

  /** What the server lets us do: "watch", "cancel"; empty before its first answer. */
  get actions() {
    return this.#actions;
  }

  get closed() {
    return this.#closed;
  }

  /**
   * Asks the job to stop. It has stopped when its state is REVOKED; a task that doesn't notice may
   * still end otherwise.
   *
   * @throws {WatchError} where the server refused, or did not answer
   */
  async cancel() {
    const refusal = await this.#connection.cancel(this.job, this.#watcher);
    if (refusal) throw new WatchError(refusal);
  }

  /** Ends the watch; nothing is dispatched after it. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.remove(this.#watcher);
    this.#news.ring();
  }

  /**
   * The state as it is, then every event until the job has ended or `close()`. Leaving the loop
   * closes the watch. Of progress that the reader is too slow for, it gets the newest only.
   *
   * @returns {AsyncGenerator<CustomEvent, void, void>}
   * @throws {WatchError} where the server refused the watch for good
   */
  async *[Symbol.asyncIterator]() {
    /** @type {CustomEvent[]} */
    const unread = this.state ? [told("progress", this.state)] : [];
    this.#readers.add(unread);
    try {
      for (;;) {
        const event = unread.shift();
        if (event) yield event;
        else if (this.#failure) throw this.#failure;
        else if (this.#closed || this.#view.complete) return;
        else await this.#news.promise;
      }
    } finally {
      this.#readers.delete(unread);
      this.close();
    }
  }

  /** @param {import("./connection.js").Effect[]} effects */
  #take(effects) {
    for (const effect of effects) {
      if (this.#closed) return;
      if (effect.type === "state") this.#tellState(effect.state, effect.previous);
      if (effect.type === "event") this.#tellEvent(effect.name, effect.event);
      if (effect.type === "gap") this.#tell("gap", { from: effect.from, to: effect.to });
    }
  }

  /** @param {StateRecord} state @param {StateRecord | null} previous */
  #tellState(state, previous) {
    this.#tell("progress", state);
    const outcome = OUTCOMES.get(state.state);
    if (outcome && !(previous?.state === state.state && previous.run === state.run)) this.#tell(outcome, state);
  }

  /** @param {string} name @param {EventRecord} event */
  #tellEvent(name, event) {
    const own = OWN_NAMES.has(name);
    this.#tell(ANY_EVENT, { ...event, name }, own);
    if (!own) this.#tell(name, event);
  }

  /** @param {unknown} told */
  #granted(told) {
    const actions = Array.isArray(told) ? told.map(String) : [];
    if (String(actions) === String(this.#actions)) return;
    this.#actions = Object.freeze(actions);
    this.#tell(ACTIONS_EVENT, actions, false);
  }

  /** @param {Refusal} refusal @param {boolean} final */
  #refused(refusal, final) {
    if (final) this.#failure = new WatchError(refusal);
    this.#tell("error", refusal);
  }

  /** @param {string} type @param {unknown} detail @param {boolean} [read] whether iterators get it too */
  #tell(type, detail, read = true) {
    if (this.#closed) return;
    if (read) for (const unread of this.#readers) enqueue(unread, told(type, detail));
    this.#news.ring();
    this.dispatchEvent(told(type, detail));
  }
}

/**
 * Watches a job.
 *
 * @param {string} job id of the job
 * @param {WatchOptions} [options]
 * @returns {Watch}
 * @throws {TypeError} where `job` is no id or `url` no http(s) address
 *
 * @example
 * for await (const { type, detail } of watch(job, { token })) console.log(type, detail);
 */
export const watch = (job, options) => new Watch(job, options);
