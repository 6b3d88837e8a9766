/** What crosses the wire (the contract is in docs/architecture.md and docs/widget.md). */

export type JobState = "PENDING" | "STARTED" | "PROGRESS" | "RETRY" | "SUCCESS" | "FAILURE" | "REVOKED" | "LOST";

/** One stage of a job. */
export interface Stage {
  name: string;
  current: number | null;
  /** null: nobody knows */
  total: number | null;
  /** its share of the whole job */
  weight: number;
  state: "PROGRESS" | "SUCCESS" | "FAILURE";
}

/** One execution of a job. */
export interface Run {
  run: number;
  attempt: number;
  started_at: number | null;
  ended_at: number | null;
  state: JobState;
}

/** The whole state of a job: payload of the Socket.IO event `progress`. All `*_at` are Unix seconds. */
export interface StateRecord {
  job: string;
  task?: string | null;
  state: JobState;
  /** strictly rising per job */
  rev: number;
  /** one execution of the task */
  run?: number;
  /** Celery's `retries` */
  attempt?: number;
  /** number of the newest event */
  last_seq?: number;
  /** rev at which the journal of the job began */
  epoch?: number | null;
  message?: string | null;
  current?: number | null;
  /** null: indeterminate */
  total?: number | null;
  /** such as "rows"; "B" for bytes */
  unit?: string | null;
  /** units a second */
  rate?: number | null;
  /** seconds */
  eta?: number | null;
  /** name of the open stage */
  stage?: string | null;
  stages?: Stage[];
  queued_at?: number | null;
  started_at?: number | null;
  updated_at?: number | null;
  ended_at?: number | null;
  next_at?: number | null;
  lost_at?: number | null;
  worker?: string | null;
  queue?: string | null;
  runs?: Run[];
  root?: string | null;
  parent?: string | null;
  user?: string | null;
  /** only if the task opted in */
  result?: unknown;
  error?: { type: string; message: string } | null;
  /** whether a lost job may come back */
  redeliverable?: boolean;
  meta?: Record<string, unknown>;
}

/** Payload of a custom event; `seq` and `rev` are null where it was not journalled. */
export interface EventRecord {
  job: string;
  rev: number | null;
  run: number | null;
  seq: number | null;
  /** Unix seconds */
  at: number;
  data: unknown;
}

/** What the server remembers of a job: the answer to `watch`. */
export interface Reading {
  snapshot: StateRecord | null;
  /** those after `since`, in order */
  events: (EventRecord & { name: string })[];
  /** some of them are no longer retained */
  gap: boolean;
}

export type ErrorCode =
  | "forbidden"
  | "expired"
  | "bad_request"
  | "too_many"
  | "unknown_job"
  | "finished"
  | "unavailable";

/** Why something was refused. */
export interface Refusal {
  error: ErrorCode | (string & {});
  message: string;
}
