// The two privacy dials: their levels, and what each setting means, said without mathematics where that is honest.

import { Dial } from "./dial.js";
import { byId } from "./dom.js";
import * as format from "./format.js";

/** @typedef {import("./perturber.js").Perturber} Perturber */

const TEXT_LEVELS = [
  { name: "Strong", hint: "Nearly everything is swapped; the model learns little", epsilon: 4 },
  { name: "Balanced", hint: "A fair middle for most texts", epsilon: 8 },
  { name: "Light", hint: "Much of the sense survives; for text that is barely sensitive", epsilon: 10 },
];

const TRAINING_LEVELS = [
  { name: "Strong", hint: "For sensitive text; needs many lines to learn anything", epsilon: 1 },
  { name: "Balanced", hint: "A limit that is often chosen in practice", epsilon: 4 },
  { name: "Light", hint: "Learns the most; the worst case is barely limited", epsilon: 8 },
];

/**
 * @param {() => Perturber | undefined} perturber the worker of the chosen model
 * @param {() => void} onChange
 */
export function textDial(perturber, onChange) {
  const consequences = async (/** @type {number} */ epsilon) => {
    const worker = perturber();
    return worker ? textConsequences(await worker.numbers(epsilon)) : [];
  };
  return new Dial(byId("text-dial"), { levels: TEXT_LEVELS, min: 1, max: 14, step: 0.5, initial: 8, consequences, onChange });
}

/** @param {() => Perturber | undefined} perturber */
export function trainingDial(perturber) {
  const consequences = async (/** @type {number} */ epsilon) => {
    const worker = perturber();
    return worker ? trainingConsequences(await worker.trainingNumbers(epsilon)) : [];
  };
  const onChange = () => {};
  return new Dial(byId("training-dial"), { levels: TRAINING_LEVELS, min: 0.5, max: 10, step: 0.5, initial: 4, consequences, onChange });
}

/** @param {{epsilon: number, kept: number, near: number, far: number, bestGuess: number, odds: number, worstRecord: number}} n */
function textConsequences(n) {
  const related = n.near > 0 ? ` ${whole(n.near)} become a related piece` : "";
  const sentences = [
    `Of 100 word pieces, about ${whole(n.kept)} stay as they are,${related} and ${whole(n.far)} become any piece at all.`,
    `Someone who sees one scrambled piece and knows nothing else about it guesses the original right ${format.percent(n.bestGuess)} of the time.`,
    `Someone who already suspects a certain piece can become at most ${format.timesAtMost(n.odds)} surer of it (in betting odds; this is e to the power ε).`,
  ];
  if (n.worstRecord > 0) {
    sentences.push(`Over your longest line or paragraph this adds up to ε = ${format.epsilon(n.worstRecord)}. That is far too much to hide it as a whole: this layer hides words, the next layer hides lines.`);
  }
  return sentences;
}

/** @param {{accuracy: number, odds: number}} n */
function trainingConsequences(n) {
  return [
    "Imagine someone who has your adapter and wants to find out whether one certain line was in your text. Tossing a coin, they are right 50 % of the time.",
    `With this setting they are right at most ${format.percentAtMost(n.accuracy)} of the time, even if they know all your other lines.`,
    "That is a limit nobody can beat, however clever. Known attacks usually do far worse than the limit.",
  ];
}

/** @param {number} share */
function whole(share) {
  const value = Math.round(share * 100);
  return value === 0 && share > 0 ? "less than 1" : String(value);
}
