// Dropping or picking a file. The page only hands the file to the worker, which reads and checks it.

import { byId, setText, showError } from "./dom.js";
import * as format from "./format.js";

/** @typedef {import("./perturber.js").Perturber} Perturber */
/** @typedef {import("./perturber.js").TextSummary} TextSummary */

export class TextFile {
  /** @type {File | undefined} */
  file;
  /** @type {TextSummary | undefined} */
  summary;
  #turn = 0;

  /** @param {() => Perturber | undefined} perturber @param {() => string} noun @param {() => void} onChange called when the checked text changed */
  constructor(perturber, noun, onChange) {
    this.noun = noun;
    this.perturber = perturber;
    this.onChange = onChange;
    const input = byId("file", HTMLInputElement);
    input.addEventListener("change", () => this.#take(input.files));
    watchDrops(byId("drop"), (files) => this.#take(files));
    byId("unit-choices").addEventListener("change", () => void this.check());
  }

  get unit() {
    const checked = byId("unit-choices").querySelector("input:checked");
    return /** @type {HTMLInputElement} */ (checked).value;
  }

  /** @param {number} share */
  #showReading(share) {
    // In steps of a tenth: each change is read aloud to those who listen to the page.
    setText("file-status", `Reading ${this.file?.name}: ${format.percent(Math.floor(share * 10) / 10)}.`);
  }

  /** @param {FileList | null} files */
  #take(files) {
    if (!files?.length) return;
    if (files.length > 1) return showError("file-error", "Choose one file at a time.");
    this.file = files[0];
    suggestUnit(this.file);
    void this.check();
  }

  /** Checks the file anew: after a choice of file, unit or model. */
  async check() {
    const worker = this.perturber();
    if (!this.file) return;
    const turn = ++this.#turn;
    this.summary = undefined;
    showError("file-error");
    byId("file-status").textContent = worker ? `Reading ${this.file.name} …` : "The text is read as soon as the model is ready.";
    this.onChange();
    if (!worker) return;
    try {
      const summary = await worker.check(this.file, this.unit, (done, total) => turn === this.#turn && this.#showReading(done / total));
      if (turn !== this.#turn) return;
      this.summary = summary;
      byId("file-status").textContent = describeText(this.file, this.unit, summary, this.noun());
      this.onChange();
    } catch (problem) {
      if (turn !== this.#turn) return;
      byId("file-status").textContent = "";
      showError("file-error", problem);
    }
  }
}

/** A .jsonl file has JSON entries and no other file has. The reader may still choose otherwise. @param {File} file */
function suggestUnit(file) {
  const isJson = /\.(jsonl|ndjson)$/i.test(file.name);
  const radio = (/** @type {string} */ value) => /** @type {HTMLInputElement} */ (byId("unit-choices").querySelector(`[value="${value}"]`));
  if (isJson) radio("json-record").checked = true;
  else if (radio("json-record").checked) radio("line").checked = true;
}

const NOUNS = /** @type {Record<string, string>} */ ({ line: "line", paragraph: "paragraph", "json-record": "entry" });

/** @param {File} file @param {string} unit @param {TextSummary} summary @param {string} piece what one scrambled thing is called */
function describeText(file, unit, { records, tokens, longest }, piece) {
  const noun = NOUNS[unit];
  return `${file.name}: ${format.plural(records, noun)}, ${format.plural(tokens, piece)}; the longest ${noun} has ${format.count(longest)}.`;
}

/** @param {HTMLElement} zone @param {(files: FileList | null) => void} onFiles */
function watchDrops(zone, onFiles) {
  const isOver = (/** @type {boolean} */ over) => zone.classList.toggle("over", over);
  // A file dropped beside the zone would replace the page and lose everything.
  for (const type of ["dragover", "drop"]) window.addEventListener(type, (event) => event.preventDefault());
  zone.addEventListener("dragenter", () => isOver(true));
  zone.addEventListener("dragleave", (event) => isOver(zone.contains(/** @type {Node | null} */ (event.relatedTarget))));
  zone.addEventListener("drop", (event) => {
    isOver(false);
    onFiles(event.dataTransfer?.files ?? null);
  });
}
