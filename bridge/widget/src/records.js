/**
 * What crosses the wire, as types only (DESIGN.md, section 3).
 *
 * @module
 */

/**
 * @typedef {"PENDING" | "STARTED" | "PROGRESS" | "RETRY" | "SUCCESS" | "FAILURE" | "REVOKED" | "LOST"} JobState
 */

/**
 * One stage of a job.
 *
 * @typedef {object} Stage
 * @property {string} name
 * @property {number | null} current
 * @property {number | null} total
 * @property {number} weight
 * @property {"PROGRESS" | "SUCCESS" | "FAILURE"} state
 */

/**
 * The whole state of a job: payload of the Socket.IO event `progress`.
 *
 * @typedef {object} StateRecord
 * @property {string} job
 * @property {string | null} [task]
 * @property {JobState} state
 * @property {number} rev          strictly rising per job
 * @property {number} [run]        one execution of the task
 * @property {number} [attempt]    Celery's `retries`
 * @property {number} [last_seq]   number of the newest event
 * @property {number | null} [epoch]  rev at which the journal of the job began
 * @property {string | null} [message]
 * @property {number | null} [current]
 * @property {number | null} [total]  null: indeterminate
 * @property {string | null} [unit]
 * @property {number | null} [rate]   units a second
 * @property {number | null} [eta]    seconds
 * @property {string | null} [stage]
 * @property {Stage[]} [stages]
 * @property {number | null} [queued_at]   Unix seconds, as all `*_at`
 * @property {number | null} [started_at]
 * @property {number | null} [updated_at]
 * @property {number | null} [ended_at]
 * @property {number | null} [next_at]
 * @property {number | null} [lost_at]
 * @property {unknown} [result]
 * @property {{type: string, message: string} | null} [error]
 * @property {boolean} [redeliverable]
 * @property {Record<string, unknown>} [meta]
 */

/**
 * Payload of a custom event; `seq` and `rev` are null where it was not journalled.
 *
 * @typedef {object} EventRecord
 * @property {string} job
 * @property {number | null} rev
 * @property {number | null} run
 * @property {number | null} seq
 * @property {number} at
 * @property {unknown} data
 */

/**
 * What the server remembers of a job: the answer to `watch`.
 *
 * @typedef {object} Reading
 * @property {StateRecord | null} snapshot
 * @property {(EventRecord & {name: string})[]} events  those after `since`, in order
 * @property {boolean} gap                              some of them are no longer retained
 */

/**
 * @typedef {"forbidden" | "expired" | "bad_request" | "too_many" | "unknown_job" | "finished" | "unavailable"} ErrorCode
 */

/**
 * Why something was refused.
 *
 * @typedef {object} Refusal
 * @property {ErrorCode | string} error
 * @property {string} message
 */

export {};
