// Photos that belong together, as stacks; one stack opens into a grid.

import { post, thumbnailOf } from "./api.js";
import { counted, h } from "./dom.js";
import { Grid, ratioOf } from "./grid.js";
import { ACTIONS } from "./photos.js";
import { addressOf, filterOf } from "./place.js";

/** The last answer, so that going back from a photo shows the same stacks at once. */
let kept;

export function clusters(place, main) {
  const method = h("select", { id: "method" }, h("option", { value: "kmeans" }, "every photo in a group"), h("option", { value: "dbscan" }, "only what lies close together"));
  const number = h("input", { id: "k", type: "number", min: "1", max: "500", placeholder: "chosen for you" });
  const numberLabel = h("label", { for: "k" }, "Groups");
  const status = h("p", { class: "count", role: "status" });
  const form = h("form", { class: "end" }, h("label", { for: "method" }, "Put"), method, numberLabel, number,
    h("button", { type: "submit", class: "primary" }, "Group"));
  const area = h("div", { class: "stacks" });
  let grid;
  main.append(h("div", { class: "tools" }, h("h1", { class: "quiet" }, "Clusters"), status, form), area);
  method.addEventListener("change", () => { number.disabled = method.value === "dbscan"; });

  const closeGrid = () => { grid?.close(); grid = undefined; };
  const show = (found) => {
    closeGrid();
    const noise = found.noise ? `, ${counted(found.noise, "photo")} in none` : "";
    status.textContent = `${counted(found.clusters.length, "group")}${noise}`;
    area.className = "stacks";
    area.replaceChildren(...found.clusters.map((cluster, at) => stack(cluster, at, () => open(found, cluster, at))));
    if (!found.clusters.length) area.append(h("p", { class: "empty" }, "No photos lie close enough together."));
  };
  const open = (found, cluster, at) => {
    const back = () => { show(found); area.children[at]?.querySelector("button").focus(); };
    grid = new Grid({ href: (id) => addressOf({ view: "photo", id }), actions: ACTIONS, label: nameOfCluster(cluster, at) });
    area.className = "";
    area.replaceChildren(h("div", { class: "tools" }, h("button", { type: "button", onclick: back }, "\u2190 All groups"),
      h("h2", { tabindex: "-1" }, nameOfCluster(cluster, at)), h("p", { class: "count" }, shownOf(cluster))), grid.element);
    grid.show({ ids: cluster.members.map((image) => image.id), ratios: cluster.members.map(ratioOf), names: cluster.members.map((image) => image.path) });
    area.querySelector("h2").focus();
  };
  const group = async () => {
    status.textContent = "Grouping...";
    const k = method.value === "kmeans" && number.value ? Number(number.value) : undefined;
    try {
      kept = await post("/v1/clusters", { method: method.value, k, filter: filterOf(place), members: 1000 });
      show(kept);
    } catch (error) {
      status.textContent = "";
      area.replaceChildren(h("p", { class: "empty" }, error.message));
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    group();
  });
  if (kept) show(kept);
  else group();
  return closeGrid;
}

function nameOfCluster(cluster, at) {
  return cluster.name?.split(",")[0] ?? `group ${at + 1}`;
}

function shownOf(cluster) {
  const all = counted(cluster.size, "photo");
  return cluster.size > cluster.members.length ? `${all}, the ${cluster.members.length} most typical shown` : all;
}

function stack(cluster, at, open) {
  const pictures = cluster.members.slice(0, 3).reverse().map((image) => h("img", { src: thumbnailOf(image.id), alt: "", loading: "lazy" }));
  return h("div", { class: "stack" }, h("button", { type: "button", onclick: open },
    h("span", { class: "pile" }, ...pictures),
    h("span", { class: "name" }, nameOfCluster(cluster, at)), " ",
    h("span", { class: "dim" }, counted(cluster.size, "photo"))));
}
