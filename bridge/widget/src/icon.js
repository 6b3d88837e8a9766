/**
 * One shape for each tone, so that a state is told without its colour.
 *
 * @module
 */

/** @typedef {import("./display.js").Tone} Tone */
/** @typedef {"more" | "cross" | "bell"} Sign  on buttons */

const SVG = "http://www.w3.org/2000/svg";
const RING = "M10 2.5a7.5 7.5 0 1 1 0 15a7.5 7.5 0 0 1 0-15";
const DISC = "M10 1.5a8.5 8.5 0 1 1 0 17a8.5 8.5 0 0 1 0-17";

/**
 * Paths in a 20 x 20 box, stroked. `*` before one: filled; `.`: faint; `-`: in the colour of the background.
 *
 * @type {Record<Tone | Sign, string[]>}
 */
const PATHS = {
  idle: ["." + RING, "M6.5 10h7"],
  waiting: [RING, "M10 5.8v4.4l2.8 1.7"],
  running: ["." + RING, "M10 2.5a7.5 7.5 0 0 1 7.5 7.5"],
  retrying: ["M16.6 10a6.6 6.6 0 1 1-1.9-4.7", "M16.9 2.4v3.8h-3.8"],
  success: ["*" + DISC, "-M6.2 10.4l2.6 2.6l5-5.6"],
  failure: ["*" + DISC, "-M7.2 7.2l5.6 5.6M12.8 7.2l-5.6 5.6"],
  revoked: [RING, "M4.9 4.9l10.2 10.2"],
  lost: ["M10 2.6l7.9 13.9h-15.8z", "M10 7.6v4.2M10 14v.1"],
  offline: ["M3.2 8.2a10 10 0 0 1 3-1.9M9.6 5.5a10 10 0 0 1 7.2 2.7", "M6 11.2a6 6 0 0 1 3-1.6M13 10.5l1 .7", "M10 15v.1M3.5 3.5l13 13"],
  forbidden: ["M4.5 9h11v8h-11z", "M6.8 9v-2.8a3.2 3.2 0 0 1 6.4 0v2.8", "M10 12.2v1.6"],
  expired: ["M5 2.8h10M5 17.2h10", "M6.2 2.8c0 4 3.8 4.4 3.8 7.2c0-2.8 3.8-3.2 3.8-7.2M6.2 17.2c0-4 3.8-4.4 3.8-7.2c0 2.8 3.8 3.2 3.8 7.2"],
  refused: [RING, "M10 6v4.6M10 13.6v.1"],
  more: ["M6 8l4 4l4-4"],
  bell: ["M5.2 14h9.6l-1.2-2v-3.4a3.6 3.6 0 0 0-7.2 0v3.4z", "M8.6 16.4a1.5 1.5 0 0 0 2.8 0"],
  cross: ["M6 6l8 8M14 6l-8 8"],
};

const CLASSES = new Map([
  ["*", "solid"],
  [".", "faint"],
  ["-", "knocked-out"],
]);

/** @param {string} name @param {Record<string, string>} attributes */
export const svgElement = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

/** @param {Tone | Sign} [name] @returns {SVGSVGElement} */
export const newIcon = (name) => {
  const svg = /** @type {SVGSVGElement} */ (svgElement("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" }));
  if (name) drawIcon(svg, name);
  return svg;
};

/** @param {SVGSVGElement} svg @param {Tone | Sign} name */
export const drawIcon = (svg, name) => {
  svg.replaceChildren(
    ...PATHS[name].map((path) => {
      const kind = CLASSES.get(path.charAt(0));
      return svgElement("path", { d: kind ? path.slice(1) : path, class: kind ?? "" });
    }),
  );
};
