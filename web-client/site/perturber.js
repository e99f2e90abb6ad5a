// The page's end of the worker that holds the text. Each call is answered once; a worker that died answers all with one clear message.

const STOPPED = "The scrambling stopped unexpectedly, and nothing was sent. Load the page again; if it happens once more, try a smaller file.";

/**
 * @typedef {{records: number, tokens: number, longest: number}} TextSummary
 * @typedef {{text: string, swapped: boolean}} Piece
 * @typedef {{original: string, pieces: Piece[], cut: boolean}} PreviewRecord
 * @typedef {{bytes: Uint8Array, sha256: string}} Perturbed
 */

export class Perturber {
  /** @type {Map<number, {resolve: (value: any) => void, reject: (problem: Error) => void, onProgress?: (done: number, total: number) => void}>} */
  #waiting = new Map();
  #next = 1;
  #dead = false;
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });

  constructor() {
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(STOPPED);
    };
    this.#worker.onmessageerror = () => this.#die(STOPPED);
  }

  /**
   * Fetches, verifies and reads a model's files.
   * @param {string} model
   * @param {Record<string, {url: string, bytes: number, sha256: string}>} files
   * @param {(done: number, total: number) => void} onProgress
   * @returns {Promise<{vocabulary: number}>}
   */
  load(model, files, onProgress) {
    return this.#call("load", { model, files }, onProgress);
  }

  /**
   * Reads and counts a file. A later check ends an earlier one, which rejects with an `AbortError`.
   * @param {File} file
   * @param {string} unit
   * @param {(done: number, total: number) => void} onProgress
   * @returns {Promise<TextSummary>}
   */
  check(file, unit, onProgress) {
    return this.#call("check", { file, unit }, onProgress);
  }

  /** @param {number} epsilon */
  numbers(epsilon) {
    return this.#call("numbers", { epsilon });
  }

  /** @param {number} epsilon */
  trainingNumbers(epsilon) {
    return this.#call("trainingNumbers", { epsilon });
  }

  /** @param {number} epsilon @returns {Promise<PreviewRecord[]>} */
  preview(epsilon) {
    return this.#call("preview", { epsilon });
  }

  /**
   * @param {number} epsilon
   * @param {(done: number, total: number) => void} onProgress
   * @returns {Promise<Perturbed>}
   */
  perturb(epsilon, onProgress) {
    return this.#call("perturb", { epsilon }, onProgress);
  }

  /** Stops a running `perturb`, which then rejects with an `AbortError`. */
  cancel() {
    this.#worker.postMessage({ call: "cancel" });
  }

  /** Ends the worker and with it the only copy of the text that the page made. */
  close() {
    this.#die("This was stopped because another model was chosen.");
  }

  /**
   * @param {string} call
   * @param {object} details
   * @param {(done: number, total: number) => void} [onProgress]
   */
  #call(call, details, onProgress) {
    if (this.#dead) return Promise.reject(new Error(STOPPED));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#worker.postMessage({ id, call, ...details });
    });
  }

  /** @param {{id: number, progress?: {done: number, total: number}, value?: unknown, problem?: {message: string, kind: string}}} answer */
  #receive({ id, progress, value, problem }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (progress) return waiting.onProgress?.(progress.done, progress.total);
    this.#waiting.delete(id);
    if (!problem) return waiting.resolve(value);
    waiting.reject(asError(problem));
    if (problem.kind === "stopped") this.#die(STOPPED);
  }

  /** @param {string} message */
  #die(message) {
    this.#dead = true;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new Error(message));
    this.#waiting.clear();
  }
}

/** @param {{message: string, kind: string}} problem */
function asError({ message, kind }) {
  if (kind === "cancelled") return new DOMException(message, "AbortError");
  return new Error(kind === "stopped" ? STOPPED : message);
}
