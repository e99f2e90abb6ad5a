// A privacy dial: three named levels, a slider for fine adjustment, and what the choice means in plain words.

import { describe, make } from "./dom.js";
import * as format from "./format.js";

/**
 * @typedef {{name: string, hint: string, epsilon: number}} Level
 * @typedef {{levels: Level[], min: number, max: number, step: number, initial: number,
 *   consequences: (epsilon: number) => Promise<string[]>, onChange: () => void}} DialOptions
 */

export class Dial {
  /** @type {number} */
  #latest = 0;

  /** @param {HTMLElement} fieldset @param {DialOptions} options */
  constructor(fieldset, options) {
    this.options = options;
    this.slider = /** @type {HTMLInputElement} */ (fieldset.querySelector("input[type=range]"));
    this.output = /** @type {HTMLOutputElement} */ (fieldset.querySelector("output"));
    this.list = /** @type {HTMLElement} */ (fieldset.querySelector(".consequences"));
    const { min, max, step, initial } = options;
    Object.assign(this.slider, { min, max, step });
    this.slider.value = String(initial);
    this.radios = options.levels.map((level) => this.#radio(level));
    fieldset.querySelector(".levels")?.replaceChildren(...this.radios.map((radio) => /** @type {Node} */ (radio.parentElement)));
    this.slider.addEventListener("input", () => this.#changed());
    // The preview follows when the slider comes to rest, not at every pixel.
    this.slider.addEventListener("change", () => options.onChange());
    this.#changed();
  }

  get epsilon() {
    return Number(this.slider.value);
  }

  /** Writes the consequences again, for another model or text. */
  async refresh() {
    const turn = ++this.#latest;
    const sentences = await this.options.consequences(this.epsilon).catch((problem) => [describe(problem)]);
    // Answers come from the worker in their own time: only the latest question's counts.
    if (turn === this.#latest) this.list.replaceChildren(...sentences.map((sentence) => make("li", {}, sentence)));
  }

  /** @param {Level} level */
  #radio({ name, hint, epsilon }) {
    const radio = make("input", { type: "radio", name: `${this.slider.id}-level`, value: String(epsilon) });
    make("label", { class: "choice" }, radio, make("span", {}, make("strong", {}, name), hint));
    radio.addEventListener("change", () => {
      this.slider.value = String(epsilon);
      this.#changed();
      this.options.onChange();
    });
    return radio;
  }

  #changed() {
    const text = `ε = ${format.epsilon(this.epsilon)}`;
    this.output.value = text;
    this.slider.setAttribute("aria-valuetext", text);
    for (const radio of this.radios) radio.checked = Number(radio.value) === this.epsilon;
    void this.refresh();
  }
}
