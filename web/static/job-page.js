/** The page of one job: the widget is live, and the server draws the rest anew as the job moves on. */

const SOONEST_MS = 1500;
const widget = document.getElementById("progress");
const live = document.getElementById("live");
let { drawn } = live.dataset;
let timer;

/** Times in the reader's own zone. */
const localise = () => {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const at = new Date(Number(time.dataset.at) * 1000);
    if (Number.isNaN(at.getTime())) continue;
    time.dateTime = at.toISOString();
    time.textContent = at.toLocaleTimeString();
    time.title = at.toLocaleString();
  }
};

const toTheEnd = () => {
  for (const list of document.querySelectorAll("[data-at-end]")) list.scrollTop = list.scrollHeight;
};

/** As a document: text that becomes markup is what this page's policy forbids. */
const fetched = () =>
  new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.href);
    request.responseType = "document";
    request.onload = () => resolve(request.status === 200 ? request.responseXML : null);
    request.onerror = () => resolve(null);
    request.send();
  });

/** Puts what the server draws now into the page, a section at a time, so that nobody loses their place. */
const redraw = async () => {
  timer = undefined;
  const fresh = (await fetched())?.getElementById("live");
  if (!fresh) return;
  const list = live.querySelector(".event-list");
  const atEnd = !list || list.scrollHeight - list.scrollTop - list.clientHeight < 8;
  const top = list?.scrollTop ?? 0;
  const focused = document.activeElement?.getAttribute("aria-label");
  live.replaceChildren(...fresh.childNodes);
  localise();
  const now = live.querySelector(".event-list");
  if (now) now.scrollTop = atEnd ? now.scrollHeight : top;
  if (focused) live.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
};

const redrawSoon = (state) => {
  // What changes the picture is told at once, the rest in its time.
  const at = `${state.state} ${state.run} ${state.stage ?? "None"}`;
  const changed = at !== drawn;
  drawn = at;
  if (changed) clearTimeout(timer);
  if (changed || timer === undefined) timer = setTimeout(redraw, changed ? 50 : SOONEST_MS);
};

const share = async (box) => {
  const [field, told] = [box.querySelector("input"), box.querySelector(".told")];
  const response = await fetch(box.action, { method: "POST" }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (!response?.ok) {
    told.textContent = answer?.message ?? "The web node doesn't answer.";
    return;
  }
  const address = new URL(location.pathname, location.href);
  address.searchParams.set("token", answer.token);
  field.value = address.href;
  field.hidden = false;
  field.select();
  try {
    await navigator.clipboard.writeText(address.href);
    told.textContent = "Copied. Who has it sees this job for an hour.";
  } catch {
    told.textContent = "Copy it from here. Who has it sees this job for an hour.";
  }
};

widget.addEventListener("progress", ({ detail }) => redrawSoon(detail));
widget.addEventListener("bridge:event", () => widget.state && redrawSoon(widget.state));
const box = document.getElementById("share");
box?.addEventListener("submit", (event) => {
  event.preventDefault();
  share(box);
});
// What the server drew inside it was for who has no script.
customElements.whenDefined("task-progress").then(() => widget.replaceChildren());
localise();
toTheEnd();
import("/bridge/task-progress.js").catch(() => {});
