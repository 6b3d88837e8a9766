import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { display, secondsToNextTry } from "../src/display.js";
import { WORDS } from "../src/words.js";

const NOW = 1_800_000_000;
const SITUATION = { online: true, refusal: null, mayCancel: false, cancelling: false, notCancelled: null, job: "j", label: "", now: NOW, locale: "en" };
const show = (state, more = {}) => display({ ...SITUATION, state: state && { job: "j", rev: 1, ...state }, ...more }, WORDS);

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
    const { figure, figures, valueText } = show(running);
    assert.deepEqual([figure, figures], ["43%", "43 of 100 rows, 10 rows/s, 6 sec left"]);
    assert.equal(valueText, "Running, 43%, 43 of 100 rows");
  });

  it("numbers the open stage", () => {
    const stages = [{ name: "Read" }, { name: "Write" }];
    assert.equal(show({ ...running, stage: "Write", stages }).stage, "Write (2 of 2)");
    assert.equal(show({ ...running, stage: "Write", stages: [] }).stage, "Write");
  });

  it("speaks of bytes as people do, in the language of the page", () => {
    const download = { state: "PROGRESS", current: 3.2e9, total: 8.1e9, unit: "B", rate: 41e6, eta: 119 };
    assert.equal(show(download).figures, "3.2 of 8.1 GB, 41 MB/s, 2 min left");
    assert.equal(show(download, { locale: "de" }).figures.replaceAll("\u00a0", " "), "3,2 of 8,1 GB, 41 MB/s, 2 Min. left");
    const mixed = show(download, { locale: "ar" }).figures;
    assert.equal(mixed.split(", ").length, 3);
    for (const part of mixed.split(", ")) assert.match(part, /^\u2068[^\u2068\u2069]+\u2069$/, "each part in a direction of its own");
    const units = { rows: "Zeilen" };
    const german = display({ ...SITUATION, state: { job: "j", rev: 1, ...running } }, { ...WORDS, units, ofTotal: (current, total) => `${current} von ${total}`, perSecond: (amount) => `${amount} je Sekunde`, comma: "; " });
    assert.equal(german.figures, "43 von 100 Zeilen; 10 Zeilen je Sekunde; 6 sec left");
  });

  it("does not say per cents twice", () => {
    assert.deepEqual([show({ state: "PROGRESS", current: 62, total: 100, unit: "%" })].map(({ figure, figures }) => [figure, figures]), [["62%", ""]]);
  });

  it("tells each stage for itself", () => {
    const stages = [{ name: "Read", state: "SUCCESS", current: 9, total: 9 }, { name: "Write", state: "PROGRESS", current: 1, total: 4 }, { name: "Send", state: "FAILURE" }];
    assert.deepEqual(show({ ...running, stages }).stages, [
      { name: "Read", tone: "success", status: "Done", part: 1, amount: "9 of 9 rows" },
      { name: "Write", tone: "running", status: "Running", part: 0.25, amount: "1 of 4 rows" },
      { name: "Send", tone: "failure", status: "Failed", part: null, amount: "" },
    ]);
  });

  it("counts tries from the second on", () => {
    assert.equal(show({ ...running, attempt: 0 }).attempt, "");
    assert.equal(show({ ...running, attempt: 1 }).attempt, "try 2");
    assert.equal(show({ ...running, attempt: 1, run: 2 }).attempt, "try 2");
  });

  it("says that a job has started again where no retry tells why its bar fell", () => {
    assert.equal(show({ ...running, attempt: 0, run: 1 }).attempt, "");
    assert.equal(show({ ...running, attempt: 0, run: 2 }).attempt, "started again");
    assert.equal(show({ ...running, attempt: 1, run: 3 }).attempt, "try 2, started again");
  });

  it("makes a label of the task's name", () => {
    assert.equal(show({ ...running, task: "workers.tasks.import_csv" }).label, "Import csv");
    assert.equal(show({ ...running, task: "x" }, { label: "Orders" }).label, "Orders");
    assert.equal(show(null).label, "Task");
  });

  it("keeps what is known while offline, but no pace, and says that it is old", () => {
    const { tone, status, hint, figure, figures, valueText } = show(running, { online: false });
    assert.deepEqual([tone, status, hint, figure, figures], ["offline", "Reconnecting…", "last known: Running", "43%", "43 of 100 rows"]);
    assert.equal(valueText, "Reconnecting…, last known: Running, 43%, 43 of 100 rows");
  });

  it("keeps an ended job as it is while offline", () => {
    assert.equal(show({ state: "SUCCESS" }, { online: false }).tone, "success");
  });

  it("shows a result that is a word or a number, of a success only", () => {
    assert.equal(show({ state: "SUCCESS", result: 1200 }).result, "1,200");
    assert.equal(show({ state: "SUCCESS", result: "report.pdf" }).result, "report.pdf");
    assert.equal(show({ state: "SUCCESS", result: { rows: 1 } }).result, "");
    assert.equal(show({ state: "FAILURE", result: 1200 }).result, "");
  });
});

describe("what went wrong", () => {
  const error = { type: "ValueError", message: "line 7" };

  it("shows the error of a failure and of a retry, not of a later success", () => {
    for (const state of ["FAILURE", "RETRY"]) assert.equal(show({ state, error }).errorText, "line 7");
    assert.equal(show({ state: "SUCCESS", error }).errorText, "");
  });

  it("counts down to the next try", () => {
    assert.equal(show({ state: "RETRY", next_at: NOW + 75, updated_at: NOW }).figures, "Next try in 1 min 15 sec");
    assert.equal(show({ state: "RETRY", next_at: NOW - 1, updated_at: NOW - 9 }).figures, "Next try any moment");
    assert.equal(show({ state: "RETRY", current: 3 }).figures, "3");
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
    assert.deepEqual([refused("forbidden").tone, refused("expired").tone, refused("constructor").tone], ["forbidden", "expired", "refused"]);
    assert.deepEqual([refused("bad_request").status, refused("bad_request").hint], ["Not available", "m"]);
    assert.equal(show(null, { job: "" }).status, "No job to show");
    assert.equal(show(null, { online: null }).status, "Connecting…");
    assert.equal(show(null, { online: false }).status, "Reconnecting…");
    assert.equal(show(null).status, "Waiting for news");
  });
});

describe("the cancel button", () => {
  const cancel = (state, more) => show({ state }, { mayCancel: true, ...more });

  it("is there only with permission, for a job that has not ended", () => {
    const shown = ["PENDING", "STARTED", "PROGRESS", "RETRY", "SUCCESS", "FAILURE", "REVOKED", "LOST"].filter((state) => cancel(state).cancel);
    assert.deepEqual(shown, ["PENDING", "STARTED", "PROGRESS", "RETRY", "LOST"]);
    assert.equal(cancel("PROGRESS", { mayCancel: false }).cancel, "");
    assert.equal(cancel("PROGRESS", { refusal: { error: "expired", message: "m" } }).cancel, "");
    assert.equal(show(null, { mayCancel: true }).cancel, "");
  });

  it("does nothing while offline or asked already, and the state says so until the end", () => {
    assert.equal(cancel("PROGRESS").cancelable, true);
    assert.equal(cancel("PROGRESS", { online: false }).cancelable, false);
    const asked = cancel("PROGRESS", { cancelling: true });
    assert.deepEqual([asked.cancelable, asked.status], [false, "Cancelling…"]);
    assert.equal(cancel("REVOKED", { cancelling: true }).status, "Cancelled");
    assert.equal(cancel("LOST", { cancelling: true }).status, "Worker lost");
  });

  it("tells why not, in our words where we have some", () => {
    const why = (error) => cancel("PROGRESS", { notCancelled: { error, message: "the server's" } }).fault;
    assert.equal(why("forbidden"), "Not cancelled: you are not allowed to.");
    assert.equal(why("too_many"), "Not cancelled: the server's");
    assert.equal(why("constructor"), "Not cancelled: the server's");
    assert.equal(cancel("SUCCESS", { notCancelled: { error: "finished", message: "m" } }).fault, "");
  });
});

describe("what no task of ours sends, but who may write to the queue can", () => {
  const evil = [null, 7, true, "x", [], {}, { toString: 1, valueOf: 1 }, ["a", { b: 1 }], -1, 1e308, "\u202e"];
  const fields = [
    "task", "message", "unit", "stage", "stages", "error", "attempt", "rate", "eta", "current", "total", "next_at",
    "updated_at", "started_at", "ended_at", "redeliverable", "result",
  ];
  for (const field of fields) {
    it(`${field} of any kind is shown or left out`, () => {
      for (const value of evil) {
        for (const state of ["PENDING", "PROGRESS", "RETRY", "FAILURE", "LOST", "SUCCESS"]) {
          const more = { current: 1, total: 2, stage: "s", unit: "B", rate: 2, eta: 3, attempt: 1, error: { type: "T", message: value } };
          const shown = show({ state, ...more, [field]: value });
          for (const [name, told] of Object.entries(shown)) {
            if (!["part", "moving", "cancelable", "stages"].includes(name)) assert.equal(typeof told, "string", name);
          }
        }
      }
    });
  }

  it("a state named like what every object has is just a name", () => {
    for (const state of ["constructor", "toString", "__proto__", "left", "task"]) {
      const { tone, status } = show({ state });
      assert.deepEqual([tone, status], ["waiting", state]);
    }
  });

  it("stages of any kind", () => {
    const stages = [null, 5, { name: { toString: 1 } }, { name: "s" }];
    assert.equal(show({ state: "PROGRESS", stage: "s", stages }).stage, "s (2 of 2)");
  });
});
