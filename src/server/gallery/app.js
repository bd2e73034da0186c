// The gallery: which view is shown, and what works in all of them.

import { clusters } from "./clusters.js";
import { toast } from "./dom.js";
import { duplicates } from "./duplicates.js";
import { watchJobs } from "./jobs.js";
import { labels } from "./labels.js";
import { map } from "./map.js";
import { photo } from "./photo.js";
import { photos, searchFile } from "./photos.js";
import { here } from "./place.js";

const VIEWS = { photos, photo, clusters, duplicates, map, labels };

let close;
let shown;
const places = new Map();

function show() {
  if (shown !== undefined) places.set(shown, scrollY);
  const place = here();
  const view = VIEWS[place.view] ? place.view : "photos";
  const main = document.getElementById("main");
  close?.();
  main.replaceChildren();
  main.className = view;
  document.title = "lookalike";
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const isCurrent = link.dataset.view === (view === "photo" ? "photos" : view);
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  shown = location.hash;
  close = VIEWS[view]({ ...place, view }, main);
  // A photo begins at its top; a list goes on where it was left, as soon as it is long enough.
  wanted = view === "photo" ? 0 : places.get(shown) ?? 0;
  scrollTo(0, wanted);
}

let wanted = 0;
document.getElementById("main").addEventListener("laid-out", () => {
  if (wanted) scrollTo(0, wanted);
  if (scrollY >= wanted) wanted = 0;
});
for (const name of ["wheel", "touchmove", "keydown"]) addEventListener(name, () => { wanted = 0; }, { passive: true });

const THEMES = { auto: ["\u25d0", "as the system"], light: ["\u2600", "light"], dark: ["\u263e", "dark"] };

function theme(name) {
  const [sign, text] = THEMES[name];
  document.documentElement.dataset.theme = name;
  const button = document.getElementById("theme");
  button.textContent = sign;
  button.setAttribute("aria-label", `Theme: ${text}`);
  button.title = `Theme: ${text}`;
}

const stored = localStorage.getItem("theme");
theme(THEMES[stored] ? stored : "auto");
document.getElementById("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
  localStorage.setItem("theme", next);
  theme(next);
});

function searchFirst(files) {
  const file = [...files].find(({ type }) => type.startsWith("image/")) ?? files[0];
  if (file) searchFile(file);
  else toast("That was no picture.");
}

document.getElementById("file").addEventListener("change", (event) => {
  searchFirst(event.target.files);
  event.target.value = "";
});
addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) searchFirst(event.clipboardData.files);
});
const drop = document.getElementById("drop");
addEventListener("dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  drop.hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.hidden = true;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.hidden = true;
  if (event.dataTransfer.files.length) searchFirst(event.dataTransfer.files);
});

addEventListener("hashchange", show);
show();
watchJobs(show).catch((error) => toast(error.message));
