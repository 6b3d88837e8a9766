/**
 * What a list says beside the words of its bars, in English.
 *
 * @module
 */

export const LIST_WORDS = Object.freeze({
  jobs: "Jobs",
  noJobs: "No jobs yet",
  noMatch: "No job matches",
  loading: "Loading…",
  find: "Find a job",
  clear: "Show all",
  older: "Show older jobs",
  groups: Object.freeze({
    running: "Running",
    retrying: "Trying again",
    lost: "Worker lost",
    waiting: "Waiting",
    failed: "Failed",
    done: "Done",
    cancelled: "Cancelled",
  }),
  countOf: (/** @type {string} */ count, /** @type {string} */ group) => `${count} ${group.toLowerCase()}`,
  endedOf: (/** @type {string} */ ended, /** @type {string} */ total) => `${ended} of ${total} ended`,
  below: (/** @type {string} */ count) => `${count} below`,
});
