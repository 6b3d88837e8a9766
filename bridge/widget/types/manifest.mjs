/**
 * Writes custom-elements.json, which tells editors of our elements; with --check, says whether it is current.
 */

import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("../", import.meta.url));
const kept = join(here, "custom-elements.json");
const analyzer = createRequire(import.meta.url).resolve("@custom-elements-manifest/analyzer/cem.js");

const folder = await mkdtemp(join(tmpdir(), "manifest-"));
// In a folder of its own, because it also writes into the package.json that it finds.
await cp(join(here, "src"), join(folder, "src"), { recursive: true });
const globs = ["--globs", "src/task-progress.js", "src/task-list.js"];
const { status, stderr } = spawnSync(process.execPath, [analyzer, "analyze", ...globs, "--quiet"], { cwd: folder, encoding: "utf8" });
if (status !== 0) throw new Error(`custom-elements.json could not be made: ${stderr}`);
const found = JSON.parse(await readFile(join(folder, "custom-elements.json"), "utf8"));
for (const module of found.modules) {
  module.declarations = module.declarations.filter((/** @type {any} */ { customElement }) => customElement);
  for (const each of module.declarations) each.members = each.members.filter((/** @type {any} */ { name }) => !name.startsWith("#"));
  module.exports = module.exports.filter((/** @type {any} */ { declaration }) => declaration.name.startsWith("Task"));
}
const made = `${JSON.stringify(found, null, 2)}\n`;
await rm(folder, { recursive: true });

if (!process.argv.includes("--check")) await writeFile(kept, made);
else if ((await readFile(kept, "utf8").catch(() => "")) !== made) {
  console.error("custom-elements.json is behind the sources: run `npm run manifest`.");
  process.exitCode = 1;
}
