// Sends scrambled bytes to their presigned link. XMLHttpRequest, because fetch reports no upload progress.

import { ApiProblem } from "./api.js";

/** Headers that a browser sets by itself and refuses to let a page set. */
const SET_BY_BROWSER = new Set(["content-length", "host"]);

/**
 * @param {{method: string, url: string, headers: Record<string, string>}} ticket
 * @param {Uint8Array} bytes
 * @param {(share: number) => void} onProgress share between 0 and 1
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function upload(ticket, bytes, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(ticket.method, ticket.url);
    for (const [name, value] of Object.entries(ticket.headers)) {
      if (!SET_BY_BROWSER.has(name.toLowerCase())) request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => (request.status < 300 ? resolve() : reject(refusal(request.status)));
    request.onerror = () => reject(new ApiProblem(0, "The upload was interrupted. Check your connection and send again."));
    request.onabort = () => reject(new DOMException("Cancelled.", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    if (signal.aborted) return request.onabort(new ProgressEvent("abort"));
    request.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
  });
}

/** @param {number} status */
function refusal(status) {
  const expired = status === 403 ? " The link may have run out: send again to get a new one." : " Send again.";
  return new ApiProblem(status, `The storage refused the upload (${status}).${expired}`);
}
