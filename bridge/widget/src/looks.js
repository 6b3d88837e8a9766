/**
 * What an element needs to be seen: loaded apart from what it needs to know its job.
 *
 * @module
 */

export { display } from "./display.js";
export { Face, newBar, showBar } from "./face.js";
export { number, percent } from "./format.js";
export { drawIcon, newIcon } from "./icon.js";
export { PALETTE } from "./palette.css.js";
export { make, mark, put, sheet, slot } from "./shadow.js";
export { wordsOf } from "./words.js";
