// "Try to break it": attacks on the reader's own text, on the reader's own computer.

import { byId, make, showError } from "./dom.js";
import * as format from "./format.js";

/** @typedef {{hits: number, share: number, low: number, high: number}} Share */
/** @typedef {{records: number, tokens: number, unchanged: Share, without_context: Share, with_context: Share | null, context_alone: Share | null}} Report */

/**
 * @param {import("./api.js").Api} api
 * @param {() => {model: string, perturber: import("./perturber.js").Perturber, setting: import("./perturber.js").Setting, noun: string} | undefined} current
 */
export function offerAttack(api, current) {
  const button = byId("attack", HTMLButtonElement);
  button.onclick = async () => {
    const now = current();
    if (!now) return;
    button.disabled = true;
    showError("attack-error");
    byId("attack-report").replaceChildren();
    try {
      const { files = {} } = await api.get(`/models/${encodeURIComponent(now.model)}`);
      const onProgress = (/** @type {number} */ done, /** @type {number} */ total) => {
        byId("attack-status").textContent = `Trying: ${format.percent(Math.floor((10 * done) / total) / 10)}.`;
      };
      const report = await now.perturber.attack(now.setting, files, onProgress);
      byId("attack-report").replaceChildren(...sentences(report, now.noun).map((sentence) => make("li", {}, sentence)));
    } catch (problem) {
      // Another text or model was chosen meanwhile.
      if (!(problem instanceof DOMException && problem.name === "AbortError")) showError("attack-error", problem);
    } finally {
      byId("attack-status").textContent = "";
      button.disabled = false;
    }
  };
}

/** @param {Report} report @param {string} noun */
function sentences(report, noun) {
  const about = (/** @type {Share} */ { share, low, high }) => `${format.percent(share)} (surely between ${format.percent(low)} and ${format.percent(high)})`;
  const list = [
    `Tried on ${format.plural(report.tokens, noun)} of your text, scrambled as an example.`,
    `${about(report.unchanged)} came out unchanged.`,
    `Someone who knows the mechanism and guesses each ${noun} by itself gets ${about(report.without_context)} right.`,
  ];
  if (report.with_context) list.push(`With a language model that reads what came before, ${about(report.with_context)}.`);
  if (report.context_alone) list.push(`For comparison: from your true words before it alone, without looking at the scrambled ${noun}, the same language model guesses ${format.percent(report.context_alone.share)}.`);
  list.push("A better language model, or someone who knows you, may get more right. Only ε limits them all.");
  return list;
}
