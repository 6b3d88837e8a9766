/**
 * The language that an element's text is in.
 *
 * @module
 */

/**
 * @param {Element} element
 * @returns {string} the nearest `lang`, out of shadow trees too; without one the reader's own
 */
export const languageOf = (element) => {
  /** @type {Element | undefined} */
  let here = element;
  while (here) {
    const lang = here.closest("[lang]")?.getAttribute("lang");
    if (lang) return lang;
    here = /** @type {Partial<ShadowRoot>} */ (here.getRootNode()).host;
  }
  return navigator.language;
};
