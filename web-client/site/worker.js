// Holds the original text, or a piece of it, and scrambles it with WebAssembly. Only summaries, the preview and the scrambled bytes go
// back to the page; what this file fetches is public tables and nothing else.

import init, { Session } from "./pkg/web_client.js";
import { fetchVerified, sha256 } from "./verified.js";

const ready = init();
/** @type {Session | undefined} */
let session;
let cancelled = false;
/** How many checks, and how many attacks, were asked for. */
let checks = 0;
let attacks = 0;

/** @typedef {{url: string, bytes: number, sha256: string}} Verified */
/** @typedef {{records: number, tokens: number, longest: number}} Counts */

/** @type {Record<string, (details: any, id: number) => unknown>} */
const calls = { load, loadWords, adopt, split, check, numbers, trainingNumbers, preview, attack, perturb, join };

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

/** Word pieces of a model. @param {{model: string, files: Record<string, Verified>}} details @param {number} id */
async function load({ model, files }, id) {
  const wanted = ["tokenizer.json", "neighbours.bin"].filter((name) => files[name]);
  if (!files["tokenizer.json"]) throw new Error("This model cannot be used here: the service has no word pieces for it. Choose another model.");
  const contents = await fetchAll(wanted.map((name) => files[name]), id);
  return adopt({ model, contents });
}

/** Whole words, with the tables that belong to the page. @param {{model: string}} details @param {number} id */
async function loadWords({ model }, id) {
  const folder = new URL("tables/english/", import.meta.url);
  const answer = await fetch(new URL("index.json", folder));
  if (!answer.ok) throw new Error("The list of whole words is not on this server. Use word pieces, or tell the person who runs the service.");
  const index = await answer.json();
  const files = ["vocabulary.bin", "embedding.bin", "neighbours.bin"].map((name) => ({ ...index[name], url: new URL(name, folder).href }));
  return adopt({ model, contents: await fetchAll(files, id) });
}

/** @param {Verified[]} files @param {number} id */
async function fetchAll(files, id) {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const done = files.map(() => 0);
  return Promise.all(files.map((file, index) => fetchVerified(file, (bytes) => {
    done[index] = bytes;
    self.postMessage({ id, progress: { done: done.reduce((sum, part) => sum + part, 0), total } });
  })));
}

/** Takes public tables that were verified: here, or by the worker that fetched them. @param {{model: string, contents: Uint8Array[]}} details */
function adopt({ model, contents }) {
  session?.free();
  session = undefined;
  armed = false;
  const [first, second = new Uint8Array(), third] = contents;
  session = third ? Session.ofWords(first, second, third, model) : Session.ofTokens(first, second, model);
  return { vocabulary: session.vocabulary, contents };
}

/** Checks a whole file and says where to cut it. @param {{file: File, unit: string, parts: number}} details */
async function split({ file, unit, parts }) {
  Session.checkSize(file.size);
  const turn = ++checks;
  const bytes = await readWhole(file);
  if (turn !== checks) throw superseded();
  return [...Session.split(bytes, unit, parts)];
}

/** @param {{file: File, start: number, end: number, unit: string}} details @param {number} id */
async function check({ file, start, end, unit }, id) {
  const current = open();
  const turn = ++checks;
  attacks += 1;
  const bytes = await readWhole(file.slice(start, end));
  if (turn !== checks) throw superseded();
  current.check(bytes, unit);
  for (;;) {
    const { done, total, counts } = JSON.parse(current.readChunk());
    self.postMessage({ id, progress: { done, total } });
    if (done === total) return counts;
    await otherMessages();
    if (turn !== checks) throw superseded();
  }
}

/** A later check took this one's place: its text is the one in the session now. */
function superseded() {
  return new DOMException("Another text was chosen.", "AbortError");
}

/** @param {Blob} file */
async function readWhole(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Error("The file can no longer be read. It may have been moved or changed: choose it again.");
  }
}

/** @param {{setting: object, counts: Counts}} details */
function numbers({ setting, counts }) {
  return JSON.parse(open().numbers(JSON.stringify(setting), JSON.stringify(counts)));
}

/** @param {{epsilon: number, records: number}} details */
function trainingNumbers({ epsilon, records }) {
  return JSON.parse(open().trainingNumbers(epsilon, records));
}

/** @param {{setting: object}} details */
function preview({ setting }) {
  return JSON.parse(open().preview(JSON.stringify(setting)));
}

/** True when the session has a language model to attack with. */
let armed = false;

/**
 * Tries to undo the scrambling of a sample, as someone would who sees what is sent.
 * @param {{setting: object, files: Record<string, Verified>}} details @param {number} id
 */
async function attack({ setting, files }, id) {
  const current = open();
  const turn = ++attacks;
  const names = ["config.json", "model.safetensors", "tokenizer.json"];
  if (!armed && names.every((name) => files[name])) {
    const [config, weights, tokenizer] = await fetchAll(names.map((name) => files[name]), id);
    current.takeReader(config, weights, tokenizer);
    armed = true;
  }
  current.beginAttack(JSON.stringify(setting));
  for (;;) {
    const progress = JSON.parse(current.attackChunk());
    self.postMessage({ id, progress });
    if (progress.done === progress.total) return JSON.parse(current.finishAttack());
    await otherMessages();
    if (turn !== attacks) throw superseded();
  }
}

/** @param {{setting: object}} details @param {number} id */
async function perturb({ setting }, id) {
  const current = open();
  cancelled = false;
  current.begin(JSON.stringify(setting));
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
  const part = current.finishPart();
  const finished = { counts: JSON.parse(part.counts), bytes: part.body() };
  part.free();
  return finished;
}

/**
 * Puts all workers' pieces together.
 * @param {{setting: object, unit: string, parts: {counts: Counts, bytes: Uint8Array}[]}} details
 */
async function join({ setting, unit, parts }) {
  const bodies = new Uint8Array(await new Blob(parts.map(({ bytes }) => /** @type {Uint8Array<ArrayBuffer>} */ (bytes))).arrayBuffer());
  const counts = JSON.stringify(parts.map((part) => part.counts));
  const lengths = Uint32Array.from(parts, (part) => part.bytes.length);
  const bytes = /** @type {Uint8Array<ArrayBuffer>} */ (open().join(JSON.stringify(setting), unit, counts, bodies, lengths));
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
