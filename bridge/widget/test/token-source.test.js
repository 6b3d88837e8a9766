/** Where fresh tokens come from, with a clock and a fetch of our own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { TokenSource, tokenSource } from "../src/token-source.js";

const MINUTE = 60_000;
/** Lets promises and the timers that they set go on. */
const passes = async (ms) => {
  for (let i = 0; i < 20; i += 1) await null;
  mock.timers.tick(ms);
  for (let i = 0; i < 20; i += 1) await null;
};

let asked;
const source = (...answers) => {
  asked = 0;
  return new TokenSource(async () => {
    const answer = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    if (answer instanceof Error) throw answer;
    return answer;
  });
};

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 }));
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

describe("a fresh token", () => {
  it("is asked for once for all who wait", async () => {
    const tokens = source("one");
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => tokens.fresh("old"))), ["one", "one", "one"]);
    assert.equal(asked, 1);
  });

  it("is the one at hand, until that is refused too", async () => {
    const tokens = source("one", { token: "two" });
    await tokens.fresh("old");
    assert.equal(await tokens.fresh("older"), "one");
    assert.equal(asked, 1);
    assert.equal(await tokens.fresh("one"), "two");
    assert.equal(asked, 2);
  });

  it("is not the one at hand once its time is up", async () => {
    const tokens = source({ token: "one", expires_in: 60 }, "two");
    await tokens.fresh();
    mock.timers.tick(MINUTE);
    assert.equal(await tokens.fresh("old"), "two");
  });

  it("is tried for a few times, with longer and longer pauses", async () => {
    const tokens = source(new Error("away"));
    const failed = assert.rejects(tokens.fresh("old"), /away/);
    await passes(0);
    assert.equal(asked, 1);
    await passes(200);
    assert.equal(asked, 1, "at least a quarter of a second");
    await passes(300);
    assert.equal(asked, 2);
    await passes(1000);
    await failed;
    assert.equal(asked, 3);
    await passes(MINUTE);
    assert.equal(asked, 3, "then no more by itself");
  });

  it("can be had after a failure", async () => {
    const tokens = source(new Error("away"), "one");
    const told = tokens.fresh("old");
    await passes(500);
    assert.equal(await told, "one");
  });

  for (const answer of [null, undefined, 5, "", {}, [], { token: 5 }, { token: "" }]) {
    it(`is not ${JSON.stringify(answer)}`, async () => {
      const failed = assert.rejects(source(answer).fresh(), /holds no token/);
      for (let i = 0; i < 3; i += 1) await passes(1000);
      await failed;
    });
  }
});

describe("a renewal ahead of time", () => {
  it("comes shortly before the end, and again", async () => {
    const tokens = source({ token: "one", expires_in: 600 }, { token: "two", expires_in: 600 }, "three");
    const told = [];
    tokens.hold((token) => told.push(token));
    await tokens.fresh();
    await passes(530_000);
    assert.deepEqual(told, []);
    await passes(50_000);
    assert.deepEqual(told, ["two"]);
    await passes(590_000);
    assert.deepEqual(told, ["two", "three"]);
    await passes(100 * MINUTE);
    assert.equal(asked, 3, "nobody knows when that one ends");
  });

  it("is not for nobody", async () => {
    const tokens = source({ token: "one", expires_in: 60 });
    const release = tokens.hold(() => {});
    await tokens.fresh();
    release();
    await passes(100 * MINUTE);
    assert.equal(asked, 1);
  });

  it("that fails leaves the old one in use", async () => {
    const tokens = source({ token: "one", expires_in: 60 }, new Error("away"));
    const told = [];
    tokens.hold((token) => told.push(token));
    await tokens.fresh();
    for (let i = 0; i < 60; i += 1) await passes(5000);
    assert.deepEqual(told, []);
    assert.equal(asked, 4, "three tries, then silence");
  });

  for (const expiresIn of [0, -5, NaN, "60", null, Infinity, 1e-9, 1e300]) {
    it(`with expires_in ${expiresIn} is no busy loop`, async () => {
      const tokens = source({ token: "one", expires_in: expiresIn });
      tokens.hold(() => {});
      await tokens.fresh();
      for (let i = 0; i < 50; i += 1) await passes(100);
      assert.ok(asked <= 6, `asked ${asked} times within 5 seconds`);
    });
  }
});

describe("an address", () => {
  const answers = (status, value) =>
    mock.method(globalThis, "fetch", async () => ({ ok: status === 200, status, json: async () => value }));

  it("is asked with this origin's credentials only, and never from a cache", async () => {
    const fetched = answers(200, { token: "one" });
    assert.equal(await tokenSource("http://a.test/token").fresh(), "one");
    const [url, options] = fetched.mock.calls[0].arguments;
    assert.equal(url.href, "http://a.test/token");
    assert.deepEqual([options.credentials, options.cache, options.method], ["same-origin", "no-store", undefined]);
  });

  it("has one source, as has a function", () => {
    assert.equal(tokenSource("http://a.test/same"), tokenSource(new URL("http://a.test/same")));
    assert.notEqual(tokenSource("http://a.test/same"), tokenSource("http://a.test/other"));
    const grants = () => "one";
    assert.equal(tokenSource(grants), tokenSource(grants));
  });

  it("is http or https", () => {
    for (const url of ["javascript:alert(1)", "data:application/json,{}", "file:///token", "blob:http://a.test/x"]) {
      assert.throws(() => tokenSource(url), /must start with http: or https:/);
    }
  });

  for (const [status, tries] of [[401, 1], [403, 1], [404, 1], [429, 3], [500, 3], [503, 3]]) {
    it(`that answers ${status} is asked ${tries === 1 ? "once" : `${tries} times`}`, async () => {
      const fetched = answers(status, {});
      const failed = assert.rejects(tokenSource(`http://a.test/${status}`).fresh(), new RegExp(`/${status} answered ${status}`));
      for (let i = 0; i < 5; i += 1) await passes(2000);
      await failed;
      assert.equal(fetched.mock.calls.length, tries);
    });
  }
});
