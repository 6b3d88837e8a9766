/**
 * 200 elements on one page, each updated ten times a second: does Chromium's main thread stay free?
 *
 * Reads Chromium's own trace: how long the tasks of the page's main thread took, and how many frames
 * were drawn. `cpu` is what a task used itself, whatever else the machine was doing.
 *
 *     npm run bench
 */

import { until } from "../test/contract-server.js";
import { launch, open, serve } from "../test/browser/page.js";

const JOBS = Number(process.env.JOBS ?? 200);
const PER_SECOND = 10;
const SECONDS = Number(process.env.SECONDS ?? 10);
const LONG_MS = 50;

const browser = await launch();
const server = await serve();
const jobs = Array.from({ length: JOBS }, (_, n) => `job-${n}`);
const state = (n) => ({ task: "shop.import_orders", current: n, total: SECONDS * PER_SECOND, unit: "rows", rate: 41.5 + (n % 7), eta: SECONDS - n / PER_SECOND, message: `orders-${n}.csv` });
for (const job of jobs) server.state(job, state(0));

const { page } = await open(browser, server, "<h1>Jobs</h1>");
await browser.startTracing(page, { categories: ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline.frame", "benchmark"] });
await page.evaluate((all) => {
  window.frames_drawn = 0;
  const count = () => requestAnimationFrame(() => (window.frames_drawn += 1, count()));
  count();
  document.querySelector("main").append(...all.map((job) => Object.assign(document.createElement("task-progress"), { job })));
}, jobs);
await until(() => server.members(jobs.at(-1)));
const start = Date.now();
const before = await page.evaluate(() => window.frames_drawn);
for (let n = 1; n <= SECONDS * PER_SECOND; n += 1) {
  for (const job of jobs) server.state(job, state(n));
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, start + (n * 1000) / PER_SECOND - Date.now())));
}
const seconds = (Date.now() - start) / 1000;
const frames = (await page.evaluate(() => window.frames_drawn)) - before;
await until(() => page.evaluate(() => [...document.querySelectorAll("task-progress")].every((each) => each.shadowRoot.querySelector(".figure").textContent === "100%")), "all at 100%", 30_000);
const { traceEvents } = JSON.parse(await browser.stopTracing());
await browser.close();
await server.close();

const renderers = new Map();
for (const { name, args, pid, tid } of traceEvents) if (name === "thread_name" && args.name === "CrRendererMain") renderers.set(`${pid} ${tid}`, []);
for (const { name, pid, tid, dur, tdur } of traceEvents) {
  if (/RunTask$|ThreadControllerImpl::RunTask/.test(name) && dur) renderers.get(`${pid} ${tid}`)?.push({ wall: dur / 1000, cpu: (tdur ?? dur) / 1000 });
}
const tasks = [...renderers.values()].sort((a, b) => b.length - a.length)[0] ?? [];
const longest = (kind) => Math.max(0, ...tasks.map((task) => task[kind])).toFixed(1);
const over = (kind) => tasks.filter((task) => task[kind] > LONG_MS).length;
const busy = (tasks.reduce((sum, { cpu }) => sum + cpu, 0) / 10 / seconds).toFixed(0);
const watches = server.requests.filter(([name]) => name === "watch").length;
console.log(
  `${JOBS} elements, ${PER_SECOND} updates/s each, ${seconds.toFixed(1)} s in ${browser.version()}: ${tasks.length} tasks of the main thread, ` +
    `longest ${longest("cpu")} ms of CPU (${longest("wall")} ms of time), over ${LONG_MS} ms: ${over("cpu")} (${over("wall")}), ` +
    `main thread busy ${busy} %, ${(frames / seconds).toFixed(0)} frames/s, ${watches} watch message(s)`,
);
process.exitCode = over("cpu") ? 1 : 0;
