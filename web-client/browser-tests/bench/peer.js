// TensorFlow.js on its WASM backend, one thread: the nearest vector of a batch of noisy ones by a matrix product and argmin, which is the fastest
// way it has. The original service did one word at a time.

/* global importScripts, tf */
importScripts("tfjs/tf.min.js", "tfjs/tf-backend-wasm.min.js");

const WORDS = 100_000;
const DIMENSION = 50;

async function tokensPerSecond(batch, seconds) {
  // One word a column: a product with a transposed matrix takes another, much slower kernel.
  const table = tf.randomUniform([DIMENSION, WORDS], -1, 1);
  const halfNorms = table.square().sum(0).mul(0.5);
  const words = table.slice([0, 0], [DIMENSION, batch]).transpose();
  const step = () => tf.tidy(() => {
    const noisy = words.add(tf.randomNormal([batch, DIMENSION], 0, 0.1));
    return tf.matMul(noisy, table).sub(halfNorms).argMax(1).dataSync();
  });
  step();
  const start = performance.now();
  let tokens = 0;
  while (performance.now() - start < seconds * 1000) tokens += step().length;
  const rate = tokens / ((performance.now() - start) / 1000);
  tf.dispose([table, halfNorms, words]);
  return Math.round(rate);
}

(async () => {
  try {
    tf.wasm.setWasmPaths("tfjs/");
    tf.wasm.setThreadsCount(1);
    await tf.setBackend("wasm");
    await tf.ready();
    const results = { backend: tf.getBackend(), version: tf.version.tfjs, batch256: await tokensPerSecond(256, 8), oneAtATime: await tokensPerSecond(1, 4) };
    self.postMessage({ line: JSON.stringify(results) });
    self.postMessage({ results });
  } catch (problem) {
    self.postMessage({ error: String(problem) });
  }
})();
