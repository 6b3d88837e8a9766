/**
 * The plain API for many jobs: `watchList({user})`, an EventTarget over one batched watch.
 *
 * @module
 */

import { JobsView } from "./jobs-view.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").Refusal} Refusal */
/** @typedef {import("./connection.js").Watcher} Watcher */
/** @typedef {import("./connection.js").Effect} Effect */

/**
 * @typedef {object} ListOptions
 * @property {string} [user]    all jobs of a user,
 * @property {string} [root]    or of a workflow, by the id of its root,
 * @property {string[]} [jobs]  or these
 * @property {string | import("./token-source.js").Grants} [token]
 * @property {string | URL} [tokenUrl]
 * @property {string | URL} [url]
 * @property {string} [namespace]
 * @property {number} [limit]   of a user or root, how many of the newest jobs to ask for; default 1000
 */

/** What a list takes from the part that holds the page's connections. @typedef {import("./wire.js").Wire} Wire */

/** @param {string} type @param {unknown} detail */
const told = (type, detail) => new CustomEvent(type, { detail });

export class ListWatch extends EventTarget {
  /** The server's last word on the whole list. @type {Refusal | null} */
  refusal = null;
  /** By job, where only some were refused. @type {Map<string, Refusal>} */
  refusals = new Map();
  #view;
  #connection;
  /** @type {Watcher[]} */
  #watchers;
  #closed = false;
  #loaded = false;
  /** Jobs that have not been answered yet. */
  #open = 0;

  /** @param {Wire} wire @param {ListOptions} options */
  constructor(wire, { user, root, jobs, token, tokenUrl, url, namespace = "/bridge", limit = 1000 }) {
    super();
    const given = [user, root, jobs].filter((each) => each !== undefined);
    if (given.length !== 1) throw new TypeError("one of user, root and jobs is needed");
    this.#view = new JobsView(limit);
    this.#connection = wire.connectionTo(wire.serverUrl(url), namespace);
    const grants = typeof token === "function" ? token : tokenUrl;
    const permission = {
      token: typeof token === "function" ? undefined : token || undefined,
      tokens: grants ? wire.tokenSource(grants) : undefined,
    };
    const kind = user === undefined ? "root" : "user";
    this.#watchers = jobs
      ? [...new Set(jobs)].map((job) => this.#jobWatcher(job, permission))
      : [this.#roomWatcher(wire, kind, String(user ?? root), permission)];
    this.#open = this.#watchers.length;
    for (const watcher of this.#watchers) this.#connection.add(watcher);
    queueMicrotask(() => {
      if (!this.#watchers.length) this.#tellLoaded();
      if (this.online === false) this.#tell("offline", null);
    });
  }

  /** The newest state of each job, by id. @returns {ReadonlyMap<string, StateRecord>} */
  get jobs() {
    return this.#view.states;
  }

  /** False while the server is out of reach; null before the first connection. */
  get online() {
    return this.#connection.online;
  }

  /** Whether all that was asked for is there. */
  get loaded() {
    return this.#loaded;
  }

  /** Whether the server has older jobs that were not asked for. */
  get hasMore() {
    return this.#view.hasMore;
  }

  get closed() {
    return this.#closed;
  }

  /** @param {string} job @returns {readonly string[]} what the token allows: "watch", "cancel" */
  actions(job) {
    return this.#view.actions(job);
  }

  /** Asks for older jobs. @param {number} [count] */
  more(count = 1000) {
    const [watcher] = this.#watchers;
    if (!watcher?.room || !this.#view.want(count)) return;
    this.#loaded = false;
    this.#connection.again(watcher);
  }

  /**
   * Asks a job to stop.
   *
   * @param {string} job
   * @returns {Promise<Refusal | null>} why not; null: it was told
   */
  cancel(job) {
    const watcher = this.#watchers.find(({ key }) => key === job) ?? this.#watchers[0];
    return watcher ? this.#connection.cancel(job, watcher) : Promise.resolve(null);
  }

  /** Ends the watch; nothing is dispatched after it. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    for (const watcher of this.#watchers) this.#connection.remove(watcher);
  }

  /** @param {string} job @param {Pick<Watcher, "token" | "tokens">} permission @returns {Watcher} */
  #jobWatcher(job, permission) {
    let asked = false;
    const done = () => {
      if (!asked && (this.#open -= 1) === 0) this.#tellLoaded();
      asked = true;
    };
    return {
      ...permission,
      key: job,
      subject: { job },
      view: {
        asking: () => -1,
        live: (name, message) => this.#live(name, message),
        answered: (answer) => [...this.#view.answeredOne(job, answer), { type: "loaded" }],
        unanswered: () => [],
      },
      take: (effects) => {
        this.#take(effects.filter(({ type }) => type !== "loaded"));
        if (effects.some(({ type }) => type === "loaded")) done();
      },
      refused: (refusal, final) => {
        if (final) this.refusals.set(job, refusal);
        if (final && this.refusals.size === this.#watchers.length) this.refusal = refusal;
        this.#tell("error", { ...refusal, job });
        if (final) done();
      },
      granted: () => {},
      line: (online) => job === this.#watchers[0]?.key && this.#tell(online ? "online" : "offline", null),
    };
  }

  /**
   * @param {Wire} wire
   * @param {"user" | "root"} kind
   * @param {string} id
   * @param {Pick<Watcher, "token" | "tokens">} permission
   * @returns {Watcher}
   */
  #roomWatcher(wire, kind, id, permission) {
    return {
      ...permission,
      key: wire.roomKey(kind, id),
      subject: { [kind]: id },
      room: () => ({ [kind]: id, ...this.#view.page }),
      view: {
        asking: () => 0,
        live: (name, message) => this.#live(name, message),
        answered: (answer) => this.#view.answered(answer),
        unanswered: () => [],
      },
      take: (effects) => this.#take(effects),
      refused: (refusal, final) => {
        if (final) this.refusal = refusal;
        this.#tell("error", refusal);
      },
      granted: () => {},
      line: (online) => {
        if (online) this.#view.restart();
        this.#tell(online ? "online" : "offline", null);
      },
    };
  }

  /** @param {string} name @param {any} message @returns {Effect[]} */
  #live(name, message) {
    if (name === "progress") return this.#view.take(message);
    return [{ type: "event", name, event: message }];
  }

  /** @param {Effect[]} effects */
  #take(effects) {
    for (const effect of effects) {
      if (effect.type === "state") this.#tell("progress", effect.state);
      if (effect.type === "event") this.#tell("bridge:event", { ...effect.event, name: effect.name });
      if (effect.type === "loaded") this.#tellLoaded();
    }
  }

  #tellLoaded() {
    this.#loaded = true;
    this.#tell("loaded", null);
  }

  /** @param {string} type @param {unknown} detail */
  #tell(type, detail) {
    if (!this.#closed) this.dispatchEvent(told(type, detail));
  }
}
