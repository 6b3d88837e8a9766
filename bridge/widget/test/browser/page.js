/** Chromium with a page under a strict policy, on a contract server. */

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { ContractServer } from "../contract-server.js";

const POLICY = "default-src 'none'; script-src 'self'; connect-src 'self' ws:; style-src 'self'; base-uri 'none'; require-trusted-types-for 'script'";
const BUILT = new URL("../../../static/task-progress.js", import.meta.url);

const STYLE = `
  :root { color-scheme: light dark; }
  body { margin: 0; padding: 16px; display: grid; gap: 12px; max-width: 640px; font-family: system-ui, sans-serif;
         background: light-dark(#f4f6f8, #0e1013); }
`;

const document = (body) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Test</title>
<link rel="stylesheet" href="/page.css"><script type="module" src="/bridge/task-progress.js"></script></head>
<body><main>${body}</main></body></html>`;

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why these tests can't run here; on a build machine they must. */
export const missing =
  existsSync(CHROMIUM) || process.env.CI === "true" ? false : `needs Chromium at ${CHROMIUM}, or where CHROMIUM says`;

export const launch = () =>
  chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
  });

export const serve = async (port = 0) => {
  const server = await new ContractServer().listen(port);
  server.page("/page.css", STYLE.replace("body {", "main {") + "body { margin: 0; background: light-dark(#f4f6f8, #0e1013); }");
  server.page("/bridge/task-progress.js", BUILT);
  server.page("/favicon.ico", "");
  return server;
};

/** Opens a page with this body; `faults` collects what the console complains about. */
export const open = async (browser, server, body, options = {}) => {
  server.page("/", document(body), { "content-security-policy": POLICY });
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
