// Where the user is: the view, and what is asked, all of it in the address, so that the back button
// and bookmarks work.

const FIELDS = ["class", "object", "label", "folder"];

/** Reads the address: `#/photo/17?class=cat&like=3,5`. */
export function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", id] = path.split("/");
  const given = new URLSearchParams(query);
  const numbers = (name) => (given.get(name) ?? "").split(",").filter(Boolean).map(Number);
  const values = FIELDS.flatMap((key) => given.getAll(key).map((value) => ({ key, value })));
  return {
    view: view || "photos",
    id: id === undefined ? undefined : Number(id),
    like: numbers("like"),
    unlike: numbers("unlike"),
    of: given.get("of") ?? undefined,
    region: given.get("region") ?? undefined,
    upload: given.has("upload"),
    after: given.get("after") ?? undefined,
    before: given.get("before") ?? undefined,
    order: given.get("order") ?? "newest",
    values,
  };
}

/** The address of a place. */
export function addressOf(place) {
  const query = new URLSearchParams();
  for (const { key, value } of place.values ?? []) query.append(key, value);
  if (place.like?.length) query.set("like", place.like.join(","));
  if (place.unlike?.length) query.set("unlike", place.unlike.join(","));
  for (const name of ["of", "region", "after", "before"]) if (place[name]) query.set(name, place[name]);
  if (place.upload) query.set("upload", "1");
  if (place.order && place.order !== "newest") query.set("order", place.order);
  const path = place.view === "photos" || !place.view ? "" : place.view;
  const id = place.id === undefined ? "" : `/${place.id}`;
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return `#/${path}${id}${text ? `?${text}` : ""}`;
}

export const go = (change) => { location.hash = addressOf({ ...here(), ...change }); };

/** The filter of a place as the server takes it. */
export function filterOf({ values, after, before }) {
  const must = FIELDS.flatMap((key) => {
    const any = values.filter((value) => value.key === key).map(({ value }) => value);
    return any.length ? [{ key, match: { any } }] : [];
  });
  if (after || before) must.push({ key: "captured_at", range: { gte: after, lt: before } });
  return must.length ? { must } : undefined;
}

/** What is searched for as the server takes it; nothing where all photos are shown. */
export function queryOf({ like, unlike, of, region }) {
  const [image, part] = (region ?? of ?? "").split(":");
  if (region) {
    const [left, top, width, height] = part.split(",").map(Number);
    return { image: Number(image), region: { left, top, width, height } };
  }
  if (of) return { image: Number(image), object: Number(part) };
  if (like.length === 1 && !unlike.length) return like[0];
  if (like.length) return { recommend: { positive: like, negative: unlike } };
  return undefined;
}

/** Nothing searched for. */
export const NO_QUERY = { like: [], unlike: [], of: undefined, region: undefined, upload: false };
