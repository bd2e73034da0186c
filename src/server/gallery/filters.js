// The chips of the filter, and the panel in which they are chosen.

import { get } from "./api.js";
import { h } from "./dom.js";
import { go, here } from "./place.js";

const NAMES = { class: "On it", object: "Object", label: "Label", folder: "Folder" };
const FACETS = { class: "classes", object: "objects", label: "labels", folder: "folders" };

/** The row of chips of a place. */
export function chips(place) {
  const chip = (text, remove) =>
    h("span", { class: "chip" }, text, h("button", { type: "button", "aria-label": `Remove ${text}`, onclick: remove }, "\u00d7"));
  const made = place.values.map((value, at) =>
    chip(`${NAMES[value.key]}: ${value.value}`, () => go({ values: here().values.filter((_, other) => other !== at) })));
  if (place.after) made.push(chip(`From ${place.after}`, () => go({ after: undefined })));
  if (place.before) made.push(chip(`Before ${place.before}`, () => go({ before: undefined })));
  return made;
}

/** The button that opens the panel, and the panel. */
export function filterButton() {
  const panel = h("div", { class: "panel", hidden: true, id: "filters" });
  const button = h("button", { type: "button", "aria-expanded": "false", "aria-controls": "filters" }, "Filter");
  const toggle = async (open) => {
    panel.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open && !panel.firstChild) panel.append(...fields(await get("/v1/facets")));
    if (open) panel.querySelector("input, select")?.focus();
  };
  button.addEventListener("click", () => toggle(panel.hidden));
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      toggle(false);
      button.focus();
    }
  });
  return h("div", { class: "filter" }, button, panel);
}

function fields(facets) {
  const made = Object.entries(NAMES).flatMap(([key, name]) => {
    const known = facets[FACETS[key]];
    if (!known.length) return [];
    const options = known.map(({ value, images }) => h("option", { value }, `${value} (${images.toLocaleString("en")})`));
    const select = h("select", { "data-key": key }, h("option", { value: "" }, "any"), ...options);
    select.addEventListener("change", () => {
      if (select.value) go({ values: [...here().values, { key, value: select.value }] });
    });
    return [h("label", {}, name, select)];
  });
  const months = facets.months.map(({ value }) => value).sort();
  if (months.length) {
    const month = (name, key) => {
      const input = h("input", { type: "month", min: months[0], max: months.at(-1), value: here()[key] ?? "" });
      input.addEventListener("change", () => go({ [key]: input.value || undefined }));
      return h("label", {}, name, input);
    };
    made.push(month("Captured from", "after"), month("Captured before", "before"));
  }
  return made;
}
