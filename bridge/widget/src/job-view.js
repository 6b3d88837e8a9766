/**
 * What one client knows of one job, by the client's rule of DESIGN.md section 3.
 *
 * Pure: messages in, effects out; no socket, no clock, no DOM.
 *
 * @module
 */

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").EventRecord} EventRecord */
/** @typedef {import("./records.js").Reading} Reading */

/**
 * What a message changed, in the order in which it is to be told.
 *
 * `hole`: events are missing; ask again (`asking()`, then the answer to `answered()`).
 * `gap`: events `from`..`to` are gone for good (`to` is null where nobody can know).
 *
 * @typedef {{type: "state", state: StateRecord, previous: StateRecord | null}
 *   | {type: "event", name: string, event: EventRecord}
 *   | {type: "gap", from: number, to: number | null}
 *   | {type: "hole", since: number}} Effect
 */

/** Events that are set aside at most; what is beyond is found again as a hole. */
const ASIDE_EVENTS = 2000;

/** Revs of told events that are remembered, as many as a journal keeps events. */
const REVS_KEPT = 1000;

/** Answers that may leave a hole unfilled before it is told as a gap. */
const FUTILE_ANSWERS = 2;

/** @param {unknown} value @returns {value is number} */
const isCount = (value) => Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0;

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {unknown} value @returns {value is StateRecord} */
export const isState = (value) => isObject(value) && isCount(value.rev) && typeof value.state === "string";

/** @param {unknown} value @returns {value is EventRecord & {seq: number, rev: number}} */
const isJournalled = (value) => isObject(value) && isCount(value.seq) && isCount(value.rev);

const FINAL = new Set(["SUCCESS", "FAILURE", "REVOKED"]);

/**
 * Whether a job has ended. (A new run may still reopen it.)
 *
 * @param {StateRecord | null} state
 * @returns {boolean}
 */
export const isFinal = (state) => state !== null && FINAL.has(state.state);

export class JobView {
  /** @type {StateRecord | null} */
  state = null;
  /** Highest event number up to which nothing is missing. */
  seq;

  /** Highest rev seen in any message; tells messages of a lost journal from those of its successor. */
  #topRev = -1;
  /** Lowest rev applied since the numbers last began. */
  #lowRev = Infinity;
  /** @type {number | null} */
  #epoch = null;
  /** Below it, revs are of a journal that was lost. */
  #floor = 0;
  /** Rev of the last event; within a journal, later numbers have higher revs. */
  #eventRev = 0;
  #waiting = true;
  #futile = 0;
  /** @type {StateRecord | null} */
  #asideState = null;
  /** By rev. @type {Map<number, {name: string, event: EventRecord & {seq: number, rev: number}}>} */
  #asideEvents = new Map();
  /** Revs of the events told last. @type {Set<number>} */
  #told = new Set();
  /** @type {Effect[]} */
  #effects = [];

  /** @param {number} [since] number of the last event that the caller already has */
  constructor(since = 0) {
    this.seq = since;
  }

  /** Whether the job has ended and nothing of it is missing or on its way. */
  get complete() {
    return isFinal(this.state) && !this.#waiting && !this.#missing();
  }

  /**
   * A watch goes out: live messages are set aside until its answer.
   *
   * @returns {number} the `since` to ask with
   */
  asking() {
    this.#waiting = true;
    return this.seq;
  }

  /**
   * A live message.
   *
   * @param {string} name Socket.IO event name
   * @param {unknown} message
   * @returns {Effect[]}
   */
  live(name, message) {
    if (name === "progress") {
      if (isState(message)) this.#liveState(message);
    } else if (isJournalled(message)) {
      this.#liveEvent(name, message);
    } else if (isObject(message)) {
      this.#effects.push({ type: "event", name, event: /** @type {any} */ (message) });
    }
    return this.#taken();
  }

  /**
   * The answer to the watch.
   *
   * @param {Reading} reading
   * @param {number} [since] what was asked with
   * @returns {Effect[]}
   */
  answered(reading, since = this.seq) {
    this.#waiting = false;
    const before = this.seq;
    const snapshot = isState(reading.snapshot) ? reading.snapshot : null;
    const restarted = this.#journalWasLost(snapshot, reading);
    if (restarted) this.#restart(snapshot);
    // Asked with a number of the lost journal, the answer may still start from the first event.
    const first = Number(reading.events?.[0]?.seq);
    if (since <= this.seq || first <= this.seq + 1) this.#applyReading(reading, snapshot?.last_seq ?? 0);
    if (snapshot) this.#applyState(snapshot);
    this.#futile = restarted || this.seq > before ? 0 : this.#futile + 1;
    this.#settle();
    return this.#taken();
  }

  /**
   * No answer came (a timeout, an unavailable journal): what is live is shown all the same, events
   * only where they follow.
   *
   * @returns {Effect[]}
   */
  unanswered() {
    this.#waiting = false;
    this.#settle();
    return this.#taken();
  }

  /** @param {StateRecord} state */
  #liveState(state) {
    if (this.#waiting) {
      if (!this.#asideState || state.rev > this.#asideState.rev) this.#asideState = state;
      return;
    }
    this.#applyState(state);
    this.#settle();
  }

  /** @param {string} name @param {EventRecord & {seq: number, rev: number}} event */
  #liveEvent(name, event) {
    if (!this.#waiting && this.#isOfNewJournal(event)) this.#restart(null);
    this.#setAside(name, event);
    if (!this.#waiting) this.#settle();
  }

  /** @param {string} name @param {EventRecord & {seq: number, rev: number}} event */
  #setAside(name, event) {
    if (this.#asideEvents.size < ASIDE_EVENTS) this.#asideEvents.set(event.rev, { name, event });
  }

  /**
   * A number that was used already, under a higher rev than any seen: the numbers began anew.
   *
   * @param {EventRecord & {seq: number, rev: number}} event
   */
  #isOfNewJournal(event) {
    return event.seq <= this.seq && this.#topRev >= 0 && event.rev > this.#topRev;
  }

  /** @param {StateRecord | null} snapshot @param {Reading} reading */
  #journalWasLost(snapshot, { events }) {
    if (snapshot) return this.#isOfNewEpoch(snapshot);
    if (this.state) return true;
    if (this.#topRev < 0) return this.seq > 0 && !(Number(events?.at(-1)?.seq) >= this.seq);
    return Array.isArray(events) && events.some((event) => isJournalled(event) && this.#isOfNewJournal(event));
  }

  /** @param {StateRecord} state */
  #isOfNewEpoch(state) {
    const began = this.#epoch ?? this.#lowRev;
    if (isCount(state.epoch) && began < Infinity) return state.epoch > began;
    return state.rev > this.#topRev && isCount(state.last_seq) && state.last_seq < this.seq;
  }

  /**
   * The journal of the job was lost and numbers its events from 1 again. What came between the last
   * event seen and the loss, nobody can know: a gap.
   *
   * @param {StateRecord | null} state
   */
  #restart(state) {
    const known = this.#lowRev < Infinity || this.seq > 0;
    if (known) this.#effects.push({ type: "gap", from: this.seq + 1, to: null });
    this.seq = 0;
    this.#eventRev = 0;
    this.#lowRev = Infinity;
    this.#futile = 0;
    this.#epoch = state?.epoch ?? null;
    this.#floor = this.#epoch ?? this.#topRev + 1;
  }

  /** @param {Reading} reading @param {number} last number of the journal's last event */
  #applyReading({ events, gap }, last) {
    const kept = Array.isArray(events) ? events : [];
    for (const event of kept) {
      if (!isJournalled(event) || event.seq <= this.seq) continue;
      // The answer is what the journal has: what is missing in it is not retained.
      if (event.seq > this.seq + 1) this.#skipTo(event.seq - 1);
      const { name, ...payload } = /** @type {EventRecord & {name: string, seq: number, rev: number}} */ (event);
      this.#applyEvent(name, payload);
    }
    if (gap && !kept.length && last > this.seq) this.#skipTo(last);
  }

  /** @param {string} name @param {EventRecord & {seq: number, rev: number}} event */
  #applyEvent(name, event) {
    this.seq = event.seq;
    this.#eventRev = event.rev;
    this.#saw(event.rev);
    // Told already, when the journal was lost and its new number happened to be our next one.
    if (this.#told.has(event.rev)) return;
    this.#told.add(event.rev);
    if (this.#told.size > REVS_KEPT) this.#told.delete(this.#told.values().next().value ?? -1);
    this.#effects.push({ type: "event", name, event });
  }

  /** @param {StateRecord} state */
  #applyState(state) {
    const previous = this.state;
    if (previous && state.rev <= previous.rev) return;
    if (this.#isOfNewEpoch(state)) this.#restart(state);
    if (isCount(state.epoch)) this.#epoch = this.#floor = state.epoch;
    this.#saw(state.rev);
    this.state = state;
    this.#effects.push({ type: "state", state, previous });
  }

  /** @param {number} rev */
  #saw(rev) {
    this.#topRev = Math.max(this.#topRev, rev);
    this.#lowRev = Math.min(this.#lowRev, rev);
  }

  /** @param {number} seq */
  #skipTo(seq) {
    this.#effects.push({ type: "gap", from: this.seq + 1, to: seq });
    this.seq = seq;
  }

  /**
   * Applies what lies aside, as far as it follows; tells a hole, or a gap once asking is in vain.
   */
  #settle() {
    this.#drain();
    const target = this.#missing();
    if (!target) {
      this.#futile = 0;
    } else if (this.#futile >= FUTILE_ANSWERS) {
      this.#futile = 0;
      this.#skipTo(target);
      this.#settle();
    } else {
      this.#effects.push({ type: "hole", since: this.seq });
    }
  }

  #drain() {
    const state = this.#asideState;
    this.#asideState = null;
    if (state && this.#isOfNewEpoch(state)) this.#applyState(state);
    this.#followEvents();
    if (state) this.#applyState(state);
  }

  #followEvents() {
    const waiting = [...this.#asideEvents.values()].sort((a, b) => a.event.rev - b.event.rev);
    for (const { name, event } of waiting) {
      const lost = event.rev < Math.max(this.#floor, this.#eventRev);
      if (!lost && this.#isOfNewJournal(event)) this.#restart(null);
      if (lost || event.seq <= this.seq + 1) this.#asideEvents.delete(event.rev);
      if (lost) this.#tellLost(event);
      else if (event.seq === this.seq + 1) this.#applyEvent(name, event);
    }
  }

  /** It came too late: its journal is lost. @param {EventRecord & {seq: number, rev: number}} event */
  #tellLost(event) {
    if (!this.#told.has(event.rev)) this.#effects.push({ type: "gap", from: event.seq, to: null });
  }

  /** @returns {number} number of the last missing event; 0: none is missing */
  #missing() {
    const aside = [...this.#asideEvents.values()].map(({ event }) => event.seq).filter((seq) => seq > this.seq);
    if (aside.length) return Math.min(...aside) - 1;
    const last = this.state?.last_seq;
    const sameJournal = this.state?.epoch == null || this.state.epoch === this.#epoch;
    return isCount(last) && sameJournal && last > this.seq ? last : 0;
  }

  #taken() {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
