// What a finished training gives: its files and its privacy certificate.

import { showCertificate } from "./certificate.js";
import { byId, make, showError } from "./dom.js";
import * as format from "./format.js";
import { zip } from "./zip.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {{id: string, filename: string, bytes: number, download_url?: string}} StoredFile */

const CERTIFICATE = "privacy.json";

/**
 * @param {Api} api
 * @param {{id: string, result_files: string[]}} job
 * @param {() => boolean} isCurrent false when another training is shown by now
 */
export async function showResults(api, job, isCurrent) {
  byId("certificate").replaceChildren();
  byId("result-files").replaceChildren();
  showError("result-error");
  byId("results").hidden = false;
  await reportingErrors(async () => {
    const files = await retrieveAll(api, job.result_files);
    if (!isCurrent()) return;
    byId("result-files").replaceChildren(...files.map((file) => row(api, file)));
    byId("download-all").onclick = () => void reportingErrors(() => downloadAll(api, job));
    const certificate = files.find((file) => file.filename === CERTIFICATE);
    if (certificate) showCertificate(byId("certificate"), JSON.parse(await (await content(certificate)).text()));
  });
}

/** @param {Api} api @param {string[]} ids @returns {Promise<StoredFile[]>} */
function retrieveAll(api, ids) {
  return Promise.all(ids.map((id) => api.get(`/files/${id}`)));
}

/** @param {Api} api @param {StoredFile} file */
function row(api, file) {
  const button = make("button", { type: "button", class: "quiet" }, "Download");
  button.setAttribute("aria-label", `Download ${file.filename}`);
  // Links run out after some minutes, so each click takes a new one.
  button.onclick = () => void reportingErrors(async () => save(await content(await api.get(`/files/${file.id}`)), file.filename));
  return make("li", {}, make("span", {}, file.filename), make("span", { class: "note" }, format.size(file.bytes)), button);
}

/** @param {Api} api @param {{id: string, result_files: string[]}} job */
async function downloadAll(api, job) {
  const files = await retrieveAll(api, job.result_files);
  const contents = await Promise.all(files.map(async (file) => new Uint8Array(await (await content(file)).arrayBuffer())));
  const folder = `adapter-${job.id.replace(/^ftjob-/, "").slice(0, 8)}`;
  save(zip(files.map((file, index) => ({ name: `${folder}/${file.filename}`, bytes: contents[index] }))), `${folder}.zip`);
}

/** @param {StoredFile} file */
async function content({ download_url: url }) {
  const answer = url ? await fetch(url, { credentials: "omit" }).catch(() => undefined) : undefined;
  if (!answer?.ok) throw new Error("The file could not be fetched. Check your connection and try again.");
  return answer.blob();
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  // The browser has taken hold of the content by the next turn of the event loop.
  setTimeout(() => URL.revokeObjectURL(url));
}

/** @param {() => Promise<void>} work */
async function reportingErrors(work) {
  showError("result-error");
  try {
    await work();
  } catch (problem) {
    showError("result-error", problem);
  }
}
