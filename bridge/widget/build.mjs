/**
 * Builds the widget into ../static, in parts, so that a page loads what it shows:
 *
 *   task-progress.js         the elements and `watch()`, with socket.io-client
 *   task-progress.peer.js    the same without it, for pages that have it already (and a bundler)
 *   task-progress.<part>.js  what either of them imports when it is needed
 *   task-progress.d.ts       their types
 *
 * The first line of task-progress.js names the digest of the sources, by which hatch_build.py sees
 * whether all of it is current. So that one is written last.
 */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { minify } from "terser";
import { smallClient } from "./client.mjs";

const here = new URL("./", import.meta.url);
const out = new URL("../static/", here);

/** @returns {Promise<string>} the same as `digest_of_sources` of hatch_build.py */
const digestOfSources = async () => {
  const modules = (await readdir(new URL("src/", here))).filter((name) => /\.(js|d\.ts)$/.test(name));
  const paths = ["build.mjs", "client.mjs", "package-lock.json", "package.json", "types/elements.d.ts", ...modules.map((name) => `src/${name}`)].sort();
  const hash = createHash("sha256");
  for (const name of paths) hash.update(`${name}\0`).update(await readFile(new URL(name, here))).update("\0");
  return hash.digest("hex");
};

/** Style sheets are modules in the sources; here their text is made small. @type {import("esbuild").Plugin} */
const smallStyles = {
  name: "small-styles",
  setup(build) {
    build.onLoad({ filter: /\.css\.js$/ }, async ({ path }) => {
      const exported = Object.entries(await import(path));
      const small = exported.map(async ([name, css]) => {
        const { code } = await transform(css, { loader: "css", minify: true, target: ["chrome123", "firefox120", "safari17.5"] });
        return `export const ${name} = ${JSON.stringify(code.trim())};`;
      });
      return { contents: (await Promise.all(small)).join("\n") };
    });
  },
};

/** Parts that are loaded when they are needed, by module. */
const PARTS = { looks: "src/looks.js", list: "src/list.js", log: "src/log.js", tab: "src/tab.js", workflow: "src/workflow.js" };

/** What is imported dynamically is a file beside the importing one. @type {import("esbuild").Plugin} */
const parts = {
  name: "parts",
  setup(build) {
    build.onResolve({ filter: /^\./ }, ({ kind, path }) => {
      if (kind !== "dynamic-import") return undefined;
      const name = path.replace(/^\.\/(.*)\.js$/, "$1");
      if (!(name in PARTS)) throw new Error(`${path} is imported dynamically and no part`);
      return { path: `./task-progress.${name}.js`, external: true };
    });
  },
};

/** Most that a file may have gzipped; one that is not named here may have the last. */
const BUDGETS_BYTES = /** @type {Record<string, number>} */ ({
  // All that a page needs for a card, a bar, a row or a ring, in whatever state.
  "task-progress.js": 25_000,
  "task-progress.peer.js": 8_000,
  "": 10_000,
});

/** @param {string} source @param {import("esbuild").BuildOptions} [more] @returns {Promise<string>} a module's code and what it imports */
const bundle = async (source, { plugins = [], ...more } = {}) => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(source, here))],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    // What style sheets ask of a browser (light-dark(): Chrome 123, Firefox 120, Safari 17.5) is newer than ES2022.
    target: "es2022",
    platform: "browser",
    legalComments: "none",
    logLevel: "warning",
    plugins: [smallStyles, parts, ...plugins],
    ...more,
  });
  const bundled = outputFiles?.[0]?.text ?? "";
  const options = { module: true, ecma: /** @type {const} */ (2022), compress: { passes: 3 }, format: { comments: false } };
  return (await minify(bundled, options)).code ?? "";
};

/**
 * What is loaded with the first element anyway is had from the same file: compressed together they are smaller.
 * In a function of its own, so that its names stay short.
 *
 * @param {string} code
 * @param {string} looks
 */
const withLooks = (code, looks) => {
  const imported = 'import("./task-progress.looks.js")';
  const exported = /export\{(.*)\};?$/.exec(looks);
  if (!exported || !code.includes(imported)) throw new Error("task-progress.looks.js can't be put into task-progress.js");
  const names = (exported[1] ?? "").split(",").map((each) => each.split(" as ").reverse().join(":"));
  return `${code.replace(imported, "Promise.resolve(LOOKS())")}function LOOKS(){${looks.slice(0, exported.index)}return{${names}}}`;
};

/** @param {string} name @param {string} code */
const keep = async (name, code) => {
  await writeFile(new URL(name, out), code);
  const gzipped = gzipSync(code, { level: 9 }).length;
  const most = BUDGETS_BYTES[name] ?? BUDGETS_BYTES[""] ?? 0;
  console.log(`bridge/static/${name}: ${gzipped} bytes gzipped, ${most} allowed`);
  if (gzipped > most) process.exitCode = 1;
};

await mkdir(out, { recursive: true });
const types = await Promise.all(["src/records.d.ts", "types/elements.d.ts"].map((name) => readFile(new URL(name, here), "utf8")));
await writeFile(new URL("task-progress.d.ts", out), types.join("\n"));
for (const [name, source] of Object.entries(PARTS)) await keep(`task-progress.${name}.js`, await bundle(source));
await keep("task-progress.peer.js", await bundle("src/index.js", { external: ["socket.io-client"] }));
// What the client keeps to itself begins with `_`, and nothing of ours does.
const whole = await bundle("src/index.js", { plugins: [smallClient], mangleProps: /^_/, mangleQuoted: true });
const head = `/* celery-bridge widget, sources ${await digestOfSources()}; with socket.io-client, MIT */\n`;
await keep("task-progress.js", head + withLooks(whole, await bundle(PARTS.looks)));
