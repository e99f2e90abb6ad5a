// Fetches a file and uses it only if it is the one that was promised.

/**
 * @param {{url: string, bytes: number, sha256: string}} file
 * @param {(done: number) => void} onProgress bytes that have arrived
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function fetchVerified(file, onProgress) {
  const bytes = await fetchBytes(file, onProgress);
  if ((await sha256(bytes)) !== file.sha256.toLowerCase()) {
    throw new Error("A file of this model did not arrive as it should. Load the page again to fetch it anew.");
  }
  return bytes;
}

/**
 * @param {{url: string, bytes: number}} file
 * @param {(done: number) => void} onProgress
 */
async function fetchBytes(file, onProgress) {
  const failed = new Error("The files of this model could not be fetched. Check your connection and choose the model again.");
  const answer = await fetch(file.url, { credentials: "omit" }).catch(() => undefined);
  if (!answer?.ok || !answer.body) throw failed;
  const bytes = new Uint8Array(file.bytes);
  let done = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const part = await reader.read().catch(() => { throw failed; });
    if (part.done) break;
    if (done + part.value.length > bytes.length) throw failed;
    bytes.set(part.value, done);
    done += part.value.length;
    onProgress(done);
  }
  if (done !== bytes.length) throw failed;
  return bytes;
}

/**
 * SHA-256 in hexadecimal.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
