/**
 * Figures as people read them, in their language. Pure.
 *
 * @module
 */

/** @typedef {string | undefined} Locale  undefined: the reader's own */

const BYTES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];
const BYTE_UNITS = new Set(["B", "byte", "bytes"]);

/** @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/**
 * Making a NumberFormat costs far more than using it, and a page updates many bars often.
 *
 * @param {Locale} locale
 * @param {Intl.NumberFormatOptions} options
 */
const numberFormat = (locale, options) => {
  const key = `${locale} ${JSON.stringify(options)}`;
  const format = formats.get(key) ?? new Intl.NumberFormat(understood(locale), options);
  formats.set(key, format);
  return format;
};

/** A page's lang may be none, such as "en_US". @param {Locale} locale @returns {Locale} */
const understood = (locale) => {
  try {
    return Intl.getCanonicalLocales(locale)[0];
  } catch {
    return undefined;
  }
};

/** @param {number} value at least 0 */
const bytePower = (value) =>
  Math.min(BYTES.length - 1, value < 1000 ? 0 : Math.floor(Math.log10(value) / 3 + 1e-9));

/** @param {number} scaled */
const digits = (scaled) => ({ maximumFractionDigits: scaled >= 100 || Number.isInteger(scaled) ? 0 : 1 });

/**
 * @param {number} value
 * @param {number} power of 1000
 * @param {Locale} locale
 * @param {string} [per] such as "-per-second"
 */
const bytes = (value, power, locale, per = "") => {
  const scaled = value / 1000 ** power;
  return numberFormat(locale, {
    style: "unit",
    unit: `${BYTES[power]}${per}`,
    unitDisplay: power ? "short" : "long",
    ...digits(scaled),
  }).format(scaled);
};

/** @param {number} value @param {Locale} [locale] @returns {string} */
export const number = (value, locale) =>
  numberFormat(locale, { maximumFractionDigits: Math.abs(value) >= 10 ? 0 : 2 }).format(value);

/** What nobody counts to would only fill the screen. */
const MOST = 1e21;

/** @param {unknown} value @returns {value is number} */
const isFinite = (value) => typeof value === "number" && Math.abs(value) < MOST;

/**
 * How far a job is.
 *
 * @param {number | null | undefined} current
 * @param {number | null | undefined} total
 * @returns {number | null} 0 to 1; null where nobody knows
 */
export const fraction = (current, total) =>
  isFinite(current) && isFinite(total) && total > 0 ? Math.min(1, Math.max(0, current / total)) : null;

/**
 * @param {number} part 0 to 1
 * @param {Locale} [locale]
 * @returns {string} "43%"; rounded down, so that 100% means done
 */
export const percent = (part, locale) =>
  numberFormat(locale, { style: "percent" }).format(Math.floor(part * 100 + 1e-9) / 100);

/**
 * @param {number | null | undefined} current
 * @param {number | null | undefined} total
 * @param {string | null | undefined} unit "B" for bytes, else a word of the task's, such as "rows"
 * @param {(current: string, total: string) => string} ofTotal puts the two together
 * @param {Locale} [locale]
 * @returns {string} "3.2 of 8.1 GB", "120 of 500 rows", "120 rows"; "" where nothing is known
 */
export const counts = (current, total, unit, ofTotal, locale) => {
  if (!isFinite(current)) return "";
  if (unit && BYTE_UNITS.has(unit)) return byteCounts(current, total, ofTotal, locale);
  const figures = isFinite(total) ? ofTotal(number(current, locale), number(total, locale)) : number(current, locale);
  return unit ? `${figures} ${unit}` : figures;
};

/**
 * @param {number} current
 * @param {number | null | undefined} total
 * @param {(current: string, total: string) => string} ofTotal
 * @param {Locale} locale
 */
const byteCounts = (current, total, ofTotal, locale) => {
  if (!isFinite(total)) return bytes(current, bytePower(current), locale);
  const power = bytePower(total);
  const scaled = current / 1000 ** power;
  return ofTotal(numberFormat(locale, digits(scaled)).format(scaled), bytes(total, power, locale));
};

/**
 * @param {number | null | undefined} perSecond
 * @param {string | null | undefined} unit
 * @param {(amount: string) => string} inWords
 * @param {Locale} [locale]
 * @returns {string} "41 MB/s", "410 rows/s"; "" where nothing is known
 */
export const rate = (perSecond, unit, inWords, locale) => {
  if (!isFinite(perSecond) || perSecond <= 0) return "";
  if (unit && BYTE_UNITS.has(unit)) {
    return bytes(perSecond, Math.max(1, bytePower(perSecond)), locale, "-per-second");
  }
  return inWords(`${number(perSecond, locale)}${unit ? ` ${unit}` : ""}`);
};

const RIGHT_TO_LEFT = /[\u0590-\u08ff]/;

/**
 * @param {string[]} parts
 * @param {string} comma
 * @returns {string} those that say something, side by side: "3.2 of 8.1 GB, 41 MB/s, 2 min left"
 */
export const together = (parts, comma) => {
  const said = parts.filter(Boolean);
  // Where both ways of writing meet, each part keeps its own: between FSI and PDI.
  const mixed = RIGHT_TO_LEFT.test(said.join(""));
  return said.map((part) => (mixed ? `\u2068${part}\u2069` : part)).join(comma);
};

/** Names and lengths of the units of time, in seconds. */
const TIMES = /** @type {const} */ ([["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]]);

/** @param {number} value @param {string} unit @param {Locale} locale */
const time = (value, unit, locale) =>
  numberFormat(locale, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 0 }).format(value);

/**
 * An estimate: as rough as it is trustworthy.
 *
 * @param {number | null | undefined} seconds
 * @param {Locale} [locale]
 * @returns {string} "45 sec", "2 min", "3 hr 20 min"; "" where nothing is known
 */
export const estimate = (seconds, locale) => {
  if (!isFinite(seconds) || seconds < 0) return "";
  return duration(seconds > 55 ? Math.max(60, Math.round(seconds / 60) * 60) : Math.ceil(seconds), locale);
};

/**
 * @param {number | null | undefined} seconds
 * @param {Locale} [locale]
 * @returns {string} its two greatest units: "45 sec", "1 min 35 sec", "2 hr"; "" where nothing is known
 */
export const duration = (seconds, locale) => {
  if (!isFinite(seconds) || seconds < 0) return "";
  const whole = Math.round(seconds);
  const first = TIMES.findIndex(([, length]) => whole >= length);
  if (first < 0) return time(0, "second", locale);
  let rest = whole;
  const parts = [];
  for (const [unit, length] of TIMES.slice(first, first + 2)) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count) parts.push(time(count, unit, locale));
  }
  return parts.join(" ");
};
