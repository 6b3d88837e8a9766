/** What every browser test needs: Chromium, a contract server, pages under a strict policy, axe-core, pictures. */

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { ContractServer, until } from "../contract-server.js";
import { assertStructure } from "./structure.js";

const POLICY = "default-src 'none'; script-src 'self'; connect-src 'self' ws:; style-src 'self'; img-src data:; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const BUILT = new URL("../../../static/", import.meta.url);
const AXE = new URL("../../node_modules/axe-core/axe.min.js", import.meta.url);
const PICTURES = new URL("../../../../test-artefacts/", import.meta.url);

const STYLE = `
  :root { color-scheme: light dark; }
  body { margin: 0; font-family: system-ui, sans-serif; background: light-dark(#f5f6f8, #0d0f12); }
  h1 { margin: 0; font-size: 1rem; color: light-dark(#191c20, #eceef1); }
  main { padding: 16px; display: grid; gap: 12px; max-width: 640px; }
  main.rings { grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); }
  h1 { grid-column: 1 / -1; }
`;

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why these tests can't run here; on a build machine they must. */
export const missing =
  existsSync(CHROMIUM) || process.env.CI === "true" ? false : `needs Chromium at ${CHROMIUM}, or where CHROMIUM says`;

/** A test that ends in time, whatever happens. */
export const it = (name, run, timeout = 20_000) => test(name, { timeout }, run);

export const launch = (more = []) =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", ...more],
  });

export const serve = async (port = 0, options = {}) => {
  const server = await new ContractServer(options).listen(port);
  server.page("/page.css", STYLE);
  for (const name of readdirSync(BUILT)) {
    if (name.endsWith(".js")) server.page(`/bridge/${name}`, new URL(name, BUILT));
  }
  server.page("/favicon.ico", "");
  return server;
};

const document = (body, { lang = "en", dir = "ltr", main = "" }) => `<!doctype html>
<html lang="${lang}" dir="${dir}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Test</title>
<link rel="stylesheet" href="/page.css"><script type="module" src="/bridge/task-progress.js"></script></head>
<body><main class="${main}">${body}</main></body></html>`;

/** Opens a page with this body; `faults` collects what the console complains about. */
export const open = async (browser, server, body, { lang, dir, main, ...options } = {}) => {
  server.page("/", document(body, { lang, dir, main }), { "content-security-policy": POLICY });
  const context = await browser.newContext({ viewport: { width: 680, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  await page.goto(server.url);
  return { page, faults };
};

/**
 * Registers the hooks of one test file: one browser, a server and pages of its own for each test.
 *
 * @returns {{server: ContractServer, browser: import("playwright-core").Browser, visit: Function}}
 */
export const stage = () => {
  const contexts = [];
  const on = {
    browser: undefined,
    server: undefined,
    visit: async (body, options) => {
      const opened = await open(on.browser, on.server, body, options);
      contexts.push(opened.page.context());
      return opened;
    },
  };
  before(async () => {
    if (!missing) on.browser = await launch();
    await mkdir(PICTURES, { recursive: true });
  });
  after(() => on.browser?.close());
  beforeEach(async () => {
    on.server = await serve();
  });
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    await on.server.close();
  });
  return on;
};

export const element = (job, more = "") => `<task-progress job="${job}" ${more}></task-progress>`;
export const host = (page, job) => page.locator(`task-progress[job="${job}"]`);
export const bar = (page, job) => host(page, job).locator(".bar").first();
export const button = (page, job, name = /^Cancel/) => host(page, job).getByRole("button", { name });
export const spoken = (page, job) => host(page, job).locator(".spoken").textContent();
export const text = (page, job) => host(page, job).evaluate((each) => each.shadowRoot?.querySelector(".frame")?.innerText ?? "");
export const shows = (page, job, words) => until(async () => (await text(page, job)).includes(words), `${job} shows ${words}`);

/** What axe-core finds, as [rule, elements]. */
export const axe = async (page) => {
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html, any }) => [html, any[0]?.message])]);
};

export const assertAccessible = async (page) => assert.deepEqual(await axe(page), []);

/** Keeps a picture among the test's artefacts, and compares what it shows with `structure/<structure>.yml`. */
export const picture = async (page, name, structure = name) => {
  await page.screenshot({ path: new URL(`widget-${name}.png`, PICTURES).pathname, fullPage: true });
  await assertStructure(page, structure);
};
