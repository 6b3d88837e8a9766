/**
 * The element `<task-progress job="..." token="...">`: one job, live.
 *
 * @module
 */

import { display } from "./display.js";
import { Face } from "./face.js";
import { isFinal } from "./job-view.js";
import { ACTIONS_EVENT, ANY_EVENT, Watch, WatchError } from "./watch.js";
import { WORDS } from "./words.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").Refusal} Refusal */

const PASSED_ON = ["progress", "success", "failure", "retry", "revoked", "lost", "gap", "online", "offline", "error"];

/** What changes the watch, not only the looks. */
const WATCHED = ["job", "token", "token-url", "url", "namespace"];

const CANCEL_REQUESTED = "cancel-requested";

const TICK_MS = 1000;

/**
 * Whether pages may listen for a browser's own event of this name further up: then ours stays on the
 * element, so that a custom event "submit" or an "offline" of ours is not taken for the browser's.
 *
 * @param {string} name
 */
const isNative = (name) => name !== "progress" && (`on${name}` in HTMLElement.prototype || `on${name}` in window);

export class TaskProgress extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = [...WATCHED, "label", "lang"];

  /** Every sentence that the elements say; assign a changed copy to say it otherwise. */
  static words = WORDS;

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
  #frame = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #face;

  constructor() {
    super();
    this.#face = new Face(this.attachShadow({ mode: "open" }), () => this.#requestCancel());
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

  /** The newest state; null while nothing is known. @returns {StateRecord | null} */
  get state() {
    return this.#watch?.state ?? null;
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
    else this.#showSoon();
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
    this.#face.forget();
    if (this.job) this.#start();
    this.#show();
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
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  /** @param {Event} event */
  #pass(event) {
    this.#showSoon();
    this.#fire(event.type, /** @type {CustomEvent} */ (event).detail);
  }

  /** @param {Event} event */
  #passCustom(event) {
    const { name, ...detail } = /** @type {CustomEvent} */ (event).detail;
    this.#fire(ANY_EVENT, { name, ...detail });
    if (!PASSED_ON.includes(name) && name !== CANCEL_REQUESTED) this.#fire(name, detail);
  }

  /** @param {string} name @param {unknown} detail */
  #fire(name, detail) {
    const upwards = !isNative(name);
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: upwards, composed: upwards }));
  }

  /** However many messages come, one frame shows the newest. */
  #showSoon() {
    this.#frame ||= requestAnimationFrame(() => this.#show());
  }

  #show() {
    this.#frame = 0;
    const { state } = this;
    // A job that ended and is tried again was not asked to stop this time.
    if (isFinal(state)) this.#cancelling = false;
    const situation = {
      state,
      online: this.#watch?.online ?? null,
      refusal: this.#watch?.refusal ?? this.#fault,
      mayCancel: this.#watch?.actions.includes("cancel") ?? false,
      cancelling: this.#cancelling,
      notCancelled: this.#notCancelled,
      job: this.job,
      label: this.label,
      now: Date.now() / 1000,
      locale: this.closest("[lang]")?.getAttribute("lang") || undefined,
    };
    this.#face.show(display(situation, TaskProgress.words));
    this.#tick(state?.state === "RETRY" && !situation.refusal);
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
