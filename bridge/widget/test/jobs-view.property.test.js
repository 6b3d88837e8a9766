/** Whatever order the pages of an answer and the live states come in, a list ends in the true states. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { JobsView } from "../src/jobs-view.js";

const STATES = ["PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED", "LOST"];
const state = (job, rev, more = {}) => ({ job, rev, state: STATES[rev % STATES.length], ...more });

/** A server's list, newest first, with pages as ours has them. */
class Journal {
  jobs = new Map();
  rev = 0;
  publish(job) {
    this.rev += 1;
    const record = state(job, this.rev);
    this.jobs.set(job, record);
    return record;
  }
  page({ limit, cursor }) {
    const newest = [...this.jobs.keys()].reverse();
    const from = Number(cursor ?? 0);
    const page = newest.slice(from, from + limit);
    return {
      jobs: Object.fromEntries(page.map((job) => [job, { snapshot: this.jobs.get(job), actions: ["watch"] }])),
      cursor: from + limit < newest.length ? String(from + limit) : null,
    };
  }
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("publish"), job: fc.nat(12), fate: fc.constantFrom("pass", "pass", "drop", "twice", "late") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("ask", "hear", "reconnect", "late") }) },
);

describe("a list of jobs", () => {
  it("ends in the newest state of every job, each rev told once and never back", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 20 }), (steps, wanted) => {
        const journal = new Journal();
        const view = new JobsView(wanted);
        const told = new Map();
        const late = [];
        let answer = null;
        const take = (effects) => {
          for (const { type, state: record, previous } of effects) {
            if (type !== "state") continue;
            assert.ok(record.rev > (told.get(record.job) ?? 0), "told anew, or back");
            assert.equal(previous?.rev ?? 0, told.get(record.job) ?? 0);
            told.set(record.job, record.rev);
          }
          return effects;
        };
        for (const { do: what, job, fate } of steps) {
          if (what === "publish") {
            const record = journal.publish(`j${job}`);
            if (fate === "late") late.unshift(record);
            else if (fate !== "drop") for (let n = 0; n < (fate === "twice" ? 2 : 1); n += 1) take(view.take(structuredClone(record)));
          } else if (what === "ask") answer ??= journal.page(view.page);
          else if (what === "hear" && answer) {
            take(view.answered(answer));
            answer = null;
          } else if (what === "reconnect") {
            view.restart();
            answer = null;
          } else if (what === "late") for (const record of late.splice(0)) take(view.take(record));
        }
        for (const record of late) take(view.take(record));
        // The fault ends: a new connection, and all pages that are wanted.
        view.restart();
        for (let asked = 0; ; asked += 1) {
          assert.ok(asked < 50, "asks for ever");
          const effects = take(view.answered(journal.page(view.page)));
          if (effects.at(-1).type === "loaded") break;
        }
        const newest = [...journal.jobs.values()].slice().reverse().slice(0, wanted);
        for (const record of newest) assert.deepEqual(view.states.get(record.job), record);
        assert.equal(view.hasMore, journal.jobs.size > Math.max(wanted, 0) && journal.jobs.size > newest.length);
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 1000) },
    );
  });

  it("keeps a bounded number, those that run longer than those that have ended", () => {
    const view = new JobsView();
    for (let n = 0; n < 10_050; n += 1) view.take(state(`j${n}`, 4 + 8 * n));
    view.take({ ...state("runs", 999_999_999), state: "PROGRESS" });
    assert.equal(view.states.size, 10_000);
    assert.ok(view.states.has("runs"));
    assert.ok(!view.states.has("j0"));
  });

  it("takes nothing that is no state", () => {
    const view = new JobsView();
    for (const junk of [null, 1, "x", [], {}, { job: "a" }, { job: 7, rev: 1, state: "X" }, { job: "a", rev: "1", state: "X" }]) {
      assert.deepEqual(view.take(junk), []);
    }
    assert.deepEqual(view.answered({ jobs: "no", cursor: 7 }), [{ type: "loaded" }]);
    assert.deepEqual(view.answered({ jobs: { a: null } }), [{ type: "loaded" }]);
  });
});
