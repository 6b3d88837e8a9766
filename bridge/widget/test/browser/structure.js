/**
 * What a picture shows, apart from its pixels: what assistive technology is told, and which part stands beside which.
 *
 * Kept in `structure/*.yml`; `UPDATE=1 npm run test:browser` writes them anew, to be read as a diff before they are committed.
 */

import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { until } from "../contract-server.js";

const KEPT = new URL("structure/", import.meta.url);
const RENEWED = process.env.UPDATE === "1";
const SETTLED_MS = 150;

/** Left out is what differs from run to run: digits and times; what was just announced; how long ago something was copied. */
const masked = (text) =>
  text
    .replaceAll(/\p{Nd}+(?:[.,:]\p{Nd}+)*/gu, "0")
    .replaceAll(/0 (?:min|sec)(?:\s0 sec)?/g, "0 min")
    .replaceAll(/0 [AP]M/g, "0")
    .replaceAll('"Copied"', '"Copy"')
    .replaceAll(/^- status.*(?:\n|$)/gm, "")
    .trimEnd();

/** The visible parts in their lines from above; in a line as they are read; `&` where one covers another. */
const linesOfParts = (host) =>
  host.evaluate((element) => {
    const rtl = getComputedStyle(element).direction === "rtl";
    // Of a text that is cut off counts what is seen.
    const boxOf = (part) => {
      const box = part.getBoundingClientRect();
      const seen = { left: box.left, right: box.right, top: box.top, bottom: box.bottom };
      for (let around = part.parentElement; around; around = around.parentElement) {
        if (getComputedStyle(around).overflowX === "visible") continue;
        const frame = around.getBoundingClientRect();
        seen.left = Math.max(seen.left, frame.left);
        seen.right = Math.min(seen.right, frame.right);
      }
      return seen;
    };
    const seen = (part) => part.checkVisibility({ visibilityProperty: true }) && part.getBoundingClientRect().width > 1;
    // How far a bar is filled, and where it moves, differs by the moment.
    const parts = [...element.shadowRoot.querySelectorAll("[part]:not(.fill)")].filter(seen);
    const boxes = parts
      .filter((part) => !parts.some((other) => other !== part && part.contains(other)))
      .map((part) => [part.getAttribute("part").replaceAll(" ", "."), boxOf(part)]);
    const middle = ([, { top, bottom }]) => (top + bottom) / 2;
    const lines = [];
    for (const box of boxes.sort((a, b) => middle(a) - middle(b))) {
      if (lines.length && middle(box) - middle(lines.at(-1)[0]) < 6) lines.at(-1).push(box);
      else lines.push([box]);
    }
    const begin = ([, { left, right }]) => (rtl ? -right : left);
    return lines.map((line) => {
      line.sort((a, b) => begin(a) - begin(b));
      return line.map(([name, box], index) => {
        const before = line[index - 1]?.[1];
        const covered = before && Math.min(before.right, box.right) - Math.max(before.left, box.left) > 1;
        return `${before ? (covered ? " & " : " | ") : ""}${name}`;
      }).join("");
    });
  });

const indented = (text, by) => text.split("\n").map((line) => (line ? by + line : line)).join("\n");

/** @returns {Promise<string>} of all elements of a page, as YAML */
const structureOf = async (page) => {
  const told = [];
  for (const host of await page.locator("task-progress, task-list").all()) {
    const name = await host.evaluate((each) => each.getAttribute("job") ?? each.getAttribute("label") ?? each.localName);
    const lines = (await linesOfParts(host)).map((line) => `  - ${line}\n`).join("");
    told.push(`${name}:\n parts:\n${lines} told: |\n${indented(masked(await host.ariaSnapshot()), "  ")}\n`);
  }
  return told.join("\n");
};

const settled = async (page) => {
  let before;
  await until(async () => {
    const now = await structureOf(page);
    const same = now === before;
    before = now;
    if (!same) await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
    return same;
  }, "the page comes to rest");
  return before;
};

/** @param {string} name of the file that it must be like */
export const assertStructure = async (page, name) => {
  const file = new URL(`${name}.yml`, KEPT);
  if (RENEWED) {
    await mkdir(KEPT, { recursive: true });
    return writeFile(file, await settled(page));
  }
  const kept = await readFile(file, "utf8");
  await until(async () => (await structureOf(page)) === kept, name).catch(() => {});
  assert.equal(await structureOf(page), kept, `${name}.yml; if it was meant to change: UPDATE=1`);
};
