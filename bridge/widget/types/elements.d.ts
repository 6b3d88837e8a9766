/** What a token allows. */
export type Action = "watch" | "cancel";

/** A token, or one and how long it is good, in seconds. */
export type Grant = string | { token: string; expires_in?: number };

export interface WatchOptions {
  /** permission for the job, or a function that gets it, called again when it has expired */
  token?: string | (() => Grant | Promise<Grant>);
  /** where to GET a fresh one when it has expired, as `{token, expires_in?}` */
  tokenUrl?: string | URL;
  /** the server; default: where the module was loaded from */
  url?: string | URL;
  /** default `/bridge` */
  namespace?: string;
  /** number of the last event that you have already; default 0: from the first retained */
  since?: number;
}

/** What a watch and `<task-progress>` tell, by name; any other name is a custom event of the task. */
export interface JobEventMap {
  progress: CustomEvent<StateRecord>;
  success: CustomEvent<StateRecord>;
  failure: CustomEvent<StateRecord>;
  retry: CustomEvent<StateRecord>;
  revoked: CustomEvent<StateRecord>;
  lost: CustomEvent<StateRecord>;
  gap: CustomEvent<{ from: number | null; to: number | null }>;
  online: CustomEvent<null>;
  offline: CustomEvent<null>;
  error: CustomEvent<Refusal>;
  "bridge:event": CustomEvent<EventRecord & { name: string }>;
}

/** Why a watch ended without an outcome: `error` is the server's code, such as "forbidden". */
export class WatchError extends Error {
  constructor(refusal: Refusal);
  error: string;
}

/** One job, live: an EventTarget, and an async iterator of its events. */
export class Watch extends EventTarget {
  constructor(job: string, options?: WatchOptions);
  readonly job: string;
  /** the newest state; null while nothing is known */
  readonly state: StateRecord | null;
  /** false while the server is out of reach; null before the first connection */
  readonly online: boolean | null;
  /** why the server refused for good */
  readonly refusal: Refusal | null;
  readonly since: number;
  readonly actions: readonly string[];
  readonly closed: boolean;
  /** Asks the job to stop. Rejects with a `WatchError`. */
  cancel(): Promise<void>;
  close(): void;
  addEventListener<Name extends keyof JobEventMap>(type: Name, listener: (event: JobEventMap[Name]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  [Symbol.asyncIterator](): AsyncGenerator<CustomEvent, void, void>;
}

/** Watches a job. */
export function watch(job: string, options?: WatchOptions): Watch;

export interface ListOptions extends Omit<WatchOptions, "since"> {
  /** all jobs of a user, */
  user?: string;
  /** or of a workflow, by the id of its first job, */
  root?: string;
  /** or these */
  jobs?: string[];
  /** of a user or root, how many of the newest jobs to ask for; default 1000 */
  limit?: number;
}

/** Many jobs, live. */
export interface ListWatch extends EventTarget {
  readonly jobs: ReadonlyMap<string, StateRecord>;
  readonly online: boolean | null;
  readonly loaded: boolean;
  readonly hasMore: boolean;
  readonly closed: boolean;
  readonly refusal: Refusal | null;
  readonly refusals: ReadonlyMap<string, Refusal>;
  actions(job: string): readonly string[];
  more(count?: number): void;
  /** Asks a job to stop; gives why not, or null. */
  cancel(job: string): Promise<Refusal | null>;
  close(): void;
}

/** Watches all jobs of a user or of a workflow, or several at once. */
export function watchList(options: ListOptions): Promise<ListWatch>;

/** Sentences of the elements, where they are not to be the English ones. `words`, `list-words` and `log-words` of `src` name them all. */
export type SomeWords = { [name: string]: string | Readonly<Record<string, string>> | ((...given: any[]) => string) };

export type Size = "card" | "bar" | "row" | "ring";

/** `<task-progress>` */
export class TaskProgress extends HTMLElement {
  /** sentences of all elements of the page */
  static words: SomeWords;
  /** the same by language, such as `{ de: {...} }` */
  static languages: Record<string, SomeWords>;
  static define(tag?: string, registry?: CustomElementRegistry): void;
  job: string;
  root: string;
  token: string;
  tokenUrl: string;
  label: string;
  size: string;
  open: boolean;
  words: SomeWords;
  readonly state: StateRecord | null;
  /** Asks the job to stop. Rejects with a `WatchError`. */
  cancel(): Promise<void>;
}

/** How many jobs are in each state. */
export type Counts = Record<"running" | "retrying" | "lost" | "waiting" | "failed" | "done" | "cancelled", number>;

/** `<task-list>` */
export class TaskList extends HTMLElement {
  static define(tag?: string, registry?: CustomElementRegistry): void;
  words: SomeWords;
  readonly states: StateRecord[];
  readonly counts: Partial<Counts>;
  /** how far all of them are together, 0 to 1; null where there are none */
  readonly fraction: number | null;
  cancel(job: string): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "task-progress": TaskProgress;
    "task-list": TaskList;
  }
  interface HTMLElementEventMap {
    "cancel-requested": CustomEvent<{ job: string }>;
    "job-selected": CustomEvent<{ job: string; state: StateRecord }>;
    "filter-changed": CustomEvent<{ filter: string; show: string }>;
    "bridge:event": CustomEvent<EventRecord & { name: string }>;
  }
}
