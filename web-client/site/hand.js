// The page's end of one worker. Each call is answered once; a worker that died answers all with one clear message.

export const STOPPED = "The scrambling stopped unexpectedly, and nothing was sent. Load the page again; if it happens once more, try a smaller file.";

export class Hand {
  /** @type {Map<number, {resolve: (value: any) => void, reject: (problem: Error) => void, onProgress?: (done: number, total: number) => void}>} */
  #waiting = new Map();
  #next = 1;
  #dead = false;
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });

  constructor() {
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(STOPPED);
    };
    this.#worker.onmessageerror = () => this.end(STOPPED);
  }

  /**
   * @param {string} call
   * @param {object} details
   * @param {(done: number, total: number) => void} [onProgress]
   * @returns {Promise<any>}
   */
  call(call, details, onProgress) {
    if (this.#dead) return Promise.reject(new Error(STOPPED));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#worker.postMessage({ id, call, ...details });
    });
  }

  /** Stops a running `perturb`, which then rejects with an `AbortError`. */
  cancel() {
    this.#worker.postMessage({ call: "cancel" });
  }

  /** @param {{id: number, progress?: {done: number, total: number}, value?: unknown, problem?: {message: string, kind: string}}} answer */
  #receive({ id, progress, value, problem }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (progress) return waiting.onProgress?.(progress.done, progress.total);
    this.#waiting.delete(id);
    if (!problem) return waiting.resolve(value);
    waiting.reject(asError(problem));
    if (problem.kind === "stopped") this.end(STOPPED);
  }

  /** Ends the worker and with it its copy of the text. @param {string} message what calls that still wait are told */
  end(message) {
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
