/** What the element shows on request: events below it, progress in the page's title and icon, a notification. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { until } from "../contract-server.js";
import { assertAccessible, element, host, it, missing, picture, shows, stage } from "./page.js";

const on = stage();
const RUNNING = { state: "PROGRESS", current: 43, total: 100, unit: "rows" };

describe("the list of events", { skip: missing }, () => {
  const lines = (page) => host(page, "a").locator(".log-line");
  const last = (page, words) => until(async () => (await lines(page).last().textContent()).includes(words), words);

  it("holds thousands, draws those in sight, and follows", async () => {
    on.server.state("a", RUNNING);
    on.server.event("a", "log", { level: "ERROR", logger: "shop.orders", text: "<b>no</b> such file" });
    for (let n = 1; n < 3000; n += 1) on.server.event("a", "row_rejected", { line: n, reason: "a number is needed" });
    const { page, faults } = await on.visit(`<h1>Jobs</h1>${element("a", "log=5000")}`, { permissions: ["clipboard-read", "clipboard-write"] });
    await last(page, "line 2999");
    assert.ok((await lines(page).count()) < 60);
    assert.equal(await host(page, "a").locator(".log-count").textContent(), "3,000");
    on.server.event("a", "tick", { n: 1 });
    await last(page, "tick");
    await host(page, "a").getByRole("button", { name: "Copy" }).last().click();
    await until(() => page.evaluate(async () => (await navigator.clipboard.readText()).split("\n").length === 3001));
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /ERROR\tshop.orders: <b>no<\/b> such file/);
    await page.evaluate(() => (document.querySelector("task-progress").shadowRoot.querySelector(".log-scroller").scrollTop = 0));
    await until(async () => (await lines(page).first().textContent()).includes("<b>no</b>"));
    on.server.event("a", "tick", { n: 2 });
    await until(async () => (await host(page, "a").locator(".log-count").textContent()) === "3,002");
    assert.match(await lines(page).first().textContent(), /<b>no<\/b>/, "who reads further up stays there");
    await assertAccessible(page);
    await picture(page, "log");
    assert.deepEqual(faults, []);
  });

  it("keeps the last ones only where that is wanted, says what is lost, and moves nothing by coming", async () => {
    on.server.state("a", RUNNING);
    for (let n = 1; n < 30; n += 1) on.server.event("a", "tick", { n });
    const { page } = await on.visit(`${element("a", 'log="5"')}<p>below</p>`);
    await last(page, "n 29");
    assert.equal(await lines(page).count(), 5);
    const place = () => page.evaluate(() => document.querySelector("p").getBoundingClientRect().top);
    const before = await place();
    on.server.lose("a");
    on.server.state("a", RUNNING);
    on.server.cut();
    await last(page, "no longer kept");
    assert.equal(await place(), before);
    await page.evaluate(() => document.querySelector("task-progress").removeAttribute("log"));
    await until(async () => !(await host(page, "a").locator(".log").isVisible()));
  });
});

describe("beside the page", { skip: missing }, () => {
  /** Headless Chromium is always in sight, and shows no notification: the page is told otherwise, and what it shows is kept. */
  const away = ({ permission }) => {
    window.away = true;
    Object.defineProperty(document, "visibilityState", { get: () => (window.away ? "hidden" : "visible") });
    window.shown = [];
    window.Notification = class extends EventTarget {
      static permission = permission;
      static requestPermission = async () => (this.permission = "granted");
      constructor(title, options) {
        super();
        window.shown.push([title, options]);
      }
    };
  };
  const open = async (body, permission = "granted") => {
    const { page, faults } = await on.visit("");
    await page.addInitScript(away, { permission });
    await page.evaluate((html) => html, body);
    on.server.page("/beside", `<!doctype html><html lang="en"><title>My page</title><script type="module" src="/bridge/task-progress.js"></script><main>${body}</main></html>`, { "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self' ws:; style-src 'self'; img-src data:" });
    await page.goto(`${on.server.url}/beside`);
    return { page, faults };
  };
  const title = (page, words) => until(async () => (await page.title()) === words, `the title is ${words}`);
  const icon = (page) => page.evaluate(() => document.querySelector("link[rel=icon]")?.getAttribute("href") ?? null);

  it("title and icon tell how far, and the end until it was seen", async () => {
    on.server.state("a", RUNNING);
    const { page, faults } = await open(element("a", "page-title favicon"));
    await title(page, "43% My page");
    const first = await icon(page);
    assert.match(first, /^data:image\/png/);
    on.server.state("a", { current: 80 });
    await title(page, "80% My page");
    assert.notEqual(await icon(page), first);
    on.server.state("a", { state: "FAILURE" });
    await title(page, "✗ My page");
    await page.evaluate(() => {
      window.away = false;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await title(page, "My page");
    assert.equal(await icon(page), null);
    assert.deepEqual(faults, []);
  });

  it("several jobs are one figure, and leave nothing behind", async () => {
    on.server.state("a", { ...RUNNING, current: 20 });
    on.server.state("b", { state: "SUCCESS" });
    const { page } = await open(element("a", "page-title") + element("b", "page-title") + element("a"));
    await title(page, "60% My page");
    await page.evaluate(() => document.querySelectorAll("task-progress").forEach((each) => each.remove()));
    await title(page, "My page");
  });

  it("a notification comes at the end only, where it is wanted and allowed", async () => {
    for (const job of ["a", "b", "c"]) on.server.state(job, RUNNING);
    on.server.state("c", { state: "SUCCESS" });
    const { page } = await open(element("a", 'notify label="Import"') + element("b") + element("c", "notify"));
    for (const job of ["a", "b"]) await shows(page, job, "43%");
    await shows(page, "c", "Done");
    on.server.state("b", { state: "SUCCESS" });
    on.server.state("a", { state: "SUCCESS" });
    await until(() => page.evaluate(() => window.shown.length));
    assert.deepEqual(await page.evaluate(() => window.shown), [["Import", { body: "Done", tag: "a" }]]);
  });

  it("a button asks for what is not allowed yet", async () => {
    on.server.state("a", RUNNING);
    const { page } = await open(element("a", "notify"), "default");
    const bell = host(page, "a").getByRole("button", { name: "Tell me when it has ended" });
    await bell.press("Enter");
    await until(async () => !(await bell.isVisible()));
    assert.equal(await page.evaluate(() => Notification.permission), "granted");
  });
});
