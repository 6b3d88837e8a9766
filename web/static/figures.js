/** Figures as people read them, in the page's language; the server says the same for the first paint. */

const MOST = 1e21;
const BYTES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];
const TIMES = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

const formats = new Map();

/** Making a format costs far more than using it. */
const format = (options) => {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(undefined, options));
  return formats.get(key);
};

/** @param {unknown} value @returns {value is number} */
export const counts = (value) => typeof value === "number" && Math.abs(value) < MOST;

/** @param {unknown} value what came by the wire may be anything @returns {string} */
export const text = (value) => (typeof value === "string" ? value : "");

const digits = (value) => ({ maximumFractionDigits: Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 1 });

export const plain = (value) => format(digits(value)).format(value);

const power = (value) => Math.min(BYTES.length - 1, value < 1000 ? 0 : Math.floor(Math.log10(value) / 3 + 1e-9));

const bytes = (value, of, per = "") => {
  const scaled = value / 1000 ** of;
  const unit = `${BYTES[of]}${per}`;
  return format({ style: "unit", unit, unitDisplay: of ? "short" : "long", ...digits(scaled) }).format(scaled);
};

/** @returns {number | null} 0 to 1; null where nobody knows */
export const partOf = (current, total) =>
  counts(current) && counts(total) && total > 0 ? Math.min(1, Math.max(0, current / total)) : null;

/** Rounded down, so that 100% means done. @param {number | null} part */
export const percent = (part) =>
  part === null ? "" : format({ style: "percent" }).format(Math.floor(part * 100 + 1e-9) / 100);

/** @returns {string} "3.2 of 8.1 MB", "120 of 500 rows"; "" where nothing is known */
export const amount = (current, total, unit) => {
  if (!counts(current)) return "";
  if (unit === "B") {
    if (!counts(total)) return bytes(current, power(current));
    return `${plain(current / 1000 ** power(total))} of ${bytes(total, power(total))}`;
  }
  const figures = counts(total) ? `${plain(current)} of ${plain(total)}` : plain(current);
  return text(unit) ? `${figures} ${unit}` : figures;
};

/** @returns {string} "41 MB/s"; "" where nothing is known */
export const rate = (perSecond, unit) => {
  if (!counts(perSecond) || perSecond <= 0) return "";
  if (unit === "B") return bytes(perSecond, Math.max(1, power(perSecond)), "-per-second");
  return `${plain(perSecond)}${text(unit) ? ` ${unit}` : ""}/s`;
};

/** @returns {string} how old something is, by its greatest unit: "3 min" */
export const age = (seconds) => {
  if (!counts(seconds)) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const [unit, length] = TIMES.find(([, each]) => whole >= each) ?? TIMES.at(-1);
  return format({ style: "unit", unit, unitDisplay: "short" }).format(Math.floor(whole / length));
};
