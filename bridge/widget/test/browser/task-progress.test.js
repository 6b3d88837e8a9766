/** `<task-progress>` in a real Chromium, under a strict Content-Security-Policy. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { gzipSync } from "node:zlib";
import { until } from "../contract-server.js";
import { assertAccessible, bar, button, element, host, it, missing, picture, serve, shows, spoken, stage, text } from "./page.js";
import { STATES, elements, prepare } from "./states.js";

const on = stage();

/** Collects the events that reach the document, by type and detail. */
const listen = (page, names) =>
  page.evaluate((all) => {
    window.heard = [];
    for (const name of all) document.addEventListener(name, ({ type, detail }) => window.heard.push([type, detail]));
  }, names);
const heard = (page) => page.evaluate(() => window.heard);

const HEADING = "<h1>Jobs</h1>";
const PHONE = { viewport: { width: 320, height: 800 } };

describe("each state", { skip: missing }, () => {
  it("is told in words, a sign and the bar's values, without a complaint of the console", async () => {
    prepare(on.server);
    const { page, faults } = await on.visit(elements("card"));
    const signs = new Map();
    for (const [job, { tone, words, now }] of Object.entries(STATES)) {
      for (const word of words) await shows(page, job, word);
      assert.equal(await bar(page, job).getAttribute("aria-valuenow"), now, job);
      assert.ok((await bar(page, job).getAttribute("aria-valuetext")).length > 3, job);
      assert.ok(await bar(page, job).getAttribute("aria-label"), job);
      assert.equal(await host(page, job).locator(".frame").getAttribute("data-tone"), tone);
      signs.set(tone, await host(page, job).locator("svg.icon").first().innerHTML());
    }
    assert.equal(new Set(signs.values()).size, signs.size, "no two tones share a sign");
    assert.deepEqual(faults, []);
  });

  it("is told apart when it is the line that is down", async () => {
    prepare(on.server, ["running", "waiting", "success"]);
    const { page } = await on.visit(HEADING + elements("card", ["running", "waiting", "success"]));
    await shows(page, "running", "39%");
    const { port } = on.server;
    await on.server.close();
    await shows(page, "running", "last known: Running");
    await shows(page, "running", "39%");
    await shows(page, "waiting", "last known: Waiting to start");
    await shows(page, "success", "Done");
    await assertAccessible(page);
    await picture(page, "offline");
    on.server = await serve(port);
  });

  it("is drawn by one file of less than 25 kB gzipped, in each size, with its details", async () => {
    prepare(on.server);
    const { page } = await on.visit(["card", "bar", "row", "ring"].map((size) => elements(size)).join(""));
    const loaded = [];
    page.on("response", (response) => response.url().includes("/bridge/") && loaded.push(response));
    await page.reload();
    await page.evaluate(() => document.querySelectorAll("task-progress").forEach((each) => (each.open = true)));
    await page.waitForFunction(() =>
      [...document.querySelectorAll("task-progress")].every(({ shadowRoot }) => ["", "Connecting…", undefined].indexOf(shadowRoot.querySelector(".status")?.textContent) < 0),
    );
    assert.deepEqual(loaded.map((response) => new URL(response.url()).pathname), ["/bridge/task-progress.js"]);
    assert.ok(gzipSync(await loaded[0].body(), { level: 9 }).length < 25_000);
  });

  it("leaves in sight what the page put into it until it has something to show", async () => {
    on.server.state("a", { state: "PROGRESS", current: 1, total: 4 });
    const { page } = await on.visit(element("a").replace("><", "><span>drawn by the server</span><"));
    await shows(page, "a", "25%");
    const words = page.locator("task-progress > span");
    assert.equal(await words.isVisible(), false);
    let held;
    await page.route("**/task-progress.js", (route) => (held = route));
    await page.reload({ waitUntil: "commit" });
    await words.waitFor({ state: "visible" });
    await until(() => held, "the widget is asked for");
    await held.continue();
    await shows(page, "a", "25%");
    assert.equal(await words.isVisible(), false);
  });

  it("comes back at once when the browser does, also over a line that only seems to stand", async () => {
    on.server.state("a", { state: "PROGRESS", current: 1, total: 4 });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "25%");
    const asked = () => on.server.requests.filter(([kind]) => kind === "watch").length;
    const before = asked();
    await page.evaluate(() => dispatchEvent(new Event("focus")));
    assert.equal(on.server.connections, 1, "a line that stands is left alone");
    await page.evaluate(() => dispatchEvent(new Event("online")));
    await until(() => asked() === before + 1, "it asks again");
    await page.context().setOffline(true);
    on.server.state("a", { state: "SUCCESS", current: 4, total: 4 });
    await page.context().setOffline(false);
    await shows(page, "a", "Done");
    await until(() => on.server.connections === 1, "one connection");
  });

  const LOOKS = {
    light: { media: { colorScheme: "light" } }, dark: { media: { colorScheme: "dark" }, like: "light" },
    phone: { media: { colorScheme: "light" }, width: 320 }, forced: { media: { forcedColors: "active" }, width: 320, like: "phone" },
  };
  for (const [size, options, looks] of [
    ["card", {}, LOOKS], ["bar", {}, LOOKS], ["row", {}, LOOKS], ["ring", { main: "rings" }, LOOKS], ["card", { lang: "ar", dir: "rtl" }, { rtl: {} }], ["row", { lang: "ar", dir: "rtl" }, { rtl: {} }],
  ]) {
    it(`is accessible, of one height and within the page: ${size}, ${Object.keys(looks).join(", ")}`, async () => {
      on.server.actions = ["watch", "cancel"];
      prepare(on.server);
      const { page } = await on.visit(HEADING + elements(size), options);
      await shows(page, "failure", "Failed");
      await until(async () => (await host(page, "expired").locator(".status").textContent()) === "Link expired");
      for (const [name, { media = {}, width = 680, like }] of Object.entries(looks)) {
        await page.emulateMedia(media);
        await page.setViewportSize({ width, height: 900 });
        const heights = await page.evaluate(() => [...document.querySelectorAll("task-progress")].map((each) => each.getBoundingClientRect().height));
        assert.equal(new Set(heights).size, 1, String(heights));
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
        await assertAccessible(page);
        await picture(page, `${size}-${name}`, `${size}-${like ?? name}`);
      }
    }, 40_000);
  }

  it("has its dots between its texts, also from right to left", async () => {
    const jobs = ["running", "stages", "retrying", "failure", "lost"];
    prepare(on.server, jobs);
    const { page } = await on.visit(elements("card", jobs), { dir: "rtl" });
    for (const job of jobs) {
      await shows(page, job, STATES[job].words.at(-1));
      const gap = await host(page, job).evaluate(({ shadowRoot }) => {
        const told = [...shadowRoot.querySelectorAll(".telling > span:not(.status)")].find((each) => each.checkVisibility() && each.textContent);
        return shadowRoot.querySelector(".status").getBoundingClientRect().left - told.querySelector("span").getBoundingClientRect().right;
      });
      assert.ok(gap > 4, `${job}: ${gap}`);
    }
  });

  it("keeps its label beside what the page adds, however narrow", async () => {
    prepare(on.server, ["running"]);
    on.server.actions = ["watch", "cancel"];
    const { page } = await on.visit(element("running", 'token="good"').replace("></", '><a slot="actions" href="/">Download what there is already</a></'), PHONE);
    await button(page, "running").waitFor();
    for (const size of ["row", "card", "bar"]) {
      await host(page, "running").evaluate((each, value) => (each.size = value), size);
      const [label, added, cancel] = await host(page, "running").evaluate((each) => [".label", "a", ".cancel"].map((selector) => (each.querySelector(selector) ?? each.shadowRoot.querySelector(selector)).getBoundingClientRect().width));
      assert.ok(label > 60 && added > 30 && cancel >= 28, `${size}: ${label}, ${added}, ${cancel}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, size);
    }
    await host(page, "running").evaluate((each) => (each.size = "row"));
    await picture(page, "row-actions");
  });

  it("fits into 200 px, however long its words", async () => {
    for (const [job, { of }] of Object.entries(STATES)) if (of) on.server.state(job, { ...of(), message: "a-long-word-".repeat(20) });
    const { page } = await on.visit(elements("card"), PHONE);
    await shows(page, "failure", "line 7");
    await page.setViewportSize({ width: 200, height: 600 });
    for (const size of ["card", "bar", "row"]) {
      await page.evaluate((value) => document.querySelectorAll("task-progress").forEach((each) => (each.size = value)), size);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 200, size);
    }
  });

  it("keeps its place from the first moment to the end", async () => {
    on.server.actions = ["watch", "cancel"];
    const { page } = await on.visit(`${element("a")}<p>below</p>`);
    await shows(page, "a", "Waiting for news");
    const places = () => page.evaluate(() => {
      const root = document.querySelector("task-progress").shadowRoot;
      const place = (each) => Object.values(each.getBoundingClientRect().toJSON()).join();
      const start = (selector) => [root.querySelector(selector).getBoundingClientRect()].map(({ x, y }) => `${x},${y}`).join();
      return { below: place(document.querySelector("p")), bar: place(root.querySelector(".bar")), label: start(".label"), cancel: start(".cancel") };
    });
    const first = await places();
    for (const job of ["waiting", "starting", "running", "stages", "retrying", "lost", "failure", "success"]) {
      on.server.state("a", { stage: null, message: null, unit: null, eta: null, rate: null, error: null, current: null, total: null, ...STATES[job].of() });
      await shows(page, "a", STATES[job].words[0]);
      const { cancel, ...fixed } = await places();
      assert.deepEqual(fixed, { below: first.below, bar: first.bar, label: first.label }, job);
      if (!["failure", "success"].includes(job)) {
        first.shown ??= cancel;
        assert.equal(cancel, first.shown, job);
      }
    }
  });
});

describe("details", { skip: missing }, () => {
  it("open by keyboard: stages with bars of their own", async () => {
    prepare(on.server, ["stages"]);
    const { page, faults } = await on.visit(HEADING + element("stages", 'token="good"'));
    const disclose = host(page, "stages").getByRole("button", { name: "Details" });
    await disclose.waitFor();
    assert.equal(await disclose.getAttribute("aria-expanded"), "false");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await until(async () => (await disclose.getAttribute("aria-expanded")) === "true");
    const bars = host(page, "stages").locator(".stages").getByRole("progressbar");
    assert.equal(await bars.count(), 4);
    assert.equal(await bars.nth(2).getAttribute("aria-valuenow"), "25");
    assert.equal(await bars.nth(3).getAttribute("aria-valuenow"), null);
    assert.ok(await host(page, "stages").evaluate((each) => each.open && each.hasAttribute("open")));
    await assertAccessible(page);
    await picture(page, "details-stages");
    await page.keyboard.press("Space");
    await until(async () => (await disclose.getAttribute("aria-expanded")) === "false");
    assert.deepEqual(faults, []);
  });

  it("hold the whole message of a failure, as text, to be copied", async () => {
    prepare(on.server, ["failure"]);
    const { page } = await on.visit(HEADING + element("failure", 'open token="good"'), { permissions: ["clipboard-read", "clipboard-write"] });
    const error = host(page, "failure").locator(".error p");
    await error.waitFor();
    assert.equal(await error.textContent(), `ValueError: ${STATES.failure.of().error.message}`);
    await host(page, "failure").getByRole("button", { name: "Copy" }).click();
    await until(async () => (await page.evaluate(() => navigator.clipboard.readText())) === `ValueError: ${STATES.failure.of().error.message}`);
    await assertAccessible(page);
    await picture(page, "details-failure");
  });
});

describe("the page's own", { skip: missing }, () => {
  it("content takes the places of label, result, error and actions", async () => {
    prepare(on.server, ["success", "failure"]);
    const own = '<b slot="label">My label</b><a slot="result" href="/report">Report</a><span slot="error">Ask Eve</span><button slot="actions">Mine</button>';
    const { page } = await on.visit(HEADING + ["success", "failure"].map((job) => `<task-progress job="${job}" token="good">${own}</task-progress>`).join(""));
    await shows(page, "failure", "Failed");
    const visible = (job, words) => host(page, job).getByText(words).isVisible();
    assert.deepEqual([await visible("success", "My label"), await visible("success", "Report"), await visible("success", "Ask Eve"), await visible("success", "Mine")], [true, true, false, true]);
    assert.deepEqual([await visible("failure", "Report"), await visible("failure", "Ask Eve")], [false, true]);
    await assertAccessible(page);
    await picture(page, "slots");
  });

  it("words, per page and per element; colours by custom properties, parts by ::part", async () => {
    prepare(on.server, ["success", "running"]);
    on.server.page("/page.css", "task-progress { --task-progress-success: rgb(1, 2, 3); } task-progress::part(label) { font-style: italic; }");
    const { page } = await on.visit(elements("card", ["success", "running"]));
    await page.evaluate(async () => {
      const { TaskProgress } = await import("/bridge/task-progress.js");
      TaskProgress.words = { SUCCESS: "Fertig", PROGRESS: "Läuft" };
      document.querySelector('[job="running"]').words = { PROGRESS: "Lädt", left: (time) => `noch ${time}` };
      document.querySelector('[job="success"]').words = {};
    });
    await shows(page, "success", "Fertig");
    await shows(page, "running", "Lädt");
    await shows(page, "running", "noch 2 min");
    assert.equal(await host(page, "success").locator(".status").evaluate((each) => getComputedStyle(each).color), "rgb(1, 2, 3)");
    assert.equal(await host(page, "success").locator(".label").evaluate((each) => getComputedStyle(each).fontStyle), "italic");
  });

  it("language, of the nearest parent and through shadow trees", async () => {
    on.server.state("a", { current: 1234.5, total: 9999, unit: "kg" });
    const { page } = await on.visit('<section lang="de"><div id="outer"></div></section>');
    await page.evaluate(() => {
      const made = document.createElement("task-progress");
      made.job = "a";
      document.getElementById("outer").attachShadow({ mode: "open" }).append(made);
    });
    await until(() => page.evaluate(() => document.getElementById("outer").shadowRoot.firstChild.shadowRoot.textContent.includes("1.235 of 9.999 kg")));
  });

  it("snapshot is shown before the server answers, and only until then", async () => {
    on.server.faults = [null];
    const snapshot = JSON.stringify({ job: "a", rev: 5, state: "PROGRESS", current: 7, total: 10 }).replaceAll('"', "&quot;");
    const { page } = await on.visit(element("a", `snapshot="${snapshot}"`));
    await shows(page, "a", "70%");
    on.server.state("a", { state: "SUCCESS" });
    on.server.cut();
    await shows(page, "a", "Done");
  });
});

describe("the bar", { skip: missing }, () => {
  const position = (page) => page.evaluate(() => {
    const fill = document.querySelector("task-progress").shadowRoot.querySelector(".fill").getBoundingClientRect();
    return fill.right - document.querySelector("task-progress").shadowRoot.querySelector(".bar").getBoundingClientRect().left;
  });

  it("glides between two values, and never back within a run", async () => {
    on.server.state("a", { current: 10, total: 100 });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "10%");
    await page.evaluate(() => {
      window.seen = [];
      const root = document.querySelector("task-progress").shadowRoot;
      const look = () => {
        window.seen.push(root.querySelector(".fill").getBoundingClientRect().right);
        requestAnimationFrame(look);
      };
      look();
    });
    for (const current of [30, 50, 70]) {
      on.server.state("a", { current });
      await shows(page, "a", `${current}%`);
      await page.evaluate(() => Promise.all(document.querySelector("task-progress").shadowRoot.querySelector(".fill").getAnimations().map(({ finished }) => finished)));
    }
    const seen = await page.evaluate(() => window.seen);
    assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
    assert.ok(new Set(seen).size > 6, `between the four values there are others: ${new Set(seen).size}`);
  });

  it("begins a new run at once where that stands", async () => {
    on.server.state("a", { current: 90, total: 100 });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "90%");
    const before = await position(page);
    on.server.state("a", { current: 5, run: 2, attempt: 0 });
    await shows(page, "a", "5%");
    await shows(page, "a", "started again");
    assert.ok((await position(page)) < before / 4);
    assert.equal(await page.evaluate(() => document.querySelector("task-progress").shadowRoot.querySelector(".fill").getAnimations().length), 0);
  });
});

describe("live", { skip: missing }, () => {
  it("follows the job, and re-dispatches what happens", async () => {
    on.server.state("a", { state: "STARTED" });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "Running");
    await listen(page, ["progress", "row_rejected", "bridge:event", "success", "failure"]);
    on.server.state("a", { state: "PROGRESS", current: 1, total: 2 });
    on.server.event("a", "row_rejected", { line: 7 });
    on.server.state("a", { state: "SUCCESS", current: 2 });
    await shows(page, "a", "Done");
    const events = await heard(page);
    assert.deepEqual(events.map(([type]) => type), ["progress", "bridge:event", "row_rejected", "progress", "success"]);
    assert.deepEqual(events[2][1].data, { line: 7 });
    assert.equal(events[1][1].name, "row_rejected");
    assert.equal(events[4][1].state, "SUCCESS");
  });

  it("keeps events that have a browser's own name to itself", async () => {
    const { page } = await on.visit(element("a"));
    await until(() => on.server.members("a"));
    await listen(page, ["submit", "offline", "bridge:event"]);
    await page.evaluate(() => {
      document.querySelector("task-progress").addEventListener("submit", ({ detail }) => (window.own = detail.data));
    });
    on.server.event("a", "submit", "mine");
    await until(async () => (await heard(page)).length);
    assert.deepEqual((await heard(page)).map(([type]) => type), ["bridge:event"]);
    assert.equal(await page.evaluate(() => window.own), "mine");
  });

  it("announces changes of state only", async () => {
    on.server.state("a", { state: "PROGRESS", current: 1, total: 9 });
    const { page } = await on.visit(element("a", 'label="Import"'));
    await shows(page, "a", "Running");
    const said = () => spoken(page, "a");
    assert.match(await said(), /^(Import: Running)?$/);
    on.server.state("a", { current: 5 });
    await shows(page, "a", "55%");
    assert.doesNotMatch(await said(), /55/);
    on.server.state("a", { state: "FAILURE", error: { type: "E", message: "broken" } });
    await until(async () => (await said()) === "Import: Failed, E, broken");
  });

  it("counts down to the next try", async () => {
    on.server.state("a", { state: "RETRY", attempt: 1, next_at: Date.now() / 1000 + 30 });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "Next try in");
    const first = await text(page, "a");
    await until(async () => (await text(page, "a")) !== first);
  });

  it("goes on after a reload, with the events from the first", async () => {
    on.server.event("a", "row", 1);
    on.server.state("a", { current: 7, total: 10 });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "70%");
    await page.reload();
    await shows(page, "a", "70%");
    on.server.state("a", { state: "SUCCESS", current: 10 });
    await shows(page, "a", "100%");
  });

  it("reconnects, and shows what happened meanwhile", async () => {
    on.server.state("a", { current: 1, total: 10 });
    on.server.state("done", { state: "SUCCESS" });
    const { page } = await on.visit(element("a") + element("done"));
    await shows(page, "a", "10%");
    await shows(page, "done", "Done");
    const { port } = on.server;
    await on.server.close();
    await shows(page, "a", "Reconnecting");
    assert.doesNotMatch(await text(page, "done"), /Reconnecting/);
    on.server = await serve(port);
    on.server.state("a", { state: "SUCCESS", current: 10, total: 10 });
    await shows(page, "a", "Done");
    assert.doesNotMatch(await text(page, "a"), /Reconnecting/);
  });
});

describe("the page", { skip: missing }, () => {
  it("shares one connection, whatever comes and goes", async () => {
    const { page } = await on.visit(element("a") + element("b") + element("a"));
    await until(() => on.server.members("a") && on.server.members("b"));
    assert.equal(on.server.connections, 1);
    await page.evaluate(() => document.querySelector('[job="b"]').remove());
    await until(() => on.server.members("b") === 0);
    await page.evaluate(() => {
      const late = document.createElement("task-progress");
      late.job = "c";
      document.querySelector("main").append(late);
    });
    await until(() => on.server.members("c"));
    assert.equal(on.server.connections, 1);
    await page.evaluate(() => document.querySelector("main").replaceChildren());
    await until(() => on.server.connections === 0);
  });

  it("may change job and token", async () => {
    on.server.tokens.set("b", "good");
    on.server.state("a", { current: 1, total: 4 });
    on.server.state("b", { current: 3, total: 4 });
    const { page } = await on.visit(element("a"));
    await shows(page, "a", "25%");
    await page.evaluate(() => (document.querySelector("task-progress").job = "b"));
    await shows(page, "b", "No permission");
    await page.evaluate(() => (document.querySelector("task-progress").token = "good"));
    await shows(page, "b", "75%");
    await until(() => on.server.members("a") === 0);
    await page.evaluate(() => document.querySelector("task-progress").removeAttribute("job"));
    await until(() => page.evaluate(() => document.querySelector("task-progress").shadowRoot.textContent.includes("No job to show")));
  });

  it("may move an element without a new request", async () => {
    const { page } = await on.visit(`${element("a")}<section></section>`);
    await until(() => on.server.members("a"));
    await page.evaluate(() => document.querySelector("section").append(document.querySelector("task-progress")));
    on.server.state("a", { current: 1, total: 2 });
    await shows(page, "a", "50%");
    assert.deepEqual(on.server.requests.filter(([name]) => name === "unwatch"), []);
  });

  it("may import the module twice, and use the plain API", async () => {
    on.server.state("a", { state: "SUCCESS" });
    const { page, faults } = await on.visit(element("a"));
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
    const { page, faults } = await on.visit(element("a", 'url="ftp://files.test"'));
    await shows(page, "a", "must start with http");
    assert.deepEqual(faults, []);
  });

  it("that wants little motion gets none", async () => {
    on.server.state("a", { state: "STARTED" });
    on.server.state("b", { state: "PENDING" });
    on.server.state("c", { state: "PROGRESS", current: 1, total: 2 });
    const { page } = await on.visit(element("a") + element("b", 'size="ring"') + element("c"));
    await shows(page, "a", "Running");
    await shows(page, "b", "Waiting");
    await shows(page, "c", "50%");
    // A document doesn't list what moves within shadow trees.
    const moving = (job) => host(page, job).evaluate((each) => each.shadowRoot.getAnimations().length);
    await host(page, "c").evaluate((each) => {
      window.glides = 0;
      each.shadowRoot.addEventListener("transitionrun", () => (window.glides += 1));
    });
    const glides = async (current) => {
      on.server.state("c", { current });
      await shows(page, "c", `${current * 50}%`);
      return page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(window.glides)))));
    };
    await until(async () => (await moving("a")) > 0 && (await moving("b")) > 0, "both move");
    assert.equal(await glides(1.5), 1);
    await page.emulateMedia({ reducedMotion: "reduce" });
    await until(async () => (await moving("a")) + (await moving("b")) === 0, "neither moves");
    assert.equal(await glides(2), 1, "no other one");
  });

  it("keeps up with 200 elements at 10 updates a second each, over one connection and one watch", async () => {
    const jobs = Array.from({ length: 200 }, (_, i) => `job-${i}`);
    const { page, faults } = await on.visit(jobs.map((job) => element(job)).join(""));
    await until(() => on.server.members("job-199"));
    assert.equal(on.server.connections, 1);
    assert.deepEqual(on.server.requests.map(([name, { jobs: asked }]) => [name, asked.length]), [["watch", 200]]);
    await page.evaluate(() => {
      window.long = 0;
      new PerformanceObserver((list) => (window.long += list.getEntries().length)).observe({ type: "longtask" });
    });
    // A busy machine makes any task long; so one second without is enough (bench/page.mjs measures it by CPU time).
    let free = false;
    for (let current = 1; current <= 100 && !(free && current > 20); current += 1) {
      for (const job of jobs) on.server.state(job, { current, total: 100 });
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (current % 10) continue;
      free ||= !(await page.evaluate(() => [window.long, (window.long = 0)][0]));
    }
    for (const job of jobs) on.server.state(job, { current: 100, total: 100 });
    // What is out of sight is up to date, too, though not laid out.
    for (const job of [jobs[0], jobs[199]]) await until(async () => (await host(page, job).locator(".figure").textContent()) === "100%");
    assert.ok(free, "a second without a long task");
    assert.deepEqual(faults, []);
  }, 30_000);
});
