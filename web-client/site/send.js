// Scramble, upload, start the job. One `AbortController` cancels whichever of the three is running.

import { byId, setText, showError } from "./dom.js";
import * as format from "./format.js";
import { upload } from "./upload.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./perturber.js").Perturber} Perturber */

/** The user's own file name may say much, so this one is sent instead. */
const NEUTRAL_NAME = "perturbed.dptk";

/**
 * @typedef {{model: string, perturber: Perturber, setting: import("./perturber.js").Setting, trainingEpsilon: number, unit: string,
 *   epochs: number, batchSize: number, lossCurve: boolean, suffix: string}} Order
 */

/**
 * Carries out an order and answers with the job, or `undefined` when it was cancelled or failed; the page says which.
 * @param {Api} api
 * @param {Order} order
 */
export async function send(api, order) {
  const abort = new AbortController();
  const outcome = { cancelled: "Cancelled. Nothing was sent." };
  const cancel = byId("cancel-send", HTMLButtonElement);
  cancel.onclick = () => {
    abort.abort();
    order.perturber.cancel();
  };
  setBusy(true);
  showError("send-error");
  status("");
  try {
    const job = await scrambleAndSend(api, order, abort.signal, outcome);
    status("Sent. You can follow the training below.");
    return job;
  } catch (problem) {
    if (abort.signal.aborted) status(outcome.cancelled);
    else showError("send-error", problem);
  } finally {
    setBusy(false);
  }
}

/**
 * @param {Api} api
 * @param {Order} order
 * @param {AbortSignal} signal
 * @param {{cancelled: string}} outcome says what cancelling at this moment means
 */
async function scrambleAndSend(api, order, signal, outcome) {
  const scrambled = await order.perturber.perturb(order.setting, (done, total) => progress("Scrambling on your computer", done / total));
  signal.throwIfAborted();
  progress("Asking for a place to send it", 0);
  const { bytes, sha256 } = scrambled;
  const file = await api.post("/files", { filename: NEUTRAL_NAME, bytes: bytes.length, sha256, purpose: "fine-tune" });
  signal.throwIfAborted();
  outcome.cancelled = "Cancelled. No training was started. If part of the scrambled text had been sent, it stays unused.";
  await upload(file.upload, bytes, (share) => progress(`Sending the scrambled text (${format.size(bytes.length)})`, share), signal);
  signal.throwIfAborted();
  // From here on there is a job: it is stopped with its own button.
  byId("cancel-send").hidden = true;
  progress("Starting the training", 1);
  return api.post("/fine_tuning/jobs", jobRequest(order, file.id));
}

/** @param {Order} order @param {string} fileId */
function jobRequest(order, fileId) {
  const settings = { epsilon: order.trainingEpsilon, privacy_unit: order.unit, epochs: order.epochs, batch_size: order.batchSize,
    loss_curve: order.lossCurve };
  const suffix = order.suffix ? { suffix: order.suffix } : {};
  return { model: order.model, training_file: fileId, method: { type: "dp_lora", dp_lora: settings }, ...suffix };
}

/** @param {string} label @param {number} share */
function progress(label, share) {
  setText("send-label", `${label} …`);
  byId("send-bar", HTMLProgressElement).value = share;
}

/** @param {string} text */
function status(text) {
  byId("send-status").textContent = text;
}

/** @param {boolean} busy */
function setBusy(busy) {
  byId("send", HTMLButtonElement).disabled = busy;
  byId("cancel-send").hidden = !busy;
  byId("send-progress").hidden = !busy;
  // Another model, text or setting in the middle would not be the one that was previewed.
  for (const input of document.querySelectorAll("#work input, #work select")) /** @type {HTMLInputElement} */ (input).disabled = busy;
}
