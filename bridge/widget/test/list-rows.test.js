import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { groupOf, matching, overall, rowsOf } from "../src/list-rows.js";

const state = (job, more = {}) => ({ job, rev: 1, state: "PROGRESS", queued_at: 0, ...more });
const map = (...states) => new Map(states.map((each) => [each.job, each]));
const all = { shape: "groups", matches: () => true, closed: new Set() };
const keys = (rows) => rows.map(({ key, level }) => `${" ".repeat(level - 1)}${key}`);

describe("groups", () => {
  const jobs = map(state("a", { queued_at: 1 }), state("b", { state: "FAILURE" }), state("c", { queued_at: 2 }), state("d", { state: "TOMORROW" }));

  it("come in the order of interest, the newest job of each first, and say where each row stands", () => {
    const rows = rowsOf(jobs, all);
    assert.deepEqual(keys(rows), ["running", " c", " a", "waiting", " d", "failed", " b"]);
    assert.deepEqual([rows[0].open, rows[0].count, rows[0].position, rows[0].siblings], [true, 2, 1, 3]);
    assert.deepEqual([rows[2].position, rows[2].siblings, rows[2].parent], [2, 2, "running"]);
  });

  it("fold up", () => {
    assert.deepEqual(keys(rowsOf(jobs, { ...all, closed: new Set(["running"]) })), ["running", "waiting", " d", "failed", " b"]);
  });

  it("keep the order that was asked for, and offer more", () => {
    const rows = rowsOf(jobs, { ...all, shape: "flat", order: ["d", "c", "b", "a"], more: true });
    assert.deepEqual(rows.map(({ type, key }) => `${type} ${key}`), ["job d", "job c", "job b", "job a", "more "]);
  });

  it("hold every state", () => {
    const groups = ["PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED", "LOST"].map((each) => groupOf(state("a", { state: each })));
    assert.deepEqual(groups, ["waiting", "running", "running", "retrying", "done", "failed", "cancelled", "lost"]);
  });
});

describe("a tree", () => {
  const jobs = map(
    state("root", { queued_at: 1 }),
    state("b", { root: "root", parent: "root", queued_at: 3 }),
    state("a", { root: "root", parent: "root", queued_at: 2 }),
    state("deep", { root: "root", parent: "b", task: "the deep one" }),
    state("orphan", { root: "root", parent: "not here" }),
  );
  const tree = { ...all, shape: "tree" };

  it("hangs each job on its parent, else on its root, in the order in which they began", () => {
    assert.deepEqual(keys(rowsOf(jobs, tree)), ["root", " orphan", " a", " b", "  deep"]);
  });

  it("folds up, and keeps the way to what is looked for", () => {
    assert.deepEqual(keys(rowsOf(jobs, { ...tree, closed: new Set(["b"]) })), ["root", " orphan", " a", " b"]);
    assert.deepEqual(keys(rowsOf(jobs, { ...tree, matches: ({ job }) => job === "deep" })), ["root", " b", "  deep"]);
  });

  it("shows each job once, however wrong the parents are, and ends", () => {
    const ids = ["a", "b", "c", "d", "e", "f"];
    const parent = fc.constantFrom(...ids, "gone", null, undefined, 7);
    fc.assert(
      fc.property(fc.tuple(...ids.map(() => fc.tuple(parent, parent))), (wrong) => {
        const some = map(...wrong.map(([above, root], index) => state(ids[index], { parent: above, root })));
        const rows = rowsOf(some, tree);
        assert.deepEqual(rows.map(({ key }) => key).sort(), ids);
        for (const { parent: above, level } of rows) {
          if (above !== null) assert.equal(rows.find(({ key }) => key === above).level, level - 1);
        }
      }),
    );
  });

  it("of a long chain is worked out in no time", () => {
    const chain = Array.from({ length: 5000 }, (_, n) => state(`j${n}`, { parent: n ? `j${n - 1}` : null }));
    assert.equal(rowsOf(map(...chain), tree).at(-1).level, 5000);
  });
});

describe("what all come to", () => {
  it("is the mean, an end counting as whole", () => {
    const { part, total, ended, counts } = overall([state("a", { current: 1, total: 2 }), state("b", { state: "FAILURE" }), state("c", { state: "PENDING" }), state("d", { state: "SUCCESS" })]);
    assert.deepEqual([part, total, ended, counts.failed, counts.done], [2.5 / 4, 4, 2, 1, 1]);
    assert.equal(overall([]).part, null);
  });
});

describe("a filter", () => {
  const text = ({ job, task }) => `${job} ${task}`;

  it("wants all words, in any order and case, and one of the groups", () => {
    const job = state("17", { task: "import orders" });
    assert.ok(matching("ORDERS import", new Set(), text)(job));
    assert.ok(!matching("orders export", new Set(), text)(job));
    assert.ok(matching("", new Set(["running"]), text)(job));
    assert.ok(!matching("", new Set(["failed"]), text)(job));
  });
});
