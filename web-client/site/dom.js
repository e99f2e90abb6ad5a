// Small helpers over the DOM. Text always goes in as text, never as markup.

/**
 * The element with this id; a missing one is a mistake in the page, so it says which.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} [type]
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!found || (type && !(found instanceof type))) throw new Error(`The page lacks #${id}.`);
  return /** @type {T} */ (found);
}

/**
 * A new element with properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [properties] `class`, `role`, `dataset` or any property of the element
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = String(value);
    else if (name === "role") element.setAttribute("role", String(value));
    else if (name === "dataset") Object.assign(element.dataset, value);
    else Object.assign(element, { [name]: value });
  }
  element.append(...children);
  return element;
}

/** Leaves an unchanged live region alone, so that screen readers do not repeat it. @param {string} id @param {string} text */
export function setText(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Shows what went wrong in a `role=alert` element, or clears it.
 * @param {string} id
 * @param {unknown} [problem]
 */
export function showError(id, problem) {
  byId(id).textContent = problem === undefined ? "" : describe(problem);
}

/**
 * One plain sentence about a problem.
 * @param {unknown} problem
 */
export function describe(problem) {
  if (problem instanceof Error && problem.message) return problem.message;
  return typeof problem === "string" ? problem : "Something went wrong. Load the page again and retry.";
}

/**
 * A list of facts for a `<dl>`.
 * @param {HTMLElement} list
 * @param {[string, string][]} facts
 */
export function showFacts(list, facts) {
  list.replaceChildren(...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}
