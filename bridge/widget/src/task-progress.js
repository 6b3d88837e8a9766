/**
 * The element `<task-progress job="..." token="...">`: one job, live.
 *
 * @module
 */

import { drawNoMore, drawSoon } from "./frames.js";
import { isFinal, isState } from "./job-view.js";
import { languageOf } from "./page-language.js";
import { ACTIONS_EVENT, ANY_EVENT, Watch, WatchError } from "./watch.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").Refusal} Refusal */
/** @typedef {import("./words.js").SomeWords} SomeWords */

/** @typedef {typeof import("./looks.js")} Looks */

/** @type {Looks | undefined} */
let looks;
/** Under way from the first moment, beside the first connection. */
const looksToCome = globalThis.customElements && import("./looks.js").then((loaded) => (looks = loaded));

/** @type {typeof import("./tab.js") | undefined} */
let tab;

/** @returns {Promise<Looks>} */
export const looksLoaded = () => /** @type {Promise<Looks>} */ (looksToCome);

const PASSED_ON = ["progress", "success", "failure", "retry", "revoked", "lost", "gap", "online", "offline", "error"];

/** What changes the watch, not only the looks. */
const WATCHED = ["job", "token", "token-url", "url", "namespace", "log"];

/** What is told beside the page: in its title, its icon, a notification. */
const TAB = ["page-title", "favicon", "notify"];

const CANCEL_REQUESTED = "cancel-requested";

const TICK_MS = 1000;

/** Events that are listed, where nothing else is wanted, and at most. */
const EVENTS_KEPT = 1000;
const EVENTS_MOST = 10_000;

/**
 * Whether pages may listen for a browser's own event of this name further up: then ours stays on the
 * element, so that a custom event "submit" or an "offline" of ours is not taken for the browser's.
 *
 * @param {string} name
 */
const isNative = (name) => name !== "progress" && (`on${name}` in HTMLElement.prototype || `on${name}` in window);

/** @param {string | null} json @returns {unknown} */
const parsed = (json) => {
  try {
    return JSON.parse(json ?? "null");
  } catch {
    return null;
  }
};

export class TaskProgress extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = [...WATCHED, ...TAB, "label", "lang", "snapshot", "open"];

  /** Sentences of all elements of the page, where they are not to be the English ones. @type {SomeWords} */
  static words = {};

  /**
   * Registers the element; a second time does nothing.
   *
   * @param {string} [tag]
   * @param {CustomElementRegistry} [registry]
   */
  static define(tag = "task-progress", registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this);
  }

  /** @type {Watch | null} */
  #watch = null;
  /** What is wrong with the attributes. @type {Refusal | null} */
  #fault = null;
  #restarting = false;
  #cancelling = false;
  /** Why the job was not cancelled. @type {Refusal | null} */
  #notCancelled = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  /** @type {import("./face.js").Face | undefined} */
  #face;
  /** @type {SomeWords} */
  #words = {};
  /** What the page knew when it was written. @type {StateRecord | null} */
  #snapshot = null;
  /** @type {import("./log.js").Log | null} */
  #log = null;
  /** What happened before the list of events was there. @type {CustomEvent[]} */
  #unlogged = [];
  #draw = () => this.#show();

  constructor() {
    super();
    this.attachShadow({ mode: "open" });
  }

  /** Id of the job. */
  get job() {
    return this.getAttribute("job") ?? "";
  }
  set job(value) {
    this.setAttribute("job", value);
  }

  /** Permission for the job. */
  get token() {
    return this.getAttribute("token") ?? "";
  }
  set token(value) {
    this.setAttribute("token", value);
  }

  /** Where to get a fresh token, once it has expired. */
  get tokenUrl() {
    return this.getAttribute("token-url") ?? "";
  }
  set tokenUrl(value) {
    this.setAttribute("token-url", value);
  }

  /** What the bar is called; default: the task's name. */
  get label() {
    return this.getAttribute("label") ?? "";
  }
  set label(value) {
    this.setAttribute("label", value);
  }

  /** How it looks: "card" (default), "bar", "row" or "ring". */
  get size() {
    return this.getAttribute("size") ?? "card";
  }
  set size(value) {
    this.setAttribute("size", value);
  }

  /** Whether the details are open: stages, the whole error. */
  get open() {
    return this.hasAttribute("open");
  }
  set open(value) {
    this.toggleAttribute("open", value);
  }

  /** Sentences of this element, where they are not to be those of the page. @returns {SomeWords} */
  get words() {
    return this.#words;
  }
  set words(value) {
    this.#words = value;
    this.#showSoon();
  }

  /** The newest state; null while nothing is known. @returns {StateRecord | null} */
  get state() {
    return this.#watch?.state ?? this.#snapshot;
  }

  /**
   * Asks the job to stop, as the button does, but without the event.
   *
   * @throws {WatchError} where the server refused, or did not answer; the element tells it, too
   */
  async cancel() {
    const watch = this.#watch;
    if (!watch || this.#cancelling) return;
    this.#cancelling = true;
    this.#notCancelled = null;
    this.#showSoon();
    try {
      await watch.cancel();
    } catch (error) {
      if (watch === this.#watch) {
        this.#cancelling = false;
        this.#notCancelled = /** @type {WatchError} */ (error);
        this.#showSoon();
      }
      throw error;
    }
  }

  #requestCancel() {
    const detail = { job: this.job };
    const request = new CustomEvent(CANCEL_REQUESTED, { detail, bubbles: true, composed: true, cancelable: true });
    // What was refused is told on the screen.
    if (this.dispatchEvent(request)) this.cancel().catch(() => {});
  }

  connectedCallback() {
    this.#restart();
  }

  disconnectedCallback() {
    this.#stop();
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (WATCHED.includes(name)) this.#restartSoon();
    else {
      if (name === "snapshot") this.#readSnapshot();
      if (TAB.includes(name)) this.#tellTab();
      this.#showSoon();
    }
  }

  /** A page that changes job and token means one change. */
  #restartSoon() {
    if (this.#restarting) return;
    this.#restarting = true;
    queueMicrotask(() => {
      this.#restarting = false;
      if (this.isConnected) this.#restart();
    });
  }

  #restart() {
    this.#stop();
    this.#fault = this.#notCancelled = null;
    this.#cancelling = false;
    this.#face?.forget();
    this.#unlogged = [];
    this.#log = null;
    this.#readSnapshot();
    if (this.job) this.#start();
    this.#showSoon();
  }

  /** Without a job it is shown as it is, and nobody is asked. */
  #readSnapshot() {
    const snapshot = parsed(this.getAttribute("snapshot"));
    this.#snapshot = isState(snapshot) && (!this.job || snapshot.job === this.job) ? snapshot : null;
  }

  #start() {
    try {
      this.#watch = new Watch(this.job, {
        token: this.token,
        tokenUrl: this.tokenUrl || undefined,
        url: this.getAttribute("url") || undefined,
        namespace: this.getAttribute("namespace") || undefined,
      });
    } catch (error) {
      this.#fault = { error: "bad_request", message: String(/** @type {Error} */ (error).message) };
      return;
    }
    for (const name of PASSED_ON) this.#watch.addEventListener(name, (event) => this.#pass(event));
    this.#watch.addEventListener(ACTIONS_EVENT, () => this.#showSoon());
    this.#watch.addEventListener(ANY_EVENT, (event) => this.#passCustom(event));
  }

  #stop() {
    this.#watch?.close();
    this.#watch = null;
    drawNoMore(this.#draw);
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    tab?.report(this, null);
  }

  /** @param {Event} event */
  #pass(event) {
    this.#showSoon();
    if (event.type === "gap") this.#note(/** @type {CustomEvent} */ (event));
    if (event.type === "progress") this.#tellTab();
    this.#fire(event.type, /** @type {CustomEvent} */ (event).detail);
  }

  /** @param {Event} event */
  #passCustom(event) {
    const { name, ...detail } = /** @type {CustomEvent} */ (event).detail;
    this.#note(/** @type {CustomEvent} */ (event));
    this.#fire(ANY_EVENT, { name, ...detail });
    if (!PASSED_ON.includes(name) && name !== CANCEL_REQUESTED) this.#fire(name, detail);
  }

  /** @param {string} name @param {unknown} detail */
  #fire(name, detail) {
    const upwards = !isNative(name);
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: upwards, composed: upwards }));
  }

  /** @param {CustomEvent} event */
  #note(event) {
    if (!this.hasAttribute("log")) return;
    if (this.#log) this.#write(event);
    else {
      this.#unlogged.push(event);
      if (this.#unlogged.length > EVENTS_MOST) this.#unlogged.shift();
      this.#showSoon();
    }
  }

  /** @param {CustomEvent} event */
  #write({ type, detail }) {
    if (type === "gap") this.#log?.gap(this.#sentences().gap);
    else this.#log?.add(detail);
  }

  async #openLog() {
    const { Log } = await import("./log.js");
    if (!looks || !this.#face || this.#log || !this.hasAttribute("log")) return;
    const wanted = Number(this.getAttribute("log"));
    this.#log = new Log(this.#face.log, looks, wanted > 0 ? Math.min(wanted, EVENTS_MOST) : EVENTS_KEPT, () => this.#showSoon());
    for (const event of this.#unlogged.splice(0)) this.#write(event);
    this.#showSoon();
  }

  /** @returns {import("./words.js").Words} */
  #sentences() {
    return { .../** @type {Looks} */ (looks).WORDS, ...TaskProgress.words, ...this.#words };
  }

  /** While nobody looks no frame is drawn, so this doesn't wait for one. */
  async #tellTab() {
    if (!TAB.some((name) => this.hasAttribute(name))) {
      tab?.report(this, null);
      return;
    }
    tab ??= await import("./tab.js");
    await looksToCome;
    if (!looks || !this.isConnected) return;
    const { part, figure, label, status } = looks.display(this.#situation(), this.#sentences());
    tab.report(this, {
      part, figure, label, status,
      ended: isFinal(this.state),
      failed: this.state?.state === "FAILURE",
      title: this.hasAttribute("page-title"),
      icon: this.hasAttribute("favicon"),
      notify: this.hasAttribute("notify"),
      tag: this.job,
    });
  }

  async #ring() {
    await Notification.requestPermission();
    this.#showSoon();
  }

  /** However many messages come, one frame shows the newest. */
  #showSoon() {
    if (looks) drawSoon(this.#draw);
    else looksToCome?.then(() => this.isConnected && drawSoon(this.#draw));
  }

  #show() {
    if (!looks) return;
    const { state } = this;
    const ended = isFinal(state);
    // A job that ended and is tried again was not asked to stop this time.
    if (ended) this.#cancelling = false;
    const words = this.#sentences();
    this.#face ??= new looks.Face(/** @type {ShadowRoot} */ (this.shadowRoot), {
      cancel: () => this.#requestCancel(),
      disclose: (open) => (this.open = open),
      bell: () => this.#ring(),
    });
    const situation = this.#situation();
    const bell = this.hasAttribute("notify") && !ended && globalThis.Notification?.permission === "default";
    this.#face.show(looks.display(situation, words), words, { open: this.open, run: state?.run, ended, bell });
    if (this.hasAttribute("log")) {
      if (this.#log) this.#log.draw(words, situation.locale);
      else this.#openLog();
    }
    this.#tick(state?.state === "RETRY" && !situation.refusal);
  }

  /** @returns {import("./display.js").Situation} */
  #situation() {
    return {
      state: this.state,
      online: this.#watch?.online ?? null,
      refusal: this.#watch?.refusal ?? this.#fault,
      mayCancel: this.#watch?.actions.includes("cancel") ?? false,
      cancelling: this.#cancelling,
      notCancelled: this.#notCancelled,
      job: this.job || (this.#snapshot?.job ?? ""),
      label: this.label,
      now: Date.now() / 1000,
      locale: languageOf(this),
    };
  }

  /** @param {boolean} wanted a countdown runs */
  #tick(wanted) {
    if (wanted) this.#ticking ??= setInterval(() => this.#showSoon(), TICK_MS);
    else {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    }
  }
}
