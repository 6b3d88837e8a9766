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
import { backoffMs, MOST_MS } from "./backoff.js";

/** `more`: there is more to be asked for; `loaded`: there is not. @typedef {import("./job-view.js").Effect | {type: "more" | "loaded"}} Effect */
/** @typedef {import("./records.js").Reading} Reading */
/** @typedef {import("./records.js").Refusal} Refusal */

/**
 * What a connection needs to know of what is watched.
 *
 * @typedef {object} View
 * @property {() => number} asking  the number of the event after which it wants to know all; -1: no events
 * @property {(name: string, message: unknown) => Effect[]} live
 * @property {(answer: any, since?: number) => Effect[]} answered
 * @property {() => Effect[]} unanswered
 */

/**
 * What a connection needs of a watcher: of a job, or of all jobs of a root or user.
 *
 * @typedef {object} Watcher
 * @property {string} key  the job's id, or what `roomKey` gives
 * @property {(() => object) | undefined} [room]  what to ask for, where it is no single job
 * @property {object} subject  what is told when nobody watches it any more
 * @property {string | undefined} token
 * @property {import("./token-source.js").TokenSource | undefined} tokens  where to get a fresh one
 * @property {View} view
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
/** A connection whose packets vanish is tried anew so soon that the truth is there within 5 s of their return. */
const CONNECT_TIMEOUT_MS = 4_000;
/** As many as a client may watch. */
const BATCH = 200;
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

/**
 * Under which a root's or user's watchers are found; a job's are found under its id.
 *
 * @param {"root" | "user"} kind
 * @param {unknown} id
 */
export const roomKey = (kind, id) => `${kind} ${id}`;

/** @type {Map<string, Connection>} */
const connections = new Map();

// The browser knows better than any timer: the network is back, or a sleeping page is looked at again.
const listen = (/** @type {string} */ name, /** @type {(connection: Connection) => void} */ tell) =>
  globalThis.addEventListener?.(name, () => connections.forEach(tell));
listen("online", (connection) => connection.comeBack(true));
for (const name of ["pageshow", "visibilitychange", "focus"]) listen(name, (connection) => connection.comeBack());

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
  /** Who watches what, by key. @type {Map<string, Map<Watcher, Standing>>} */
  #watched = new Map();
  /** That whose `unwatch` is under way: a server may handle it after a `watch` sent behind it. @type {Set<string>} */
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
      // Polling, too, brings the page's session along, as a WebSocket does.
      withCredentials: origin === globalThis.location?.origin,
      autoConnect: false,
      timeout: CONNECT_TIMEOUT_MS,
      reconnectionDelay: 500,
      reconnectionDelayMax: MOST_MS,
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
    const watchers = this.#watched.get(watcher.key) ?? new Map();
    /** @type {Standing} */
    const standing = { phase: "due", alone: false, failures: 0, renewals: 0, timer: undefined, release: undefined };
    watchers.set(watcher, standing);
    this.#watched.set(watcher.key, watchers);
    standing.release = watcher.tokens?.hold((token) => this.#renewed(watcher, standing, token));
    clearTimeout(this.#returnTimer);
    // While it is being made, another `connect` would ask the server a second time, and be refused.
    if (!this.#socket.active) this.#socket.connect();
    if (watcher.tokens && !watcher.token) this.#renew(watcher, standing);
    else this.#flushSoon();
  }

  /** Asks anew, because there is more to be had. @param {Watcher} watcher */
  again(watcher) {
    const standing = this.#watched.get(watcher.key)?.get(watcher);
    if (standing?.phase === "watching") this.#due(watcher, standing);
  }

  /** @param {Watcher} watcher */
  remove(watcher) {
    const watchers = this.#watched.get(watcher.key);
    const standing = watchers?.get(watcher);
    clearTimeout(standing?.timer);
    standing?.release?.();
    if (!watchers?.delete(watcher) || watchers.size) return;
    this.#watched.delete(watcher.key);
    setTimeout(() => this.#leave(watcher), LINGER_MS);
  }

  /**
   * Tries to connect at once instead of at the next try that is due.
   *
   * @param {boolean} [anew] also where it seems connected: what was sent meanwhile may be lost unnoticed
   */
  comeBack(anew = false) {
    if (!this.#watched.size || this.#online === null || (this.#online && !anew)) return;
    clearTimeout(this.#returnTimer);
    this.#tellLine(false);
    this.#socket.disconnect();
    this.#socket.connect();
  }

  /** @returns {[Watcher, Standing][]} */
  #everyone() {
    return [...this.#watched.values()].flatMap((watchers) => [...watchers]);
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
      if (this.#watched.size) this.#socket.connect();
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
    if (typeof message !== "object" || message === null) return;
    const { job, root, user } = /** @type {Record<string, unknown>} */ (message);
    this.#handTo(/** @type {string} */ (job), name, message);
    // A root's own job has no root.
    this.#handTo(roomKey("root", root ?? job), name, message);
    this.#handTo(roomKey("user", user), name, message);
  }

  /** @param {string} key @param {string} name @param {unknown} message */
  #handTo(key, name, message) {
    for (const [watcher, standing] of [...(this.#watched.get(key) ?? [])]) {
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
    const standing = this.#watched.get(watcher.key)?.get(watcher);
    if (standing?.phase === "watching" && effects.some(({ type }) => type === "hole")) {
      this.#dueLater(watcher, standing, HOLE_MS * (1 + Math.random()));
    }
    if (standing?.phase === "watching" && effects.some(({ type }) => type === "more")) this.#due(watcher, standing);
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
    for (const [key, watchers] of this.#watched) {
      if (this.#leaving.has(key)) continue;
      for (const [watcher, standing] of watchers) {
        if (standing.phase !== "due") continue;
        if (watcher.room) this.#askRoom(watcher, standing, watcher.room());
        else joinBatch(batches, watcher, standing);
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
    const subject = single ? { job: first?.job } : { jobs: asks.map(({ job }) => job) };
    const after = single ? first?.since : Object.fromEntries(asks.map(({ job, since }) => [job, since]));
    const events = Number(first?.since) < 0 ? { events: false } : { since: after };
    const request = { ...subject, token, ...events };
    this.#request("watch", request, (ack) => {
      for (const ask of asks) {
        const whole = single || ack?.ok === false;
        this.#heard(ask, ack && { answer: whole ? ack : ack.jobs?.[ask.job], single });
        this.#leaveUnwatched(ask.members);
      }
    });
  }

  /** One `watch` of all jobs of a root or user, or of some more of them. @param {Watcher} watcher @param {Standing} standing @param {object} wanted */
  #askRoom(watcher, standing, wanted) {
    standing.phase = "asking";
    const members = /** @type {[Watcher, Standing][]} */ ([[watcher, standing]]);
    this.#request("watch", { ...wanted, token: watcher.token }, (answer) => {
      this.#heard({ job: watcher.key, since: 0, members }, answer && { answer, single: true });
      this.#leaveUnwatched(members);
    });
  }

  /**
   * @param {string} name
   * @param {object} request
   * @param {(ack: any) => void} heard called once, with null where no answer came in time
   */
  #request(name, request, heard) {
    this.#socket.timeout(ACK_TIMEOUT_MS).emit(name, request, (/** @type {unknown} */ lost, /** @type {any} */ ack) => {
      heard(lost ? null : (ack ?? {}));
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
    return this.#watched.get(watcher.key)?.get(watcher) === standing;
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
   * Asks a job to stop.
   *
   * @param {string} job
   * @param {Pick<Watcher, "token" | "tokens">} watcher who may
   * @returns {Promise<Refusal | null>} null: it was told
   */
  async cancel(job, watcher) {
    const refusal = await this.#askToCancel(job, watcher.token);
    if (refusal?.error !== "expired" || !watcher.tokens) return refusal;
    try {
      watcher.token = await watcher.tokens.fresh(watcher.token);
    } catch {
      return refusal;
    }
    return this.#askToCancel(job, watcher.token);
  }

  /** @param {string} job @param {string | undefined} token @returns {Promise<Refusal | null>} */
  #askToCancel(job, token) {
    if (!this.#socket.connected) return Promise.resolve(UNANSWERED);
    return new Promise((resolve) => {
      this.#request("cancel", { job, token }, (ack) => resolve(!ack ? UNANSWERED : ack.ok === true ? null : refusalOf(ack)));
    });
  }

  /** @param {[Watcher, Standing][]} members */
  #leaveUnwatched(members) {
    for (const [watcher] of members) this.#leave(watcher);
  }

  /** Tells the server once nobody here watches it any more. @param {Watcher} watcher */
  #leave({ key, subject }) {
    if (this.#watched.has(key)) return;
    if (!this.#watched.size) {
      this.#socket.disconnect();
      this.#online = null;
    } else if (this.#socket.connected && !this.#leaving.has(key)) {
      this.#leaving.add(key);
      this.#request("unwatch", subject, () => {
        this.#leaving.delete(key);
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
  const since = watcher.view.asking();
  const key = JSON.stringify([watcher.token, standing.alone && watcher.key, since < 0]);
  const batch = batches.get(key) ?? { token: watcher.token, asks: [] };
  batches.set(key, batch);
  const ask = batch.asks.find(({ job }) => job === watcher.key);
  if (ask) {
    ask.since = Math.min(ask.since, since);
    ask.members.push([watcher, standing]);
  } else {
    batch.asks.push({ job: watcher.key, since, members: [[watcher, standing]] });
  }
};

/** @param {any} answer @returns {Refusal} */
const refusalOf = (answer) => ({
  error: String(answer?.error ?? "bad_answer"),
  message: String(answer?.message ?? "The server's answer was not understood."),
});
