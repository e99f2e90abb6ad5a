// The access key. It comes from the address's fragment (which browsers never send) or from the reader, and stays in this tab.

import { byId, showError } from "./dom.js";

const SLOT = "access-key";

/** A key that this tab already knows. One in the address is moved out of it, so that it stays out of history and bookmarks. */
export function knownKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    sessionStorage.setItem(SLOT, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(SLOT);
}

/** Asks for a key until one is given. @returns {Promise<string>} */
export function askForKey() {
  const section = byId("key-section");
  const input = byId("key-input", HTMLInputElement);
  section.hidden = false;
  input.focus();
  const done = new AbortController();
  return new Promise((resolve) => {
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const key = input.value.trim();
      // A header can carry visible ASCII only.
      if (!/^[\x21-\x7e]+$/.test(key)) return showError("key-error", "A key has only letters, digits and signs, without spaces. Copy it again.");
      showError("key-error");
      sessionStorage.setItem(SLOT, key);
      section.hidden = true;
      input.value = "";
      done.abort();
      resolve(key);
    }, { signal: done.signal });
  });
}

/** Forgets the key, for sign-out and for keys that the service does not know. */
export function forgetKey() {
  sessionStorage.removeItem(SLOT);
}
