// A round of labelling: one photo at a time, a key for each label, and after each answer the
// classifier learns and says which photos it is least sure of.

import { get, post, previewOf, thumbnailOf } from "./api.js";
import { counted, h, isTyping, nameOf, toast } from "./dom.js";

const ROUND = 24;

export function labels(place, main) {
  const state = { names: [], queue: [], done: [], learning: false, again: false, seen: new Set(), closed: false };
  const status = h("p", { class: "count", role: "status" });
  const picture = h("div", { class: "asked" });
  const buttons = h("div", { class: "answers", role: "group", "aria-label": "Labels" });
  const coming = h("div", { class: "coming", "aria-hidden": "true" });
  const input = h("input", { id: "new-label", placeholder: "new label", maxlength: "200", autocomplete: "off" });
  const add = h("form", { class: "label" }, h("label", { for: "new-label" }, "New"), input, h("button", { type: "submit" }, "Use"));
  const learned = h("div", { class: "learned" });
  main.append(
    h("div", { class: "tools" }, h("h1", { class: "quiet" }, "Labels"), status,
      h("div", { class: "end" }, h("button", { type: "button", onclick: () => undo() }, "Undo (U)"),
        h("button", { type: "button", class: "primary", onclick: () => rest() }, "Label the rest"))),
    h("div", { class: "round" }, h("div", {}, picture, coming),
      h("aside", { class: "about", "aria-label": "Answers" }, buttons, add,
        h("p", { class: "dim" }, "Keys: 1 to 9 give a label, N makes a new one, S skips, U takes back."), learned)));

  const count = (name, by) => {
    const known = state.names.find(({ value }) => value === name);
    if (known) known.images += by;
    else if (by > 0) state.names.push({ value: name, images: by });
  };

  const draw = () => {
    const [now, ...next] = state.queue;
    status.textContent = counted(state.names.reduce((sum, { images }) => sum + images, 0), "photo") + " labelled by you";
    if (now) {
      const guess = now.prediction ? `perhaps ${now.prediction.label} (${Math.round(now.prediction.confidence * 100)} %)` : "";
      picture.replaceChildren(h("img", { src: previewOf(now.image.id, 1024), alt: now.image.path }),
        h("p", {}, nameOf(now.image.path), h("span", { class: "dim" }, ` ${guess}`)));
    } else {
      picture.replaceChildren(h("p", { class: "empty" }, state.learning ? "Learning..." : "There is nothing left to ask about."));
    }
    coming.replaceChildren(...next.slice(0, 8).map(({ image }) => h("img", { src: thumbnailOf(image.id), alt: "" })));
    buttons.replaceChildren(...state.names.map(({ value, images }, at) =>
      h("button", { type: "button", onclick: () => answer(value), class: now?.prediction?.label === value ? "likely" : undefined },
        at < 9 ? h("kbd", {}, String(at + 1)) : "", ` ${value} `, h("span", { class: "dim" }, String(images)))));
  };

  const answer = async (label) => {
    const asked = state.queue.shift();
    if (!asked) return;
    state.seen.add(asked.image.id);
    try {
      const { before } = await post("/v1/labels", { label, images: [asked.image.id] });
      state.done.push({ asked, label, before: before[0] });
      if (before[0]) count(before[0], -1);
      count(label, 1);
    } catch (error) {
      state.queue.unshift(asked);
      toast(error.message);
    }
    draw();
    learn();
  };

  const undo = async () => {
    const last = state.done.pop();
    if (!last) return;
    try {
      await post("/v1/labels", { label: last.before, images: [last.asked.image.id] });
      count(last.label, -1);
      if (last.before) count(last.before, 1);
      state.seen.delete(last.asked.image.id);
      state.queue = [last.asked, ...state.queue.filter(({ image }) => image.id !== last.asked.image.id)];
    } catch (error) {
      state.done.push(last);
      toast(error.message);
    }
    draw();
    learn();
  };

  const skip = () => {
    const asked = state.queue.shift();
    if (asked) state.seen.add(asked.image.id);
    if (!state.queue.length) refill().then(draw, (error) => toast(error.message));
    draw();
  };

  // What is asked next while nothing can be learned yet: photos from all over.
  const refill = async () => {
    const labelled = state.names.filter(({ images }) => images > 0).map(({ value }) => value);
    const must_not = labelled.length ? [{ key: "label", match: { any: labelled } }] : [];
    const { ids } = await post("/v1/images/shapes", { filter: { must_not } });
    const fresh = ids.filter((id) => !state.seen.has(id));
    const step = Math.max(1, Math.floor(fresh.length / ROUND));
    const chosen = fresh.filter((_, at) => at % step === 0).slice(0, ROUND);
    if (!chosen.length) return;
    const page = await post("/v1/images/scroll", { filter: { must: [{ has_id: chosen }] }, limit: ROUND });
    state.queue = page.images.map((image) => ({ image }));
  };

  // One training at a time; answers that come meanwhile are learned in the next.
  const learn = async () => {
    if (state.names.filter(({ images }) => images > 0).length < 2) {
      if (!state.queue.length) await refill().catch((error) => toast(error.message));
      if (!state.closed) draw();
      return;
    }
    if (state.learning) {
      state.again = true;
      return;
    }
    state.learning = true;
    try {
      const report = await post("/v1/labels/train", { model: "forest" });
      const { images } = await get(`/v1/labels/review?count=${ROUND + state.seen.size}`);
      if (state.closed) return;
      const fresh = images.filter(({ image }) => !state.seen.has(image.id));
      // The photo that is being looked at stays.
      const now = state.queue[0] && fresh.find(({ image }) => image.id === state.queue[0].image.id);
      const first = now ?? state.queue[0];
      state.queue = [...(first ? [first] : []), ...fresh.filter(({ image }) => image.id !== first?.image.id)].slice(0, ROUND);
      learned.replaceChildren(h("h2", {}, "What it has learned"), h("p", {}, report.accuracy === undefined
        ? `Learned from ${counted(report.examples, "photo")}. Two photos of each label tell how good that is.`
        : `Right on ${Math.round(report.accuracy * 100)} % of ${counted(report.examples, "photo")} that were held out.`));
    } catch (error) {
      if (!state.closed) learned.replaceChildren(h("p", { class: "dim" }, error.message));
    } finally {
      state.learning = false;
      if (!state.closed) draw();
    }
    if (state.again && !state.closed) {
      state.again = false;
      learn();
    }
  };

  const rest = async () => {
    try {
      await post("/v1/labels/train", {});
      const { labelled } = await post("/v1/labels/predict", {});
      toast(`${counted(labelled, "photo")} labelled by the classifier. Filter by label to look at them.`);
    } catch (error) {
      toast(error.message);
    }
  };

  add.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return;
    input.value = "";
    input.blur();
    answer(name);
  });
  const keys = (event) => {
    if (isTyping(event)) return;
    const named = state.names[Number(event.key) - 1];
    if (named) answer(named.value);
    else if (event.key === "s") skip();
    else if (event.key === "u") undo();
    else if (event.key === "n") {
      event.preventDefault();
      input.focus();
    }
  };
  addEventListener("keydown", keys);

  const begin = async () => {
    state.names = (await get("/v1/labels")).labels;
    await refill();
    draw();
    await learn();
  };
  begin().catch((error) => picture.replaceChildren(h("p", { class: "empty" }, error.message)));
  return () => {
    state.closed = true;
    removeEventListener("keydown", keys);
  };
}
