/**
 * One Socket.IO connection for everything that a page watches on one server.
 *
 * It knows who watches which job, asks the server (in batches), asks again after a reconnect, a
 * hole or a failure, and hands every message to the job's watchers. What the messages mean is told
 * by `JobView`.
 *
 * @module
 */

import { Manager } from "socket.io-client";
import { backoffMs } from "./backoff.js";

/** @typedef {import("./job-view.js").JobView} JobView */
/** @typedef {import("./job-view.js").Effect} Effect */
/** @typedef {import("./records.js").Reading} Reading */
/** @typedef {import("./records.js").Refusal} Refusal */

/**
 * What a connection needs of a watcher.
 *
 * @typedef {object} Watcher
 * @property {string} job
 * @property {string | undefined} token
 * @property {import("./token-source.js").TokenSource | undefined} tokens  where to get a fresh one
 * @property {JobView} view
 * @property {(effects: Effect[]) => void} take
 * @property {(refusal: Refusal, final: boolean) => void} refused
 * @property {(actions: unknown) => void} granted  what the token allows
 * @property {(online: boolean) => void} line  the connection came or went
 */

/**
 * Where one watcher's watch stands.
 *
 * @typedef {object} Standing
 * @property {"due" | "asking" | "watching" | "renewing" | "refused"} phase
 * @property {boolean} alone     asked by itself, because its batch was refused
 * @property {number} failures   tries in a row without an answer
 * @property {number} renewals   tokens in a row that the server refused as expired
 * @property {ReturnType<typeof setTimeout> | undefined} timer
 * @property {(() => void) | undefined} release  of the source of its tokens
 */

/**
 * One job within a `watch`, with those who wait for the answer.
 *
 * @typedef {object} Ask
 * @property {string} job
 * @property {number} since
 * @property {[Watcher, Standing][]} members
 */

const ACK_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 10_000;
const BATCH = 100;
const BATCH_MS = 5;
/** A hole often closes by itself: its messages are still on their way. */
const HOLE_MS = 60;
/** An element that moves in the page leaves and comes back. */
const LINGER_MS = 500;
/** The server's word is final: asking again with the same token changes nothing. */
const FINAL_ERRORS = new Set(["forbidden", "expired", "bad_request"]);
/** Fresh tokens that may be refused in a row; a server whose clock is wrong would refuse them all. */
const RENEWALS = 3;
/** The server says that a token has run out. Its room is left by then. */
const EXPIRED_EVENT = "bridge:expired";
/** @type {Refusal} */
const UNANSWERED = { error: "unavailable", message: "The server did not answer." };

/** @type {Map<string, Connection>} */
const connections = new Map();

/**
 * The page's one connection to a namespace of a server.
 *
 * @param {URL} url its path, if any, is what a proxy puts before `/socket.io`
 * @param {string} namespace
 * @returns {Connection}
 */
export const connectionTo = (url, namespace) => {
  const path = `${url.pathname.replace(/\/+$/, "")}/socket.io`;
  const key = `${url.origin}${path} ${namespace}`;
  const connection = connections.get(key) ?? new Connection(url.origin, path, namespace);
  connections.set(key, connection);
  return connection;
};

export class Connection {
  /** Who watches which job. @type {Map<string, Map<Watcher, Standing>>} */
  #jobs = new Map();
  /** Jobs whose `unwatch` is under way: a server may handle it after a `watch` sent behind it. @type {Set<string>} */
  #leaving = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #flushTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #returnTimer;
  #returns = 0;
  /** @type {boolean | null} */
  #online = null;
  #socket;

  /**
   * @param {string} origin
   * @param {string} path
   * @param {string} namespace
   */
  constructor(origin, path, namespace) {
    const manager = new Manager(origin, {
      path,
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      autoConnect: false,
      timeout: CONNECT_TIMEOUT_MS,
      reconnectionDelay: 500,
      reconnectionDelayMax: 10_000,
    });
    this.#socket = manager.socket(namespace, {});
    this.#socket.on("connect", () => this.#connected());
    this.#socket.on("disconnect", (reason) => this.#disconnected(reason));
    this.#socket.on("connect_error", (error) => this.#notConnected(error));
    this.#socket.onAny((name, message) => this.#received(name, message));
  }

  /** Whether the server is reached; null while the first try is under way. */
  get online() {
    return this.#online;
  }

  /** @param {Watcher} watcher */
  add(watcher) {
    const watchers = this.#jobs.get(watcher.job) ?? new Map();
    /** @type {Standing} */
    const standing = { phase: "due", alone: false, failures: 0, renewals: 0, timer: undefined, release: undefined };
    watchers.set(watcher, standing);
    this.#jobs.set(watcher.job, watchers);
    standing.release = watcher.tokens?.hold((token) => this.#renewed(watcher, standing, token));
    clearTimeout(this.#returnTimer);
    this.#socket.connect();
    if (watcher.tokens && !watcher.token) this.#renew(watcher, standing);
    else this.#flushSoon();
  }

  /** @param {Watcher} watcher */
  remove(watcher) {
    const watchers = this.#jobs.get(watcher.job);
    const standing = watchers?.get(watcher);
    clearTimeout(standing?.timer);
    standing?.release?.();
    if (!watchers?.delete(watcher) || watchers.size) return;
    this.#jobs.delete(watcher.job);
    setTimeout(() => this.#leave(watcher.job), LINGER_MS);
  }

  /** @returns {[Watcher, Standing][]} */
  #everyone() {
    return [...this.#jobs.values()].flatMap((watchers) => [...watchers]);
  }

  #connected() {
    this.#returns = 0;
    this.#leaving.clear();
    this.#tellLine(true);
    for (const [watcher, standing] of this.#everyone()) {
      if (standing.phase !== "refused" && standing.phase !== "renewing") this.#due(watcher, standing);
    }
  }

  /** @param {string} reason */
  #disconnected(reason) {
    if (reason === "io client disconnect") return;
    this.#tellLine(false);
    if (reason === "io server disconnect") this.#returnLater();
  }

  /** @param {Error} error */
  #notConnected(error) {
    this.#tellLine(false);
    // A proxy that swallows WebSocket handshakes: start with polling, which upgrades where it can.
    if (error.message === "timeout") this.#socket.io.opts.transports = ["polling", "websocket"];
    if (!this.#socket.active) this.#returnLater();
  }

  /** The server closed or refused the namespace; socket.io does not come back by itself then. */
  #returnLater() {
    clearTimeout(this.#returnTimer);
    this.#returnTimer = setTimeout(() => {
      if (this.#jobs.size) this.#socket.connect();
    }, backoffMs(this.#returns++));
  }

  /** @param {boolean} online */
  #tellLine(online) {
    if (this.#online === online) return;
    this.#online = online;
    for (const [watcher] of this.#everyone()) watcher.line(online);
  }

  /** @param {string} name @param {unknown} message */
  #received(name, message) {
    const job = /** @type {{job?: unknown} | null | undefined} */ (message)?.job;
    const watchers = this.#jobs.get(/** @type {string} */ (job));
    for (const [watcher, standing] of [...(watchers ?? [])]) {
      if (name !== EXPIRED_EVENT) {
        if (standing.phase !== "refused") this.#take(watcher, watcher.view.live(name, message));
      } else if (standing.phase === "watching") {
        // Maybe it was the token of another watcher: the answer tells.
        this.#due(watcher, standing);
      }
    }
  }

  /** @param {Watcher} watcher @param {Effect[]} effects */
  #take(watcher, effects) {
    const standing = this.#jobs.get(watcher.job)?.get(watcher);
    if (standing?.phase === "watching" && effects.some(({ type }) => type === "hole")) {
      this.#dueLater(watcher, standing, HOLE_MS * (1 + Math.random()));
    }
    if (effects.length) watcher.take(effects);
  }

  /** @param {Watcher} watcher @param {Standing} standing @param {number} delayMs */
  #dueLater(watcher, standing, delayMs) {
    standing.timer ??= setTimeout(() => this.#due(watcher, standing), delayMs);
  }

  /** @param {Watcher} watcher @param {Standing} standing */
  #due(watcher, standing) {
    clearTimeout(standing.timer);
    standing.timer = undefined;
    standing.phase = "due";
    watcher.view.asking();
    this.#flushSoon();
  }

  #flushSoon() {
    // A page's elements come to life one by one: a moment later they are one batch.
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = undefined;
      if (this.#socket.connected) this.#flush();
    }, BATCH_MS);
  }

  #flush() {
    /** @type {Map<string, {token: string | undefined, asks: Ask[]}>} */
    const batches = new Map();
    for (const [job, watchers] of this.#jobs) {
      if (this.#leaving.has(job)) continue;
      for (const [watcher, standing] of watchers) {
        if (standing.phase === "due") joinBatch(batches, watcher, standing);
      }
    }
    for (const { token, asks } of batches.values()) {
      for (let i = 0; i < asks.length; i += BATCH) this.#ask(token, asks.slice(i, i + BATCH));
    }
  }

  /**
   * One `watch`: of one job, or of several that share a token.
   *
   * @param {string | undefined} token
   * @param {Ask[]} asks
   */
  #ask(token, asks) {
    for (const { members } of asks) for (const [, standing] of members) standing.phase = "asking";
    const [first] = asks;
    const single = asks.length === 1;
    const request = single
      ? { job: first?.job, token, since: first?.since }
      : {
          jobs: asks.map(({ job }) => job),
          token,
          since: Object.fromEntries(asks.map(({ job, since }) => [job, since])),
        };
    this.#socket.timeout(ACK_TIMEOUT_MS).emit("watch", request, (/** @type {unknown} */ lost, /** @type {any} */ ack) => {
      for (const ask of asks) {
        const whole = single || ack?.ok === false;
        this.#heard(ask, lost ? null : { answer: whole ? ack : ack?.jobs?.[ask.job], single });
        this.#leave(ask.job);
      }
    });
  }

  /** @param {Ask} ask @param {{answer: any, single: boolean} | null} heard null: nothing in time */
  #heard({ members, since }, heard) {
    for (const [watcher, standing] of members) {
      if (!this.#stands(watcher, standing) || standing.phase !== "asking") continue;
      if (!heard) this.#unanswered(watcher, standing);
      else if (heard.answer?.ok === false || typeof heard.answer !== "object" || !heard.answer) {
        this.#refused(watcher, standing, heard.answer, heard.single);
      } else {
        standing.phase = "watching";
        standing.failures = standing.renewals = 0;
        watcher.granted(heard.answer.actions);
        this.#take(watcher, watcher.view.answered(/** @type {Reading} */ (heard.answer), since));
      }
    }
  }

  /** @param {Watcher} watcher @param {Standing} standing @param {any} answer @param {boolean} single */
  #refused(watcher, standing, answer, single) {
    const refusal = refusalOf(answer);
    const final = FINAL_ERRORS.has(refusal.error);
    if (refusal.error === "expired" && watcher.tokens && standing.renewals < RENEWALS) {
      this.#renew(watcher, standing);
      return;
    }
    if (final && !single) {
      // One bad job spoils its batch; asked alone, each gets an answer of its own.
      standing.alone = true;
      this.#due(watcher, standing);
      return;
    }
    if (final || standing.failures === 0) watcher.refused(refusal, final);
    if (final) standing.phase = "refused";
    else this.#unanswered(watcher, standing);
  }

  /** @param {Watcher} watcher @param {Standing} standing */
  #unanswered(watcher, standing) {
    if (!this.#socket.connected) return;
    standing.phase = "watching";
    this.#dueLater(watcher, standing, backoffMs(standing.failures++));
    this.#take(watcher, watcher.view.unanswered());
  }

  /** @param {Watcher} watcher @param {Standing} standing @returns {boolean} whether it still watches */
  #stands(watcher, standing) {
    return this.#jobs.get(watcher.job)?.get(watcher) === standing;
  }

  /** Gets a fresh token, and asks with it. @param {Watcher} watcher @param {Standing} standing */
  async #renew(watcher, standing) {
    standing.phase = "renewing";
    try {
      watcher.token = await watcher.tokens?.fresh(watcher.token);
    } catch (error) {
      if (!this.#stands(watcher, standing)) return;
      standing.phase = "refused";
      watcher.refused({ error: "expired", message: `No fresh token: ${/** @type {Error} */ (error)?.message}` }, true);
      return;
    }
    // The first time at once; it is the server that refuses what comes after.
    const delay = standing.renewals ? backoffMs(standing.renewals - 1) : 0;
    standing.renewals += 1;
    if (this.#stands(watcher, standing)) this.#dueLater(watcher, standing, delay);
  }

  /** @param {Watcher} watcher @param {Standing} standing @param {string} token */
  #renewed(watcher, standing, token) {
    watcher.token = token;
    if (standing.phase === "watching") this.#due(watcher, standing);
  }

  /**
   * Asks the watcher's job to stop.
   *
   * @param {Watcher} watcher
   * @returns {Promise<Refusal | null>} null: it was told
   */
  async cancel(watcher) {
    const refusal = await this.#askToCancel(watcher);
    if (refusal?.error !== "expired" || !watcher.tokens) return refusal;
    try {
      watcher.token = await watcher.tokens.fresh(watcher.token);
    } catch {
      return refusal;
    }
    return this.#askToCancel(watcher);
  }

  /** @param {Watcher} watcher @returns {Promise<Refusal | null>} */
  #askToCancel({ job, token }) {
    if (!this.#socket.connected) return Promise.resolve(UNANSWERED);
    return new Promise((resolve) => {
      this.#socket.timeout(ACK_TIMEOUT_MS).emit("cancel", { job, token }, (/** @type {unknown} */ lost, /** @type {any} */ ack) => {
        resolve(lost ? UNANSWERED : ack?.ok === true ? null : refusalOf(ack));
      });
    });
  }

  /** Tells the server once nobody here watches a job any more. @param {string} job */
  #leave(job) {
    if (this.#jobs.has(job)) return;
    if (!this.#jobs.size) {
      this.#socket.disconnect();
      this.#online = null;
    } else if (this.#socket.connected && !this.#leaving.has(job)) {
      this.#leaving.add(job);
      this.#socket.timeout(ACK_TIMEOUT_MS).emit("unwatch", { job }, () => {
        this.#leaving.delete(job);
        this.#flushSoon();
      });
    }
  }
}

/**
 * @param {Map<string, {token: string | undefined, asks: Ask[]}>} batches
 * @param {Watcher} watcher
 * @param {Standing} standing
 */
const joinBatch = (batches, watcher, standing) => {
  const key = JSON.stringify([watcher.token, standing.alone && watcher.job]);
  const batch = batches.get(key) ?? { token: watcher.token, asks: [] };
  batches.set(key, batch);
  const since = watcher.view.asking();
  const ask = batch.asks.find(({ job }) => job === watcher.job);
  if (ask) {
    ask.since = Math.min(ask.since, since);
    ask.members.push([watcher, standing]);
  } else {
    batch.asks.push({ job: watcher.job, since, members: [[watcher, standing]] });
  }
};

/** @param {any} answer @returns {Refusal} */
const refusalOf = (answer) => ({
  error: String(answer?.error ?? "bad_answer"),
  message: String(answer?.message ?? "The server's answer was not understood."),
});
