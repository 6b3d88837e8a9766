// Our widget's own `watch()`: tells what it shows and is told as lines of JSON, [what, name, data, at];
// `at` is the machine's monotonic clock in seconds. Takes {"watch": {job, token, since}} on stdin, once.

import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const [, , url, packageFolder] = process.argv;
const { watch } = await import(pathToFileURL(path.join(packageFolder, "src", "watch.js")));

const tell = (what, data = null, name = "") => {
  const at = Number(process.hrtime.bigint()) / 1e9;
  process.stdout.write(`${JSON.stringify([what, name, data, at])}\n`);
};
const TOLD = {
  progress: "shown",
  "bridge:event": "told",
  "bridge:actions": "answered",
  gap: "gap",
  online: "connect",
  offline: "disconnect",
  error: "error",
};

const lines = readline.createInterface({ input: process.stdin });
lines.once("line", (line) => {
  const { job, token, since } = JSON.parse(line).watch;
  tell("ask");
  const watched = watch(job, { token: token ?? undefined, since, url });
  for (const [type, what] of Object.entries(TOLD)) watched.addEventListener(type, ({ detail }) => tell(what, detail));
});
lines.on("close", () => process.exit());
