/** The jobs that the visitor may see: all that there are, page by page, then what becomes of them. */

const PAGE = 500;
const MOST = 10_000;
const NEWEST = 100;
const POLL_MS = 2000;

export class JobFeed extends EventTarget {
  #online = true;

  /** @param {{everyone: boolean, visitor: string}} options */
  constructor({ everyone, visitor }) {
    super();
    this.everyone = everyone;
    this.visitor = visitor;
  }

  async start() {
    if (!this.visitor) return this.#tell("complete");
    await this.#load();
    setInterval(() => document.hidden || this.#page(NEWEST), POLL_MS);
  }

  async #load() {
    let cursor = null;
    for (let count = 0; count < MOST; count += PAGE) {
      const answer = await this.#page(PAGE, cursor);
      cursor = answer?.cursor;
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
      this.#line(true);
      this.#tell("records", answer.jobs);
      return answer;
    } catch {
      this.#line(false);
      return null;
    }
  }

  #line(online) {
    if (online === this.#online) return;
    this.#online = online;
    this.#tell("line", online);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
