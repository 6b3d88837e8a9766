import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JobView, isFinal } from "../src/job-view.js";

const state = (rev, more = {}) => ({ job: "j", state: "PROGRESS", rev, run: 1, last_seq: 0, epoch: 1, ...more });
const event = (seq, rev) => ({ job: "j", rev, run: 1, seq, at: 0, data: { seq } });
const named = (seq, rev) => ({ name: "row", ...event(seq, rev) });
const told = (effects) =>
  effects.map((effect) => {
    if (effect.type === "state") return `state ${effect.state.rev}`;
    if (effect.type === "event") return `event ${effect.event.seq}`;
    if (effect.type === "gap") return `gap ${effect.from}-${effect.to}`;
    return `hole ${effect.since}`;
  });
const answered = (since = 0, reading = { snapshot: null, events: [], gap: false }) => {
  const view = new JobView(since);
  view.answered(reading);
  return view;
};

describe("before the answer", () => {
  it("sets live messages aside, then applies answer, then those", () => {
    const view = new JobView();
    assert.deepEqual(view.live("row", event(2, 12)), []);
    assert.deepEqual(view.live("progress", state(13, { last_seq: 2 })), []);
    const reading = { snapshot: state(11, { last_seq: 1 }), events: [named(1, 10)], gap: false };
    assert.deepEqual(told(view.answered(reading)), ["event 1", "state 11", "event 2", "state 13"]);
  });

  it("shows what is live where no answer comes", () => {
    const view = new JobView();
    view.live("progress", state(13));
    assert.deepEqual(told(view.unanswered()), ["state 13"]);
    assert.deepEqual(told(view.live("progress", state(14))), ["state 14"]);
  });

  it("gives an event's payload without its name, as live", () => {
    const [effect] = new JobView().answered({ snapshot: null, events: [named(1, 10)], gap: false });
    assert.equal(effect.name, "row");
    assert.deepEqual(effect.event, event(1, 10));
  });
});

describe("live", () => {
  it("applies a state only if its rev is higher", () => {
    const view = answered();
    assert.deepEqual(told(view.live("progress", state(5))), ["state 5"]);
    assert.deepEqual(view.live("progress", state(5)), []);
    assert.deepEqual(view.live("progress", state(4, { state: "SUCCESS" })), []);
    assert.deepEqual(told(view.live("progress", state(6))), ["state 6"]);
  });

  it("lets a new run reopen a finished job", () => {
    const view = answered();
    view.live("progress", state(5, { state: "FAILURE" }));
    assert.ok(view.complete);
    view.live("progress", state(6, { state: "STARTED", run: 2 }));
    assert.ok(!isFinal(view.state) && !view.complete);
  });

  it("applies events by number, once", () => {
    const view = answered();
    assert.deepEqual(told(view.live("row", event(1, 10))), ["event 1"]);
    assert.deepEqual(view.live("row", event(1, 10)), []);
    assert.deepEqual(told(view.live("row", event(2, 11))), ["event 2"]);
  });

  it("sees a hole by a number beyond, and by last_seq", () => {
    const view = answered();
    assert.deepEqual(told(view.live("row", event(2, 11))), ["hole 0"]);
    assert.deepEqual(told(view.live("row", event(1, 10))), ["event 1", "event 2"]);
    assert.deepEqual(told(view.live("progress", state(20, { last_seq: 4 }))), ["state 20", "hole 2"]);
    assert.ok(!view.complete);
  });

  it("passes on events that are not journalled", () => {
    const view = answered();
    assert.deepEqual(told(view.live("note", { job: "j", rev: null, seq: null, data: 1 })), ["event null"]);
  });

  it("ignores what is malformed", () => {
    const view = answered();
    for (const junk of [null, 1, "x", [], {}, { rev: "9", state: "SUCCESS" }, { rev: 9 }, { rev: -1, state: "X" }]) {
      assert.deepEqual(view.live("progress", junk), []);
    }
    assert.deepEqual(view.live("row", null), []);
    assert.deepEqual(view.live("row", [1]), []);
  });
});

describe("holes and gaps", () => {
  it("is filled by the answer", () => {
    const view = answered();
    view.live("row", event(3, 12));
    assert.equal(view.asking(), 0);
    const reading = { snapshot: null, events: [named(1, 10), named(2, 11), named(3, 12)], gap: false };
    assert.deepEqual(told(view.answered(reading)), ["event 1", "event 2", "event 3"]);
  });

  it("tells what is no longer retained", () => {
    const reading = { snapshot: state(90, { last_seq: 9 }), events: [named(8, 80), named(9, 85)], gap: true };
    assert.deepEqual(told(new JobView().answered(reading)), ["gap 1-7", "event 8", "event 9", "state 90"]);
    const nothing = { snapshot: state(90, { last_seq: 9 }), events: [], gap: true };
    assert.deepEqual(told(new JobView().answered(nothing)), ["gap 1-9", "state 90"]);
  });

  it("does not take what is merely late for a gap", () => {
    const view = new JobView();
    view.live("row", event(11, 110));
    const reading = { snapshot: state(90, { last_seq: 9 }), events: [named(8, 80), named(9, 85)], gap: true };
    assert.deepEqual(told(view.answered(reading)).at(-1), "hole 9");
  });

  it("stops asking where answers don't help", () => {
    const view = answered();
    const useless = { snapshot: state(20, { last_seq: 4 }), events: [], gap: false };
    assert.deepEqual(told(view.answered(useless)), ["state 20", "hole 0"]);
    view.asking();
    assert.deepEqual(told(view.answered(useless)), ["gap 1-4"]);
    assert.deepEqual(told(view.live("row", event(5, 21))), ["event 5"]);
  });
});

describe("a journal that was lost", () => {
  const five = () => answered(0, {
    snapshot: state(50, { last_seq: 5 }),
    events: [1, 2, 3, 4, 5].map((seq) => named(seq, 40 + seq)),
    gap: false,
  });

  it("is told by the epoch of a live state", () => {
    const view = five();
    assert.deepEqual(told(view.live("progress", state(101, { epoch: 100, last_seq: 1 }))), ["gap 6-null", "state 101", "hole 0"]);
    assert.equal(view.asking(), 0);
    const reading = { snapshot: state(101, { epoch: 100, last_seq: 1 }), events: [named(1, 100)], gap: false };
    assert.deepEqual(told(view.answered(reading)), ["event 1"]);
  });

  it("is told by a number that comes again", () => {
    const view = five();
    assert.deepEqual(told(view.live("row", event(1, 100))), ["gap 6-null", "event 1"]);
    assert.deepEqual(view.live("row", event(2, 42)), [], "a late message of the old journal");
  });

  it("is told by the answer, whose events were counted from the wrong end", () => {
    const view = five();
    view.asking();
    const reading = { snapshot: state(120, { epoch: 100, last_seq: 7 }), events: [named(6, 110), named(7, 111)], gap: false };
    assert.deepEqual(told(view.answered(reading, 5)), ["gap 6-null", "state 120", "hole 0"]);
  });

  it("is told by an answer that knows nothing, and the first event later is taken", () => {
    const view = five();
    view.asking();
    assert.deepEqual(told(view.answered({ snapshot: null, events: [], gap: false }, 5)), ["gap 6-null"]);
    assert.deepEqual(told(view.live("row", event(1, 100))), ["event 1"]);
    assert.equal(view.state.rev, 50, "the last known state stays");
  });

  it("is told by an answer that starts anew, states or not", () => {
    const view = answered(0, { snapshot: null, events: [1, 2, 3].map((seq) => named(seq, 40 + seq)), gap: false });
    view.asking();
    const reading = { snapshot: null, events: [named(1, 100), named(2, 101)], gap: true };
    assert.deepEqual(told(view.answered(reading, 3)), ["gap 4-null", "event 1", "event 2"]);
  });

  it("is told where only a number was known", () => {
    const view = new JobView(9);
    const reading = { snapshot: state(120, { epoch: 100, last_seq: 2 }), events: [], gap: false };
    assert.deepEqual(told(view.answered(reading)), ["gap 10-null", "state 120", "hole 0"]);
  });
});
