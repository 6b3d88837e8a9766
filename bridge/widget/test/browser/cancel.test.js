/** The cancel button and token renewal of the built element, in a real Chromium under a strict policy. */

import assert from "node:assert/strict";
import { beforeEach, describe } from "node:test";
import { until } from "../contract-server.js";
import { assertAccessible, button, element, host, it, missing, picture, serve, shows, spoken, stage, text } from "./page.js";

const RUNNING = { state: "PROGRESS", current: 43, total: 100, unit: "rows", message: "orders.csv" };
const on = stage();
beforeEach(() => (on.server.actions = ["watch", "cancel"]));
const cancels = () => on.server.requests.filter(([name]) => name === "cancel").map(([, request]) => request);

describe("the cancel button", { skip: missing }, () => {
  it("is there only with permission and until the job has ended", async () => {
    on.server.actions = ["watch"];
    on.server.state("a", RUNNING);
    const { page, faults } = await on.visit(element("a"));
    await shows(page, "a", "43%");
    assert.equal(await button(page, "a").count(), 0);
    on.server.actions = ["watch", "cancel"];
    on.server.cut();
    await button(page, "a").waitFor();
    assert.equal(await button(page, "a").textContent(), "Cancel");
    on.server.state("a", { state: "SUCCESS" });
    await shows(page, "a", "Done");
    assert.equal(await button(page, "a").count(), 0);
    assert.deepEqual(faults, []);
  });

  it("works by keyboard, says what happens, and leaves the focus where it was", async () => {
    on.server.state("a", RUNNING);
    const { page } = await on.visit(`<button>before</button>${element("a", 'token="t" label="Import"')}`);
    await button(page, "a").waitFor();
    assert.equal(await page.getByRole("button", { name: "Cancel Import", exact: true }).count(), 1);
    await page.getByText("before").focus();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await shows(page, "a", "Cancelling…");
    await page.keyboard.press("Space");
    await page.keyboard.press("Enter");
    assert.equal(await button(page, "a").getAttribute("aria-disabled"), "true");
    assert.equal(await spoken(page, "a"), "Import: Cancelling…");
    await until(() => cancels().length);
    on.server.state("a", { current: 44 });
    await shows(page, "a", "44%");
    await shows(page, "a", "Cancelling…");
    on.server.state("a", { state: "REVOKED" });
    await shows(page, "a", "Cancelled");
    assert.deepEqual(cancels(), [{ job: "a", token: "t" }]);
    assert.equal(await button(page, "a").count(), 0);
    assert.ok(await host(page, "a").evaluate((each) => document.activeElement === each), "the focus stays at the job");
  });

  for (const [error, told] of Object.entries({
    forbidden: "Not cancelled: you are not allowed to.",
    expired: "Not cancelled: the permission has expired.",
    unavailable: "Not cancelled: the server did not answer.",
    strange: "Not cancelled: <b>why</b>",
  })) {
    it(`tells that it was ${error}, and can be pressed again`, async () => {
      on.server.state("a", RUNNING);
      on.server.cancelled = () => ({ ok: false, error, message: "<b>why</b>" });
      const { page } = await on.visit(element("a"));
      await button(page, "a").click();
      await shows(page, "a", told);
      assert.match(await spoken(page, "a"), /Not cancelled/);
      on.server.cancelled = () => ({ ok: true });
      await button(page, "a").click();
      await shows(page, "a", "Cancelling…");
      assert.ok(!(await text(page, "a")).includes("Not cancelled"));
    });
  }

  it("does nothing while the server is out of reach", async () => {
    on.server.state("a", RUNNING);
    const { page } = await on.visit(element("a"));
    await button(page, "a").waitFor();
    const { port } = on.server;
    await on.server.close();
    await shows(page, "a", "Reconnecting…");
    assert.equal(await button(page, "a").getAttribute("aria-disabled"), "true");
    await button(page, "a").evaluate((each) => each.click());
    assert.ok(!(await text(page, "a")).includes("Cancelling…"));
    on.server = await serve(port);
  });

  it("tells the page, which may say no or ask first", async () => {
    on.server.state("a", RUNNING);
    const { page } = await on.visit(element("a"));
    await page.evaluate(() => {
      window.heard = [];
      document.addEventListener("cancel-requested", (event) => {
        window.heard.push([event.target.localName, event.detail]);
        if (window.heard.length === 1) event.preventDefault();
      });
    });
    await button(page, "a").click();
    assert.deepEqual(await page.evaluate(() => window.heard), [["task-progress", { job: "a" }]]);
    assert.ok(!(await text(page, "a")).includes("Cancelling…"));
    await host(page, "a").evaluate((each) => each.cancel());
    assert.equal((await page.evaluate(() => window.heard)).length, 1, "cancel() itself asks nobody");
    await shows(page, "a", "Cancelling…");
    assert.equal(cancels().length, 1);
  });

  it("is not taken for a task's event of the same name", async () => {
    const { page } = await on.visit(element("a"));
    await until(() => on.server.members("a"));
    await page.evaluate(() => {
      window.heard = [];
      for (const name of ["cancel-requested", "bridge:event"]) document.addEventListener(name, ({ type }) => window.heard.push(type));
    });
    on.server.event("a", "cancel-requested", 1);
    await until(() => page.evaluate(() => window.heard.length));
    assert.deepEqual(await page.evaluate(() => window.heard), ["bridge:event"]);
  });

  it("says it in other words", async () => {
    on.server.state("a", RUNNING);
    const { page } = await on.visit("");
    await page.evaluate(async () => {
      const { TaskProgress } = await import("/bridge/task-progress.js");
      TaskProgress.words = { ...TaskProgress.words, cancel: "Abbrechen", cancelling: "Wird abgebrochen…" };
      const made = document.createElement("task-progress");
      made.job = "a";
      document.querySelector("main").append(made);
    });
    await button(page, "a", "Abbrechen").click();
    await shows(page, "a", "Wird abgebrochen…");
  });

  it("is forgotten with the job", async () => {
    on.server.state("a", RUNNING);
    on.server.state("b", RUNNING);
    const { page } = await on.visit(element("a"));
    await button(page, "a").click();
    await shows(page, "a", "Cancelling…");
    await page.evaluate(() => (document.querySelector("task-progress").job = "b"));
    await shows(page, "b", "Running");
    assert.equal(await button(page, "b").getAttribute("aria-disabled"), null);
  });
});

describe("the looks of the cancel button", { skip: missing }, () => {
  const JOBS = ["ready", "asked", "failed", "lost", "retry"];
  const body = `<h1>Jobs</h1>${JOBS.map((job) => element(job, `label="Import ${job}"`)).join("")}`;
  const prepare = async (options) => {
    for (const job of JOBS) on.server.state(job, RUNNING);
    on.server.state("lost", { state: "LOST", redeliverable: true });
    on.server.state("retry", { state: "RETRY", attempt: 1, next_at: Date.now() / 1000 + 90, error: { type: "Busy", message: "later" } });
    on.server.cancelled = ({ job }) => (job === "asked" ? { ok: true } : { ok: false, error: "unavailable", message: "m" });
    const { page } = await on.visit(body, options);
    await button(page, "failed").click();
    await button(page, "asked").click();
    await shows(page, "failed", "Not cancelled");
    await shows(page, "asked", "Cancelling…");
    return page;
  };

  for (const [name, options] of Object.entries({
    light: { colorScheme: "light" },
    dark: { colorScheme: "dark" },
    narrow: { colorScheme: "light", viewport: { width: 320, height: 900 } },
    forced: { forcedColors: "active" },
  })) {
    it(`is accessible and fits: ${name}`, async () => {
      const page = await prepare(options);
      await button(page, "ready").focus();
      await picture(page, `cancel-${name}`, `cancel-${{ dark: "light", forced: "light" }[name] ?? name}`);
      const { width, height } = await button(page, "ready").boundingBox();
      assert.ok(width >= 24 && height >= 24, "large enough to be hit");
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), page.viewportSize().width);
      await assertAccessible(page);
    });
  }

  it("moves nothing when it comes and goes", async () => {
    on.server.state("a", RUNNING);
    on.server.actions = ["watch"];
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "43%");
    const before = (await host(page, "a").boundingBox()).height;
    on.server.actions = ["watch", "cancel"];
    on.server.cut();
    await button(page, "a").waitFor();
    await shows(page, "a", "43%");
    await until(async () => (await host(page, "a").boundingBox()).height === before, "the same height");
  });
});

describe("a token-url", { skip: missing }, () => {
  it("is asked once for all elements, under the page's policy, with its cookies", async () => {
    const seen = [];
    on.server.route("/my/token", (request) => {
      seen.push(request.headers.cookie);
      on.server.tokens.set("a", "fresh").set("b", "fresh");
      return [200, { token: "fresh", expires_in: 3600 }];
    });
    on.server.tokens.set("a", "good").set("b", "good");
    on.server.state("a", RUNNING);
    on.server.state("b", RUNNING);
    const { page, faults } = await on.visit("");
    await page.context().addCookies([{ name: "session", value: "mine", url: on.server.url }]);
    await page.evaluate((html) => {
      for (const [job, token] of html) {
        const made = document.createElement("task-progress");
        made.setAttribute("token", token);
        made.tokenUrl = "/my/token";
        made.job = job;
        document.querySelector("main").append(made);
      }
    }, [["a", "old"], ["b", "old"]]);
    await shows(page, "a", "43%");
    await shows(page, "b", "43%");
    assert.deepEqual(seen, ["session=mine"]);
    assert.deepEqual(faults, []);
  });

  it("that gives nothing shows that the link has expired", async () => {
    on.server.route("/my/token", () => [200, { token: null }]);
    on.server.tokens.set("a", "good");
    const { page } = await on.visit(element("a", 'token="old" token-url="/my/token"'));
    await shows(page, "a", "Link expired");
  });

  it("that is no address of the web is told", async () => {
    const { page, faults } = await on.visit(element("a", 'token-url="javascript:window.hacked=1"'));
    await shows(page, "a", "token-url must start with http");
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.deepEqual(faults, []);
  });
});
