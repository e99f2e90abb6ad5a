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
 * @param {() => Perturber | undefined} perturber the workers of the chosen model
 * @param {() => import("./scrambling.js").Scrambling} scrambling
 * @param {() => void} onChange
 */
export function textDial(perturber, scrambling, onChange) {
  const consequences = async (/** @type {number} */ epsilon) => {
    const workers = perturber();
    return workers ? textConsequences(await workers.numbers(scrambling().setting(epsilon)), scrambling().noun) : [];
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

/**
 * @param {{epsilon: number, delta: number | null, classicalEpsilon: number | null, kept: number, measured: boolean, near: number, far: number,
 *   bestGuess: number | null, originals: number | null, outputs: number | null, odds: number, worstRecord: number, document: number}} n
 * @param {string} noun
 */
function textConsequences(n, noun) {
  const related = n.near > 0 ? ` ${whole(n.near)} become a related one` : "";
  const how = n.measured ? " (tried on your text)" : "";
  const sentences = [`Of 100 ${noun}s, about ${whole(n.kept)} stay as they are${how},${related} and ${whole(n.far)} become ${n.measured ? "another" : "any at all"}.`];
  if (n.bestGuess !== null) {
    sentences.push(`Someone who sees one scrambled ${noun} and knows nothing else about it guesses the original right ${format.percent(n.bestGuess)} of the time.`);
  }
  if (n.originals !== null) sentences.push(`They are as unsure as if they had to choose among ${format.count(Math.max(1, Math.round(n.originals)))} equally likely ${noun}s.`);
  if (n.outputs !== null) sentences.push(`Scrambled a hundred times, one ${noun} becomes about ${format.count(Math.round(n.outputs))} different ones.`);
  const chance = n.delta === null ? "" : ", but for a chance of 1 in 100,000";
  if (n.epsilon < 50) {
    sentences.push(`Someone who already suspects a certain ${noun} can become at most ${format.timesAtMost(n.odds)} surer of it (in betting odds; this is e to the power ε)${chance}.`);
  } else {
    sentences.push(`The guarantee for the worst case is ε = ${format.atMost(n.epsilon)} for each ${noun}${chance}. That limits nearly nothing: what protects here is the noise itself, not the guarantee.`);
  }
  if (n.classicalEpsilon !== null) {
    sentences.push(`The formula of the original service would have said ε = ${n.classicalEpsilon.toFixed(1)}. It holds for ε up to 1 only, so do not rely on it.`);
  }
  if (n.worstRecord > 0) {
    sentences.push(`Over your longest line or paragraph this adds up to ε = ${format.atMost(n.worstRecord)}, over your whole text to ${format.atMost(n.document)}. That is far too much to hide it as a whole: this layer hides words, the next layer hides lines.`);
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
