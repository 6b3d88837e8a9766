/** `<task-list>` in a real Chromium, under a strict Content-Security-Policy. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { until } from "../contract-server.js";
import { assertAccessible, it, missing, picture, serve, stage } from "./page.js";

const on = stage();
const TASKS = ["shop.import_orders", "shop.resize_images", "shop.train_model", "shop.send_invoices"];
const STATES = ["PENDING", "STARTED", "PROGRESS", "PROGRESS", "RETRY", "SUCCESS", "SUCCESS", "FAILURE", "REVOKED", "LOST"];
const now = Date.now() / 1000;

/** Jobs of user 7, of every state. */
const fill = (count) => {
  for (let n = 0; n < count; n += 1) {
    const state = STATES[n % STATES.length];
    const counted = !["PENDING", "STARTED"].includes(state);
    on.server.state(`j${n}`, {
      user: "7", state, task: TASKS[n % TASKS.length], queued_at: now - 10_000 + n, redeliverable: true,
      current: counted ? (n * 7) % 100 : null, total: counted ? 100 : null, unit: "rows", next_at: now + 900,
      message: state === "PROGRESS" ? `orders-${n}.csv` : null,
      error: state === "FAILURE" ? { type: "ValueError", message: "line 7: <b>a number</b> is needed" } : null,
    });
  }
};

/** A workflow of ten jobs. */
const flow = () => {
  let queued_at = now - 50;
  const job = (id, parent, more) => on.server.state(id, { root: parent && "wf", parent, queued_at: (queued_at += 1), ...more });
  job("wf", null, { task: "shop.nightly_report", state: "SUCCESS" });
  job("read", "wf", { task: "shop.read_orders", state: "SUCCESS" });
  job("resize", "wf", { task: "shop.resize_images", current: 30, total: 90 });
  for (let n = 0; n < 6; n += 1) job(`image-${n}`, "resize", { task: "shop.resize_image", state: n < 2 ? "SUCCESS" : n < 4 ? "PROGRESS" : "PENDING", current: n < 4 ? 10 : null, total: 100 });
  job("charts", "wf", { task: "shop.draw_charts", state: "FAILURE", error: { type: "KeyError", message: "'month'" } });
};

const list = (page, nth = 0) => page.locator("task-list").nth(nth);
const rows = (page) => list(page).getByRole("row");
const text = (page, nth = 0) => list(page, nth).evaluate((each) => each.shadowRoot.querySelector(".list")?.innerText ?? "");
const shows = (page, words, nth) => until(async () => (await text(page, nth)).includes(words), `the list shows ${words}`);
const loaded = (page, count) => until(() => page.evaluate((many) => document.querySelector("task-list").states.length === many, count), `${count} jobs`);

describe("a list", { skip: missing }, () => {
  it("of a user groups by state, tells what all come to, and draws what is in sight only", async () => {
    fill(3000);
    const { page, faults } = await on.visit('<h1>Jobs</h1><task-list user="7" label="My jobs" limit="5000"></task-list>');
    await loaded(page, 3000);
    await shows(page, "1,200 of 3,000 ended");
    await shows(page, "Running 900");
    assert.equal(on.server.connections, 1);
    const drawn = () => page.evaluate(() => document.querySelector("task-list").shadowRoot.querySelectorAll(".row").length);
    assert.ok((await drawn()) < 60, String(await drawn()));
    assert.equal(await list(page).getByRole("treegrid").getAttribute("aria-rowcount"), "3007");
    await until(async () => {
      await page.evaluate(() => (document.querySelector("task-list").shadowRoot.querySelector(".scroller").scrollTop = 1e9));
      return (await rows(page).last().getAttribute("aria-rowindex")) === "3007";
    });
    const order = await rows(page).evaluateAll((all) => all.map((each) => Number(each.ariaRowIndex)));
    assert.deepEqual(order, [...order].sort((a, b) => a - b), "read out as they stand");
    assert.ok((await drawn()) < 60);
    on.server.state("j0", { state: "FAILURE" });
    await shows(page, "1,201 of 3,000 ended");
    assert.deepEqual(faults, []);
  });

  it("finds by words and by state, and says so to the page", async () => {
    fill(40);
    const { page } = await on.visit('<task-list user="7"></task-list>');
    await loaded(page, 40);
    await page.evaluate(() => {
      window.filters = [];
      document.addEventListener("filter-changed", ({ detail }) => window.filters.push(detail));
    });
    await list(page).getByRole("searchbox").fill("invoices");
    await until(async () => !(await text(page)).includes("Train model") && (await text(page)).includes("Send invoices"));
    await list(page).getByRole("button", { name: /^Failed/ }).click();
    await until(async () => !(await text(page)).includes("orders-"));
    assert.equal(await list(page).getByRole("button", { name: /^Failed/ }).getAttribute("aria-pressed"), "true");
    assert.deepEqual((await page.evaluate(() => window.filters)).at(-1), { filter: "invoices", show: "failed" });
    await list(page).getByRole("searchbox").fill("nothing like it");
    await shows(page, "No job matches");
    await list(page).getByRole("button", { name: "Show all" }).click();
    await shows(page, "Train model");
    await page.evaluate(() => document.querySelector("task-list").setAttribute("filter", "model"));
    await until(async () => !(await text(page)).includes("Send invoices"));
  });

  it("of a workflow is a tree, for the keyboard too", async () => {
    flow();
    const { page } = await on.visit('<h1>Jobs</h1><task-list root="wf" href="/jobs/{job}"></task-list>');
    await loaded(page, 10);
    await until(async () => (await rows(page).count()) === 10);
    assert.equal(await page.evaluate(() => document.querySelector("task-list").fraction), (5 + 30 / 90 + 0.2) / 10);
    const at = () => page.evaluate(() => document.querySelector("task-list").shadowRoot.activeElement?.dataset.job);
    await rows(page).first().focus();
    for (const [key, job] of [["ArrowDown", "read"], ["ArrowDown", "resize"], ["ArrowRight", "image-0"], ["ArrowLeft", "resize"], ["End", "charts"], ["Home", "wf"]]) {
      await page.keyboard.press(key);
      await until(async () => (await at()) === job, `${key}: ${job}`);
    }
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowLeft");
    await until(async () => (await rows(page).count()) === 4);
    assert.equal(await rows(page).nth(2).getAttribute("aria-expanded"), "false");
    assert.equal(await rows(page).nth(2).getByRole("link").getAttribute("href"), "/jobs/resize");
    await page.keyboard.press("ArrowRight");
    await until(async () => (await rows(page).count()) === 10);
    assert.equal(await rows(page).nth(3).getAttribute("aria-level"), "3");
  });

  it("can be one bar for a workflow", async () => {
    flow();
    const { page } = await on.visit('<h1>Jobs</h1><task-progress root="wf" label="Nightly report" open></task-progress>');
    const workflow = page.locator("task-progress");
    await until(async () => (await workflow.locator(".figure").textContent()) === "55%");
    assert.equal(await workflow.locator(".stages li").count(), 10);
    await assertAccessible(page);
    await picture(page, "workflow");
    for (const job of ["resize", "image-2", "image-3", "image-4", "image-5"]) on.server.state(job, { state: "SUCCESS" });
    await until(async () => (await workflow.locator(".status").textContent()) === "Failed");
    assert.equal(on.server.connections, 1);
  });

  it("of some jobs keeps their order, selects and cancels", async () => {
    fill(5);
    on.server.actions = ["watch", "cancel"];
    const { page } = await on.visit('<h1>Jobs</h1><task-list jobs="j3 j2 j1" view="flat" controls="none" token="t"></task-list>');
    await loaded(page, 3);
    await page.evaluate(() => {
      window.heard = [];
      for (const name of ["job-selected", "cancel-requested"]) document.addEventListener(name, ({ type, detail }) => window.heard.push([type, detail.job]));
    });
    await until(async () => (await rows(page).count()) === 3);
    assert.equal(await rows(page).first().getAttribute("data-job"), "j3");
    await rows(page).nth(1).getByText("Train model").click();
    await rows(page).nth(1).getByRole("button", { name: "Cancel Train model" }).click();
    await shows(page, "Cancelling…");
    assert.deepEqual(await page.evaluate(() => window.heard), [["job-selected", "j2"], ["cancel-requested", "j2"]]);
    assert.deepEqual(on.server.requests.find(([name]) => name === "cancel")[1], { job: "j2", token: "t" });
    assert.equal(on.server.requests.filter(([name]) => name === "watch").length, 1);
    await assertAccessible(page);
  });

  it("offers older jobs, and loads them when asked", async () => {
    fill(60);
    const { page } = await on.visit('<task-list user="7" limit="20" view="flat"></task-list>');
    await loaded(page, 20);
    const older = list(page).getByRole("button", { name: "Show older jobs" });
    const atEnd = () => page.evaluate(() => {
      const scroller = document.querySelector("task-list").shadowRoot.querySelector(".scroller");
      scroller.scrollTop = 1e9;
      return scroller.scrollTop > 0;
    });
    await until(async () => (await atEnd()) && older.isVisible());
    await older.press("Enter");
    await loaded(page, 60);
  });

  it("shows what the page knew, says when it is empty, refused or out of reach", async () => {
    on.server.tokens.set("user:8", "secret");
    fill(3);
    const snapshot = JSON.stringify([{ job: "x", rev: 1, state: "SUCCESS", task: "shop.from_the_page" }]).replaceAll('"', "&quot;");
    const { page } = await on.visit(`<h1>Jobs</h1><task-list user="7"></task-list><task-list user="9"></task-list><task-list user="8"></task-list><task-list snapshot="${snapshot}"></task-list>`);
    await shows(page, "0 of 3 ended");
    await shows(page, "No jobs yet", 1);
    await shows(page, "No permission", 2);
    await shows(page, "From the page", 3);
    await picture(page, "list-situations");
    await assertAccessible(page);
    const { port } = on.server;
    await on.server.close();
    await shows(page, "Reconnecting…", 0);
    await shows(page, "out of reach", 1);
    on.server = await serve(port);
    fill(4);
    await loaded(page, 4);
  });

  it("is accessible and fits, light and dark, on a phone and from right to left", async () => {
    fill(60);
    flow();
    on.server.actions = ["watch", "cancel"];
    const { page } = await on.visit('<h1>Jobs</h1><task-list user="7" label="My jobs"></task-list><task-list root="wf" label="Nightly report" href="/jobs/{job}"></task-list>');
    await loaded(page, 60);
    await shows(page, "Draw charts", 1);
    for (const [name, colorScheme, width, dir] of [["light", "light", 680, "ltr"], ["dark", "dark", 680, "ltr"], ["phone", "light", 320, "ltr"], ["rtl", "light", 680, "rtl"]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await page.evaluate((value) => (document.documentElement.dir = value), dir);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      await assertAccessible(page);
      await picture(page, `list-${name}`, `list-${name === "dark" ? "light" : name}`);
    }
  }, 40_000);
});
