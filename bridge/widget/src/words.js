/**
 * What a bar says, in English; `list-words` and `log-words` are what lists and logs say beside it.
 *
 * @module
 */

export const WORDS = Object.freeze({
  task: "Task",
  noJob: "No job to show",
  connecting: "Connecting…",
  unknown: "Waiting for news",
  PENDING: "Waiting to start",
  STARTED: "Running",
  PROGRESS: "Running",
  RETRY: "Trying again",
  SUCCESS: "Done",
  FAILURE: "Failed",
  REVOKED: "Cancelled",
  LOST: "Worker lost",
  offline: "Reconnecting…",
  forbidden: "No permission",
  expired: "Link expired",
  refused: "Not available",
  lostHope: "Waiting for a worker to pick it up again.",
  lostHopeless: "Its worker stopped answering.",
  lastKnown: (/** @type {string} */ status) => `last known: ${status}`,
  offlineHint: "The server is out of reach.",
  forbiddenHint: "You are not allowed to watch this task.",
  expiredHint: "Reload the page for a fresh one.",
  attempt: (/** @type {number} */ number) => `try ${number}`,
  again: "started again",
  stageOf: (/** @type {string} */ name, /** @type {number} */ number, /** @type {number} */ total) =>
    `${name} (${number} of ${total})`,
  ofTotal: (/** @type {string} */ current, /** @type {string} */ total) => `${current} of ${total}`,
  perSecond: (/** @type {string} */ amount) => `${amount}/s`,
  /** What a task counts, by what it calls it; bytes are `Intl`'s. */
  units: Object.freeze(/** @type {Record<string, string>} */ ({})),
  /** Between figures that stand beside each other. */
  comma: ", ",
  left: (/** @type {string} */ duration) => `${duration} left`,
  took: (/** @type {string} */ duration) => `took ${duration}`,
  nextTry: (/** @type {string} */ duration) => `Next try in ${duration}`,
  nextTryNow: "Next try any moment",
  details: "Details",
  copy: "Copy",
  notify: "Tell me when it has ended",
  cancel: "Cancel",
  cancelling: "Cancelling…",
  cancelFailed: (/** @type {string} */ why) => `Not cancelled: ${why}`,
  cancelForbidden: "you are not allowed to.",
  cancelExpired: "the permission has expired.",
  cancelFinished: "it has ended already.",
  cancelUnavailable: "the server did not answer.",
});

/**
 * Texts by name, as those of another language must be.
 *
 * @template Texts
 * @typedef {{[Name in keyof Texts]: Texts[Name] extends string ? string : Texts[Name] extends Function ? Texts[Name] : Record<keyof Texts[Name], string>}} Said
 */

/** @typedef {Said<typeof WORDS>} BarWords */
/** @typedef {Said<typeof WORDS & typeof import("./list-words.js").LIST_WORDS>} ListWords */
/** All of them. @typedef {ListWords & Said<typeof import("./log-words.js").LOG_WORDS>} Words */
/** @typedef {Partial<Words>} SomeWords */

/**
 * @param {string} language
 * @param {Readonly<Record<string, SomeWords>>} languages  by language: "de-AT" takes those of "de", where it has none
 * @param {...(SomeWords | undefined)} own  the later ones win
 * @returns {BarWords & SomeWords}
 */
export const wordsOf = (language, languages, ...own) => {
  const known = [language, language.split("-")[0] ?? ""].find((name) => Object.hasOwn(languages, name));
  return Object.assign({}, WORDS, known && languages[known], ...own);
};
