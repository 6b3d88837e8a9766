/**
 * The element `<task-progress job="..." token="...">`: one job, live.
 *
 * @module
 */

import { drawNoMore, drawSoon } from "./frames.js";
import { isFinal, isState } from "./job-view.js";
import { languageOf } from "./page-language.js";
import { ACTIONS_EVENT, ANY_EVENT, Watch, WatchError } from "./watch.js";
import { WIRE } from "./wire.js";

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
const WATCHED = ["job", "root", "token", "token-url", "url", "namespace", "log"];

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

/** @param {import("./list-watch.js").ListOptions & {root: string}} options */
const workflow = async (options) => {
  const { WorkflowWatch } = await import("./workflow.js");
  return new WorkflowWatch(WIRE, options);
};

/** @param {string | null} json @returns {unknown} */
const parsed = (json) => {
  try {
    return JSON.parse(json ?? "null");
  } catch {
    return null;
  }
};

/**
 * One job, live.
 *
 * @tag task-progress
 *
 * @attr {string} job         id of the job
 * @attr {string} root        or of a workflow's root: all its jobs in one bar
 * @attr {string} token       permission to watch it, and maybe to cancel it
 * @attr {string} token-url   where to get a fresh token
 * @attr {string} label       what the bar is called
 * @attr {"card" | "bar" | "row" | "ring"} size  how it looks
 * @attr {boolean} open       the details are open
 * @attr {string} log         events are listed below it; a number: the last so many
 * @attr {string} snapshot    a state record as JSON, shown until the server has answered
 * @attr {boolean} page-title progress in the page's title
 * @attr {boolean} favicon    progress in the page's icon
 * @attr {boolean} notify     a notification when the job has ended and nobody looks
 * @attr {string} url         the server
 * @attr {string} namespace   Socket.IO namespace
 * @attr {string} lang        language of figures and units
 *
 * @slot label    instead of the label's text
 * @slot result   shown once the job has succeeded
 * @slot error    instead of the error's text
 * @slot actions  beside the cancel button
 *
 * @csspart frame     all but the details and the events
 * @csspart icon      sign of the state
 * @csspart label     what the bar is called
 * @csspart attempt   which try it is
 * @csspart disclose  button of the details
 * @csspart cancel    button
 * @csspart bell      button that asks for a notification
 * @csspart figure    percentage
 * @csspart bar       the bar, or the ring
 * @csspart fill      what of the bar is done
 * @csspart telling   status, stage, message, error in short
 * @csspart figures   counts, rate, time; or when the next try is
 * @csspart details   stages and the whole error
 * @csspart log       the list of events
 *
 * @cssprop --task-progress-background
 * @cssprop --task-progress-border
 * @cssprop --task-progress-text
 * @cssprop --task-progress-muted
 * @cssprop --task-progress-track
 * @cssprop --task-progress-waiting
 * @cssprop --task-progress-running
 * @cssprop --task-progress-retrying
 * @cssprop --task-progress-success
 * @cssprop --task-progress-failure
 * @cssprop --task-progress-lost
 * @cssprop --task-progress-font        the CSS `font`
 * @cssprop --task-progress-radius      of the frame's corners
 * @cssprop --task-progress-bar-height
 * @cssprop --task-progress-ring        width of the ring
 * @cssprop --task-progress-log-height
 * @cssprop --task-progress-glide       how long the bar takes to a new value
 *
 * @fires progress          every new state; `detail` is the state record
 * @fires success           the job has succeeded
 * @fires failure           the job has failed
 * @fires retry             the job will be tried again
 * @fires revoked           the job was cancelled
 * @fires lost              the job's worker was lost
 * @fires gap               events are lost: `{from, to}`
 * @fires bridge:event      every custom event, with its `name`
 * @fires online            the connection is there
 * @fires offline           the connection is gone
 * @fires error             the server refused: `{error, message}`
 * @fires cancel-requested  the button was pressed; `preventDefault()` stops it
 */
export class TaskProgress extends (globalThis.HTMLElement ?? class {}) {
  static observedAttributes = [...WATCHED, ...TAB, "label", "lang", "snapshot", "open"];

  /** Sentences of all elements of the page, where they are not to be the English ones. @type {SomeWords} */
  static words = {};

  /** The same by language: elements say those of the nearest `lang`. @type {Record<string, SomeWords>} */
  static languages = {};

  /**
   * Registers the element; a second time does nothing.
   *
   * @param {string} [tag]
   * @param {CustomElementRegistry} [registry]
   */
  static define(tag = "task-progress", registry = customElements) {
    if (!registry.get(tag)) registry.define(tag, this);
  }

  /** @type {Watch | import("./workflow.js").WorkflowWatch | null} */
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
    // Until there is something better to show, what the page put into it stays in sight.
    this.attachShadow({ mode: "open" }).append(document.createElement("slot"));
  }

  /** Id of the job. */
  get job() {
    return this.getAttribute("job") ?? "";
  }
  set job(value) {
    this.setAttribute("job", value);
  }

  /** Id of a workflow's root: all its jobs in one bar. */
  get root() {
    return this.getAttribute("root") ?? "";
  }
  set root(value) {
    this.setAttribute("root", value);
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
    if (this.job || this.root) this.#start();
    this.#showSoon();
  }

  /** Without a job it is shown as it is, and nobody is asked. */
  #readSnapshot() {
    const snapshot = parsed(this.getAttribute("snapshot"));
    this.#snapshot = isState(snapshot) && (!this.job || snapshot.job === this.job) ? snapshot : null;
  }

  async #start() {
    const options = {
      token: this.token,
      tokenUrl: this.tokenUrl || undefined,
      url: this.getAttribute("url") || undefined,
      namespace: this.getAttribute("namespace") || undefined,
    };
    try {
      if (this.job) this.#follow(new Watch(this.job, options));
      else this.#follow(await workflow({ ...options, root: this.root }));
    } catch (error) {
      this.#fault = { error: "bad_request", message: String(/** @type {Error} */ (error).message) };
      this.#showSoon();
    }
  }

  /** @param {Watch | import("./workflow.js").WorkflowWatch} watch */
  #follow(watch) {
    // A workflow's code came late: the element may be gone, or be there for another one.
    if (!this.isConnected || this.#watch) return watch.close();
    this.#watch = watch;
    for (const name of PASSED_ON) watch.addEventListener(name, (event) => this.#pass(event));
    watch.addEventListener(ACTIONS_EVENT, () => this.#showSoon());
    watch.addEventListener(ANY_EVENT, (event) => this.#passCustom(event));
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
    if (type === "gap") this.#log?.gap(this.#sentences());
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

  #sentences() {
    return /** @type {Looks} */ (looks).wordsOf(languageOf(this), TaskProgress.languages, TaskProgress.words, this.#words);
  }

  /** While nobody looks no frame is drawn, so this doesn't wait for one. */
  async #tellTab() {
    if (!TAB.some((name) => this.hasAttribute(name))) {
      tab?.report(this, null);
      return;
    }
    tab ??= await import("./tab.js");
    await looksToCome;
    // Before the first state nothing is told: a job that had ended by then is no news.
    if (!looks || !this.isConnected || !this.state) return;
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
    if (!this.#face) this.shadowRoot?.replaceChildren();
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
      part: /** @type {import("./workflow.js").WorkflowWatch | null} */ (this.#watch)?.part,
      online: this.#watch?.online ?? null,
      refusal: this.#watch?.refusal ?? this.#fault,
      mayCancel: this.#watch?.actions.includes("cancel") ?? false,
      cancelling: this.#cancelling,
      notCancelled: this.#notCancelled,
      job: this.job || this.root || (this.#snapshot?.job ?? ""),
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
