/** The recipes of docs/widget.md, as they are, in a real Chromium. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { until } from "../contract-server.js";
import { host, it, missing, shows, stage } from "./page.js";

const on = stage();
const RECIPES = new URL("../../recipes/", import.meta.url);
const POLICY = { "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self' ws:; style-src 'self'" };

/** As a page's own bundler would; the widget is loaded from the node. */
const bundled = async (name) => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(name, RECIPES))],
    bundle: true, write: false, format: "esm", jsx: "automatic", external: ["/bridge/*"],
    define: { "process.env.NODE_ENV": '"production"', __VUE_OPTIONS_API__: "false", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
  });
  return outputFiles[0].text;
};
const visit = async (path) => {
  const { page, faults } = await on.visit("");
  await page.goto(on.server.url + path);
  return { page, faults };
};
const start = () => on.server.state("a", { state: "PROGRESS", current: 3, total: 10, unit: "rows" });
const reads = (page, selector, words) => until(async () => (await page.locator(selector).textContent({ timeout: 5000 })) === words, words);

describe("the recipe for", { skip: missing }, () => {
  it("plain HTML", async () => {
    on.server.page("/plain.html", new URL("plain.html", RECIPES), POLICY);
    on.server.page("/recipes/plain.js", new URL("plain.js", RECIPES));
    start();
    const { page, faults } = await visit("/plain.html");
    await shows(page, "a", "30%");
    on.server.state("a", { state: "SUCCESS", current: 10 });
    await reads(page, "#told", "a has ended after 10 rows");
    assert.deepEqual(faults, []);
  });

  it("another language, by the nearest lang", async () => {
    on.server.page("/german.html", `<!doctype html><html lang="de-DE"><title>Aufgaben</title><script type="module" src="/german-page.js"></script>
      <task-progress job="a"></task-progress><task-list jobs="a" token="t"></task-list><p lang="en"><task-progress job="b"></task-progress></p></html>`, POLICY);
    on.server.page("/german.js", new URL("german.js", RECIPES));
    on.server.page("/german-page.js", 'import { TaskProgress } from "/bridge/task-progress.js"; import { GERMAN } from "/german.js"; TaskProgress.languages = { de: GERMAN };');
    for (const job of ["a", "b"]) on.server.state(job, { state: "PROGRESS", current: 3200, total: 8100, unit: "rows", rate: 41, eta: 119 });
    const { page, faults } = await visit("/german.html");
    await shows(page, "a", "Läuft");
    const figures = async (job) => (await host(page, job).locator(".figures").textContent()).replaceAll("\u00a0", " ");
    assert.equal(await figures("a"), "3.200 von 8.100 Zeilen, 41 Zeilen/s, noch 2 Min.");
    await until(() => page.locator("task-list").evaluate((each) => each.shadowRoot.textContent.includes("0 von 1 beendet")));
    await shows(page, "b", "Running");
    assert.equal(await figures("b"), "3,200 of 8,100 rows, 41 rows/s, 2 min left");
    assert.deepEqual(faults, []);
  });

  for (const [name, source] of [["React", "react.jsx"], ["Vue", "vue.js"]]) {
    it(name, async () => {
      on.server.page("/app.html", '<!doctype html><html lang="en"><title>App</title><div id="app"></div><script type="module" src="/bridge/task-progress.js"></script><script type="module" src="/app.js"></script></html>', POLICY);
      on.server.page("/app.js", await bundled(source));
      start();
      const { page, faults } = await visit("/app.html");
      await reads(page, "#rows", "3 of 10 rows");
      on.server.state("a", { current: 7 });
      await reads(page, "#rows", "7 of 10 rows");
      await shows(page, "a", "70%");
      assert.equal(on.server.connections, 1, "the hook and the element share it");
      on.server.state("a", { state: "SUCCESS", current: 10 });
      await reads(page, "#done", "Done");
      assert.deepEqual(faults, []);
    });
  }

  it("htmx", async () => {
    on.server.page("/htmx.html", new URL("htmx.html", RECIPES), POLICY);
    on.server.page("/recipes/htmx.js", new URL("../../node_modules/htmx.org/dist/htmx.min.js", import.meta.url));
    on.server.page("/recipes/start", '<task-progress job="a" token="t"></task-progress>');
    on.server.page("/recipes/result", "<p>10 rows are in</p>");
    start();
    const { page, faults } = await visit("/htmx.html");
    await page.getByRole("button", { name: "Start" }).click();
    await shows(page, "a", "30%");
    on.server.state("a", { state: "SUCCESS", current: 10 });
    await reads(page, "#result", "10 rows are in");
    assert.deepEqual(faults, []);
  });
});
