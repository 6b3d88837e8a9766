/** Every state that the element can show, with what a reader must find in it. */

const GB = 1e9;
const now = () => Date.now() / 1000;
const stage = (name, state, current, total) => ({ name, state, current, total, weight: 1 });

export const STATES = {
  waiting: { of: () => ({ task: "shop.train_model", state: "PENDING" }), tone: "waiting", words: ["Waiting to start"], now: null },
  starting: { of: () => ({ task: "shop.resize_images", state: "STARTED" }), tone: "running", words: ["Running"], now: null },
  running: {
    of: () => ({ task: "shop.download_archive", state: "PROGRESS", current: 3.2 * GB, total: 8.1 * GB, unit: "B", rate: 41e6, eta: 119, message: "archive-2026.tar" }),
    tone: "running", words: ["39%", "3.2 of 8.1 GB, 41 MB/s, 2 min left", "archive-2026.tar"], now: "39",
  },
  counting: {
    of: () => ({ task: "shop.import_orders", state: "PROGRESS", current: 12345, total: null, unit: "rows", rate: 410 }),
    tone: "running", words: ["12,345 rows, 410 rows/s"], now: null,
  },
  stages: {
    of: () => ({
      task: "shop.build_report", state: "PROGRESS", current: 62, total: 100, unit: "%", stage: "Charts",
      stages: [stage("Read orders", "SUCCESS", 900, 900), stage("Aggregate", "SUCCESS", 30, 30), stage("Charts", "PROGRESS", 3, 12), stage("Render PDF", "PROGRESS", null, null)],
    }),
    tone: "running", words: ["62%", "Charts (3 of 4)"], now: "62",
  },
  retrying: {
    of: () => ({ task: "shop.sync_stock", state: "RETRY", attempt: 1, current: 40, total: 100, next_at: now() + 590, error: { type: "Timeout", message: "warehouse.example.org did not answer" } }),
    tone: "retrying", words: ["Trying again", "try 2", "Timeout: warehouse.example.org did not answer", "Next try in 9 min"], now: "40",
  },
  success: {
    of: () => ({ task: "shop.import_orders", state: "SUCCESS", current: 5000, total: 5000, unit: "rows", started_at: now() - 95, ended_at: now() }),
    tone: "success", words: ["Done", "100%", "5,000 of 5,000 rows, took 1 min 35 sec"], now: "100",
  },
  failure: {
    of: () => ({ task: "shop.import_orders", state: "FAILURE", current: 1, total: 4, unit: "files", error: { type: "ValueError", message: "line 7 of orders-3.csv: <b>amount</b> is “12,x”, a number is needed\n  column 4\n  after 1,204 good rows" } }),
    tone: "failure", words: ["Failed", "ValueError: line 7"], now: "25",
  },
  cancelled: { of: () => ({ task: "shop.train_model", state: "REVOKED", current: 31, total: 100, unit: "epochs" }), tone: "revoked", words: ["Cancelled"], now: "31" },
  lost: {
    of: () => ({ task: "shop.resize_images", state: "LOST", redeliverable: true, current: 220, total: 900, unit: "images" }),
    tone: "lost", words: ["Worker lost", "Waiting for a worker to pick it up again."], now: "24",
  },
  gone: { of: () => ({ task: "shop.resize_images", state: "LOST", redeliverable: false }), tone: "lost", words: ["Worker lost", "Its worker stopped answering."], now: null },
  forbidden: { refused: "forbidden", tone: "forbidden", words: ["No permission"], now: null },
  expired: { refused: "expired", tone: "expired", words: ["Link expired", "Reload the page"], now: null },
  unknown: { tone: "waiting", words: ["Waiting for news"], now: null },
};

/** Puts them all on a server. */
export const prepare = (server, jobs = Object.keys(STATES)) => {
  for (const job of jobs) {
    const { of, refused } = STATES[job];
    if (of) server.state(job, of());
    if (refused) server.tokens.set(job, "another");
  }
};

/** @returns {string} the elements, in a size */
export const elements = (size, jobs = Object.keys(STATES)) =>
  jobs.map((job) => `<task-progress job="${job}" size="${size}" token="${STATES[job].refused === "expired" ? "old" : "good"}"></task-progress>`).join("");
