// Runs the two workers one after the other, so that neither has the other's core.

/** @param {string} script @param {WorkerOptions} [options] */
function run(script, options) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(script, options);
    worker.onerror = (event) => reject(new Error(`${script}: ${event.message}`));
    worker.onmessage = ({ data }) => {
      if (data.line) document.getElementById("log").textContent += `${data.line}\n`;
      if (data.error) reject(new Error(data.error));
      if (!data.results) return;
      worker.terminate();
      resolve(data.results);
    };
  });
}

try {
  const ours = await run("ours.js", { type: "module" });
  const peer = await run("peer.js");
  globalThis.results = { ours, peer, cores: navigator.hardwareConcurrency, browser: navigator.userAgent };
} catch (problem) {
  globalThis.results = { error: String(problem) };
}
