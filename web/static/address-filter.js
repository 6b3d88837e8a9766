/** The filter of the job list, kept in the page's address: it can be shared, and "back" works. */

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

  clear() {
    this.query = this.group = "";
    this.#write("pushState");
  }

  /** @param {"replaceState" | "pushState"} how */
  #write(how) {
    history[how](null, "", this.address(this.group));
    this.dispatchEvent(new Event("change"));
  }

  /** The address of a group with the words as they are. */
  address(group) {
    const query = new URLSearchParams();
    if (this.query) query.set("q", this.query);
    if (group) query.set("state", group);
    return query.size ? `${location.pathname}?${query}` : location.pathname;
  }
}
