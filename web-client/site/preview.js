// The reader's own text beside what would be sent for it.

import { byId, make } from "./dom.js";
import * as format from "./format.js";

/** @typedef {import("./perturber.js").PreviewRecord} PreviewRecord */

/** @param {PreviewRecord[]} records @param {string} noun what one piece is called */
export function showPreview(records, noun) {
  const heads = make("div", { class: "heads", role: "row" },
    make("div", { role: "columnheader" }, "Your text (stays here)"), make("div", { role: "columnheader" }, "What would be sent"));
  byId("preview").replaceChildren(heads, ...records.map(row));
  const pieces = records.flatMap((record) => record.pieces);
  const swapped = pieces.filter((piece) => piece.swapped).length;
  byId("preview-sum").textContent = pieces.length === 0 ? "" :
    `Here ${format.count(swapped)} of ${format.plural(pieces.length, noun)} were swapped. This is an example: the dice are rolled anew when you send.`;
}

/** @param {PreviewRecord} record */
function row({ original, pieces, cut }) {
  const sent = pieces.map(({ text, swapped }) => (swapped ? make("mark", { class: "swapped" }, text) : text));
  return make("div", { role: "row" },
    make("div", { role: "cell" }, original + (cut ? " …" : "")),
    make("div", { role: "cell" }, ...sent, cut ? " …" : ""));
}
