/** The page `/`: start jobs and show them. */

import { JobCard } from "./job-card.js";
import { sampleFiles } from "./samples.js";

const $ = (id) => document.getElementById(id);

/** Says something that concerns the whole page. */
const notify = (text) => {
  $("notice").textContent = text;
  $("notice").hidden = false;
};

/** Puts a job that has just begun on top of the others. */
const show = (entry) => {
  const element = $("job").content.firstElementChild.cloneNode(true);
  new JobCard(element).begin(entry);
  $("jobs").prepend(element);
  $("empty").hidden = true;
  $("all-jobs").hidden = false;
  return element;
};

/** Sends a form as its job wants it: files as a form, all else as JSON. */
const request = (form) => {
  const data = new FormData(form);
  if (form.enctype === "multipart/form-data") return { method: "POST", body: data };
  const numeric = (name) => form.elements[name].type === "number";
  const values = [...data].map(([name, value]) => [name, numeric(name) ? Number(value) : value]);
  return {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(Object.fromEntries(values)),
  };
};

/** What is wrong with the files before they are sent: a refused upload says nothing in most browsers. */
const tooLarge = (form) => {
  const limit = Number(form.dataset.maxBytes);
  const files = [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (!limit || size < limit) return "";
  return `These are ${Math.ceil(size / 2 ** 20)} MiB, ${limit / 2 ** 20} MiB may be sent: choose smaller files.`;
};

const send = async (form) => {
  const fault = tooLarge(form);
  if (fault) throw new Error(fault);
  let response;
  try {
    response = await fetch(form.action, request(form));
  } catch {
    throw new Error("The web node doesn't answer. Is it running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message ?? `The web node answered ${response.status}.`);
  return answer;
};

/** What this job works on, for people who start several. */
const subject = (form) => {
  const names = [...form.querySelectorAll("input[type=file]")].flatMap((i) => [...i.files]).map((f) => f.name);
  if (names.length) return names.length > 3 ? `${names.length} files` : names.join(", ");
  return [...form.querySelectorAll("input, select")].map((i) => `${i.labels[0].textContent}: ${i.value}`).join(", ");
};

const start = async (form) => {
  const button = form.querySelector("[type=submit]");
  const wrong = form.querySelector(".wrong");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  button.textContent = "Starting…";
  wrong.hidden = true;
  try {
    const { job, token } = await send(form);
    const card = show({ job, token, title: form.dataset.title, subject: subject(form) });
    card.scrollIntoView({ block: "nearest", behavior: "smooth" });
  } catch (error) {
    wrong.textContent = error.message;
    wrong.hidden = false;
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = "Start";
  }
};

/** Shows one tab's panel and hides the others. */
const select = (tab) => {
  for (const each of document.querySelectorAll("[role=tab]")) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", String(chosen));
    each.tabIndex = chosen ? 0 : -1;
    $(each.getAttribute("aria-controls")).hidden = !chosen;
  }
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  // A reload, or whoever gets the address, sees the same one.
  history.replaceState(null, "", `?show=${tab.id.replace("tab-", "")}`);
};

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

const moveAlongTabs = (event) => {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const here = tabs.indexOf(event.target);
  const ends = { Home: 0, End: tabs.length - 1 };
  const next = ends[event.key] ?? (here + STEPS[event.key] + tabs.length) % tabs.length;
  if (here < 0 || Number.isNaN(next)) return;
  event.preventDefault();
  select(tabs[next]);
  tabs[next].focus();
};

const fillIn = (button) => {
  const chosen = new DataTransfer();
  for (const file of sampleFiles(button.dataset.sample)) chosen.items.add(file);
  button.closest(".field").querySelector("input").files = chosen.files;
};

for (const form of document.querySelectorAll("form[data-job]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start(form);
  });
}
for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => select(tab));
for (const button of document.querySelectorAll("[data-sample]")) button.addEventListener("click", () => fillIn(button));
document.querySelector("[role=tablist]").addEventListener("keydown", moveAlongTabs);
for (const element of document.querySelectorAll(".job")) new JobCard(element);
import("/bridge/task-progress.js").catch(() => {
  notify("The widget could not be loaded: build it with “make demo”, then reload this page.");
});
