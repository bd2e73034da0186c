// The picture of a photo with the boxes of its objects, on which a region can be drawn.

import { previewOf } from "./api.js";
import { h } from "./dom.js";

/** Shorter sides than this are a click, not a region. */
const REGION_MIN_PX = 12;

/** The stage of a photo; `search` is called with left, top, width, height in pixels of the photo. */
export function stage(id, search) {
  const image = h("img", { src: previewOf(id), alt: `Photo ${id}`, draggable: "false" });
  const boxes = h("div", { class: "boxes" });
  const region = h("div", { class: "region", hidden: true });
  const find = h("button", { type: "button", class: "primary find", hidden: true }, "Search this part");
  const frame = h("div", { class: "frame" }, image, boxes, region, find);
  const hint = h("p", { class: "dim hint" }, "Drag over a part of the picture to search for it.");
  const button = h("button", { type: "button", class: "plain", "aria-pressed": "true", title: "B" }, "Boxes");
  const element = h("div", { class: "stage" }, frame, h("div", { class: "under" }, hint, button));
  let photo;
  let start;
  const toggle = () => {
    boxes.hidden = !boxes.hidden;
    button.setAttribute("aria-pressed", String(!boxes.hidden));
  };
  button.addEventListener("click", toggle);
  image.addEventListener("error", () => frame.classList.add("gone"));

  const at = (event) => {
    const bounds = image.getBoundingClientRect();
    const inside = (value, length) => Math.min(1, Math.max(0, value / length));
    return [inside(event.clientX - bounds.left, bounds.width), inside(event.clientY - bounds.top, bounds.height)];
  };
  const corners = (event) => {
    const end = at(event);
    const [left, right] = [start[0], end[0]].sort((a, b) => a - b);
    const [top, bottom] = [start[1], end[1]].sort((a, b) => a - b);
    return [left, top, right - left, bottom - top];
  };
  frame.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button, a") || event.button !== 0 || !photo) return;
    start = at(event);
    find.hidden = true;
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!start) return;
    place(region, corners(event));
    region.hidden = false;
  });
  frame.addEventListener("pointerup", (event) => {
    if (!start) return;
    const drawn = corners(event);
    start = undefined;
    const bounds = image.getBoundingClientRect();
    const isRegion = drawn[2] * bounds.width >= REGION_MIN_PX && drawn[3] * bounds.height >= REGION_MIN_PX;
    region.hidden = !isRegion;
    find.hidden = !isRegion;
    if (!isRegion) return;
    find.style.left = `${drawn[0] * 100}%`;
    find.style.top = `${Math.min(0.9, drawn[1] + drawn[3]) * 100}%`;
    const { width_px: width, height_px: height } = photo;
    const sides = [width, height, width, height];
    find.onclick = () => search(drawn.map((part, side) => Math.round(part * sides[side])));
    find.focus();
  });

  return {
    element,
    toggle,
    /** Puts the boxes of the objects over the picture. */
    show(known) {
      photo = known;
      image.alt = known.path;
      const { width_px: width, height_px: height } = known;
      frame.style.aspectRatio = `${width} / ${height}`;
      frame.style.maxWidth = `min(100%, calc(74vh * ${width / height}))`;
      for (const { number, class: name, bounds } of known.objects ?? []) {
        const box = h("div", { class: "box", "data-number": number }, h("span", {}, name));
        place(box, [bounds.left / width, bounds.top / height, bounds.width / width, bounds.height / height]);
        boxes.append(box);
      }
      button.hidden = !known.objects?.length;
    },
    /** Makes the box of an object stand out. */
    mark(number, on) {
      boxes.querySelector(`[data-number="${number}"]`)?.classList.toggle("marked", on);
    },
  };
}

function place(element, [left, top, width, height]) {
  Object.assign(element.style, {
    left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%`,
  });
}
