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
const path = (/** @type {URL} */ url) => fileURLToPath(url);

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

/** Most that a file may have gzipped; a part that is not named here may have the last. */
const BUDGETS_BYTES = /** @type {Record<string, number>} */ ({
  "task-progress.js": 25_000,
  "task-progress.peer.js": 8_000,
  "": 10_000,
});

/** What a page with one card loads. Wanted are 25 kB; this is what it takes, and it must not become more unnoticed. */
const FIRST_CARD = ["task-progress.js", "task-progress.looks.js"];
const FIRST_CARD_BYTES = 26_600;

/** @param {string} what @param {number} gzipped @param {number} most */
const hold = (what, gzipped, most) => {
  console.log(`${what}: ${gzipped} bytes gzipped, ${most} allowed`);
  if (gzipped > most) process.exitCode = 1;
};

/** @type {Map<string, number>} */
const sizes = new Map();

/** @param {string} source @param {string} name @param {import("esbuild").BuildOptions} more */
const bundle = async (source, name, { plugins = [], ...more } = {}) => {
  const { outputFiles } = await build({
    entryPoints: [path(new URL(source, here))],
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
  return { name, code: await smaller(outputFiles?.[0]?.text ?? "") };
};

/** What esbuild leaves to be had. @param {string} code */
const smaller = async (code) => {
  const { code: small } = await minify(code, { module: true, ecma: 2022, compress: { ecma: 2022, passes: 3 }, format: { comments: false } });
  return small ?? "";
};

/** @param {{name: string, code: string}} bundled @param {string} [head] */
const keep = async ({ name, code }, head = "") => {
  await writeFile(new URL(name, out), head + code);
  const gzipped = gzipSync(head + code, { level: 9 }).length;
  sizes.set(name, gzipped);
  hold(`bridge/static/${name}`, gzipped, BUDGETS_BYTES[name] ?? BUDGETS_BYTES[""] ?? 0);
};

await mkdir(out, { recursive: true });
const types = await Promise.all(["src/records.d.ts", "types/elements.d.ts"].map((name) => readFile(new URL(name, here), "utf8")));
await writeFile(new URL("task-progress.d.ts", out), types.join("\n"));
for (const [name, source] of Object.entries(PARTS)) await keep(await bundle(source, `task-progress.${name}.js`));
await keep(await bundle("src/index.js", "task-progress.peer.js", { external: ["socket.io-client"] }));
await keep(
  // What the client keeps to itself begins with `_`, and nothing of ours does.
  await bundle("src/index.js", "task-progress.js", { plugins: [smallClient], mangleProps: /^_/, mangleQuoted: true }),
  `/* celery-bridge widget, sources ${await digestOfSources()}; with socket.io-client, MIT */\n`,
);
hold(`a first card (${FIRST_CARD.join(", ")})`, FIRST_CARD.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0), FIRST_CARD_BYTES);
