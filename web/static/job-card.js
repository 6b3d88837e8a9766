/** One job on the page: its widget, its events, its result. */

const SHOWN = 200;
const FINAL = ["SUCCESS", "FAILURE", "REVOKED"];

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

/** After these the watch is over; other errors pass. */
const REFUSED = ["forbidden", "expired", "bad_request"];

export class JobCard {
  /** Whether it may be forgotten without loss. */
  finished = false;

  #ended;
  #waiting = [];
  #count = 0;
  #frame = 0;

  /**
   * @param {{job: string, token: string, title: string, subject?: string, started: number}} entry
   * @param {{forget: () => void, ended: () => void}} actions
   */
  constructor(entry, { forget, ended }) {
    this.element = document.getElementById("job").content.cloneNode(true).firstElementChild;
    this.#ended = ended;
    this.#describe(entry);
    const widget = this.#find("task-progress");
    widget.addEventListener("progress", ({ detail }) => this.#follow(detail));
    widget.addEventListener("bridge:event", ({ detail }) => this.#note(detail));
    widget.addEventListener("gap", () => { this.#find(".gap").hidden = false; });
    widget.addEventListener("error", ({ detail }) => REFUSED.includes(detail.error) && this.#end());
    widget.setAttribute("label", entry.title);
    widget.setAttribute("token", entry.token);
    widget.setAttribute("token-url", `/demo/jobs/${encodeURIComponent(entry.job)}/token`);
    widget.setAttribute("job", entry.job);
    this.#find(".forget").addEventListener("click", forget);
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }

  #describe({ job, title, subject, started }) {
    this.#find(".subject").textContent = subject ?? "";
    this.#find(".id").textContent = job;
    this.#find(".about-job time").replaceWith(time(started / 1000));
    this.#find(".forget").setAttribute("aria-label", `Forget ${title}`);
  }

  /** A job that was tried again after its end is open once more. */
  #follow(state) {
    const over = FINAL.includes(state.state);
    if (over === this.finished) return;
    if (over) this.#showResult(state.result);
    this.finished = over;
    this.#ended();
  }

  #end() {
    this.finished = true;
    this.#ended();
  }

  #showResult(result) {
    if (result === null || typeof result !== "object") return;
    const list = this.#find(".result");
    list.replaceChildren(
      ...Object.entries(result).flatMap(([name, value]) => [element("dt", told(name)), element("dd", told(value))]),
    );
    list.hidden = false;
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
