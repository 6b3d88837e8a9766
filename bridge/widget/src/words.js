/**
 * Every sentence that the elements say, in English.
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
  stageOf: (/** @type {string} */ name, /** @type {number} */ number, /** @type {number} */ total) =>
    `${name} (${number} of ${total})`,
  ofTotal: (/** @type {string} */ current, /** @type {string} */ total) => `${current} of ${total}`,
  left: (/** @type {string} */ duration) => `${duration} left`,
  took: (/** @type {string} */ duration) => `took ${duration}`,
  nextTry: (/** @type {string} */ duration) => `Next try in ${duration}`,
  nextTryNow: "Next try any moment",
  details: "Details",
  copy: "Copy",
  copied: "Copied",
  cancel: "Cancel",
  cancelling: "Cancelling…",
  cancelFailed: (/** @type {string} */ why) => `Not cancelled: ${why}`,
  cancelForbidden: "you are not allowed to.",
  cancelExpired: "the permission has expired.",
  cancelFinished: "it has ended already.",
  cancelUnavailable: "the server did not answer.",
});

/** @typedef {{[Name in keyof typeof WORDS]: (typeof WORDS)[Name] extends string ? string : (typeof WORDS)[Name]}} Words */
/** @typedef {Partial<Words>} SomeWords */
