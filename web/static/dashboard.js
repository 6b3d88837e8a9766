/** The page `/jobs`: all jobs of the visitor, live. */

import { AddressFilter } from "./address-filter.js";
import { age, amount, counts, partOf, percent, plain, rate, text } from "./figures.js";
import { JobFeed } from "./job-feed.js";
import { groupOf, isOpen, JobLines, noteOf } from "./job-lines.js";
import { inOrder, nameOf, orderBy } from "./order.js";
import { drawThroughput } from "./throughput.js";
import { WindowRows } from "./window-rows.js";

const $ = (id) => document.getElementById(id);
const table = $("table");
const everyone = "everyone" in table.dataset;
const lines = new JobLines(JSON.parse(table.dataset.titles));
const filter = new AddressFilter();
const words = new Map([...document.querySelectorAll("#chips [data-group]")].map((chip) => [chip.dataset.group, chip.dataset.word]));
/** Jobs that somebody here has asked to stop. */
const stopping = new Set();
let frame = 0;
let complete = false;

const put = (row, selector, value) => {
  const element = row.querySelector(selector);
  if (element.textContent !== value) element.textContent = value;
  return element;
};

const mark = (element, name, value) => {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

const notify = (said) => {
  $("notice").textContent = said;
  $("notice").hidden = !said;
};

const fill = (row, record) => {
  const group = groupOf(record);
  const part = partOf(record.current, record.total);
  const began = record.queued_at ?? record.started_at;
  row.dataset.group = group;
  mark(row.querySelector(".state use"), "href", `#icon-${group}`);
  put(row, ".word", words.get(group));
  const link = put(row, ".title", lines.titleOf(record));
  mark(link, "href", `/jobs/${encodeURIComponent(record.job)}`);
  put(row, ".user", everyone ? text(record.user).slice(0, 12) : "");
  put(row, ".note", noteOf(record));
  put(row, ".id", record.job.slice(0, 8));
  mark(row.querySelector(".fill"), "width", String((part ?? 0) * 100));
  put(row, ".percent", percent(part));
  put(row, ".amount", amount(record.current, group === "done" ? null : record.total, record.unit));
  put(row, ".worker", text(record.worker));
  put(row, ".queue", text(record.queue));
  put(row, ".rate", group === "running" ? rate(record.rate, record.unit) : "");
  put(row, ".tries", record.run || record.attempt ? plain((record.attempt ?? 0) + 1) : "");
  put(row, ".age time", counts(began) ? age(Date.now() / 1000 - began) : "");
  fillCancel(row, record);
};

const fillCancel = (row, record) => {
  const open = isOpen(record);
  if (!open) stopping.delete(record.job);
  const button = put(row, ".cancel", stopping.has(record.job) ? "Cancelling…" : "Cancel");
  // Whose button goes away is still on that row.
  if (!open && button === document.activeElement) row.querySelector(".title").focus({ preventScroll: true });
  button.hidden = !open;
  mark(button, "aria-label", `${button.textContent} ${lines.titleOf(record)}`);
};

const rows = new WindowRows($("rows"), () => $("row").content.firstElementChild.cloneNode(true), fill);

const show = () => {
  frame = 0;
  if (!lines.size && !complete) return;
  const { shown, counts: groups, found } = lines.matching(filter);
  rows.show(inOrder(shown, filter.order, (record) => lines.titleOf(record)));
  showOrder();
  mark(table, "aria-rowcount", String(complete ? shown.length + 1 : -1));
  for (const chip of document.querySelectorAll("#chips a")) {
    const group = chip.dataset.group;
    const count = group ? (groups[group] ?? 0) : found;
    put(chip, ".count", `${plain(count)}${complete ? "" : "+"}`);
    chip.parentElement.hidden = Boolean(group) && !count && filter.group !== group;
    chip.href = filter.address({ group });
    if (filter.group === group) chip.setAttribute("aria-current", "true");
    else chip.removeAttribute("aria-current");
  }
  $("nothing").hidden = shown.length > 0 || !complete;
  document.querySelector(".none-yet").hidden = lines.size > 0;
  document.querySelector(".none-found").hidden = lines.size === 0;
  put(document, "#told", `${plain(shown.length)} jobs shown`);
  drawThroughput($("throughput"), lines.all, Date.now() / 1000);
};

const showOrder = () => {
  const { column, falling } = filter.order;
  for (const link of document.querySelectorAll(".titles a")) {
    const by = link.dataset.column;
    link.href = filter.address({ sort: orderBy(filter.order, by) });
    if (by === column) mark(link.parentElement, "aria-sort", falling ? "descending" : "ascending");
    else link.parentElement.removeAttribute("aria-sort");
  }
  $("sort").value = nameOf(filter.order);
};

const showSoon = () => {
  frame ||= requestAnimationFrame(show);
};

const cancel = async (job) => {
  stopping.add(job);
  rows.refresh();
  const response = await fetch(`/bridge/jobs/${encodeURIComponent(job)}/cancel`, { method: "POST" }).catch(() => null);
  if (response?.ok || response?.status === 409) return;
  stopping.delete(job);
  const answer = await response?.json().catch(() => null);
  notify(`Not cancelled: ${answer?.message ?? "the web node doesn't answer."}`);
  rows.refresh();
};

const feed = new JobFeed({ everyone, visitor: table.dataset.visitor });
feed.addEventListener("records", ({ detail }) => {
  if (detail.map((record) => lines.take(record)).some(Boolean)) showSoon();
});
feed.addEventListener("complete", () => {
  complete = true;
  showSoon();
});
feed.addEventListener("line", ({ detail: online }) => {
  notify(online ? "" : "Reconnecting… This is what was known last.");
});

$("filter").addEventListener("submit", (event) => event.preventDefault());
$("q").addEventListener("input", () => filter.search($("q").value));
/** Links whose page is this one; a new tab or window is the browser's. */
const follow = (selector, go) => {
  for (const link of document.querySelectorAll(selector)) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      go(link.dataset);
    });
  }
};
follow("#chips a", ({ group }) => filter.choose(group));
follow(".titles a", ({ column }) => filter.sort(orderBy(filter.order, column)));
$("sort").addEventListener("change", () => filter.sort($("sort").value));
$("clear").addEventListener("click", (event) => {
  event.preventDefault();
  filter.clear();
  $("q").focus();
});
filter.addEventListener("change", () => {
  if ($("q").value.trim() !== filter.query) $("q").value = filter.query;
  showSoon();
});
$("rows").addEventListener("click", ({ target }) => {
  const button = target.closest(".cancel");
  if (button) cancel(button.closest("[data-job]").dataset.job);
});
setInterval(() => rows.refresh(), 1000);
feed.start();
