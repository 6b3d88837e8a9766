/**
 * One shape for each tone, so that a state is told without its colour.
 *
 * @module
 */

const SVG = "http://www.w3.org/2000/svg";

/** Paths in a 20 x 20 box, stroked. @type {Record<import("./display.js").Display["tone"], string[]>} */
const PATHS = {
  idle: ["M4 10h12"],
  waiting: ["M10 2.5a7.5 7.5 0 1 1 0 15a7.5 7.5 0 0 1 0-15", "M10 6v4.3l2.8 1.7"],
  running: ["M10 2.5a7.5 7.5 0 1 1-7.5 7.5"],
  retrying: ["M16.5 10a6.5 6.5 0 1 1-2-4.7", "M16.7 2.6v3.6h-3.6"],
  success: ["M10 2.5a7.5 7.5 0 1 1 0 15a7.5 7.5 0 0 1 0-15", "M6.4 10.3l2.5 2.5l4.7-5.2"],
  failure: ["M10 2.5a7.5 7.5 0 1 1 0 15a7.5 7.5 0 0 1 0-15", "M7.2 7.2l5.6 5.6M12.8 7.2l-5.6 5.6"],
  revoked: ["M10 2.5a7.5 7.5 0 1 1 0 15a7.5 7.5 0 0 1 0-15", "M4.8 4.8l10.4 10.4"],
  lost: ["M10 2.8l7.6 13.6h-15.2z", "M10 8v4M10 14v.2"],
  refused: ["M5 9h10v8h-10z", "M7 9v-2.5a3 3 0 0 1 6 0v2.5"],
};

/** @returns {SVGSVGElement} */
export const newIcon = () => {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({
    viewBox: "0 0 20 20",
    fill: "none",
    stroke: "currentColor",
    "stroke-width": "1.75",
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    "aria-hidden": "true",
  })) {
    svg.setAttribute(name, value);
  }
  return svg;
};

/** @param {SVGSVGElement} svg @param {import("./display.js").Display["tone"]} tone */
export const drawIcon = (svg, tone) => {
  svg.replaceChildren(
    ...PATHS[tone].map((d) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", d);
      if (tone === "running") path.setAttribute("class", "turning");
      return path;
    }),
  );
};
