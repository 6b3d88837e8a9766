import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { display, secondsToNextTry } from "../src/display.js";
import { WORDS } from "../src/words.js";

const NOW = 1_800_000_000;
const show = (state, more = {}) =>
  display(
    {
      state: state && { job: "j", rev: 1, ...state },
      online: true, refusal: null, job: "j", label: "", now: NOW, locale: "en", ...more,
    },
    WORDS,
  );

describe("each state", () => {
  const cases = {
    PENDING: ["waiting", "Waiting to start"], STARTED: ["running", "Running"], PROGRESS: ["running", "Running"],
    RETRY: ["retrying", "Trying again"], SUCCESS: ["success", "Done"], FAILURE: ["failure", "Failed"],
    REVOKED: ["revoked", "Cancelled"], LOST: ["lost", "Worker lost"],
  };
  for (const [state, [tone, status]] of Object.entries(cases)) {
    it(`${state} looks and reads its own way`, () => {
      const shown = show({ state });
      assert.deepEqual([shown.tone, shown.status], [tone, status]);
    });
  }

  it("moves an indeterminate bar only while the job is under way", () => {
    assert.deepEqual(Object.keys(cases).filter((state) => show({ state }).moving), ["PENDING", "STARTED", "PROGRESS"]);
  });

  it("fills the bar of a success that counted nothing", () => {
    assert.equal(show({ state: "SUCCESS", current: null, total: null }).part, 1);
  });

  it("tolerates a state of tomorrow", () => {
    assert.equal(show({ state: "PAUSED" }).status, "PAUSED");
  });
});

describe("while it runs", () => {
  const running = { state: "PROGRESS", current: 43, total: 100, unit: "rows", rate: 10, eta: 5.7 };

  it("tells how far, how fast, how long", () => {
    const { figure, amount, pace, remaining, valueText } = show(running);
    assert.deepEqual([figure, amount, pace, remaining], ["43%", "43 of 100 rows", "10 rows/s", "6 sec left"]);
    assert.equal(valueText, "Running, 43%, 43 of 100 rows");
  });

  it("numbers the open stage", () => {
    const stages = [{ name: "Read" }, { name: "Write" }];
    assert.equal(show({ ...running, stage: "Write", stages }).stage, "Write (2 of 2)");
    assert.equal(show({ ...running, stage: "Write", stages: [] }).stage, "Write");
  });

  it("counts tries from the second on", () => {
    assert.equal(show({ ...running, attempt: 0 }).attempt, "");
    assert.equal(show({ ...running, attempt: 1 }).attempt, "try 2");
  });

  it("makes a label of the task's name", () => {
    assert.equal(show({ ...running, task: "workers.tasks.import_csv" }).label, "Import csv");
    assert.equal(show({ ...running, task: "x" }, { label: "Orders" }).label, "Orders");
    assert.equal(show(null).label, "Task");
  });

  it("keeps what is known while offline, but no pace", () => {
    const { status, line, offline, amount, pace, remaining } = show(running, { online: false });
    assert.deepEqual([status, line, offline, amount, pace, remaining], ["Running", "Reconnecting…", true, "43 of 100 rows", "", ""]);
  });

  it("keeps an ended job as it is while offline", () => {
    assert.equal(show({ state: "SUCCESS" }, { online: false }).offline, false);
  });
});

describe("what went wrong", () => {
  const error = { type: "ValueError", message: "line 7" };

  it("shows the error of a failure and of a retry, not of a later success", () => {
    for (const state of ["FAILURE", "RETRY"]) assert.equal(show({ state, error }).errorText, "line 7");
    assert.equal(show({ state: "SUCCESS", error }).errorText, "");
  });

  it("counts down to the next try", () => {
    assert.equal(show({ state: "RETRY", next_at: NOW + 75, updated_at: NOW }).hint, "Next try in 1 min 15 sec.");
    assert.equal(show({ state: "RETRY", next_at: NOW - 1, updated_at: NOW - 9 }).hint, "Next try any moment.");
    assert.equal(show({ state: "RETRY" }).hint, "");
  });

  it("does not trust a reader's clock that is slow", () => {
    assert.equal(secondsToNextTry({ next_at: NOW, updated_at: NOW - 10 }, NOW - 3600), 10);
  });

  it("promises another worker only where there may be one", () => {
    assert.match(show({ state: "LOST", redeliverable: true }).hint, /pick it up again/);
    assert.doesNotMatch(show({ state: "LOST", redeliverable: false }).hint, /pick it up again/);
  });

  it("tells why nothing is shown", () => {
    const refused = (error) => show(null, { refusal: { error, message: "m" } });
    assert.deepEqual([refused("forbidden").status, refused("expired").status], ["No permission", "Link expired"]);
    assert.deepEqual([refused("bad_request").status, refused("bad_request").hint], ["Not available", "m"]);
    assert.equal(show(null, { job: "" }).status, "No job to show");
    assert.equal(show(null, { online: null }).status, "Connecting…");
    assert.equal(show(null, { online: false }).status, "Reconnecting…");
    assert.equal(show(null).status, "Waiting for news");
  });
});
