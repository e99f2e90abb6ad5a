// The service's HTTP interface. Only JSON about files and jobs passes here; file contents go through upload.js.

/** An answer of the service that says what is wrong, or no answer at all (`status` 0). */
export class ApiProblem extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const NO_ANSWER = "The service does not answer. Check your connection and try again.";

/** Where the API lives: `config.json` beside the page says so, since it may be on another host than the page. */
export async function readApiBase() {
  const answer = await fetch("config.json", { cache: "no-cache" });
  const config = answer.ok ? await answer.json() : {};
  return typeof config.api_base === "string" ? config.api_base.replace(/\/$/, "") : "/v1";
}

export class Api {
  /** @param {string} base @param {string} key */
  constructor(base, key) {
    this.base = base;
    /** @type {string} */
    this.key = key;
  }

  /** @param {string} path */
  get(path) {
    return this.#request("GET", path);
  }

  /** @param {string} path @param {unknown} body */
  post(path, body) {
    return this.#request("POST", path, body);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  async #request(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { authorization: `Bearer ${this.key}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    const payload = body === undefined ? undefined : JSON.stringify(body);
    let answer;
    try {
      answer = await fetch(this.base + path, { method, headers, body: payload, cache: "no-store", credentials: "omit" });
    } catch {
      throw new ApiProblem(0, NO_ANSWER);
    }
    return readAnswer(answer);
  }
}

/** @param {Response} answer */
async function readAnswer(answer) {
  let body;
  try {
    body = await answer.json();
  } catch {
    throw new ApiProblem(answer.status, `The service gave an answer that cannot be read (${answer.status}). Try again in a minute.`);
  }
  if (answer.ok) return body;
  const message = body?.error?.message;
  throw new ApiProblem(answer.status, typeof message === "string" ? message : `The service refused this (${answer.status}).`);
}
