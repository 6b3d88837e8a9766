/** A Socket.IO server that plays the server's side of the wire contract, with faults on request. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { Server } from "socket.io";

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css" };

export class ContractServer {
  /** Every `watch`, `unwatch` and `cancel` that came, as [name, request]. */
  requests = [];
  /** Answers that come instead of the true one, first come first served. A function; null: no answer. */
  faults = [];
  /** Tokens by job; without an entry any token is good. */
  tokens = new Map();
  /** Tokens that were good once, besides "old". */
  expired = new Set(["old"]);
  /** What every good token allows. */
  actions = ["watch"];
  /** What `cancel` answers; a function of the request. */
  cancelled = () => ({ ok: true });
  #jobs = new Map();
  #pages = new Map();
  /** Rises over restarts too, as Redis' clock does. */
  #rev = Date.now() * 1000;

  constructor(options = {}) {
    this.http = createServer((request, response) => this.#serve(request, response));
    this.io = new Server(this.http, { pingInterval: 5000, ...options });
    this.space = this.io.of("/bridge");
    this.space.on("connection", (socket) => {
      socket.on("watch", (request, ack) => this.#handle("watch", request, ack, () => this.#watch(socket, request)));
      socket.on("cancel", (request, ack) => this.#handle("cancel", request, ack, () => this.cancelled(request)));
      socket.on("unwatch", (request, ack) => this.#handle("unwatch", request, ack, () => this.#unwatch(socket, request)));
    });
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.http.listen(port, "127.0.0.1", resolve));
    this.port = this.http.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async close() {
    const closed = this.io.close();
    // Else it waits for whatever request a browser has just begun, and that for an answer.
    this.http.closeAllConnections();
    await closed;
  }

  page(path, content, headers = {}) {
    this.#pages.set(path, { content, headers });
  }

  /** Answers at a path by a function of the request that gives [status, JSON value]. */
  route(path, answer) {
    this.#pages.set(path, { answer });
  }

  /** A token runs out: whoever watches by it leaves the room and is told. */
  expire(job, token) {
    this.expired.add(token);
    if (this.tokens.get(job) === token) this.tokens.set(job, null);
    this.space.to(`job:${job}`).emit("bridge:expired", { job });
    this.space.in(`job:${job}`).socketsLeave(`job:${job}`);
  }

  get connections() {
    return this.space.sockets.size;
  }

  members(job, kind = "job") {
    return this.space.adapter.rooms.get(`${kind}:${job}`)?.size ?? 0;
  }

  /** Publishes a state; what is left out stays as it was. */
  state(job, more, { live = true } = {}) {
    const kept = this.#job(job);
    const rev = ++this.#rev;
    kept.epoch ??= rev;
    kept.snapshot = {
      job, task: "demo.import_csv", run: 1, attempt: 0, state: "PROGRESS", message: null, current: null, total: null,
      unit: null, rate: null, eta: null, stage: null, stages: [], error: null, result: null, meta: {},
      ...kept.snapshot, ...more, rev, epoch: kept.epoch, last_seq: kept.events.length, updated_at: Date.now() / 1000,
    };
    if (live) this.#rooms(kept.snapshot).emit("progress", kept.snapshot);
    return kept.snapshot;
  }

  /** Everyone who watches it, each once. */
  #rooms({ job, root, user }) {
    return this.space.to([`job:${job}`, `root:${root ?? job}`, ...(user ? [`user:${user}`] : [])]);
  }

  event(job, name, data, { live = true } = {}) {
    const kept = this.#job(job);
    const rev = ++this.#rev;
    kept.epoch ??= rev;
    const event = { job, rev, run: 1, seq: kept.events.length + 1, at: Date.now() / 1000, data };
    kept.events.push({ name, ...event });
    if (kept.snapshot) kept.snapshot = { ...kept.snapshot, last_seq: event.seq };
    if (live) this.space.to(`job:${job}`).emit(name, event);
  }

  lose(job) {
    this.#jobs.delete(job);
  }

  /** Drops every connection as a network would. */
  cut() {
    for (const socket of this.space.sockets.values()) socket.conn.close();
  }

  #job(job) {
    if (!this.#jobs.has(job)) this.#jobs.set(job, { snapshot: null, events: [], epoch: null });
    return this.#jobs.get(job);
  }

  #handle(name, request, ack, act) {
    this.requests.push([name, request]);
    const fault = name === "watch" ? this.faults.shift() : undefined;
    if (fault === null) return;
    ack(fault ? fault(request) : act());
  }

  #watch(socket, { job, jobs, root, user, token, since, events = true, limit = 100, cursor }) {
    if (root || user) return this.#page(socket, { root, user, token, limit, cursor });
    if (!events) since = job ? Infinity : Object.fromEntries(jobs.map((id) => [id, Infinity]));
    if (job) return { ok: true, job, ...this.#reading(socket, job, token, since) };
    return { ok: true, jobs: Object.fromEntries(jobs.map((id) => [id, this.#reading(socket, id, token, since?.[id])])) };
  }

  /** Newest first, as many as are wanted. */
  #page(socket, { root, user, token, limit, cursor }) {
    const room = root ? `root:${root}` : `user:${user}`;
    if (this.tokens.has(room) && this.tokens.get(room) !== token) {
      return { ok: false, error: this.expired.has(token) ? "expired" : "forbidden", message: `no permission for ${room}` };
    }
    socket.join(root ? [room, `job:${root}`] : room);
    const theirs = ({ snapshot }) => snapshot && (root ? (snapshot.root ?? snapshot.job) === root : snapshot.user === user);
    const found = [...this.#jobs.values()].filter(theirs).map(({ snapshot }) => snapshot).reverse();
    const from = Number(cursor ?? 0);
    const page = found.slice(from, from + limit);
    return {
      ok: true,
      jobs: Object.fromEntries(page.map((snapshot) => [snapshot.job, { snapshot, actions: this.actions }])),
      cursor: from + limit < found.length ? String(from + limit) : null,
    };
  }

  #reading(socket, job, token, since = 0) {
    if (this.tokens.has(job) && this.tokens.get(job) !== token) {
      const error = this.expired.has(token) ? "expired" : "forbidden";
      return { ok: false, error, message: `no permission for ${job}` };
    }
    socket.join(`job:${job}`);
    const { snapshot, events } = this.#jobs.get(job) ?? { snapshot: null, events: [] };
    return { snapshot, events: events.filter(({ seq }) => seq > since), gap: false, actions: this.actions };
  }

  #unwatch(socket, { job, jobs, root, user }) {
    for (const id of jobs ?? (job ? [job] : [])) socket.leave(`job:${id}`);
    if (root || user) socket.leave(root ? `root:${root}` : `user:${user}`);
    return { ok: true };
  }

  async #serve(request, response) {
    const path = new URL(request.url, "http://localhost").pathname;
    const page = this.#pages.get(path);
    if (!page) {
      response.writeHead(404).end();
      return;
    }
    if (page.answer) {
      const [status, value] = await page.answer(request);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
      return;
    }
    const type = TYPES[path.split(".").at(-1)] ?? TYPES.html;
    response.writeHead(200, { "content-type": type, ...page.headers });
    response.end(page.content instanceof URL ? await readFile(page.content) : page.content);
  }
}

/** Waits until a condition holds. */
export const until = async (condition, what = "condition", timeoutMs = 8000) => {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
