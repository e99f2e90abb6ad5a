// Holds the original text and scrambles it with WebAssembly. Only summaries, the preview and the scrambled bytes go back to the page;
// what this file fetches is the model's files and nothing else.

import init, { Session } from "./pkg/web_client.js";
import { fetchVerified, sha256 } from "./verified.js";

const ready = init();
/** @type {Session | undefined} */
let session;
let cancelled = false;
/** How many checks were asked for. */
let checks = 0;

/** @type {Record<string, (details: any, id: number) => unknown>} */
const calls = { load, check, numbers, trainingNumbers, preview, perturb };

self.onmessage = async ({ data }) => {
  if (data.call === "cancel") {
    cancelled = true;
    return;
  }
  try {
    await ready;
    const value = await calls[data.call](data, data.id);
    self.postMessage({ id: data.id, value }, { transfer: transferable(value) });
  } catch (problem) {
    self.postMessage({ id: data.id, problem: explain(problem) });
  }
};

/** @param {{model: string, files: Record<string, {url: string, bytes: number, sha256: string}>}} details @param {number} id */
async function load({ model, files }, id) {
  const wanted = ["tokenizer.json", "neighbours.bin"].filter((name) => files[name]);
  if (!files["tokenizer.json"]) throw new Error("This model cannot be used here: the service has no word pieces for it. Choose another model.");
  const total = wanted.reduce((sum, name) => sum + files[name].bytes, 0);
  const done = wanted.map(() => 0);
  const contents = await Promise.all(wanted.map((name, index) => fetchVerified(files[name], (bytes) => {
    done[index] = bytes;
    self.postMessage({ id, progress: { done: done[0] + (done[1] ?? 0), total } });
  })));
  session?.free();
  session = new Session(contents[0], contents[1] ?? new Uint8Array(), model);
  return { vocabulary: session.vocabulary };
}

/** @param {{file: File, unit: string}} details @param {number} id */
async function check({ file, unit }, id) {
  const current = open();
  const turn = ++checks;
  Session.checkSize(file.size);
  const bytes = await readWhole(file);
  if (turn !== checks) throw superseded();
  let counts = JSON.parse(current.check(bytes, unit));
  while (counts.done < counts.records) {
    counts = JSON.parse(current.countChunk());
    self.postMessage({ id, progress: { done: counts.done, total: counts.records } });
    await otherMessages();
    if (turn !== checks) throw superseded();
  }
  return counts;
}

/** A later check took this one's place: its text is the one in the session now. */
function superseded() {
  return new DOMException("Another text was chosen.", "AbortError");
}

/** @param {File} file */
async function readWhole(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Error("The file can no longer be read. It may have been moved or changed: choose it again.");
  }
}

/** @param {{epsilon: number}} details */
function numbers({ epsilon }) {
  return JSON.parse(open().numbers(epsilon));
}

/** @param {{epsilon: number}} details */
function trainingNumbers({ epsilon }) {
  return JSON.parse(open().trainingNumbers(epsilon));
}

/** @param {{epsilon: number}} details */
function preview({ epsilon }) {
  return JSON.parse(open().preview(epsilon));
}

/** @param {{epsilon: number}} details @param {number} id */
async function perturb({ epsilon }, id) {
  const current = open();
  cancelled = false;
  current.begin(epsilon);
  for (;;) {
    const progress = JSON.parse(current.perturbChunk());
    self.postMessage({ id, progress });
    if (progress.done === progress.total) break;
    await otherMessages();
    if (cancelled) {
      current.abandon();
      throw new DOMException("Cancelled.", "AbortError");
    }
  }
  const bytes = /** @type {Uint8Array<ArrayBuffer>} */ (current.finish());
  return { bytes, sha256: await sha256(bytes) };
}

/** Lets waiting messages in: a "cancel", or another text. */
function otherMessages() {
  return new Promise((resume) => setTimeout(resume));
}

function open() {
  if (!session) throw new Error("Choose a model first.");
  return session;
}

/** @param {any} value */
function transferable(value) {
  return value?.bytes instanceof Uint8Array ? [value.bytes.buffer] : [];
}

/**
 * WebAssembly that trapped cannot be used again: `stopped`. Any other error carries a sentence for the reader.
 * @param {unknown} problem
 */
function explain(problem) {
  if (problem instanceof WebAssembly.RuntimeError || problem instanceof RangeError) return { message: "", kind: "stopped" };
  if (problem instanceof DOMException && problem.name === "AbortError") return { message: problem.message, kind: "cancelled" };
  if (problem instanceof Error && problem.constructor === Error) return { message: problem.message, kind: "input" };
  return { message: "", kind: "stopped" };
}
