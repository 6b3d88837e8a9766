/** The jobs of this browser, kept over a reload. */

const KEY = "celery-bridge.jobs";
const MOST = 50;

/** What another version of this page, or somebody, left there may be anything. */
const sound = (entry) =>
  ["job", "token", "title"].every((name) => typeof entry?.[name] === "string") && Number.isFinite(entry.started);

const read = () => {
  try {
    const entries = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(entries) ? entries.filter(sound) : [];
  } catch {
    return [];
  }
};

const write = (entries) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries.slice(-MOST)));
  } catch {
    // A browser that stores nothing shows its jobs until it is closed.
  }
};

export const remembered = {
  /** Every job, the oldest first. */
  all: read,
  add: (entry) => write([...read().filter(({ job }) => job !== entry.job), entry]),
  remove: (job) => write(read().filter((entry) => entry.job !== job)),
};
