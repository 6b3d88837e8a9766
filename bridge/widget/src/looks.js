/**
 * What an element needs to be seen: loaded apart from what it needs to know its job.
 *
 * @module
 */

export { display } from "./display.js";
export { Face } from "./face.js";
export { WORDS } from "./words.js";
