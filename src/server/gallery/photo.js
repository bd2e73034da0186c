// One photo: the picture with its objects, what is known of it, and the photos like it.

import { get, heatOf, post } from "./api.js";
import { dateOf, h, isTyping, nameOf, toast } from "./dom.js";
import { Grid } from "./grid.js";
import { ACTIONS, addExample, trail } from "./photos.js";
import { addressOf, go, here, NO_QUERY } from "./place.js";
import { stage } from "./stage.js";

const NEIGHBORS = 24;

export function photo(place, main) {
  const id = place.id;
  const controller = new AbortController();
  const close = () => go({ view: "photos", id: undefined });
  const step = (by) => {
    const at = trail.indexOf(id);
    const other = at < 0 ? undefined : trail[at + by];
    if (other !== undefined) go({ view: "photo", id: other });
  };
  const picture = stage(id, (region) => go({ ...NO_QUERY, view: "photos", id: undefined, region: `${id}:${region.join(",")}` }));
  const side = h("aside", { class: "about", "aria-label": "About this photo" });
  const beside = (name, by, sign) => h("button", { type: "button", class: "round", "aria-label": name, title: name, onclick: () => step(by),
    disabled: trail.indexOf(id) < 0 || trail[trail.indexOf(id) + by] === undefined }, sign);
  const title = h("h1", { class: "quiet", tabindex: "-1" }, `Photo ${id}`);
  main.append(
    h("div", { class: "tools" }, h("button", { type: "button", onclick: close }, "\u2190 Back"), title,
      h("div", { class: "end" }, beside("Previous photo", -1, "\u2039"), beside("Next photo", 1, "\u203a"))),
    h("div", { class: "photo" }, picture.element, side));
  const alike = h("section", { "aria-labelledby": "alike" }, h("h2", { id: "alike" }, "Photos like this"));
  main.append(alike);
  const grid = new Grid({
    href: (other) => addressOf({ ...here(), view: "photo", id: other }),
    actions: [...ACTIONS, { name: "Why are they alike", sign: "?", act: (other) => explain(alike, id, other) }],
    label: "Photos like this", height: 150,
  });
  alike.append(grid.element);
  title.focus({ preventScroll: true });
  const keys = (event) => {
    if (isTyping(event)) return;
    const act = { Escape: close, ArrowLeft: () => step(-1), ArrowRight: () => step(1), b: picture.toggle }[event.key];
    if (act && !event.target.closest?.(".grid")) act();
  };
  addEventListener("keydown", keys);
  fill(id, title, side, picture, controller.signal).catch((error) => side.append(h("p", { class: "empty" }, error.message)));
  neighbors(id, grid, controller.signal).catch((error) => alike.append(h("p", { class: "empty" }, error.message)));
  return () => {
    controller.abort();
    grid.close();
    removeEventListener("keydown", keys);
  };
}

async function fill(id, title, side, picture, signal) {
  const known = await get(`/v1/images/${id}`, signal);
  title.textContent = nameOf(known.path);
  document.title = `${nameOf(known.path)} - lookalike`;
  picture.show(known);
  const facts = [
    ["Captured", dateOf(known.captured_at)],
    ["Camera", known.camera],
    ["Size", `${known.width_px} \u00d7 ${known.height_px}, ${known.format}, ${size(known.size_bytes)}`],
    ["Place", known.position && `${known.position.latitude.toFixed(4)}, ${known.position.longitude.toFixed(4)}`],
    ["Files", known.files.map((file) => (file.state === "there" ? file.path : `${file.path} (${file.state})`)).join("\n")],
    ["Raw", known.raw_files.join("\n")],
  ];
  const rows = facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
  side.append(
    h("div", { class: "buttons" },
      h("button", { type: "button", class: "primary", onclick: () => addExample(id, 1) }, "Search for photos like this"),
      h("a", { class: "button", href: `/v1/images/${id}/file`, download: nameOf(known.path) }, "Save the file")),
    h("dl", {}, ...rows), labelForm(known), classes(known), objects(known, picture));
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function labelForm(known) {
  const input = h("input", { id: "label", value: known.user_label ?? "", placeholder: known.prediction ? `perhaps ${known.prediction.label}` : "none",
    maxlength: "200", autocomplete: "off" });
  const form = h("form", { class: "label" }, h("label", { for: "label" }, "Label"), input, h("button", { type: "submit" }, "Keep"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const label = input.value.trim() || null;
    try {
      const { before } = await post("/v1/labels", { label, images: [known.id] });
      toast(label ? `Labelled ${label}` : "Label taken away", "Undo", async () => {
        await post("/v1/labels", { label: before[0], images: [known.id] });
        input.value = before[0] ?? "";
      });
    } catch (error) {
      toast(error.message);
    }
  });
  return form;
}

function classes(known) {
  const rows = known.classes.filter(({ probability }) => probability >= 0.03).map(({ name, probability }) => {
    const bar = h("span", { class: "share" });
    bar.style.width = `${probability * 100}%`;
    const first = name.split(",")[0];
    return h("li", {}, h("a", { href: addressOf({ view: "photos", values: [{ key: "class", value: first }] }) }, first),
      h("span", { class: "dim" }, `${Math.round(probability * 100)} %`), bar);
  });
  return h("section", {}, h("h2", {}, "What the network sees"), h("ul", { class: "classes" }, ...rows));
}

function objects(known, picture) {
  if (!known.objects?.length) return "";
  const rows = known.objects.map((object) => {
    const link = h("a", { href: addressOf({ view: "photos", of: `${known.id}:${object.number}` }) }, object.class);
    const row = h("li", {}, link, h("span", { class: "dim" }, `${Math.round(object.score * 100)} %`));
    for (const [name, on] of [["mouseenter", true], ["mouseleave", false], ["focusin", true], ["focusout", false]]) {
      row.addEventListener(name, () => picture.mark(object.number, on));
    }
    return row;
  });
  return h("section", {}, h("h2", {}, "Objects, each to be searched for"), h("ul", { class: "classes" }, ...rows));
}

async function neighbors(id, grid, signal) {
  const { hits } = await post("/v1/search", { query: id, limit: NEIGHBORS }, signal);
  const ratio = (hit) => Math.min(1000, Math.max(10, Math.floor((hit.width_px * 100) / hit.height_px)));
  grid.show({
    ids: hits.map((hit) => hit.id), ratios: hits.map(ratio),
    scores: hits.map((hit) => hit.score), names: hits.map((hit) => hit.path),
  });
}

/** Shows both photos with what adds to their score. */
function explain(alike, id, other) {
  alike.querySelector(".why")?.remove();
  const map = (one, two, text) => h("img", { src: heatOf(one, two), alt: text });
  const box = h("figure", { class: "why", tabindex: "-1" }, map(id, other, "This photo; red where it is like the other"),
    map(other, id, "The other photo; red where it is like this one"),
    h("figcaption", {}, "Red is what makes them alike. ", h("button", { type: "button", onclick: () => box.remove() }, "Close")));
  alike.querySelector("h2").after(box);
  box.scrollIntoView({ block: "nearest" });
  box.focus({ preventScroll: true });
}

