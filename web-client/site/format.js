// Numbers as people read them.

/** @param {number} value */
export function count(value) {
  return Math.round(value).toLocaleString("en");
}

/**
 * A number and its noun: "1 line", "2 lines".
 * @param {number} value
 * @param {string} noun
 */
export function plural(value, noun) {
  const many = noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${count(value)} ${value === 1 ? noun : many}`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return plural(bytes, "byte");
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} KB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/**
 * A share in per cent. Never rounds to a false 0 % or 100 %.
 * @param {number} share between 0 and 1
 */
export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "less than 0.1 %";
  if (value < 100 && value > 99.9) return "more than 99.9 %";
  return `${value < 10 || value > 90 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)} %`;
}

/**
 * An upper bound in per cent: rounded up, so that it stays one.
 * @param {number} share between 0 and 1
 */
export function percentAtMost(share) {
  const up = Math.ceil(share * 1000 - 1e-9) / 1000;
  return up >= 1 && share < 1 ? "more than 99.9 %" : `${(up * 100).toFixed(1).replace(/\.0$/, "")} %`;
}

/**
 * A factor as an upper bound in words: two leading digits, rounded up.
 * @param {number} value
 */
export function timesAtMost(value) {
  if (value >= 1e9) return "more than a billion times";
  const unit = 10 ** Math.max(-1, Math.floor(Math.log10(value)) - 1);
  const up = Math.ceil(value / unit - 1e-9) * unit;
  return up < 1e6 ? `${Number(up.toFixed(1)).toLocaleString("en")} times` : `${Number((up / 1e6).toFixed(1)).toLocaleString("en")} million times`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return plural(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 5400) return `about ${plural(Math.round(seconds / 60), "minute")}`;
  return `about ${(seconds / 3600).toFixed(1)} hours`;
}

/** @param {number} unixSeconds */
export function when(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/**
 * An ε with two significant decimals.
 * @param {number} value
 */
export function epsilon(value) {
  return Number(value.toFixed(2)).toLocaleString("en");
}

/**
 * An upper bound with two decimals, rounded up.
 * @param {number} value
 */
export function atMost(value) {
  return epsilon(Math.ceil(value * 100 - 1e-9) / 100);
}
