// Choosing a model, and getting what scrambling for it needs.

import { byId, make, showError } from "./dom.js";
import * as format from "./format.js";
import { Perturber } from "./perturber.js";

/** @typedef {import("./api.js").Api} Api */

export class ModelChoice {
  /** @type {Perturber | undefined} */
  perturber;
  /** @type {string | undefined} */
  model;

  /** @param {Api} api @param {() => boolean} wholeWords @param {() => void} onChange called when a model went away and when one is ready */
  constructor(api, wholeWords, onChange) {
    this.api = api;
    this.wholeWords = wholeWords;
    this.onChange = onChange;
  }

  /** Takes the chosen model anew: for whole words in place of pieces, or back. */
  again() {
    const chosen = byId("model-choices").querySelector(":checked")?.getAttribute("value");
    if (chosen) void this.choose(chosen);
  }

  /** Shows the models and takes the first. */
  async show() {
    const { data } = await this.api.get("/models");
    const choices = byId("model-choices");
    const legend = /** @type {Node} */ (choices.querySelector("legend"));
    choices.replaceChildren(legend, ...data.map((/** @type {any} */ model) => this.#choice(model)));
    if (data.length === 0) return showError("model-error", "This service has no models yet. Ask the person who runs it to add one.");
    const first = /** @type {HTMLInputElement} */ (choices.querySelector("input"));
    first.checked = true;
    await this.choose(data[0].id);
  }

  /** @param {{id: string, description?: string}} model */
  #choice({ id, description }) {
    const radio = make("input", { type: "radio", name: "model", value: id });
    radio.addEventListener("change", () => void this.choose(id));
    return make("label", { class: "choice" }, radio, make("span", {}, make("strong", {}, id), description ?? ""));
  }

  /** @param {string} id */
  async choose(id) {
    const former = this.perturber;
    Object.assign(this, { perturber: undefined, model: undefined });
    this.onChange();
    former?.close();
    const perturber = new Perturber();
    const words = this.wholeWords();
    const isCurrent = () => words === this.wholeWords() && byId("model-choices").querySelector(":checked")?.getAttribute("value") === id;
    const what = words ? "a list of English words" : "this model’s word pieces";
    showError("model-error");
    try {
      byId("model-status").textContent = `Getting ${what} …`;
      const onProgress = (/** @type {number} */ done, /** @type {number} */ total) => isCurrent() && showLoading(what, done, total);
      const vocabulary = await this.#load(perturber, id, words, onProgress);
      if (!isCurrent()) return perturber.close();
      Object.assign(this, { perturber, model: id });
      byId("model-status").textContent = words
        ? `Ready. The list has ${format.count(vocabulary)} English words; any other word is scrambled as “unknown”.`
        : `Ready. This model knows ${format.count(vocabulary)} word pieces: whole short words, or parts of longer ones.`;
      this.onChange();
    } catch (problem) {
      perturber.close();
      if (!isCurrent()) return;
      byId("model-status").textContent = "";
      showError("model-error", problem);
    }
  }

  /** @param {Perturber} perturber @param {string} id @param {boolean} words @param {import("./perturber.js").OnProgress} onProgress */
  async #load(perturber, id, words, onProgress) {
    if (words) return (await perturber.loadWords(id, onProgress)).vocabulary;
    const { files = {} } = await this.api.get(`/models/${encodeURIComponent(id)}`);
    return (await perturber.load(id, files, onProgress)).vocabulary;
  }
}

/** @param {string} what @param {number} done @param {number} total */
function showLoading(what, done, total) {
  byId("model-status").textContent = `Getting ${what}: ${format.size(done)} of ${format.size(total)}.`;
}
