import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as format from "../src/format.js";

const of = (current, total) => `${current} of ${total}`;
const perSecond = (amount) => `${amount}/s`;
/** Intl puts no-break spaces between figure and unit. */
const plain = (text) => text.replaceAll(/[\u00a0\u202f]/g, " ");
const counts = (current, total, unit, locale = "en") => plain(format.counts(current, total, unit, of, locale));

describe("fraction and percent", () => {
  it("knows how far a job is, or that nobody knows", () => {
    assert.equal(format.fraction(1, 4), 0.25);
    assert.equal(format.fraction(9, 4), 1);
    assert.equal(format.fraction(-1, 4), 0);
    for (const [current, total] of [[null, 4], [1, null], [1, 0], [1, NaN], ["1", "4"]]) {
      assert.equal(format.fraction(current, total), null);
    }
  });

  it("says 100% only of what is done", () => {
    assert.equal(format.percent(0.999, "en"), "99%");
    assert.equal(format.percent(1, "en"), "100%");
    assert.equal(format.percent(0.29, "en"), "29%");
    assert.equal(plain(format.percent(0.5, "de")), "50 %");
  });
});

describe("counts", () => {
  it("gives bytes one scale", () => {
    assert.equal(counts(3.2e9, 8.1e9, "B"), "3.2 of 8.1 GB");
    assert.equal(counts(999, 1000, "bytes"), "1 of 1 kB");
    assert.equal(counts(512, 999, "B"), "512 of 999 bytes");
    assert.equal(counts(1.5e6, null, "B"), "1.5 MB");
    assert.equal(counts(0, 0, "B"), "0 of 0 bytes");
    assert.equal(counts(1e19, null, "B"), "10,000 PB");
    assert.equal(counts(3.2e9, 8.1e9, "B", "de"), "3,2 of 8,1 GB");
  });

  it("gives other units as they are", () => {
    assert.equal(counts(12345, 20000, "rows"), "12,345 of 20,000 rows");
    assert.equal(counts(7, null, "rows"), "7 rows");
    assert.equal(counts(1.5, 3, null), "1.5 of 3");
    assert.equal(counts(null, 3, "rows"), "");
  });
});

describe("rate", () => {
  it("is per second", () => {
    assert.equal(plain(format.rate(41e6, "B", perSecond, "en")), "41 MB/s");
    assert.equal(plain(format.rate(512, "B", perSecond, "en")), "0.5 kB/s");
    assert.equal(format.rate(410.3, "rows", perSecond, "en"), "410 rows/s");
    assert.equal(format.rate(0.254, null, perSecond, "en"), "0.25/s");
  });

  it("is left out where it says nothing", () => {
    for (const value of [null, undefined, 0, -1, NaN, Infinity]) assert.equal(format.rate(value, "rows", perSecond, "en"), "");
  });
});

describe("time", () => {
  const exact = (seconds) => plain(format.duration(seconds, "en"));
  const rough = (seconds) => plain(format.estimate(seconds, "en"));

  it("names the two greatest units", () => {
    assert.deepEqual([0, 0.2, 10.4, 10.6, 59, 60, 95, 7200, 7260, 90061].map(exact), [
      "0 sec", "0 sec", "10 sec", "11 sec", "59 sec", "1 min", "1 min 35 sec", "2 hr", "2 hr 1 min", "1 day 1 hr",
    ]);
  });

  it("estimates in whole minutes from a minute on", () => {
    assert.deepEqual([12, 58, 119, 3599, 12000].map(rough), ["12 sec", "1 min", "2 min", "1 hr", "3 hr 20 min"]);
  });

  it("is left out where nobody knows", () => {
    for (const value of [null, undefined, -1, NaN]) assert.equal(exact(value) + rough(value), "");
  });
});

describe("a lang that is none", () => {
  it("counts as the reader's own", () => {
    for (const locale of ["en_US", "", "x", "-", "a b"]) assert.match(plain(format.percent(0.5, locale)), /50/);
  });
});

describe("a number that nobody counts to", () => {
  it("is none", () => {
    for (const unit of ["rows", "B"]) {
      assert.equal(counts(1e308, 5, unit), "");
      assert.ok(counts(1e20, -1e308, unit).length < 40);
      assert.equal(format.rate(1e308, unit, perSecond), "");
    }
    assert.equal(format.duration(1e308), "");
    assert.equal(format.fraction(1, 1e308), null);
  });
});
