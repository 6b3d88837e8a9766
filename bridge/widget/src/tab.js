/**
 * What a page tells while nobody looks at it: progress in its title and icon, and a notification at the end.
 *
 * One for all elements of a page, as there is one title.
 *
 * @module
 */

/**
 * @typedef {object} Report
 * @property {number | null} part   0 to 1; null where nobody knows
 * @property {boolean} ended
 * @property {boolean} failed
 * @property {string} figure        "43%"
 * @property {string} label
 * @property {string} status
 * @property {boolean} title        wanted in the title
 * @property {boolean} icon         wanted in the icon
 * @property {boolean} notify       a notification at the end is wanted
 * @property {string} tag           what it is of: a second notification replaces the first
 */

const SIGNS = { running: "…", success: "✓", failure: "✗" };
const COLOURS = { running: "#1b5fd0", success: "#1a7a4c", failure: "#c02b33" };
const SIZE = 32;

/** @type {Map<object, Report>} */
const reports = new Map();
/** What the page's own title and icon were. @type {{title: string | null, icon: string | null}} */
const own = { title: null, icon: null };
let drawn = "";

/**
 * @param {object} element
 * @param {Report | null} report null: it is gone
 */
export const report = (element, report) => {
  const before = reports.get(element);
  if (report) reports.set(element, report);
  else reports.delete(element);
  if (report?.notify && report.ended && before && !before.ended) notify(report);
  show();
};

const show = () => {
  showTitle([...reports.values()].filter(({ title }) => title));
  showIcon([...reports.values()].filter(({ icon }) => icon));
};

/** @param {Report[]} all @returns {{state: keyof typeof SIGNS, part: number | null}} what all of them come to */
const summed = (all) => {
  const open = all.filter(({ ended }) => !ended);
  if (!open.length) return { state: all.some(({ failed }) => failed) ? "failure" : "success", part: 1 };
  const known = all.filter(({ part, ended }) => part !== null || ended);
  const part = known.length === all.length ? all.reduce((sum, { part: each, ended }) => sum + (ended ? 1 : (each ?? 0)), 0) / all.length : null;
  return { state: "running", part };
};

/** @param {Report[]} all */
const showTitle = (all) => {
  if (!all.length || seen(all)) {
    if (own.title !== null) document.title = own.title;
    own.title = null;
    return;
  }
  own.title ??= document.title;
  const { state, part } = summed(all);
  const [only] = all;
  const figure = all.length === 1 && only?.figure ? only.figure : part === null ? SIGNS.running : `${Math.floor(part * 100)}%`;
  document.title = `${state === "running" ? figure : SIGNS[state]} ${own.title}`;
};

/** An end that somebody has looked at is no news any more. @param {Report[]} all */
const seen = (all) => all.every(({ ended }) => ended) && document.visibilityState === "visible";

/** @param {Report[]} all */
const showIcon = (all) => {
  if (!all.length || seen(all)) {
    restoreIcon();
    return;
  }
  const { state, part } = summed(all);
  const now = `${state} ${part === null ? "" : Math.floor(part * 50)}`;
  if (now === drawn) return;
  drawn = now;
  const link = iconLink();
  own.icon ??= link.getAttribute("href") ?? "";
  link.href = picture(state, part ?? 0.25);
};

const restoreIcon = () => {
  if (own.icon === null) return;
  if (own.icon) iconLink().setAttribute("href", own.icon);
  else iconLink().remove();
  own.icon = null;
  drawn = "";
};

/** @returns {HTMLLinkElement} */
const iconLink = () => {
  const found = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel~="icon"]'));
  if (found) return found;
  const made = document.createElement("link");
  made.rel = "icon";
  document.head.append(made);
  return made;
};

/** @param {keyof typeof COLOURS} state @param {number} part @returns {string} a ring as a data: address */
const picture = (state, part) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  const pen = canvas.getContext("2d");
  if (!pen) return "";
  pen.lineWidth = 6;
  for (const [colour, share] of /** @type {[string, number][]} */ ([["#b9c0c9", 1], [COLOURS[state], part]])) {
    pen.strokeStyle = colour;
    pen.beginPath();
    pen.arc(SIZE / 2, SIZE / 2, SIZE / 2 - 4, -Math.PI / 2, (share * 2 - 0.5) * Math.PI);
    pen.stroke();
  }
  return canvas.toDataURL();
};

/** @param {Report} report */
const notify = ({ label, status, tag }) => {
  if (document.visibilityState === "visible" || globalThis.Notification?.permission !== "granted") return;
  try {
    const shown = new Notification(label, { body: status, tag });
    shown.addEventListener("click", () => {
      window.focus();
      shown.close();
    });
  } catch {
    // Chrome on Android has the name, but wants a service worker.
  }
};

document.addEventListener("visibilitychange", show);
