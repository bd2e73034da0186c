// All photos in the plane: points from afar, pictures from near; a lasso chooses some of them.

import { get, post, thumbnailOf } from "./api.js";
import { counted, h, toast } from "./dom.js";
import { Grid } from "./grid.js";
import { ACTIONS } from "./photos.js";
import { addressOf } from "./place.js";

/** Colors that are told apart in print and by the color-blind (Okabe and Ito). */
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a800"];
const UNLABELLED = "#8d949e";

/** Photos in the window up to which they are shown as pictures. */
const PICTURES_MAX = 150;
const PICTURE_PX = 64;
const ZOOM_MAX = 200;

export function map(place, main) {
  const status = h("p", { class: "count", role: "status" }, "Laying out...");
  const canvas = h("canvas", { class: "map", tabindex: "0", role: "application", "aria-label": "Map of the photos: arrow keys move it, plus and minus zoom" });
  const lasso = h("button", { type: "button", "aria-pressed": "false", onclick: () => setLasso(!state.lasso) }, "Lasso");
  const zoom = (by, name, sign) => h("button", { type: "button", class: "round", "aria-label": name, title: name, onclick: () => zoomAt(by) }, sign);
  const legend = h("ul", { class: "legend" });
  const chosen = h("section", { "aria-label": "Chosen photos" });
  main.append(h("div", { class: "tools" }, h("h1", { class: "quiet" }, "Map"), status,
    h("div", { class: "end" }, lasso, zoom(1.5, "Closer", "+"), zoom(1 / 1.5, "Further", "\u2212"),
      h("button", { type: "button", onclick: () => { reset(); draw(); } }, "Whole"))),
  canvas, legend, chosen);

  const state = { points: undefined, scale: 1, left: 0, top: 0, lasso: false, line: undefined, selected: new Set() };
  const pictures = new Map();
  let grid;
  let frame;

  const size = () => [canvas.clientWidth, canvas.clientHeight];
  /** The whole map in pixels, before it is zoomed. */
  const whole = () => size().map((side) => Math.max(1, side - PICTURE_PX));
  /** Where a photo lies in the window, in pixels. */
  const placeOf = (at) => {
    const [width, height] = size();
    const [across, down] = whole();
    const { x, y } = state.points;
    return [
      (x[at] - 0.5 - state.left) * across * state.scale + width / 2,
      (y[at] - 0.5 - state.top) * down * state.scale + height / 2,
    ];
  };
  const reset = () => Object.assign(state, { scale: 1, left: 0, top: 0 });

  const draw = () => {
    frame ??= requestAnimationFrame(() => {
      frame = undefined;
      paint();
    });
  };

  const paint = () => {
    if (!state.points) return;
    const [width, height] = size();
    const ratio = devicePixelRatio;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const seen = [];
    for (let at = 0; at < state.points.ids.length; at++) {
      const [x, y] = placeOf(at);
      if (x > -PICTURE_PX && y > -PICTURE_PX && x < width + PICTURE_PX && y < height + PICTURE_PX) seen.push([at, x, y]);
    }
    const asPictures = seen.length <= PICTURES_MAX;
    for (const [at, x, y] of seen) {
      const picture = asPictures && pictureOf(state.points.ids[at]);
      if (picture) paintPicture(context, picture, at, x, y);
      else paintPoint(context, at, x, y, seen.length);
    }
    if (state.line) {
      context.beginPath();
      for (const [x, y] of state.line) context.lineTo(x, y);
      context.closePath();
      context.fillStyle = "#7db6ff40";
      context.strokeStyle = "#3f8ef0";
      context.lineWidth = 2;
      context.fill();
      context.stroke();
    }
  };

  const colorOf = (at) => {
    const label = state.points.labels[at];
    return label === null ? UNLABELLED : COLORS[label % COLORS.length];
  };

  const paintPoint = (context, at, x, y, count) => {
    const radius = count > 20000 ? 1.5 : count > 2000 ? 2.5 : 4;
    context.fillStyle = colorOf(at);
    context.beginPath();
    context.arc(x, y, state.selected.has(at) ? radius + 2 : radius, 0, 2 * Math.PI);
    context.fill();
  };

  const paintPicture = (context, picture, at, x, y) => {
    const scale = PICTURE_PX / Math.max(picture.naturalWidth, picture.naturalHeight);
    const [width, height] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
    const border = state.selected.has(at) ? 4 : state.points.labels[at] === null ? 0 : 2;
    if (border) {
      context.fillStyle = state.selected.has(at) ? "#3f8ef0" : colorOf(at);
      context.fillRect(x - width / 2 - border, y - height / 2 - border, width + 2 * border, height + 2 * border);
    }
    context.drawImage(picture, x - width / 2, y - height / 2, width, height);
  };

  /** The picture of a photo, once it has arrived. */
  const pictureOf = (id) => {
    const known = pictures.get(id);
    if (known) return known.complete && known.naturalWidth ? known : undefined;
    const picture = new Image();
    picture.addEventListener("load", draw);
    picture.src = thumbnailOf(id);
    pictures.set(id, picture);
    // Those that came first go first.
    if (pictures.size > 10 * PICTURES_MAX) pictures.delete(pictures.keys().next().value);
    return undefined;
  };

  /** Zooms so that what lies at a point of the window stays there. */
  const zoomAt = (by, x = size()[0] / 2, y = size()[1] / 2) => {
    const [width, height] = size();
    const scale = Math.min(ZOOM_MAX, Math.max(0.5, state.scale * by));
    const [across, down] = whole();
    const moved = 1 / state.scale - 1 / scale;
    state.left += ((x - width / 2) / across) * moved;
    state.top += ((y - height / 2) / down) * moved;
    state.scale = scale;
    draw();
  };
  const moveBy = (x, y) => {
    const [across, down] = whole();
    state.left -= x / across / state.scale;
    state.top -= y / down / state.scale;
    draw();
  };

  const setLasso = (on) => {
    state.lasso = on;
    lasso.setAttribute("aria-pressed", String(on));
    canvas.classList.toggle("lasso", on);
  };

  const choose = (line) => {
    state.selected = new Set([...state.points.ids.keys()].filter((at) => isInside(placeOf(at), line)));
    showChosen();
    draw();
  };

  const showChosen = () => {
    grid?.close();
    grid = undefined;
    const all = [...state.selected];
    if (!all.length) {
      chosen.replaceChildren();
      return;
    }
    const { ids, ratios } = state.points;
    grid = new Grid({ href: (id) => addressOf({ view: "photo", id }), actions: ACTIONS, label: "Chosen photos", height: 130 });
    const input = h("input", { id: "label-chosen", maxlength: "200", autocomplete: "off", required: true });
    const form = h("form", {}, h("label", { for: "label-chosen" }, "Label them"), input, h("button", { type: "submit" }, "Give"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      labelChosen(input.value.trim());
    });
    chosen.replaceChildren(h("div", { class: "tools" }, h("h2", {}, `${counted(all.length, "photo")} chosen`), form,
      h("button", { type: "button", onclick: () => choose([]) }, "None")), grid.element);
    grid.show({ ids: all.map((at) => ids[at]), ratios: all.map((at) => ratios[at]) });
  };

  const labelChosen = async (label) => {
    const images = [...state.selected].map((at) => state.points.ids[at]);
    if (!label || !images.length) return;
    try {
      // So many go at once.
      for (let at = 0; at < images.length; at += 10000) {
        await post("/v1/labels", { label, images: images.slice(at, at + 10000) });
      }
      toast(`${counted(images.length, "photo")} labelled ${label}.`);
      await load();
    } catch (error) {
      toast(error.message);
    }
  };

  const nearest = (x, y) => {
    let [best, least] = [undefined, (PICTURE_PX / 2) ** 2];
    for (let at = 0; at < state.points.ids.length; at++) {
      const [left, top] = placeOf(at);
      const distance = (left - x) ** 2 + (top - y) ** 2;
      if (distance <= least) [best, least] = [at, distance];
    }
    return best;
  };

  // One pointer moves the map or draws the lasso, two zoom.
  const pointers = new Map();
  let travelled = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (pointers.size === 1) travelled = 0;
    if (pointers.size === 1 && (state.lasso || event.shiftKey)) state.line = [[event.offsetX, event.offsetY]];
    else state.line = undefined;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before || !state.points) return;
    const now = [event.offsetX, event.offsetY];
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    pointers.set(event.pointerId, now);
    travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (state.line) {
      state.line.push(now);
      draw();
    } else if (others.length) {
      const [other] = others;
      const span = (at) => Math.max(1, Math.hypot(at[0] - other[0], at[1] - other[1]));
      zoomAt(span(now) / span(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      moveBy(now[0] - before[0], now[1] - before[1]);
    }
  });
  const lift = (event) => {
    if (!pointers.delete(event.pointerId) || !state.points) return;
    const { line } = state;
    state.line = undefined;
    if (line && travelled > 8) {
      choose(line);
      setLasso(false);
    } else if (event.type === "pointerup" && travelled <= 4 && !pointers.size) {
      const at = nearest(event.offsetX, event.offsetY);
      if (at !== undefined) location.hash = addressOf({ view: "photo", id: state.points.ids[at] });
    }
    draw();
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (moves[event.key]) moveBy(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") zoomAt(1.5);
    else if (event.key === "-") zoomAt(1 / 1.5);
    else return;
    event.preventDefault();
  });
  const observer = new ResizeObserver(draw);
  observer.observe(canvas);

  const load = async () => {
    state.points = await get("/v1/map");
    const { ids, names, layout } = state.points;
    status.textContent = ids.length ? `${counted(ids.length, "photo")} by ${layout === "tsne" ? "t-SNE" : "principal components"}` : "";
    legend.replaceChildren(...names.map((name, at) => {
      const item = h("li", {}, h("span", { "aria-hidden": "true" }, "\u25cf"), ` ${name}`);
      item.firstChild.style.color = COLORS[at % COLORS.length];
      return item;
    }));
    if (!ids.length) canvas.replaceWith(h("p", { class: "empty" }, "There are no photos yet."));
    draw();
  };
  load().catch((error) => {
    status.textContent = "";
    canvas.replaceWith(h("p", { class: "empty" }, error.message));
  });
  return () => {
    observer.disconnect();
    grid?.close();
    cancelAnimationFrame(frame);
  };
}

/** Whether a point lies in a polygon, by the crossings of a ray. */
function isInside([x, y], line) {
  let inside = false;
  for (let at = 0, before = line.length - 1; at < line.length; before = at++) {
    const [x1, y1] = line[at];
    const [x2, y2] = line[before];
    if ((y1 > y) !== (y2 > y) && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}
