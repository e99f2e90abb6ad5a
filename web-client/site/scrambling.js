// How text is scrambled: into what, and by which mechanism. Most readers never open this fold.

import { byId } from "./dom.js";

/** Mechanisms that work on whole words only, each with what its number is and a usual value. */
const BY_MEANING = /** @type {Record<string, {label: string, value: number}>} */ ({
  exponential: { label: "Privacy budget ε for each word", value: 20 },
  gaussian: { label: "Privacy budget ε for each word (but for a chance of 1 in 100,000)", value: 100 },
  "gaussian-noise": { label: "Standard deviation of the noise on each coordinate", value: 0.1 },
  laplace: { label: "Privacy budget ε for each word", value: 300 },
});

export class Scrambling {
  /** @param {() => void} onPieces called when the reader went from word pieces to whole words, or back @param {() => void} onChange */
  constructor(onPieces, onChange) {
    this.onChange = onChange;
    this.select = byId("mechanism", HTMLSelectElement);
    this.input = byId("strength", HTMLInputElement);
    byId("piece-choices").addEventListener("change", () => {
      this.#show();
      onPieces();
    });
    this.select.addEventListener("change", () => {
      this.#suggest();
      onChange();
    });
    this.input.addEventListener("change", () => this.input.reportValidity() && onChange());
    this.#show();
  }

  /** Whether whole words are scrambled, and not pieces of words. */
  get wholeWords() {
    return /** @type {HTMLInputElement} */ (byId("piece-choices").querySelector("input:checked")).value === "words";
  }

  /** What one scrambled thing is called. */
  get noun() {
    return this.wholeWords ? "word" : "word piece";
  }

  /** @param {number} epsilon what the dial says @returns {import("./perturber.js").Setting} */
  setting(epsilon) {
    const mechanism = this.select.value;
    return { mechanism, strength: BY_MEANING[mechanism] ? this.input.valueAsNumber : epsilon };
  }

  /** Word pieces have no meanings here, so only the two simple mechanisms suit them. */
  #show() {
    for (const option of this.select.options) option.disabled = Boolean(BY_MEANING[option.value]) && !this.wholeWords;
    if (this.select.selectedOptions[0].disabled) this.select.value = "set-rr";
    this.#suggest();
  }

  #suggest() {
    const own = BY_MEANING[this.select.value];
    byId("strength-row").hidden = !own;
    byId("text-dial-slider").hidden = Boolean(own);
    if (!own) return;
    byId("strength-label").textContent = own.label;
    this.input.value = String(own.value);
  }
}
