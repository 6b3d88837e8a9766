/** Compiled by `npm run check`, never run: what is published in types is what there is, and can be used as documented. */

import * as published from "../../static/task-progress.js";
import * as actual from "../src/index.js";

export const implementation: {
  watch: typeof published.watch;
  watchList: typeof published.watchList;
  WatchError: typeof published.WatchError;
  Watch: typeof published.Watch;
  TaskProgress: typeof published.TaskProgress;
  TaskList: typeof published.TaskList;
} = actual;

export const use = async (job: string) => {
  const watched = published.watch(job, { token: async () => ({ token: "t", expires_in: 60 }) });
  watched.addEventListener("progress", ({ detail }) => detail.stages?.map(({ weight }) => weight.toFixed()));
  watched.addEventListener("row_rejected", (event) => (event as CustomEvent<published.EventRecord>).detail.seq);
  // @ts-expect-error a state has no such field
  watched.state?.percent;
  const list = await published.watchList({ user: "7" });
  const states: published.JobState[] = [...list.jobs.values()].map(({ state }) => state);
  const element = document.querySelector("task-progress");
  element?.addEventListener("cancel-requested", ({ detail }) => detail.job.length);
  await element?.cancel();
  published.TaskProgress.languages = { de: { SUCCESS: "Fertig" } };
  published.TaskProgress.words = { SUCCESS: "Fertig", left: (time: string) => `noch ${time}` };
  return states.concat(document.querySelector("task-list")?.states.map(({ state }) => state) ?? []);
};
