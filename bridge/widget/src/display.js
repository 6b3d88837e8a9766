/**
 * What the element shows, worked out from what is known. Pure: no DOM, no clock of its own.
 *
 * @module
 */

import * as format from "./format.js";
import { isFinal } from "./job-view.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").Refusal} Refusal */

/**
 * @typedef {object} Situation
 * @property {StateRecord | null} state
 * @property {boolean | null} online     null: first connection under way
 * @property {Refusal | null} refusal    final
 * @property {boolean} mayCancel
 * @property {boolean} cancelling        asked for, and the job has not ended yet
 * @property {Refusal | null} notCancelled
 * @property {string} job
 * @property {string} label
 * @property {number} now                Unix seconds
 * @property {string | undefined} locale
 */

/**
 * `tone` is the CSS hook: how the state looks. `part` is null where the bar is indeterminate.
 *
 * @typedef {object} Display
 * @property {"idle" | "waiting" | "running" | "retrying" | "success" | "failure" | "revoked" | "lost" | "refused"} tone
 * @property {boolean} offline
 * @property {boolean} moving      an indeterminate bar that moves
 * @property {string} label
 * @property {string} status       the state in words
 * @property {string} line        that the connection is lost
 * @property {string} attempt
 * @property {string} figure       "43%"
 * @property {number | null} part  0 to 1
 * @property {string} stage
 * @property {string} message
 * @property {string} amount
 * @property {string} pace
 * @property {string} remaining
 * @property {string} errorType
 * @property {string} errorText
 * @property {string} hint
 * @property {string} fault        why the job was not cancelled
 * @property {string} cancel       what the button says; "": there is none
 * @property {boolean} cancelable  the button would do something now
 * @property {string} valueText    the bar's value for a screen reader
 */

/** @typedef {typeof import("./words.js").WORDS} Words */

/** @type {Map<unknown, Display["tone"]>} */
const TONES = new Map([
  ["PENDING", "waiting"],
  ["STARTED", "running"],
  ["PROGRESS", "running"],
  ["RETRY", "retrying"],
  ["SUCCESS", "success"],
  ["FAILURE", "failure"],
  ["REVOKED", "revoked"],
  ["LOST", "lost"],
]);

/** @type {Record<string, "cancelForbidden" | "cancelExpired" | "cancelFinished" | "cancelUnavailable">} */
const CANCEL_FAULTS = {
  forbidden: "cancelForbidden",
  expired: "cancelExpired",
  finished: "cancelFinished",
  unavailable: "cancelUnavailable",
};

/** States in which figures of pace still mean something. */
const UNDER_WAY = new Set(["STARTED", "PROGRESS"]);

/**
 * @param {Situation} situation
 * @param {Words} words
 * @returns {Display}
 */
export const display = (situation, words) => {
  const { state, locale } = situation;
  const part = knownPart(state);
  const underWay = state !== null && UNDER_WAY.has(state.state);
  const tone = toneOf(situation);
  // A job that has ended stays what it is.
  const offline = situation.online === false && !situation.refusal && Boolean(situation.job) && !isFinal(state);
  const open = state !== null && !isFinal(state) && !situation.refusal;
  const unit = text(state?.unit);
  const stages = Array.isArray(state?.stages) ? state.stages : [];
  const shown = {
    tone,
    offline,
    moving: part === null && !offline && (tone === "running" || tone === "waiting"),
    label: situation.label || taskLabel(text(state?.task)) || words.task,
    status: statusOf(situation, words),
    line: offline && state ? words.offline : "",
    attempt: typeof state?.attempt === "number" && state.attempt > 0 ? words.attempt(state.attempt + 1) : "",
    figure: part === null ? "" : format.percent(part, locale),
    part,
    stage: underWay ? stageOf(text(state.stage), stages, words) : "",
    message: situation.refusal ? "" : text(state?.message),
    amount: state ? format.counts(state.current, state.total, unit, words.ofTotal, locale) : "",
    pace: underWay && !offline ? format.rate(state.rate, unit, locale) : "",
    remaining: timeOf(state, underWay && !offline, words, locale),
    errorType: showsError(state) ? text(state?.error?.type) : "",
    errorText: showsError(state) ? text(state?.error?.message) : "",
    fault: open && situation.notCancelled ? faultOf(situation.notCancelled, words) : "",
    hint: hintOf(situation, words),
    cancel: open && situation.mayCancel ? words.cancel : "",
    cancelable: !offline && !situation.cancelling,
  };
  return { ...shown, valueText: [shown.status, shown.line, shown.figure, shown.amount].filter(Boolean).join(", ") };
};

/**
 * Whoever may write to the queue may put anything into a state.
 *
 * @param {unknown} value
 * @returns {string}
 */
const text = (value) => (typeof value === "string" || typeof value === "number" ? String(value) : "");

/** @param {Refusal} refusal @param {Words} words @returns {string} */
const faultOf = ({ error, message }, words) =>
  words.cancelFailed(Object.hasOwn(CANCEL_FAULTS, error) ? words[CANCEL_FAULTS[error] ?? "cancelFinished"] : message);

/** @param {StateRecord | null} state */
const knownPart = (state) => (state?.state === "SUCCESS" ? 1 : state && format.fraction(state.current, state.total));

/** @param {StateRecord | null} state */
const showsError = (state) => state?.state === "FAILURE" || state?.state === "RETRY";

/** @param {Situation} situation @returns {Display["tone"]} */
const toneOf = ({ state, refusal, job }) => {
  if (!job) return "idle";
  if (refusal) return "refused";
  return TONES.get(state?.state) ?? "waiting";
};

/** @param {Situation} situation @param {Words} words @returns {string} */
const statusOf = ({ state, refusal, job, online, cancelling }, words) => {
  if (!job) return words.noJob;
  if (refusal) return refusal.error === "forbidden" || refusal.error === "expired" ? words[refusal.error] : words.refused;
  if (cancelling && state && !isFinal(state) && state.state !== "LOST") return words.cancelling;
  if (state) return TONES.has(state.state) ? words[state.state] : state.state;
  if (online === false) return words.offline;
  return online ? words.unknown : words.connecting;
};

/** @param {Situation} situation @param {Words} words @returns {string} */
const hintOf = ({ state, refusal, online, now, locale }, words) => {
  if (refusal?.error === "forbidden") return words.forbiddenHint;
  if (refusal?.error === "expired") return words.expiredHint;
  if (refusal) return refusal.message;
  if (online === false && !state) return words.offlineHint;
  if (state?.state === "LOST") return state.redeliverable ? words.lostHope : words.lostHopeless;
  if (state?.state === "RETRY" && typeof state.next_at === "number") {
    const seconds = secondsToNextTry(state, now);
    return seconds > 0 ? words.nextTry(format.duration(seconds, locale)) : words.nextTryNow;
  }
  return "";
};

/**
 * The reader's clock may be wrong: never longer than the server's own wait.
 *
 * @param {StateRecord} state
 * @param {number} now Unix seconds
 * @returns {number}
 */
export const secondsToNextTry = (state, now) => {
  const next = state.next_at ?? 0;
  return Math.max(0, Math.ceil(Math.min(next - now, next - (typeof state.updated_at === "number" ? state.updated_at : now))));
};

/** @param {string} stage @param {import("./records.js").Stage[]} stages @param {Words} words @returns {string} */
const stageOf = (stage, stages, words) => {
  const index = stage ? stages.map((each) => each?.name).lastIndexOf(stage) : -1;
  return stages.length > 1 && index >= 0 ? words.stageOf(stage, index + 1, stages.length) : stage;
};

/**
 * @param {StateRecord | null} state
 * @param {boolean} underWay
 * @param {Words} words
 * @param {string | undefined} locale
 * @returns {string}
 */
const timeOf = (state, underWay, words, locale) => {
  if (underWay && state?.eta != null) return words.left(format.estimate(state.eta, locale));
  if (typeof state?.ended_at === "number" && typeof state.started_at === "number" && state.ended_at - state.started_at >= 1) {
    return words.took(format.duration(state.ended_at - state.started_at, locale));
  }
  return "";
};

/**
 * "workers.tasks.import_csv" is for machines.
 *
 * @param {string} task
 * @returns {string} "Import csv"
 */
const taskLabel = (task) => {
  const name = task.split(".").at(-1)?.replaceAll("_", " ").trim() ?? "";
  return name.charAt(0).toUpperCase() + name.slice(1);
};
