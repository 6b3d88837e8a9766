import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Lines, lineOf, pasted } from "../src/log-lines.js";

const event = (name, data, at = 1_800_000_000) => ({ job: "j", rev: 1, run: 1, seq: 1, name, at, data });

describe("a line", () => {
  it("of a log event tells level, logger and text", () => {
    assert.deepEqual(lineOf(event("log", { level: "WARNING", logger: "shop", text: "slow\n  disk" })), { at: 1_800_000_000, name: "WARNING", text: "shop: slow disk", kind: "warning" });
    assert.equal(lineOf(event("log", { text: "x" })).name, "LOG");
  });

  it("of another event tells its data in words", () => {
    assert.equal(lineOf(event("row", { line: 7, why: ["a", 2, null], deep: { er: true } })).text, "line 7, why a, 2, deep (er true)");
    assert.equal(lineOf(event("tick", null)).text, "");
    assert.equal(lineOf(event("tick", "now")).text, "now");
  });

  it("is bounded, of whatever came", () => {
    let deep = 1;
    for (let n = 0; n < 60; n += 1) deep = { deep, wide: Array(200).fill("x".repeat(500)) };
    assert.ok(lineOf(event("big", deep)).text.length <= 2000);
    for (const junk of [undefined, NaN, {}, [], { toString: 1 }, { text: 7, level: {} }]) {
      assert.equal(typeof lineOf(event("log", junk)).text, "string");
      assert.equal(typeof lineOf(event("any", junk, junk)).text, "string");
    }
  });
});

it("only so many are kept, the newest ones", () => {
  const lines = new Lines(10);
  for (let n = 0; n < 1000; n += 1) lines.add({ at: n, name: "n", text: String(n), kind: "event" });
  assert.equal(lines.count, 1000);
  assert.deepEqual(lines.kept.map(({ at }) => at), [990, 991, 992, 993, 994, 995, 996, 997, 998, 999]);
  assert.ok(lines.all.length <= 13);
});

it("what is copied has the time for machines, too", () => {
  const lines = [{ at: 0, name: "row", text: "line 7", kind: "event" }, { at: NaN, name: "…", text: "a gap", kind: "gap" }];
  assert.equal(pasted(lines), "1970-01-01T00:00:00.000Z\trow\tline 7\n…\ta gap");
});
