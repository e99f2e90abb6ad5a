// What the page's own worker does, timed: read the text, then every mechanism over whole words.

import init, { Session } from "./pkg/web_client.js";

const wasm = await init();
const fetchBytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const [vocabulary, embedding, neighbours] = await Promise.all(
  ["vocabulary.bin", "embedding.bin", "neighbours.bin"].map((name) => fetchBytes(`tables/english/${name}`)));
const session = Session.ofWords(vocabulary, embedding, neighbours, "bench");
const results = [];

function note(name, tokens, seconds) {
  const megabytes = Math.round(wasm.memory.buffer.byteLength / 1e6);
  const result = { name, tokens, seconds, tokensPerSecond: Math.round(tokens / seconds), megabytes };
  results.push(result);
  self.postMessage({ line: JSON.stringify(result) });
}

/** Reads a text and times that. */
async function read(name) {
  const bytes = await fetchBytes(name);
  const start = performance.now();
  session.check(bytes, "line");
  for (;;) {
    const { done, total, counts } = JSON.parse(session.readChunk());
    if (done === total) {
      note(`read ${name}`, counts.tokens, (performance.now() - start) / 1000);
      return counts.tokens;
    }
  }
}

/** Perturbs the text at hand and times the draws; what is made once for a setting, such as an index of the vectors, is timed apart. */
function perturb(name, mechanism, strength) {
  const setting = JSON.stringify({ mechanism, strength });
  let start = performance.now();
  session.begin(setting);
  note(`${name}: made ready`, 1, (performance.now() - start) / 1000);
  start = performance.now();
  for (;;) {
    const { done, total } = JSON.parse(session.perturbChunk());
    if (done === total) return note(name, total, (performance.now() - start) / 1000);
  }
}

try {
  await read("short.txt");
  // To have all code compiled by the browser's second, slower and better compiler before anything is timed.
  perturb("warm-up", "gaussian-noise", 0.5);
  results.length = 0;
  perturb("gaussian, box, sigma 0.5", "gaussian-noise", 0.5);
  perturb("gaussian, box, sigma 2", "gaussian-noise", 2);
  perturb("laplace, ball, epsilon 300", "laplace", 300);
  await read("long.txt");
  perturb("k-rr, epsilon 8", "k-rr", 8);
  perturb("set-rr, epsilon 8", "set-rr", 8);
  perturb("gaussian, box, sigma 0.1", "gaussian-noise", 0.1);
  perturb("exponential, epsilon 10", "exponential", 10);
  perturb("exponential, epsilon 30", "exponential", 30);
  self.postMessage({ results });
} catch (problem) {
  self.postMessage({ error: String(problem) });
}
