/** One job on the page: its widget, its events, its result. */

const SHOWN = 200;

const element = (tag, text, attributes = {}) => {
  const made = Object.assign(document.createElement(tag), attributes);
  if (text !== undefined) made.textContent = text;
  return made;
};

/** Of a time that is none, nothing. */
const time = (seconds) => {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return element("time", "");
  return element("time", date.toLocaleTimeString(), { dateTime: date.toISOString() });
};

const number = new Intl.NumberFormat();

const DEPTH = 4;
const LENGTH = 2000;

/** A JSON value in one line, for people: not too deep and not too long. */
const told = (value, depth = DEPTH) => {
  if (typeof value === "number") return number.format(value);
  if (value === null || typeof value !== "object") return String(value ?? "").slice(0, LENGTH);
  if (!depth) return "…";
  const pair = (name, v) => `${name} ${told(v, depth - 1)}`;
  const isPair = (v) => Array.isArray(v) && v.length === 2;
  const parts = Array.isArray(value)
    ? value.map((v) => (isPair(v) ? pair(told(v[0], depth - 1), v[1]) : told(v, depth - 1)))
    : Object.entries(value).map(([name, v]) => pair(name, v));
  return parts.join(" · ").slice(0, LENGTH);
};

export class JobCard {
  #element;
  #widget;
  #waiting = [];
  #count = 0;
  #frame = 0;

  /** @param {HTMLElement} element what the server drew, or a blank one */
  constructor(element) {
    this.#element = element;
    this.#widget = this.#find("task-progress");
    this.#widget.addEventListener("progress", ({ detail }) => this.#showResult(detail.result));
    this.#widget.addEventListener("bridge:event", ({ detail }) => this.#note(detail));
    this.#widget.addEventListener("gap", () => { this.#find(".gap").hidden = false; });
    // What the server drew inside it was for who has no script.
    customElements.whenDefined("task-progress").then(() => this.#widget.replaceChildren());
    const begun = this.#find(".about-job time");
    if (begun.dataset.at) begun.replaceWith(time(Number(begun.dataset.at)));
  }

  /**
   * Makes a blank card that of a job which has just begun.
   *
   * @param {{job: string, token: string, title: string, subject: string}} entry
   */
  begin({ job, token, title, subject }) {
    const path = encodeURIComponent(job);
    this.#element.dataset.job = job;
    this.#find(".subject").textContent = subject;
    this.#find(".about-job time").replaceWith(time(Date.now() / 1000));
    this.#find(".more").href = `/jobs/${path}`;
    this.#find(".more .hidden").textContent = ` of ${title}`;
    // With a token: this page may have connected before the browser had the cookie that allows it.
    const attributes = { label: title, token, "token-url": `/demo/jobs/${path}/token`, job };
    for (const [name, value] of Object.entries(attributes)) this.#widget.setAttribute(name, value);
  }

  #find(selector) {
    return this.#element.querySelector(selector);
  }

  #showResult(result) {
    const list = this.#find(".result");
    list.hidden = result === null || typeof result !== "object";
    if (list.hidden) return;
    list.replaceChildren(
      ...Object.entries(result).flatMap(([name, value]) => [element("dt", told(name)), element("dd", told(value))]),
    );
  }

  /** Thousands may come at once; they are shown a frame at a time. */
  #note(event) {
    this.#waiting.push(event);
    this.#count += 1;
    this.#frame ||= requestAnimationFrame(() => this.#showEvents());
  }

  #showEvents() {
    this.#frame = 0;
    const list = this.#find(".events ol");
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 4;
    for (const { name, at, data } of this.#waiting.splice(0).slice(-SHOWN)) {
      const line = element("li");
      line.append(time(at), element("b", name), element("span", told(data)));
      list.append(line);
    }
    while (list.childElementCount > SHOWN) list.firstElementChild.remove();
    const more = this.#count > SHOWN ? `, the last ${SHOWN} are shown` : "";
    this.#find(".count").textContent = `(${number.format(this.#count)}${more})`;
    this.#find(".events").hidden = false;
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}
