// All photos, or those that a search found.

import { get, post, searchByFile, thumbnailOf } from "./api.js";
import { counted, h, toast } from "./dom.js";
import { chips, filterButton } from "./filters.js";
import { Grid, ratioOf } from "./grid.js";
import { addressOf, filterOf, go, here, NO_QUERY, queryOf } from "./place.js";

const PAGE = 100;
const ORDERS = { newest: "Newest first", oldest: "Oldest first", id: "As they arrived" };

/** The picture that was dropped, pasted or chosen last, and what is shown of it. */
let given;

/** The photos shown last, for going from one to the next. */
export let trail = [];

/** Searches for photos like a file. */
export function searchFile(file) {
  if (given) URL.revokeObjectURL(given.address);
  given = { file, address: URL.createObjectURL(file) };
  const target = addressOf({ ...here(), view: "photos", id: undefined, ...NO_QUERY, upload: true });
  if (location.hash === target) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = target;
}

/** Adds a photo to the examples: more like it, or less. */
export function addExample(id, sign) {
  const place = here();
  const [to, from] = sign > 0 ? ["like", "unlike"] : ["unlike", "like"];
  if (sign < 0 && !place.like.length) {
    toast("Choose what you want more of first: the + of a photo.");
    return;
  }
  const others = place[from].filter((other) => other !== id);
  go({ ...NO_QUERY, [from]: others, [to]: [...new Set([...place[to], id])], view: "photos", id: undefined });
}

export const ACTIONS = [
  { name: "More like this", sign: "+", act: (id) => addExample(id, 1) },
  { name: "Less like this", sign: "\u2212", act: (id) => addExample(id, -1) },
];

export function photos(place, main) {
  if (place.upload && !given) {
    go(NO_QUERY);
    return undefined;
  }
  const query = queryOf(place);
  const isSearch = query !== undefined || place.upload;
  const count = h("p", { class: "count", role: "status" });
  const order = h("select", { "aria-label": "Order" },
    ...Object.entries(ORDERS).map(([value, name]) => h("option", { value, selected: value === place.order }, name)));
  order.addEventListener("change", () => go({ order: order.value }));
  const found = chips(place);
  main.append(h("div", { class: "tools" }, h("h1", { class: "quiet" }, isSearch ? "Search" : "Photos"), count, ...found,
    h("div", { class: "end" }, filterButton(), isSearch ? undefined : order)));
  if (isSearch) main.append(examples(place));
  const feed = isSearch ? search(place, query) : list(place);
  const href = (id) => addressOf({ ...here(), view: "photo", id });
  const grid = new Grid({ href, actions: ACTIONS, onNear: () => feed.more?.(grid, count), label: isSearch ? "Photos found" : "Photos" });
  main.append(grid.element);
  feed.begin(grid, count).catch((error) => {
    count.textContent = "";
    main.append(h("p", { class: "empty" }, error.message));
  });
  return () => grid.close();
}

/** What is searched for, each part with a way to take it back. */
function examples(place) {
  const part = (address, text, sign, remove) =>
    h("figure", { class: sign > 0 ? "example" : "example less" }, h("img", { src: address, alt: text }),
      h("figcaption", {}, text),
      h("button", { type: "button", "aria-label": `Remove: ${text}`, onclick: remove }, "\u00d7"));
  const without = (name, id) => () => go({ [name]: here()[name].filter((other) => other !== id) });
  const [image] = (place.region ?? place.of ?? "").split(":");
  const made = [
    ...place.like.map((id) => part(thumbnailOf(id), "more like this", 1, without("like", id))),
    ...place.unlike.map((id) => part(thumbnailOf(id), "less like this", -1, without("unlike", id))),
  ];
  if (place.upload) made.push(part(given.address, "your picture", 1, () => go(NO_QUERY)));
  if (image) made.push(part(thumbnailOf(image), place.region ? "a part of this" : "an object on this", 1, () => go(NO_QUERY)));
  return h("div", { class: "examples", role: "group", "aria-label": "What is searched for" }, ...made,
    h("button", { type: "button", class: "plain", onclick: () => go(NO_QUERY) }, "Show all photos"));
}

function list(place) {
  const request = { filter: filterOf(place), order: place.order };
  return {
    async begin(grid, count) {
      // A page comes quicker than everything: the first photos are there at once.
      const first = await post("/v1/images/scroll", { ...request, limit: 60 });
      const ratios = first.images.map(ratioOf);
      const names = first.images.map((image) => image.path);
      grid.show({ ids: first.images.map((image) => image.id), ratios, names });
      if (first.next) {
        const all = await post("/v1/images/shapes", request);
        grid.show({ ...all, names });
      }
      trail = grid.photos.ids;
      count.textContent = counted(trail.length, "photo");
      if (!trail.length) await explainNothing(grid, Boolean(request.filter));
    },
  };
}

async function explainNothing(grid, isFiltered) {
  const { jobs } = await get("/v1/jobs");
  const isIndexing = jobs[0] && ["running", "finishing"].includes(jobs[0].state);
  const text = isFiltered ? "No photo passes this filter."
    : isIndexing ? "Your photos are being looked at. They appear here as soon as that is done."
      : "There are no photos yet.";
  grid.element.after(h("p", { class: "empty" }, text));
}

function search(place, query) {
  const filter = filterOf(place);
  const photos = { ids: [], ratios: [], scores: [], names: [] };
  let next;
  let busy = true;
  const ask = (cursor) => (place.upload
    ? searchByFile(given.file, { filter, limit: PAGE, cursor })
    : post("/v1/search", { query, filter, limit: PAGE, cursor }));
  const take = (answer, grid, count) => {
    for (const hit of answer.hits) {
      photos.ids.push(hit.id);
      photos.ratios.push(ratioOf(hit));
      photos.scores.push(hit.score);
      photos.names.push(hit.path);
    }
    next = photos.ids.length < 1000 ? answer.next : undefined;
    trail = photos.ids;
    count.textContent = next ? `the best ${counted(photos.ids.length, "photo")}` : counted(photos.ids.length, "photo");
    busy = false;
    grid.show(photos);
  };
  return {
    async begin(grid, count) {
      take(await ask(), grid, count);
      if (!photos.ids.length) grid.element.after(h("p", { class: "empty" }, "Nothing like it was found."));
    },
    async more(grid, count) {
      if (busy || !next) return;
      busy = true;
      take(await ask(next), grid, count);
    },
  };
}
