// Photos that are the same, group by group: which file to keep, and which are not the same at all.
//
// What is to be kept is only noted here. Files move to the trash when the user says so, all at once.

import { post, previewOf } from "./api.js";
import { counted, h, isTyping, nameOf, toast } from "./dom.js";

const TIERS = {
  reencoded: "copies, also resized",
  edited: "copies and edits",
  burst: "and bursts",
  similar: "and look-alikes",
};

/** The review, which goes on where it was left. */
let review;

export function duplicates(place, main) {
  const status = h("p", { class: "count", role: "status" });
  const tier = h("select", { id: "tier" }, ...Object.entries(TIERS).map(([value, name]) =>
    h("option", { value, selected: value === (review?.tier ?? "edited") }, name)));
  const clear = h("button", { type: "button", class: "primary", onclick: () => confirm() });
  const area = h("div", {});
  const dialog = h("dialog", { "aria-labelledby": "to-trash" });
  main.append(h("div", { class: "tools" }, h("h1", { class: "quiet" }, "Duplicates"), status,
    h("div", { class: "end" }, h("label", { for: "tier" }, "Look for"), tier, h("button", { type: "button", onclick: () => look() }, "Look again"), clear)),
  area, dialog);
  let closed = false;

  const toGo = () => review.done.flatMap(({ keep, discard }) => (keep ? [{ keep, discard }] : []));

  const draw = () => {
    const files = toGo().reduce((sum, { discard }) => sum + discard.length, 0);
    clear.hidden = !files;
    clear.textContent = `Move ${counted(files, "file")} to the trash...`;
    const group = review.groups[review.at];
    status.textContent = group ? `group ${review.at + 1} of ${review.groups.length.toLocaleString("en")}`
      : counted(review.groups.length, "group");
    if (!group) {
      const text = !review.groups.length ? "No two photos are the same."
        : files ? "That was the last group. Nothing has been touched yet." : "That was the last group.";
      area.replaceChildren(h("p", { class: "empty" }, text, " ", review.done.length ? undoButton() : undefined));
      return;
    }
    const members = [group.keep, ...group.others];
    area.replaceChildren(
      h("div", { class: "pair" }, ...members.map((file, at) => card(group, file, at))),
      h("div", { class: "tools" },
        h("button", { type: "button", class: "primary", onclick: () => keep() }, "Keep only the chosen one (K)"),
        h("button", { type: "button", onclick: () => step() }, "Keep all (S)"),
        undoButton(),
        h("p", { class: "dim" }, "Keys: 1 to 9 choose, K keeps the chosen one, N says not the same, S goes on, U takes back.")));
  };

  const undoButton = () => h("button", { type: "button", disabled: !review.done.length, onclick: () => undo() }, "Undo (U)");

  const card = (group, file, at) => {
    const isChosen = at === review.chosen;
    const other = group.others[at - 1];
    const about = [`${file.width_px} \u00d7 ${file.height_px}`, file.format, `${(file.size_bytes / 1e6).toFixed(2)} MB`].join(", ");
    const why = other ? other.how : "suggested to be kept";
    return h("article", { class: isChosen ? "card chosen" : "card" },
      h("button", { type: "button", class: "pick", "aria-pressed": String(isChosen), onclick: () => choose(at), title: file.path },
        h("img", { src: previewOf(file.id, 1024), alt: "" }),
        h("span", { class: "name" }, h("kbd", {}, String(at + 1)), ` ${nameOf(file.path)}`)),
      h("p", { class: "dim path" }, file.path),
      h("p", {}, about),
      h("p", {}, why, other?.reason ? h("span", { class: "dim" }, `; the other is kept: ${other.reason}`) : undefined),
      other && other.id !== group.keep.id
        ? h("button", { type: "button", onclick: () => distinguish(at) }, "Not the same") : undefined);
  };

  const choose = (at) => {
    const group = review.groups[review.at];
    if (!group || at > group.others.length) return;
    review.chosen = at;
    draw();
    area.querySelectorAll(".pick")[at].focus();
  };

  const step = (done = {}) => {
    if (!review.groups[review.at]) return;
    review.done.push({ at: review.at, ...done });
    review.at += 1;
    review.chosen = 0;
    draw();
  };

  const keep = () => {
    const group = review.groups[review.at];
    if (!group) return;
    const files = [group.keep, ...group.others].map(({ id, path }) => ({ id, path }));
    const [kept] = files.splice(review.chosen, 1);
    step({ keep: kept, discard: files });
  };

  // What is not the same leaves its group; a group of one is none.
  const distinguish = async (at) => {
    const group = review.groups[review.at];
    const other = group?.others[at - 1];
    if (!other || other.id === group.keep.id) return;
    const images = [group.keep.id, other.id];
    try {
      await post("/v1/duplicates/distinct", { images, distinct: true });
    } catch (error) {
      toast(error.message);
      return;
    }
    const left = { ...group, others: group.others.filter(({ id }) => id !== other.id) };
    review.groups[review.at] = left;
    review.done.push({ at: review.at, images, group });
    review.chosen = 0;
    if (!left.others.length) review.at += 1;
    draw();
    toast("They are not the same from now on.", "Undo", undo);
  };

  const undo = async () => {
    const last = review.done.pop();
    if (!last) return;
    try {
      if (last.images) await post("/v1/duplicates/distinct", { images: last.images, distinct: false });
    } catch (error) {
      review.done.push(last);
      toast(error.message);
      return;
    }
    if (last.group) review.groups[last.at] = last.group;
    review.at = last.at;
    review.chosen = 0;
    toast("Taken back.");
    if (!closed) draw();
  };

  const confirm = () => {
    const plan = toGo();
    const paths = plan.flatMap(({ discard }) => discard.map(({ path }) => path));
    const close = () => dialog.close();
    dialog.replaceChildren(
      h("h2", { id: "to-trash" }, `Move ${counted(paths.length, "file")} to the trash?`),
      h("ul", { tabindex: "0", "aria-label": "Files" }, ...paths.map((path) => h("li", {}, path))),
      h("div", { class: "tools" }, h("button", { type: "button", class: "primary", onclick: () => { close(); move(plan); } }, "Move them"),
        h("button", { type: "button", onclick: close }, "Leave them")));
    dialog.showModal();
  };

  const move = async (plan) => {
    let moved = 0;
    const stayed = [];
    try {
      for (const part of plan) {
        const answer = await post("/v1/duplicates/discard", part);
        moved += answer.moved;
        stayed.push(...answer.stayed);
      }
    } catch (error) {
      stayed.push({ path: "what was to follow", reason: error.message });
    }
    review = { ...review, done: [] };
    const [first] = stayed;
    toast(`${counted(moved, "file")} moved to the trash.${first ? ` ${counted(stayed.length, "file")} stayed: ${first.path}: ${first.reason}.` : ""}`);
    await look();
  };

  const look = async () => {
    clear.hidden = true;
    status.textContent = "";
    area.replaceChildren(h("p", { class: "empty" }, "Comparing. This learns from edits of your own photos first: some seconds."));
    try {
      const found = await post("/v1/duplicates", { up_to: tier.value });
      review = { groups: found.groups, tier: tier.value, at: 0, chosen: 0, done: [] };
      if (found.without_fingerprint) toast(`${counted(found.without_fingerprint, "photo")} could not be compared: refresh reads what is missing.`);
      if (!closed) draw();
    } catch (error) {
      if (!closed) area.replaceChildren(h("p", { class: "empty" }, error.message));
    }
  };

  const keys = (event) => {
    if (isTyping(event) || dialog.open || !review) return;
    if (event.key >= "1" && event.key <= "9") choose(Number(event.key) - 1);
    else if (event.key === "k") keep();
    else if (event.key === "s") step();
    else if (event.key === "n") distinguish(review.chosen || 1);
    else if (event.key === "u") undo();
  };
  addEventListener("keydown", keys);
  tier.addEventListener("change", look);
  if (review) draw();
  else look();
  return () => {
    closed = true;
    removeEventListener("keydown", keys);
  };
}
