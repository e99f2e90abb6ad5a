// The privacy certificate (privacy.json) in plain words, with its figures.

import { make, showFacts } from "./dom.js";
import * as format from "./format.js";

const UNITS = /** @type {Record<string, string>} */ ({ line: "line", paragraph: "paragraph", "json-record": "entry" });

/** The only form that this page can explain. */
const VERSION = 2;

/** @param {HTMLElement} place @param {any} certificate */
export function showCertificate(place, certificate) {
  const known = certificate.version === VERSION;
  const sentences = known ? [training(certificate.training), text(certificate.local), account(certificate.dataset_budget), advice] : [unknown];
  const figures = make("dl", { class: "facts" });
  if (known) showFacts(figures, facts(certificate));
  place.replaceChildren(make("section", { class: "certificate" },
    make("h3", {}, "Your privacy certificate"),
    make("ul", {}, ...sentences.map((sentence) => make("li", {}, sentence))), figures));
}

const unknown = "This certificate has a newer form than this page. Load the page again, or read privacy.json itself.";
const advice = "The file privacy.json states all of this exactly and is signed by the service. Anyone can check it, without asking us: dpft verify privacy.json. Keep it with the adapter.";

/** @param {any} training */
function training({ privacy_unit: unit, epsilon, delta }) {
  const accuracy = (1 + delta * Math.exp(-epsilon)) / (1 + Math.exp(-epsilon));
  return `Against people who have the adapter: training used a privacy budget of ε = ${format.atMost(epsilon)} for each ${UNITS[unit] ?? unit}. ` +
    `Whoever guesses whether a certain ${UNITS[unit] ?? unit} was in your text is right at most ${format.percentAtMost(accuracy)} of the time, where a coin toss gives 50 %.`;
}

/** @param {any} local */
function text(local) {
  if (!local) return "Against the service itself: none. The text was sent as it was, without scrambling.";
  const chance = local.delta ? ` (but for a chance of ${local.delta.toExponential(0)})` : "";
  return `Against everybody, this service too: each of the ${format.plural(local.tokens, piece(local))} was scrambled with ε = ${format.epsilon(local.epsilon_per_token)}${chance} before it left your computer. ` +
    `In the longest of your texts, with ${format.count(local.max_tokens_in_a_record)} of them, that adds up to ε = ${format.atMost(local.epsilon_of_longest_record)}.`;
}

/** What was scrambled as one. @param {any} local */
function piece(local) {
  return local.unit === "word" ? "word" : "word piece";
}

/** @param {any} budget */
function account(budget) {
  if (!budget) return "Nobody keeps account of other trainings on the same text: their budgets add up with this one.";
  return `Every further training on the same scrambled text tells a little more about it. This service keeps account: all of them together stay within ε = ${format.atMost(budget.epsilon)}.`;
}

/** @param {any} certificate @returns {[string, string][]} */
function facts({ training, local }) {
  /** @type {[string, string][]} */
  const list = [
    ["Training ε", format.atMost(training.epsilon)],
    ["Training δ (chance that ε does not hold)", training.delta.toExponential(1)],
    ["Noise (multiplier)", format.epsilon(training.noise_multiplier)],
    ["Steps", format.count(training.steps)],
    ["Records", format.count(training.records)],
  ];
  if (local) list.push([`Scrambling ε, each ${piece(local)}`, format.epsilon(local.epsilon_per_token)]);
  return list;
}
