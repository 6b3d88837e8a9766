/** Files for people who have none at hand: large enough to watch, with something wrong in them. */

const ROWS = 250_000;
const CITIES = ["Oslo", "Lima", "Kyoto", "Accra", "Porto", "Turku", "Hanoi", "Quito"];
const WORDS = `the bridge carries what a worker says to whoever watches and nobody waits for it
  a late guest sees the same picture as one who came early because the newest state is always kept`.split(/\s+/);

const row = (n) => {
  const city = CITIES[n % CITIES.length];
  if (n % 20_011 === 1_500) return `${n},${city}`;
  if (n % 30_029 === 7_000) return `${n},"${city}"!,${n * 7 % 1000}`;
  return `${n},${city},${(n * 7919) % 1000}`;
};

const csv = () => {
  const rows = Array.from({ length: ROWS }, (_, n) => row(n + 1));
  return new File([["number,city,amount", ...rows, ""].join("\n")], "sample.csv", { type: "text/csv" });
};

const text = (number) => {
  const words = Array.from({ length: 400_000 }, (_, n) => WORDS[(n * n + number * n) % WORDS.length]);
  return new File([words.join(" ")], `sample ${number}.txt`, { type: "text/plain" });
};

/** @param {string} job @returns {File[]} */
export const sampleFiles = (job) => (job === "import_csv" ? [csv()] : [1, 2, 3].map(text));
