/**
 * The jobs that the visitor may see: all that there are, page by page, and what becomes of them, live.
 *
 * Who sees everybody's jobs follows each of their users; that there is a new one, the newest jobs tell.
 */

const PAGE = 500;
const MOST_JOBS = 10_000;
const MOST_USERS = 100;
const NEWEST = 100;
const POLL_MS = 3000;
/** Of a user who is found late: as many jobs may have changed meanwhile. */
const ASKED_ANEW = 200;

export class JobFeed extends EventTarget {
  #everyone;
  #visitor;
  #followed = new Set();
  #down = new Set();

  /** @param {{everyone: boolean, visitor: string}} options */
  constructor({ everyone, visitor }) {
    super();
    this.#everyone = everyone;
    this.#visitor = visitor;
  }

  async start() {
    if (!this.#visitor) return this.#tell("complete");
    // First who listens, then what there is, so that nothing is missed between the two.
    const live = this.#everyone || (await this.#follow(this.#visitor, 1));
    await this.#load();
    if (this.#everyone || !live) setInterval(() => document.hidden || this.#page(NEWEST), POLL_MS);
  }

  async #load() {
    let cursor = null;
    for (let count = 0; count < MOST_JOBS; count += PAGE) {
      const answer = await this.#page(PAGE, cursor);
      if (!answer) return void setTimeout(() => this.#load(), POLL_MS);
      cursor = answer.cursor;
      if (!cursor) break;
    }
    this.#tell("complete");
  }

  async #page(limit, cursor) {
    const query = new URLSearchParams({ limit, ...(cursor && { cursor }) });
    try {
      const response = await fetch(`/demo/jobs?${query}`);
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.message);
      this.#line("pages", true);
      this.#tell("records", answer.jobs);
      if (this.#everyone) for (const { user } of answer.jobs) if (user) this.#follow(user, ASKED_ANEW);
      return answer;
    } catch {
      this.#line("pages", false);
      return null;
    }
  }

  /** @returns {Promise<boolean>} whether it can be done at all; resolved when what comes is heard */
  async #follow(user, limit) {
    if (this.#followed.has(user) || this.#followed.size >= MOST_USERS) return true;
    this.#followed.add(user);
    try {
      const { watchList } = await import("/bridge/task-progress.js");
      const list = await watchList({ user, limit });
      list.addEventListener("progress", ({ detail }) => this.#tell("records", [detail]));
      list.addEventListener("offline", () => this.#line("watch", false));
      list.addEventListener("online", () => {
        if (this.#line("watch", true)) this.#load();
      });
      const heard = ["loaded", "error", "offline"].map(
        (type) => new Promise((resolve) => list.addEventListener(type, resolve, { once: true })),
      );
      await Promise.race(heard);
      return true;
    } catch {
      return false; // The widget was not built.
    }
  }

  /** @returns {boolean} whether that is news */
  #line(way, online) {
    const before = this.#down.size;
    if (online) this.#down.delete(way);
    else this.#down.add(way);
    if (before === this.#down.size) return false;
    if (!before !== !this.#down.size) this.#tell("line", this.#down.size === 0);
    return true;
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
