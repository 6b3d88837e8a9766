/**
 * A workflow as if it were one job, for `<task-progress root="...">`.
 *
 * @module
 */

import { taskLabel } from "./display.js";
import { byAge, overall } from "./list-rows.js";
import { ListWatch } from "./list-watch.js";

/** @typedef {import("./records.js").StateRecord} StateRecord */
/** @typedef {import("./records.js").Stage} Stage */

/** The jobs are summed up at most so often, however fast the news come. */
const SUM_MS = 100;
/** Jobs that are told one by one; who wants all of them has `<task-list>`. */
const MOST_STAGES = 100;

/** @type {Record<string, Stage["state"]>} */
const STAGE_STATES = { SUCCESS: "SUCCESS", FAILURE: "FAILURE", REVOKED: "FAILURE" };

/** The last task of a chain is queued with it, and begins last. @param {StateRecord} state @returns {number} Unix seconds */
const begunAt = ({ started_at }) => started_at ?? Infinity;

/**
 * What the jobs of a workflow come to. Pure.
 *
 * @param {ReadonlyMap<string, StateRecord>} states
 * @param {string} root
 * @returns {StateRecord | null} each job counting alike; null while none is known
 */
export const summed = (states, root) => {
  if (!states.size) return null;
  const all = [...states.values()];
  const { total, ended, counts } = overall(all);
  const over = ended === total;
  const failed = all.find(({ state }) => state === "FAILURE");
  const begun = all.map(({ started_at }) => started_at).filter((at) => typeof at === "number");
  const ends = all.map(({ ended_at }) => ended_at).filter((at) => typeof at === "number");
  return {
    job: root,
    task: states.get(root)?.task ?? null,
    rev: Math.max(...all.map(({ rev }) => rev)),
    run: 1,
    state: over ? (failed ? "FAILURE" : counts.cancelled ? "REVOKED" : "SUCCESS") : counts.waiting === total ? "PENDING" : "PROGRESS",
    current: ended,
    total,
    unit: "jobs",
    error: over ? (failed?.error ?? null) : null,
    started_at: begun.length ? Math.min(...begun) : null,
    ended_at: over && ends.length ? Math.max(...ends) : null,
    stages: all.sort((a, b) => begunAt(a) - begunAt(b) || byAge(a, b)).slice(0, MOST_STAGES).map((state) => ({
      name: taskLabel(state.task ?? "") || state.job,
      current: state.current ?? null,
      total: state.total ?? null,
      unit: state.unit ?? null,
      weight: 1,
      state: STAGE_STATES[state.state] ?? "PROGRESS",
    })),
  };
};

export class WorkflowWatch extends EventTarget {
  /** @type {StateRecord | null} */
  state = null;
  /** How far all jobs are together, 0 to 1. @type {number | null} */
  part = null;
  /** Whom to stop, its jobs say; not the whole. @type {readonly string[]} */
  actions = [];
  #list;
  #root;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {import("./wire.js").Wire} wire @param {import("./list-watch.js").ListOptions & {root: string}} options */
  constructor(wire, options) {
    super();
    this.#root = options.root;
    this.#list = new ListWatch(wire, options);
    this.#list.addEventListener("progress", () => (this.#timer ??= setTimeout(() => this.#sum(), SUM_MS)));
    for (const name of ["online", "offline", "error"]) {
      this.#list.addEventListener(name, (event) => this.#tell(name, /** @type {CustomEvent} */ (event).detail));
    }
  }

  get online() {
    return this.#list.online;
  }

  get refusal() {
    return this.#list.refusal;
  }

  async cancel() {}

  close() {
    clearTimeout(this.#timer);
    this.#list.close();
  }

  #sum() {
    this.#timer = undefined;
    const before = this.state?.state;
    this.state = summed(this.#list.jobs, this.#root);
    this.part = overall(this.#list.jobs.values()).part;
    this.#tell("progress", this.state);
    const outcome = { SUCCESS: "success", FAILURE: "failure", REVOKED: "revoked" }[String(this.state?.state)];
    if (outcome && this.state?.state !== before) this.#tell(outcome, this.state);
  }

  /** @param {string} type @param {unknown} detail */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
