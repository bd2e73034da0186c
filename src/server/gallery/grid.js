// A justified grid of any number of photos: only the rows near the window are in the page.

import { h, nameOf } from "./dom.js";
import { post, thumbnailOf } from "./api.js";

const GAP = 6;
const MARGIN_ROWS = 4;

/** Width through height of a photo in hundredths, as `/v1/images/shapes` gives it. */
export const ratioOf = ({ width_px, height_px }) => Math.min(1000, Math.max(10, Math.floor((width_px * 100) / height_px)));

/** Rows of photos that fill the width; `ratios` in hundredths. */
export function layOut(ratios, width, height) {
  const rows = [];
  let first = 0;
  let sum = 0;
  let top = 0;
  for (let at = 0; at < ratios.length; at++) {
    sum += ratios[at] / 100;
    const inner = width - GAP * (at - first);
    const isLast = at === ratios.length - 1;
    if (sum * height < inner && !isLast) continue;
    // The last row keeps the usual height instead of growing to the width.
    const rowHeight = sum * height < inner ? height : inner / sum;
    rows.push({ first, end: at + 1, top, height: rowHeight });
    top += rowHeight + GAP;
    first = at + 1;
    sum = 0;
  }
  return { rows, height: Math.max(0, top - GAP) };
}

/**
 * A grid that follows the scrolling of the page.
 *
 * `photos` has `ids`, `ratios`, and perhaps `scores` and `names` by position. `actions` are buttons
 * of each photo: `{ name, sign, act(id) }`. `onNear` is called when the end comes near.
 */
export class Grid {
  constructor({ href, actions = [], onNear, label = "Photos", height = 190 }) {
    Object.assign(this, { href, actions, onNear, rowHeight: height });
    this.element = h("div", { class: "grid", role: "list", "aria-label": label });
    this.photos = { ids: [], ratios: [] };
    this.shown = new Map();
    this.focused = 0;
    this.update = this.update.bind(this);
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.element);
    addEventListener("scroll", this.update, { passive: true });
  }

  /** Stops following; the element may be dropped then. */
  close() {
    this.observer.disconnect();
    removeEventListener("scroll", this.update);
    clearTimeout(this.naming);
  }

  show(photos) {
    this.photos = photos;
    this.width = undefined;
    this.measure();
  }

  measure() {
    const width = this.element.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const height = width < 600 ? this.rowHeight * 0.62 : this.rowHeight;
    this.layout = layOut(this.photos.ratios, width, height);
    this.element.style.height = `${this.layout.height}px`;
    this.element.replaceChildren();
    this.shown.clear();
    this.element.dispatchEvent(new Event("laid-out", { bubbles: true }));
    this.update();
  }

  /** Puts the rows into the page that are near the window, and takes the others out. */
  update() {
    if (!this.layout) return;
    const { rows } = this.layout;
    const above = -this.element.getBoundingClientRect().top;
    const rowAt = (y) => {
      let [low, high] = [0, rows.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (rows[middle].top + rows[middle].height < y) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    const from = Math.max(0, rowAt(above) - MARGIN_ROWS);
    const end = Math.min(rows.length, rowAt(above + innerHeight) + 1 + MARGIN_ROWS);
    for (const [row, element] of this.shown) {
      if ((row < from || row >= end) && !element.contains(document.activeElement)) {
        element.remove();
        this.shown.delete(row);
      }
    }
    for (let row = from; row < end; row++) {
      if (this.shown.has(row)) continue;
      const element = this.row(rows[row]);
      const next = [...this.shown.keys()].filter((other) => other > row).sort((a, b) => a - b)[0];
      this.element.insertBefore(element, next === undefined ? null : this.shown.get(next));
      this.shown.set(row, element);
    }
    clearTimeout(this.naming);
    this.naming = setTimeout(() => this.name(), 250);
    if (this.onNear && end === rows.length) this.onNear();
  }

  row({ first, end, top, height }) {
    const element = h("div", { class: "row", role: "presentation" });
    element.style.transform = `translateY(${top}px)`;
    element.style.height = `${height}px`;
    for (let at = first; at < end; at++) element.append(this.tile(at, height));
    return element;
  }

  tile(at, height) {
    const id = this.photos.ids[at];
    const score = this.photos.scores?.[at];
    const name = this.photos.names?.[at];
    const label = `${name ? nameOf(name) : `Photo ${id}`}${score === undefined ? "" : `, score ${score.toFixed(2)}`}`;
    const image = h("img", { src: thumbnailOf(id), alt: "", decoding: "async", draggable: "false" });
    image.addEventListener("error", () => tile.classList.add("gone"), { once: true });
    const link = h("a", { href: this.href(id, at), "aria-label": label, title: name ?? "", tabindex: at === this.focused ? "0" : "-1" }, image);
    link.addEventListener("focus", () => this.focusOn(at));
    const buttons = this.actions.map(({ name, sign, act }) =>
      h("button", { type: "button", tabindex: "-1", "aria-label": `${name}: ${label}`, title: name, onclick: () => act(id) }, sign));
    const tile = h("div", { class: "tile", role: "listitem", "data-id": id }, link,
      score === undefined ? undefined : h("span", { class: "score", "aria-hidden": "true" }, score.toFixed(2)),
      buttons.length ? h("div", { class: "actions" }, ...buttons) : undefined);
    tile.style.width = `${Math.max(1, (this.photos.ratios[at] / 100) * height)}px`;
    return tile;
  }

  /** Gives the photos in the window their names, when scrolling has come to rest. */
  async name() {
    const bare = [...this.element.querySelectorAll("a[title='']")];
    const tiles = bare.map((link) => link.closest(".tile"));
    const ids = tiles.map((tile) => Number(tile.dataset.id)).slice(0, 500);
    if (!ids.length) return;
    const page = await post("/v1/images/scroll", { filter: { must: [{ has_id: ids }] }, limit: ids.length }).catch(() => undefined);
    const names = new Map(page?.images.map((image) => [image.id, image.path]));
    for (const tile of tiles) {
      const name = names.get(Number(tile.dataset.id));
      if (!name) continue;
      const link = tile.querySelector("a");
      link.title = name;
      link.setAttribute("aria-label", link.getAttribute("aria-label").replace(/^Photo \d+/, nameOf(name)));
    }
  }

  /** One photo is in the order of the tab key: the last that had the focus. */
  focusOn(at) {
    this.element.querySelectorAll("a[tabindex='0']").forEach((link) => link.setAttribute("tabindex", "-1"));
    this.focused = at;
    this.link(at)?.setAttribute("tabindex", "0");
  }

  link(at) {
    return this.element.querySelector(`[data-id="${this.photos.ids[at]}"] a`);
  }

  key(event) {
    const count = this.photos.ids.length;
    const row = this.layout.rows.findIndex(({ first, end }) => first <= this.focused && this.focused < end);
    const beside = (other) => {
      const rows = this.layout.rows;
      const target = rows[Math.min(rows.length - 1, Math.max(0, row + other))];
      return Math.min(target.end - 1, target.first + (this.focused - rows[row].first));
    };
    const moves = {
      ArrowRight: () => this.focused + 1,
      ArrowLeft: () => this.focused - 1,
      ArrowDown: () => beside(1),
      ArrowUp: () => beside(-1),
      Home: () => 0,
      End: () => count - 1,
    };
    const action = this.actions.find(({ sign }) => sign === event.key || (sign === "\u2212" && event.key === "-"));
    if (action) {
      event.preventDefault();
      action.act(this.photos.ids[this.focused]);
    } else if (moves[event.key] && count) {
      event.preventDefault();
      this.goTo(Math.min(count - 1, Math.max(0, moves[event.key]())));
    }
  }

  goTo(at) {
    this.focusOn(at);
    const row = this.layout.rows.find(({ first, end }) => first <= at && at < end);
    const top = this.element.getBoundingClientRect().top + scrollY + row.top;
    if (top < scrollY + 80 || top + row.height > scrollY + innerHeight) {
      scrollTo({ top: top - innerHeight / 3 });
      this.update();
    }
    this.link(at)?.focus({ preventScroll: true });
  }
}
