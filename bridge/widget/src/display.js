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
 * @property {number | null} [part]      0 to 1, where it is not what the state's count says
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

/** @typedef {"idle" | "waiting" | "running" | "retrying" | "success" | "failure" | "revoked" | "lost" | "offline"
 *   | "forbidden" | "expired" | "refused"} Tone  how a state looks; the CSS hook */

/**
 * One stage, for the details.
 *
 * @typedef {object} StageDisplay
 * @property {string} name
 * @property {"running" | "success" | "failure"} tone
 * @property {string} status
 * @property {number | null} part  0 to 1; null where nobody knows
 * @property {string} amount
 */

/**
 * `part` is null where the bar is indeterminate.
 *
 * @typedef {object} Display
 * @property {Tone} tone
 * @property {boolean} moving      an indeterminate bar that moves
 * @property {string} label
 * @property {string} status       the state in words
 * @property {string} attempt
 * @property {string} figure       "43%"
 * @property {number | null} part  0 to 1
 * @property {string} stage
 * @property {string} message
 * @property {string} figures      "3.2 of 8.1 GB, 41 MB/s, 2 min left", or when the next try is
 * @property {string} errorType
 * @property {string} errorText
 * @property {string} hint         what the state means, where its word is not enough
 * @property {string} result       what came out, where that is a word or a number
 * @property {StageDisplay[]} stages
 * @property {string} fault        why the job was not cancelled
 * @property {string} cancel       what the button says; "": there is none
 * @property {boolean} cancelable  the button would do something now
 * @property {string} valueText    the bar's value for a screen reader
 */

/** @typedef {import("./words.js").BarWords} Words */

/** @type {Map<unknown, Tone>} */
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

/** Refusals that have a face of their own. @type {Map<string, "forbidden" | "expired">} */
const REFUSED_TONES = new Map([
  ["forbidden", "forbidden"],
  ["expired", "expired"],
]);

/** A result that is longer is no word any more. */
const RESULT_CHARS = 200;

/**
 * @param {Situation} situation
 * @param {Words} words
 * @returns {Display}
 */
export const display = (situation, words) => {
  const { state, locale } = situation;
  const part = situation.part ?? knownPart(state);
  const tone = toneOf(situation);
  const offline = tone === "offline";
  const underWay = tone === "running";
  const open = state !== null && !isFinal(state) && !situation.refusal;
  const unit = unitOf(state?.unit, words);
  const stages = (Array.isArray(state?.stages) ? state.stages : []).filter((each) => each && typeof each === "object");
  const showsError = tone === "failure" || tone === "retrying";
  // Where the count is one of per cents, the figure tells it.
  const amount = state && unit !== "%" ? format.counts(state.current, state.total, unit, words.ofTotal, locale) : "";
  const shown = {
    tone,
    moving: part === null && (underWay || tone === "waiting"),
    label: situation.label || taskLabel(text(state?.task)) || words.task,
    status: statusOf(situation, words),
    attempt: attemptOf(state, words),
    figure: part === null ? "" : format.percent(part, locale),
    part,
    stage: underWay || offline ? stageOf(text(state?.stage), stages, words) : "",
    message: situation.refusal || showsError ? "" : text(state?.message),
    figures:
      tone === "retrying" && typeof state?.next_at === "number"
        ? countdown(state, situation, words)
        : format.together(
            [
              amount,
              underWay ? format.rate(state?.rate, unit, words.perSecond, locale) : "",
              timeOf(state, underWay, words, locale),
            ],
            words.comma,
          ),
    errorType: showsError ? text(state?.error?.type) : "",
    errorText: showsError ? text(state?.error?.message) : "",
    hint: hintOf(situation, words),
    result: tone === "success" ? resultOf(state?.result, locale) : "",
    stages: stages.map((each) => stageDisplay(each, unit, words, locale)),
    fault: open && situation.notCancelled ? faultOf(situation.notCancelled, words) : "",
    cancel: open && situation.mayCancel ? words.cancel : "",
    cancelable: !offline && !situation.cancelling,
  };
  const { status, hint, figure } = shown;
  return { ...shown, valueText: format.together([status, offline ? hint : "", figure, amount], words.comma) };
};

/**
 * Whoever may write to the queue may put anything into a state.
 *
 * @param {unknown} value
 * @returns {string}
 */
const text = (value) => (typeof value === "string" || typeof value === "number" ? String(value) : "");

/** @param {unknown} unit @param {Words} words @returns {string} */
const unitOf = (unit, { units }) => {
  const name = text(unit);
  return Object.hasOwn(units, name) ? (units[name] ?? name) : name;
};

/** @param {StateRecord | null} state @param {Words} words @returns {string} */
const attemptOf = (state, words) => {
  const attempt = typeof state?.attempt === "number" && state.attempt > 0 ? state.attempt : 0;
  // A retry is a run of its own; one more than those began where another was lost, or had ended.
  const again = typeof state?.run === "number" && state.run > attempt + 1;
  return [attempt ? words.attempt(attempt + 1) : "", again ? words.again : ""].filter(Boolean).join(words.comma);
};

/** @param {Refusal} refusal @param {Words} words @returns {string} */
const faultOf = ({ error, message }, words) =>
  words.cancelFailed(Object.hasOwn(CANCEL_FAULTS, error) ? words[CANCEL_FAULTS[error] ?? "cancelFinished"] : message);

/** @param {StateRecord | null} state */
const knownPart = (state) => (state?.state === "SUCCESS" ? 1 : state && format.fraction(state.current, state.total));

/** @param {Situation} situation @returns {Tone} */
const toneOf = ({ state, refusal, online, job }) => {
  if (!job) return "idle";
  if (refusal) return REFUSED_TONES.get(refusal.error) ?? "refused";
  // A job that has ended stays what it is.
  if (online === false && !isFinal(state)) return "offline";
  return TONES.get(state?.state) ?? "waiting";
};

/** @param {unknown} result @param {string | undefined} locale @returns {string} */
const resultOf = (result, locale) =>
  typeof result === "number" ? format.number(result, locale) : typeof result === "string" ? result.slice(0, RESULT_CHARS) : "";

/**
 * @param {import("./records.js").Stage & {unit?: string | null}} stage  a workflow's jobs have units of their own
 * @param {string} unit of the job
 * @param {Words} words
 * @param {string | undefined} locale
 * @returns {StageDisplay}
 */
const stageDisplay = (stage, unit, words, locale) => {
  const { name, current, total, state, unit: own = unit } = stage;
  const tone = state === "SUCCESS" ? "success" : state === "FAILURE" ? "failure" : "running";
  return {
    name: text(name),
    tone,
    status: words[tone === "running" ? "PROGRESS" : /** @type {"SUCCESS" | "FAILURE"} */ (state)],
    part: tone === "success" ? 1 : format.fraction(current, total),
    amount: format.counts(current, total, own === "%" ? "" : unitOf(own, words), words.ofTotal, locale),
  };
};

/** @param {Situation} situation @param {Words} words @returns {string} */
const statusOf = (situation, words) => {
  const { state, refusal, job, online } = situation;
  if (!job) return words.noJob;
  if (refusal) return words[REFUSED_TONES.get(refusal.error) ?? "refused"];
  if (online === false && !isFinal(state)) return words.offline;
  if (state) return stateStatus(situation, words);
  return online ? words.unknown : words.connecting;
};

/** @param {Situation} situation @param {Words} words @returns {string} */
const stateStatus = ({ state, cancelling }, words) => {
  if (!state) return "";
  if (cancelling && !isFinal(state) && state.state !== "LOST") return words.cancelling;
  return TONES.has(state.state) ? words[state.state] : state.state;
};

/** @param {Situation} situation @param {Words} words @returns {string} */
const hintOf = (situation, words) => {
  const { state, refusal, online } = situation;
  if (refusal?.error === "forbidden") return words.forbiddenHint;
  if (refusal?.error === "expired") return words.expiredHint;
  if (refusal) return refusal.message;
  if (online === false && !isFinal(state)) return state ? words.lastKnown(stateStatus(situation, words)) : words.offlineHint;
  if (state?.state === "LOST") return state.redeliverable ? words.lostHope : words.lostHopeless;
  return "";
};

/** @param {StateRecord} state @param {Situation} situation @param {Words} words @returns {string} */
const countdown = (state, { now, locale }, words) => {
  const seconds = secondsToNextTry(state, now);
  return seconds > 0 ? words.nextTry(format.duration(seconds, locale)) : words.nextTryNow;
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
export const taskLabel = (task) => {
  const name = task.split(".").at(-1)?.replaceAll("_", " ").trim() ?? "";
  return name.charAt(0).toUpperCase() + name.slice(1);
};
