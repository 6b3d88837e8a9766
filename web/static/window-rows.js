/** Thousands of rows of one height, of which only those near the screen are there. */

const BEYOND_PX = 400;
/** Rows on either side of the one that has the keyboard: the next Tab may come before the next frame. */
const BESIDE_FOCUS = 4;

export class WindowRows {
  #container;
  #make;
  #fill;
  #height = 56;
  /** None before the first `show`: until then the server's rows stand. @type {{job: string}[] | null} */
  #items = null;
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  #frame = 0;

  /**
   * @param {HTMLElement} container what it holds already is taken over
   * @param {() => HTMLElement} make a blank row
   * @param {(row: HTMLElement, item: object) => void} fill writes an item into a row
   */
  constructor(container, make, fill) {
    this.#container = container;
    this.#make = make;
    this.#fill = fill;
    for (const row of container.children) this.#rows.set(row.dataset.job, row);
    this.#measure();
    addEventListener("scroll", () => this.#later(), { passive: true });
    container.addEventListener("focusin", () => this.#draw());
    addEventListener("resize", () => {
      this.#measure();
      this.#later();
    });
  }

  /** @param {{job: string}[]} items in their order */
  show(items) {
    const anchor = this.#anchor();
    this.#items = items;
    this.#draw();
    if (!anchor) return;
    const index = items.findIndex(({ job }) => job === anchor.job);
    // Who reads further down is not moved by what is added on top.
    if (index >= 0) scrollBy({ top: this.#topOf(index) - anchor.top, behavior: "instant" });
  }

  /** Fills the rows that are there again, e.g. because time has passed. */
  refresh() {
    this.#draw();
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #measure() {
    const probe = this.#make();
    probe.classList.add("probe");
    this.#container.append(probe);
    this.#height = probe.getBoundingClientRect().height || this.#height;
    probe.remove();
  }

  #topOf(index) {
    return this.#container.getBoundingClientRect().top + index * this.#height;
  }

  /** The first job on the screen, once the list's top is out of it. */
  #anchor() {
    const top = this.#container.getBoundingClientRect().top;
    if (top >= 0 || !this.#items) return null;
    const index = Math.floor(-top / this.#height);
    return this.#items[index] ? { job: this.#items[index].job, top: this.#topOf(index) } : null;
  }

  #draw() {
    this.#frame = 0;
    if (!this.#items) return;
    const top = this.#container.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((-top - BEYOND_PX) / this.#height));
    const last = Math.min(this.#items.length, Math.ceil((innerHeight - top + BEYOND_PX) / this.#height));
    const wanted = new Map();
    for (let index = first; index < last; index += 1) wanted.set(this.#items[index].job, index);
    this.#keepFocused(wanted);
    for (const [job, row] of this.#rows) {
      if (wanted.has(job)) continue;
      row.remove();
      this.#rows.delete(job);
    }
    this.#container.style.blockSize = `${this.#items.length * this.#height}px`;
    this.#container.classList.add("windowed");
    for (const [job, index] of wanted) this.#place(job, index);
    this.#putInOrder([...wanted].sort(([, a], [, b]) => a - b).map(([job]) => this.#rows.get(job)));
  }

  /** Who is on a row with the keyboard stays there, also while it is out of sight, and has rows to go on to. */
  #keepFocused(wanted) {
    const job = document.activeElement?.closest?.("[data-job]")?.dataset.job;
    if (!job || !this.#rows.has(job)) return;
    const focused = this.#items.findIndex((item) => item.job === job);
    if (focused < 0) return;
    const last = Math.min(this.#items.length - 1, focused + BESIDE_FOCUS);
    for (let index = Math.max(0, focused - BESIDE_FOCUS); index <= last; index += 1) {
      wanted.set(this.#items[index].job, index);
    }
  }

  #place(job, index) {
    const row = this.#rows.get(job) ?? this.#make();
    if (!this.#rows.has(job)) {
      row.dataset.job = job;
      this.#rows.set(job, row);
    }
    this.#fill(row, this.#items[index]);
    const shift = `translateY(${index * this.#height}px)`;
    if (row.style.transform !== shift) row.style.transform = shift;
    row.ariaRowIndex = String(index + 2);
  }

  /** Rows stand in the document as on the screen, for screen readers and the keyboard: a row that moved would lose it. */
  #putInOrder(rows) {
    let at = this.#container.firstElementChild;
    for (const row of rows) {
      while (at !== row && row.contains(document.activeElement)) {
        const passed = at;
        at = at.nextElementSibling;
        this.#container.append(passed);
      }
      if (at === row) at = at.nextElementSibling;
      else this.#container.insertBefore(row, at);
    }
  }
}
