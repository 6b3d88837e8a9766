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
 * @property {string} valueText    the bar's value for a screen reader
 */

/** @typedef {typeof import("./words.js").WORDS} Words */

/** @type {Record<string, Display["tone"]>} */
const TONES = {
  PENDING: "waiting",
  STARTED: "running",
  PROGRESS: "running",
  RETRY: "retrying",
  SUCCESS: "success",
  FAILURE: "failure",
  REVOKED: "revoked",
  LOST: "lost",
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
  const shown = {
    tone,
    offline,
    moving: part === null && !offline && (tone === "running" || tone === "waiting"),
    label: situation.label || taskLabel(state?.task) || words.task,
    status: statusOf(situation, words),
    line: offline && state ? words.offline : "",
    attempt: state?.attempt ? words.attempt(state.attempt + 1) : "",
    figure: part === null ? "" : format.percent(part, locale),
    part,
    stage: underWay && state ? stageOf(state, words) : "",
    message: situation.refusal ? "" : (state?.message ?? ""),
    amount: state ? format.counts(state.current, state.total, state.unit, words.ofTotal, locale) : "",
    pace: underWay && !offline ? format.rate(state?.rate, state?.unit, locale) : "",
    remaining: timeOf(state, underWay && !offline, words, locale),
    errorType: showsError(state) ? (state?.error?.type ?? "") : "",
    errorText: showsError(state) ? (state?.error?.message ?? "") : "",
    hint: hintOf(situation, words),
  };
  return { ...shown, valueText: [shown.status, shown.line, shown.figure, shown.amount].filter(Boolean).join(", ") };
};

/** @param {StateRecord | null} state */
const knownPart = (state) => (state?.state === "SUCCESS" ? 1 : state && format.fraction(state.current, state.total));

/** @param {StateRecord | null} state */
const showsError = (state) => state?.state === "FAILURE" || state?.state === "RETRY";

/** @param {Situation} situation @returns {Display["tone"]} */
const toneOf = ({ state, refusal, job }) => {
  if (!job) return "idle";
  if (refusal) return "refused";
  return (state && TONES[state.state]) || "waiting";
};

/** @param {Situation} situation @param {Words} words @returns {string} */
const statusOf = ({ state, refusal, job, online }, words) => {
  if (!job) return words.noJob;
  if (refusal) return refusal.error === "forbidden" || refusal.error === "expired" ? words[refusal.error] : words.refused;
  if (state) return words[state.state] ?? state.state;
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
  if (state?.state === "RETRY" && state.next_at != null) {
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
  return Math.max(0, Math.ceil(Math.min(next - now, next - (state.updated_at ?? now))));
};

/** @param {StateRecord} state @param {Words} words @returns {string} */
const stageOf = ({ stage, stages = [] }, words) => {
  if (!stage) return "";
  const index = stages.map(({ name }) => name).lastIndexOf(stage);
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
  if (state?.ended_at && state.started_at && state.ended_at - state.started_at >= 1) {
    return words.took(format.duration(state.ended_at - state.started_at, locale));
  }
  return "";
};

/**
 * "workers.tasks.import_csv" is for machines.
 *
 * @param {string | null | undefined} task
 * @returns {string} "Import csv"
 */
const taskLabel = (task) => {
  const name = (task ?? "").split(".").at(-1)?.replaceAll("_", " ").trim() ?? "";
  return name.charAt(0).toUpperCase() + name.slice(1);
};
