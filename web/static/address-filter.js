/** The filter of the job list and its order, kept in the page's address: it can be shared, and "back" works. */

import { nameOf, orderOf } from "./order.js";

export class AddressFilter extends EventTarget {
  constructor() {
    super();
    this.#read();
    addEventListener("popstate", () => {
      this.#read();
      this.dispatchEvent(new Event("change"));
    });
  }

  #read() {
    const query = new URLSearchParams(location.search);
    this.query = query.get("q")?.trim() ?? "";
    this.group = query.get("state") ?? "";
    this.order = orderOf(query.get("sort") ?? "");
  }

  /** Typing replaces the address, choosing adds one to the history. */
  search(query) {
    this.query = query.trim();
    this.#write("replaceState");
  }

  choose(group) {
    this.group = group;
    this.#write("pushState");
  }

  /** @param {string} name of an order */
  sort(name) {
    this.order = orderOf(name);
    this.#write("pushState");
  }

  clear() {
    this.query = this.group = "";
    this.#write("pushState");
  }

  /** @param {"replaceState" | "pushState"} how */
  #write(how) {
    history[how](null, "", this.address());
    this.dispatchEvent(new Event("change"));
  }

  /** The address of this list, or of one that differs in its group or its order. */
  address({ group = this.group, sort = nameOf(this.order) } = {}) {
    const query = new URLSearchParams(Object.entries({ q: this.query, state: group, sort }).filter(([, value]) => value));
    return query.size ? `${location.pathname}?${query}` : location.pathname;
  }
}
