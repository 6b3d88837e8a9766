/** The page `/playground`: an element that follows its source. */

const $ = (id) => document.getElementById(id);
const ATTRIBUTES = new Set([
  "job", "token", "token-url", "label", "url", "namespace", "lang", "dir", "size", "snapshot", "log", "open",
  "page-title", "favicon", "notify",
]);
const records = JSON.parse($("records").textContent);
const root = $("stage").attachShadow({ mode: "open" });
const sheet = new CSSStyleSheet();
const base = new CSSStyleSheet();
base.replaceSync(":host { display: block; } task-progress { display: block; }");
root.adoptedStyleSheets = [base, sheet];
let element;

const TAG = /<task-progress((?:\s+[\w-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*>([^]*?)<\/task-progress>/;
const ATTRIBUTE = /([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;
const SLOTTED = /<(span|p|b|a|code)\s+slot=["']?([\w-]+)["']?\s*>([^<]*)<\/\1>/g;

/** Reads the markup as text: no text can become markup here, which is what the page's policy asks. */
const parsed = (markup) => {
  const [, attributes, inner] = TAG.exec(markup) ?? [];
  if (attributes === undefined) return null;
  const found = new Map();
  for (const [, name, ...values] of attributes.matchAll(ATTRIBUTE)) found.set(name, values.find((each) => each !== undefined) ?? "");
  const slotted = [...inner.matchAll(SLOTTED)].map(([, tag, slot, text]) => ({ tag, slot, text }));
  return { attributes: found, slotted };
};

const showMarkup = () => {
  const source = parsed($("markup").value);
  const told = $("markup-told");
  if (!source) {
    told.textContent = "There is no complete <task-progress …></task-progress> here.";
    return;
  }
  const unknown = [...source.attributes.keys()].filter((name) => !ATTRIBUTES.has(name));
  told.textContent = unknown.length ? `Not an attribute of the element: ${unknown.join(", ")}` : "";
  for (const name of element.getAttributeNames()) if (!source.attributes.has(name)) element.removeAttribute(name);
  for (const [name, value] of source.attributes) {
    if (ATTRIBUTES.has(name) && element.getAttribute(name) !== value) element.setAttribute(name, value);
  }
  if (source.attributes.has("job")) element.removeAttribute("snapshot");
  else if (!source.attributes.has("snapshot")) element.setAttribute("snapshot", JSON.stringify(records[recorded]));
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
  const present = new RegExp(`\\s+${name}(?:\\s*=\\s*(?:"[^"]*"|'[^']*'|[^\\s"'>]+))?(?=[\\s>])`);
  const without = field.value.replace(present, "");
  field.value = value === null ? without : without.replace("<task-progress", () => `<task-progress\n  ${name}="${value}"`);
};

const mark = (button) => {
  for (const each of document.querySelectorAll("#recorded button, #real button")) {
    each.setAttribute("aria-pressed", String(each === button));
  }
};

let recorded = "Running";
const showRecorded = (button) => {
  recorded = button.dataset.state;
  mark(button);
  write("job", null);
  write("token", null);
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
  write("token", answer.token);
  write("job", answer.job);
  showMarkup();
};

element = document.createElement("task-progress");
root.append(element);
$("markup").addEventListener("input", showMarkup);
$("sheet").addEventListener("input", showSheet);
for (const button of document.querySelectorAll("#recorded button")) button.addEventListener("click", () => showRecorded(button));
for (const button of document.querySelectorAll("#real button")) button.addEventListener("click", () => start(button));
$("scheme").addEventListener("input", ({ target }) => { $("stage").dataset.scheme = target.value; });
$("direction").addEventListener("input", ({ target }) => { $("stage").dir = target.value; });
$("language").addEventListener("input", ({ target }) => {
  write("lang", target.value || null);
  showMarkup();
});
$("width").addEventListener("input", ({ target }) => { $("stage").style.inlineSize = `${target.value}%`; });
mark(document.querySelector(`#recorded [data-state="${recorded}"]`));
showMarkup();
showSheet();
import("/bridge/task-progress.js").catch(() => {
  $("markup-told").textContent = "The widget could not be loaded: build it with “make demo”, then reload this page.";
});
