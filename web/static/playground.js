/** The page `/playground`: an element that follows its source. */

const $ = (id) => document.getElementById(id);
const COMMON = ["token", "token-url", "label", "url", "namespace", "lang", "dir", "snapshot", "root"];
const ATTRIBUTES = {
  "task-progress": new Set([...COMMON, "job", "size", "log", "open", "page-title", "favicon", "notify"]),
  "task-list": new Set([...COMMON, "user", "jobs", "view", "filter", "show", "controls", "href", "limit"]),
};
/** What was written last for each element. */
const markups = { "task-progress": $("markup").value, "task-list": $("markup").dataset.list };
const records = JSON.parse($("records").textContent);
const root = $("stage").attachShadow({ mode: "open" });
const sheet = new CSSStyleSheet();
const base = new CSSStyleSheet();
base.replaceSync(":host, task-progress, task-list { display: block; }");
root.adoptedStyleSheets = [base, sheet];
let element;

const TAG = /<(task-progress|task-list)((?:\s+[\w-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*>([^]*?)<\/\1>/;
const ATTRIBUTE = /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;
const SLOTTED = /<(span|p|b|a|code)\s+slot=["']?([\w-]+)["']?\s*>([^<]*)<\/\1>/g;

/** Reads the markup as text: no text can become markup here, which is what the page's policy asks. */
const parsed = (markup) => {
  const [, tag, attributes, inner] = TAG.exec(markup) ?? [];
  if (attributes === undefined) return null;
  const found = new Map();
  for (const [, name, ...values] of attributes.matchAll(ATTRIBUTE)) found.set(name, values.find((each) => each !== undefined) ?? "");
  const slotted = [...inner.matchAll(SLOTTED)].map(([, tag, slot, text]) => ({ tag, slot, text }));
  return { tag, attributes: found, slotted };
};

let recorded = "Running";
const snapshotFor = (tag) => JSON.stringify(tag === "task-list" ? Object.values(records) : records[recorded]);

const showMarkup = () => {
  const source = parsed($("markup").value);
  const told = $("markup-told");
  if (!source) {
    told.textContent = "There is no complete <task-progress …></task-progress> or <task-list …></task-list> here.";
    return;
  }
  const allowed = ATTRIBUTES[source.tag];
  const unknown = [...source.attributes.keys()].filter((name) => !allowed.has(name));
  told.textContent = unknown.length ? `Not an attribute of the element: ${unknown.join(", ")}` : "";
  if (element?.localName !== source.tag) {
    element = document.createElement(source.tag);
    root.replaceChildren(element);
  }
  // A record that is none of the job's own is not shown.
  if (!source.attributes.has("snapshot")) source.attributes.set("snapshot", snapshotFor(source.tag));
  for (const name of element.getAttributeNames()) if (!source.attributes.has(name)) element.removeAttribute(name);
  for (const [name, value] of source.attributes) {
    if (allowed.has(name) && element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
  element.replaceChildren(
    ...source.slotted.map(({ tag, slot, text }) => Object.assign(document.createElement(tag), { slot, textContent: text })),
  );
};

const showSheet = () => {
  sheet.replaceSync($("sheet").value);
  const rules = sheet.cssRules.length;
  const written = ($("sheet").value.match(/\{/g) ?? []).length;
  $("sheet-told").textContent = rules < written ? "Some of this is not CSS that the browser understands." : "";
};

/** Writes an attribute into the markup, or takes it out. */
const write = (name, value) => {
  const field = $("markup");
  const { tag } = parsed(field.value) ?? { tag: "task-progress" };
  const present = new RegExp(`\\s+${name}(?:\\s*=\\s*(?:"[^"]*"|'[^']*'|[^\\s"'>]+))?(?=[\\s>])`);
  const without = field.value.replace(present, "");
  field.value = value === null ? without : without.replace(`<${tag}`, () => `<${tag}\n  ${name}="${value}"`);
};

const mark = (button) => {
  for (const each of document.querySelectorAll("#recorded button, #real button")) {
    each.setAttribute("aria-pressed", String(each === button));
  }
};

/** Makes the markup that of an element; what was written for the other one is kept. */
const become = (tag) => {
  const field = $("markup");
  const before = parsed(field.value)?.tag;
  if (before === tag) return;
  if (before) markups[before] = field.value;
  field.value = markups[tag];
};

const showRecorded = (button) => {
  recorded = button.dataset.state;
  mark(button);
  become("task-progress");
  const attributes = JSON.parse(button.dataset.attributes ?? "{}");
  for (const name of ["namespace", "token", "job"]) write(name, attributes[name] ?? null);
  showMarkup();
};

const showList = (button) => {
  mark(button);
  become("task-list");
  showMarkup();
};

const start = async (button) => {
  const told = $("real-told");
  told.textContent = "Starting…";
  const response = await fetch(`/demo/jobs/${button.dataset.start}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: button.dataset.fields,
  }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (!response?.ok) {
    told.textContent = answer?.message ?? "The web node doesn't answer.";
    return;
  }
  told.textContent = "";
  mark(button);
  become("task-progress");
  write("namespace", null);
  write("token", answer.token);
  write("job", answer.job);
  showMarkup();
};

$("markup").addEventListener("input", showMarkup);
$("sheet").addEventListener("input", showSheet);
for (const button of document.querySelectorAll("#recorded [data-state]")) button.addEventListener("click", () => showRecorded(button));
document.querySelector("#recorded [data-list]").addEventListener("click", ({ target }) => showList(target));
for (const button of document.querySelectorAll("#real button")) button.addEventListener("click", () => start(button));
$("scheme").addEventListener("input", ({ target }) => { $("stage").dataset.scheme = target.value; });
$("direction").addEventListener("input", ({ target }) => { $("stage").dir = target.value; });
$("language").addEventListener("input", ({ target }) => {
  write("lang", target.value || null);
  showMarkup();
});
$("log").addEventListener("input", ({ target }) => {
  become("task-progress");
  write("log", target.value || null);
  showMarkup();
});
$("width").addEventListener("input", ({ target }) => { $("stage").style.inlineSize = `${target.value}%`; });
mark(document.querySelector(`#recorded [data-state="${recorded}"]`));
showMarkup();
showSheet();
import("/bridge/task-progress.js").catch(() => {
  $("markup-told").textContent = "The widget could not be loaded: build it with “make demo”, then reload this page.";
});
