// Earlier trainings of this key, newest first.

import { byId, make, showError } from "./dom.js";
import * as format from "./format.js";

const WORDS = /** @type {Record<string, string>} */ ({
  queued: "waiting", running: "training", succeeded: "done", failed: "failed", cancelled: "stopped",
});

/**
 * @param {import("./api.js").Api} api
 * @param {(job: any) => void} onOpen
 * @returns {Promise<any[]>} the jobs
 */
export async function showHistory(api, onOpen) {
  showError("jobs-error");
  try {
    const { data, has_more: more } = await api.get("/fine_tuning/jobs?limit=20");
    byId("jobs").replaceChildren(...data.map((/** @type {any} */ job) => row(job, onOpen)));
    byId("jobs-note").textContent = data.length === 0 ? "None yet." : more ? "The latest 20 are shown." : "";
    return data;
  } catch (problem) {
    showError("jobs-error", problem);
    return [];
  }
}

/** @param {any} job @param {(job: any) => void} onOpen */
function row(job, onOpen) {
  const open = make("button", { type: "button", class: "quiet" }, "Show");
  const name = `${job.model}, ${format.when(job.created_at)}`;
  open.setAttribute("aria-label", `Show ${name}`);
  open.onclick = () => onOpen(job);
  return make("li", { dataset: { job: job.id } },
    make("span", {}, name), make("span", { class: `pill ${job.status}` }, WORDS[job.status] ?? job.status), open);
}
