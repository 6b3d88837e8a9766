/** The built element in a real Chromium, under a strict Content-Security-Policy. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { until } from "../contract-server.js";
import { launch, missing, open, serve } from "./page.js";

const AXE = new URL("../../node_modules/axe-core/axe.min.js", import.meta.url);
const NOW = Date.now() / 1000;

/** Every state that the element can show. */
const STATES = {
  pending: { state: "PENDING" },
  running: { state: "PROGRESS", current: 43, total: 100, unit: "rows", rate: 10, eta: 5, message: "orders.csv" },
  counting: { state: "PROGRESS", current: 12345, total: null, unit: "rows" },
  retry: { state: "RETRY", attempt: 1, next_at: NOW + 590, error: { type: "Busy", message: "later" } },
  success: { state: "SUCCESS", current: 5, total: 5 },
  failure: { state: "FAILURE", current: 1, total: 4, error: { type: "ValueError", message: "<b>line 7</b>" } },
  revoked: { state: "REVOKED" },
  lost: { state: "LOST", redeliverable: true },
};
const element = (job, more = "") => `<task-progress job="${job}" ${more}></task-progress>`;

let browser;
let server;
let contexts;

before(async () => {
  if (!missing) browser = await launch();
});
after(() => browser?.close());
beforeEach(async () => {
  server = await serve();
  contexts = [];
});
afterEach(async () => {
  for (const context of contexts) await context.close();
  await server.close();
});

const visit = async (body, options) => {
  const opened = await open(browser, server, body, options);
  contexts.push(opened.page.context());
  return opened;
};

const bar = (page, job) => page.locator(`task-progress[job="${job}"]`).getByRole("progressbar");
const text = (page, job) => page.locator(`task-progress[job="${job}"]`).evaluate((host) => host.shadowRoot.querySelector(".frame").innerText);
const shows = (page, job, words) => until(async () => (await text(page, job)).includes(words), `${job} shows ${words}`);

/** Collects the events that reach the document, by type and detail. */
const listen = (page, names) =>
  page.evaluate((all) => {
    window.heard = [];
    for (const name of all) document.addEventListener(name, ({ type, detail }) => window.heard.push([type, detail]));
  }, names);
const heard = (page) => page.evaluate(() => window.heard);

describe("each state", { skip: missing }, () => {
  const values = {
    pending: { now: null, words: "Waiting to start" },
    running: { now: "43", words: "43%" },
    counting: { now: null, words: "12,345 rows" },
    retry: { now: null, words: "Trying again" },
    success: { now: "100", words: "Done" },
    failure: { now: "25", words: "ValueError: <b>line 7</b>" },
    revoked: { now: null, words: "Cancelled" },
    lost: { now: null, words: "Waiting for a worker to pick it up again." },
    forbidden: { now: null, words: "No permission" },
    expired: { now: null, words: "Link expired" },
    unknown: { now: null, words: "Waiting for news" },
  };

  it("is told in words and in the bar's values, without a complaint of the console", async () => {
    for (const [job, state] of Object.entries(STATES)) server.state(job, state);
    server.tokens.set("forbidden", "x").set("expired", "x");
    const { page, faults } = await visit(Object.keys(values).map((job) => element(job, job === "expired" ? 'token="old"' : "")).join(""));
    for (const [job, { now, words }] of Object.entries(values)) {
      await shows(page, job, words);
      assert.equal(await bar(page, job).getAttribute("aria-valuenow"), now, job);
      assert.ok((await bar(page, job).getAttribute("aria-valuetext")).length > 3, job);
      assert.ok(await bar(page, job).getAttribute("aria-label"), job);
    }
    assert.match(await text(page, "retry"), /try 2/);
    assert.match(await text(page, "retry"), /Busy: later/);
    assert.match(await text(page, "retry"), /Next try in (9|10) min/);
    assert.deepEqual(faults, []);
  });

  for (const colorScheme of ["light", "dark"]) {
    it(`is accessible in ${colorScheme}`, async () => {
      for (const [job, state] of Object.entries(STATES)) server.state(job, state);
      const jobs = [...Object.keys(STATES), "unknown"];
      const { page } = await visit(`<h1>Jobs</h1>${jobs.map((job) => element(job)).join("")}`, { colorScheme });
      await shows(page, "failure", "line 7");
      await page.evaluate(await readFile(AXE, "utf8"));
      const { violations } = await page.evaluate(() => window.axe.run());
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
    });
  }

  it("fits into 320 px, and into 200 px", async () => {
    for (const [job, state] of Object.entries(STATES)) server.state(job, { ...state, message: "a-long-word-".repeat(20) });
    const { page } = await visit(Object.keys(STATES).map((job) => element(job)).join(""), { viewport: { width: 320, height: 600 } });
    await shows(page, "failure", "line 7");
    for (const width of [320, 200]) {
      await page.setViewportSize({ width, height: 600 });
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    }
  });
});

describe("live", { skip: missing }, () => {
  it("follows the job, and re-dispatches what happens", async () => {
    server.state("a", { state: "STARTED" });
    const { page } = await visit(element("a"));
    await shows(page, "a", "Running");
    await listen(page, ["progress", "row_rejected", "bridge:event", "success", "failure"]);
    server.state("a", { state: "PROGRESS", current: 1, total: 2 });
    server.event("a", "row_rejected", { line: 7 });
    server.state("a", { state: "SUCCESS", current: 2 });
    await shows(page, "a", "Done");
    const events = await heard(page);
    assert.deepEqual(events.map(([type]) => type), ["progress", "bridge:event", "row_rejected", "progress", "success"]);
    assert.deepEqual(events[2][1].data, { line: 7 });
    assert.equal(events[1][1].name, "row_rejected");
    assert.equal(events[4][1].state, "SUCCESS");
  });

  it("keeps events that have a browser's own name to itself", async () => {
    const { page } = await visit(element("a"));
    await until(() => server.members("a"));
    await listen(page, ["submit", "offline", "bridge:event"]);
    await page.evaluate(() => {
      document.querySelector("task-progress").addEventListener("submit", ({ detail }) => (window.own = detail.data));
    });
    server.event("a", "submit", "mine");
    await until(async () => (await heard(page)).length);
    assert.deepEqual((await heard(page)).map(([type]) => type), ["bridge:event"]);
    assert.equal(await page.evaluate(() => window.own), "mine");
  });

  it("announces changes of state only", async () => {
    server.state("a", { state: "PROGRESS", current: 1, total: 9 });
    const { page } = await visit(element("a", 'label="Import"'));
    await shows(page, "a", "Running");
    const spoken = () => page.locator("task-progress").getByRole("status").textContent();
    assert.match(await spoken(), /^(Import: Running)?$/);
    server.state("a", { current: 5 });
    await shows(page, "a", "55%");
    assert.doesNotMatch(await spoken(), /55/);
    server.state("a", { state: "FAILURE", error: { type: "E", message: "broken" } });
    await until(async () => (await spoken()) === "Import: Failed, E, broken");
  });

  it("counts down to the next try", async () => {
    server.state("a", { state: "RETRY", attempt: 1, next_at: Date.now() / 1000 + 30 });
    const { page } = await visit(element("a"));
    await shows(page, "a", "Next try in");
    const first = await text(page, "a");
    await until(async () => (await text(page, "a")) !== first);
  });

  it("goes on after a reload, with the events from the first", async () => {
    server.event("a", "row", 1);
    server.state("a", { current: 7, total: 10 });
    const { page } = await visit(element("a"));
    await shows(page, "a", "70%");
    await page.reload();
    await shows(page, "a", "70%");
    server.state("a", { state: "SUCCESS", current: 10 });
    await shows(page, "a", "100%");
  });

  it("reconnects, and shows what happened meanwhile", async () => {
    server.state("a", { current: 1, total: 10 });
    server.state("done", { state: "SUCCESS" });
    const { page } = await visit(element("a") + element("done"));
    await shows(page, "a", "10%");
    await shows(page, "done", "Done");
    const { port } = server;
    await server.close();
    await shows(page, "a", "Reconnecting");
    assert.doesNotMatch(await text(page, "done"), /Reconnecting/);
    server = await serve(port);
    server.state("a", { state: "SUCCESS", current: 10, total: 10 });
    await shows(page, "a", "Done");
    assert.doesNotMatch(await text(page, "a"), /Reconnecting/);
  });
});

describe("the page", { skip: missing }, () => {
  it("shares one connection, whatever comes and goes", async () => {
    const { page } = await visit(element("a") + element("b") + element("a"));
    await until(() => server.members("a") && server.members("b"));
    assert.equal(server.connections, 1);
    await page.evaluate(() => document.querySelector('[job="b"]').remove());
    await until(() => server.members("b") === 0);
    await page.evaluate(() => {
      const late = document.createElement("task-progress");
      late.job = "c";
      document.querySelector("main").append(late);
    });
    await until(() => server.members("c"));
    assert.equal(server.connections, 1);
    await page.evaluate(() => document.querySelector("main").replaceChildren());
    await until(() => server.connections === 0);
  });

  it("may change job and token", async () => {
    server.tokens.set("b", "good");
    server.state("a", { current: 1, total: 4 });
    server.state("b", { current: 3, total: 4 });
    const { page } = await visit(element("a"));
    await shows(page, "a", "25%");
    await page.evaluate(() => (document.querySelector("task-progress").job = "b"));
    await shows(page, "b", "No permission");
    await page.evaluate(() => (document.querySelector("task-progress").token = "good"));
    await shows(page, "b", "75%");
    await until(() => server.members("a") === 0);
    await page.evaluate(() => document.querySelector("task-progress").removeAttribute("job"));
    await until(() => page.evaluate(() => document.querySelector("task-progress").shadowRoot.textContent.includes("No job to show")));
  });

  it("may move an element without a new request", async () => {
    const { page } = await visit(`${element("a")}<section></section>`);
    await until(() => server.members("a"));
    await page.evaluate(() => document.querySelector("section").append(document.querySelector("task-progress")));
    server.state("a", { current: 1, total: 2 });
    await shows(page, "a", "50%");
    assert.deepEqual(server.requests.filter(([name]) => name === "unwatch"), []);
  });

  it("may import the module twice, and use the plain API", async () => {
    server.state("a", { state: "SUCCESS" });
    const { page, faults } = await visit(element("a"));
    const types = await page.evaluate(async () => {
      await import("/bridge/task-progress.js?again");
      const { watch } = await import("/bridge/task-progress.js");
      const seen = [];
      for await (const { type } of watch("a")) seen.push(type);
      return seen;
    });
    assert.deepEqual(types.filter((type) => type !== "online"), ["progress", "success"]);
    assert.deepEqual(faults, []);
  });

  it("is told of a wrong url", async () => {
    const { page, faults } = await visit(element("a", 'url="ftp://files.test"'));
    await shows(page, "a", "must start with http");
    assert.deepEqual(faults, []);
  });

  it("that wants little motion gets none", async () => {
    server.state("a", { current: 1, total: 2 });
    const { page } = await visit(element("a") + element("b"), { reducedMotion: "reduce" });
    await shows(page, "a", "50%");
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  });

  it("keeps up with 200 elements at 10 updates a second each", async () => {
    const jobs = Array.from({ length: 200 }, (_, i) => `job-${i}`);
    const { page, faults } = await visit(jobs.map((job) => element(job)).join(""));
    await until(() => server.members("job-199"));
    assert.equal(server.connections, 1);
    assert.equal(server.requests.length, 2, "two batches of a hundred");
    for (let current = 1; current <= 20; current += 1) {
      for (const job of jobs) server.state(job, { current, total: 20 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (const job of [jobs[0], jobs[199]]) await shows(page, job, "100%");
    assert.deepEqual(faults, []);
  });
});
