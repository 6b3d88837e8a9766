/** How many jobs ended in each of the last minutes, as a small picture; throughput.py draws the first one. */

import { plain } from "./figures.js";

const MINUTES = 30;
const HEIGHT = 24;

/** @param {Element} figure @param {Iterable<object>} records @param {number} now Unix seconds */
export const drawThroughput = (figure, records, now) => {
  const counts = new Array(MINUTES).fill(0);
  for (const { ended_at: ended } of records) {
    const minutes = Math.floor((now - ended) / 60);
    if (typeof ended === "number" && minutes >= 0 && minutes < MINUTES) counts[MINUTES - 1 - minutes] += 1;
  }
  const most = Math.max(...counts) || 1;
  figure.querySelectorAll("rect").forEach((bar, index) => {
    const height = Math.max(0.75, (counts[index] / most) * HEIGHT).toFixed(2);
    bar.setAttribute("height", height);
    bar.setAttribute("y", (HEIGHT - height).toFixed(2));
  });
  const total = counts.reduce((sum, count) => sum + count, 0);
  const said = `${plain(total)} ended in ${MINUTES} minutes, ${plain(counts.at(-1))} in the last minute`;
  const caption = figure.querySelector("figcaption");
  if (caption.textContent !== said) caption.textContent = said;
};
