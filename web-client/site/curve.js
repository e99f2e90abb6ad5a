// The learning curve: how wrong the model's guesses were, as far as the training may tell.

import { byId } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 140;
const SVG = "http://www.w3.org/2000/svg";

/**
 * Draws the released losses of a training, or hides the curve when there is nothing to draw.
 * @param {{loss_curve?: {step: number, loss: number}[], progress: {total_steps: number}}} job
 */
export function showCurve({ loss_curve: points = [], progress }) {
  const figure = byId("curve");
  figure.hidden = points.length < 2;
  if (figure.hidden) return;
  const losses = points.map((point) => point.loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const x = (/** @type {number} */ step) => (step / Math.max(progress.total_steps, 1)) * WIDTH;
  const y = (/** @type {number} */ loss) => HEIGHT - ((loss - low) / Math.max(high - low, 1e-9)) * HEIGHT;
  const drawing = document.createElementNS(SVG, "svg");
  // A margin for the line's own width.
  drawing.setAttribute("viewBox", `-4 -4 ${WIDTH + 8} ${HEIGHT + 8}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  const line = drawing.appendChild(document.createElementNS(SVG, "polyline"));
  line.setAttribute("points", points.map(({ step, loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" "));
  const picture = byId("curve-picture");
  picture.setAttribute("aria-label", `Learning curve over ${points.length} points: from ${losses[0].toFixed(2)} to ${losses[losses.length - 1].toFixed(2)}`);
  picture.replaceChildren(drawing);
}
