// Follows one training: its progress, stopping it, and its results.

import { showCurve } from "./curve.js";
import { byId, setText, showError, showFacts } from "./dom.js";
import * as format from "./format.js";
import { showResults } from "./results.js";

/** @typedef {import("./api.js").Api} Api */

/** Ask again after this many milliseconds; when nothing changed or no answer came, half as much longer each time, up to the limit. */
const POLL_MS = 2000;
const POLL_LIMIT_MS = 15000;

const FINAL = new Set(["succeeded", "failed", "cancelled"]);

export class JobView {
  #turn = 0;

  /** @param {Api} api @param {() => void} onFinal called when the followed job reached its end */
  constructor(api, onFinal) {
    this.api = api;
    this.onFinal = onFinal;
  }

  /** Shows a job and follows it to its end. @param {any} job */
  async follow(job) {
    const turn = ++this.#turn;
    byId("job-section").hidden = false;
    byId("results").hidden = true;
    showError("job-error");
    this.#show(job);
    let wait = POLL_MS;
    while (!FINAL.has(job.status)) {
      await new Promise((resume) => setTimeout(resume, wait));
      if (turn !== this.#turn) return;
      const next = await this.#poll(job.id);
      if (turn !== this.#turn) return;
      const changed = next && (next.status !== job.status || next.progress.step !== job.progress.step);
      wait = changed ? POLL_MS : Math.min(wait * 1.5, POLL_LIMIT_MS);
      job = next ?? job;
      this.#show(job);
    }
    this.onFinal();
    if (job.status === "succeeded") await showResults(this.api, job, () => turn === this.#turn);
  }

  /** @param {string} id */
  async #poll(id) {
    try {
      const job = await this.api.get(`/fine_tuning/jobs/${id}`);
      showError("job-error");
      return job;
    } catch (problem) {
      showError("job-error", problem);
      return undefined;
    }
  }

  /** @param {any} job */
  #show(job) {
    const section = byId("job-section");
    section.dataset.status = job.status;
    section.dataset.job = job.id;
    setText("job-line", line(job));
    const { step, total_steps: total } = job.progress;
    byId("job-bar", HTMLProgressElement).value = job.status === "succeeded" ? 1 : total ? step / total : 0;
    showFacts(byId("job-facts"), facts(job));
    showCurve(job);
    const cancel = byId("cancel-job", HTMLButtonElement);
    cancel.hidden = FINAL.has(job.status);
    cancel.onclick = () => void this.#cancel(job.id);
    if (job.status === "failed") showError("job-error", job.error?.message ?? "The training failed. Start it again.");
  }

  /** @param {string} id */
  async #cancel(id) {
    try {
      await this.follow(await this.api.post(`/fine_tuning/jobs/${id}/cancel`, {}));
    } catch (problem) {
      showError("job-error", problem);
    }
  }
}

/** @param {any} job */
function line({ status, progress }) {
  switch (status) {
    case "queued": return "Waiting for a free place to train. You can close this page: the training goes on without it.";
    case "running": return progress.total_steps ? "The model is learning. You can close this page and come back later." : "The training is being prepared.";
    case "succeeded": return "Done. The adapter and its privacy certificate are ready.";
    case "cancelled": return "This training was stopped. It has no result.";
    default: return "This training could not finish.";
  }
}

/** @param {any} job @returns {[string, string][]} */
function facts(job) {
  const { step, total_steps: total, epsilon_spent: spent, epsilon_target: target } = job.progress;
  /** @type {[string, string][]} */
  const list = [["Model", job.model], ["Started", format.when(job.created_at)]];
  if (total) list.push(["Steps", `${format.count(step)} of ${format.count(total)}`]);
  list.push(["Privacy used (ε)", `${format.epsilon(spent)} of at most ${format.epsilon(target)}`]);
  if (job.estimated_finish && !FINAL.has(job.status)) list.push(["Time left", format.duration(job.estimated_finish - Date.now() / 1000)]);
  if (job.finished_at) list.push(["Finished", format.when(job.finished_at)]);
  return list;
}
