// The workers that hold the text: one, or several for a long text, each with its own piece. The page never sees the text itself.

import { Hand } from "./hand.js";

/** Below this, starting another worker takes longer than it saves. */
const BYTES_PER_WORKER = 1 << 20;
/** Each worker has its own copy of the tables: four of whole words take about 400 MB. */
const MOST_WORKERS = 4;
const CLOSED = "This was stopped because another model was chosen.";

/**
 * @typedef {{records: number, tokens: number, longest: number}} TextSummary
 * @typedef {{text: string, swapped: boolean}} Piece
 * @typedef {{original: string, pieces: Piece[], cut: boolean}} PreviewRecord
 * @typedef {{bytes: Uint8Array, sha256: string}} Perturbed
 * @typedef {{mechanism: string, strength: number}} Setting
 * @typedef {(done: number, total: number) => void} OnProgress
 */

export class Perturber {
  #hands = [new Hand()];
  /** Those of them that have a piece of the text now. */
  #busy = 1;
  /** @type {{model: string, contents: Uint8Array[]} | undefined} */
  #tables;
  #unit = "line";
  #turn = 0;
  /** @type {TextSummary} */
  #summary = { records: 0, tokens: 0, longest: 0 };

  /**
   * Fetches, verifies and reads a model's files.
   * @param {string} model
   * @param {Record<string, {url: string, bytes: number, sha256: string}>} files
   * @param {OnProgress} onProgress
   * @returns {Promise<{vocabulary: number}>}
   */
  load(model, files, onProgress) {
    return this.#keep(model, this.#hands[0].call("load", { model, files }, onProgress));
  }

  /**
   * Fetches, verifies and reads the tables of whole words.
   * @param {string} model
   * @param {OnProgress} onProgress
   * @returns {Promise<{vocabulary: number}>}
   */
  loadWords(model, onProgress) {
    return this.#keep(model, this.#hands[0].call("loadWords", { model }, onProgress));
  }

  /** @param {string} model @param {Promise<{vocabulary: number, contents: Uint8Array[]}>} loading */
  async #keep(model, loading) {
    const { vocabulary, contents } = await loading;
    this.#tables = { model, contents };
    return { vocabulary };
  }

  /**
   * Reads a file. A later check ends an earlier one, which rejects with an `AbortError`.
   * @param {File} file
   * @param {string} unit
   * @param {OnProgress} onProgress
   * @returns {Promise<TextSummary>}
   */
  async check(file, unit, onProgress) {
    const turn = ++this.#turn;
    const cores = Math.min(navigator.hardwareConcurrency || 1, MOST_WORKERS);
    const parts = Math.max(1, Math.min(cores, Math.floor(file.size / BYTES_PER_WORKER)));
    /** @type {number[]} */
    const ends = await this.#hands[0].call("split", { file, unit, parts });
    await this.#engage(ends.length);
    if (turn !== this.#turn) throw new DOMException("Another text was chosen.", "AbortError");
    const progress = together(ends.length, onProgress);
    const piece = (/** @type {number} */ end, /** @type {number} */ index) =>
      this.#hands[index].call("check", { file, start: ends[index - 1] ?? 0, end, unit }, progress(index));
    const counts = await Promise.all(ends.map(piece));
    this.#busy = ends.length;
    this.#unit = unit;
    this.#summary = counts.reduce((a, b) => ({ records: a.records + b.records, tokens: a.tokens + b.tokens, longest: Math.max(a.longest, b.longest) }));
    return this.#summary;
  }

  /** Has as many workers ready. @param {number} count */
  async #engage(count) {
    const started = [];
    while (this.#hands.length < count) {
      const hand = new Hand();
      this.#hands.push(hand);
      started.push(hand.call("adopt", this.#tables ?? {}));
    }
    await Promise.all(started);
  }

  /** @param {Setting} setting */
  numbers(setting) {
    return this.#hands[0].call("numbers", { setting, counts: this.#summary });
  }

  /** @param {number} epsilon */
  trainingNumbers(epsilon) {
    return this.#hands[0].call("trainingNumbers", { epsilon, records: this.#summary.records });
  }

  /** @param {Setting} setting @returns {Promise<PreviewRecord[]>} */
  preview(setting) {
    return this.#hands[0].call("preview", { setting });
  }

  /**
   * Attacks on a sample of the text, tried on this computer. A later one ends an earlier one, which rejects with an `AbortError`.
   * @param {Setting} setting
   * @param {Record<string, {url: string, bytes: number, sha256: string}>} files of the model that attacks
   * @param {OnProgress} onProgress
   */
  attack(setting, files, onProgress) {
    return this.#hands[0].call("attack", { setting, files }, onProgress);
  }

  /**
   * @param {Setting} setting
   * @param {OnProgress} onProgress
   * @returns {Promise<Perturbed>}
   */
  async perturb(setting, onProgress) {
    const progress = together(this.#busy, onProgress);
    const hands = this.#hands.slice(0, this.#busy);
    const results = await Promise.allSettled(hands.map((hand, index) => hand.call("perturb", { setting }, progress(index))));
    // All are waited for, so that none is still at work when the reader tries again.
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    const parts = results.map((result) => /** @type {PromiseFulfilledResult<any>} */ (result).value);
    return this.#hands[0].call("join", { setting, unit: this.#unit, parts });
  }

  /** Stops a running `perturb`, which then rejects with an `AbortError`. */
  cancel() {
    for (const hand of this.#hands) hand.cancel();
  }

  /** Ends the workers and with them the only copies of the text that the page made. */
  close() {
    for (const hand of this.#hands) hand.end(CLOSED);
  }
}

/** One progress of several: the sum of all. @param {number} count @param {OnProgress} onProgress */
function together(count, onProgress) {
  const states = Array.from({ length: count }, () => ({ done: 0, total: 0 }));
  return (/** @type {number} */ index) => (/** @type {number} */ done, /** @type {number} */ total) => {
    states[index] = { done, total };
    const sum = states.reduce((a, b) => ({ done: a.done + b.done, total: a.total + b.total }));
    // Until all have spoken, the sum is not yet the whole.
    if (states.every((state) => state.total > 0)) onProgress(sum.done, sum.total);
  };
}
