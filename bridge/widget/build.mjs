/**
 * Bundles the widget into ../static/task-progress.js.
 *
 * Its first line names the digest of the sources, by which hatch_build.py sees whether it is current.
 */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = new URL("./", import.meta.url);
const output = new URL("../static/task-progress.js", here);
const BUDGET_BYTES = 25_000;

/** @returns {Promise<string>} the same as `digest_of_sources` of hatch_build.py */
const digestOfSources = async () => {
  const modules = (await readdir(new URL("src/", here))).filter((name) => name.endsWith(".js"));
  const paths = ["build.mjs", "package-lock.json", "package.json", ...modules.map((name) => `src/${name}`)].sort();
  const hash = createHash("sha256");
  for (const path of paths) hash.update(`${path}\0`).update(await readFile(new URL(path, here))).update("\0");
  return hash.digest("hex");
};

await mkdir(new URL("./", output), { recursive: true });
await build({
  entryPoints: [fileURLToPath(new URL("src/index.js", here))],
  outfile: fileURLToPath(output),
  bundle: true,
  minify: true,
  format: "esm",
  // What adoptedStyleSheets asks of a browser (Safari 16.4, Firefox 101) is newer than ES2022.
  target: "es2022",
  platform: "browser",
  legalComments: "none",
  logLevel: "warning",
  banner: { js: `/* celery-bridge widget, sources ${await digestOfSources()}; with socket.io-client, MIT */` },
});

const content = await readFile(output);
const gzipped = gzipSync(content, { level: 9 }).length;
console.log(`bridge/static/task-progress.js: ${content.length} bytes, ${gzipped} gzipped`);
if (gzipped > BUDGET_BYTES) {
  console.error(`That is over its budget of ${BUDGET_BYTES} bytes gzipped.`);
  process.exitCode = 1;
}
