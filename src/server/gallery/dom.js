// Elements, messages, and small things that all views use.

/** Makes an element: `h("button", { class: "x", onclick: f }, "text", child)`. */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** The name of a file without its folders. */
export const nameOf = (path) => path.split("/").pop();

/** A count with its noun: `1 photo`, `2,000 photos`. */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A capture time for people. */
export function dateOf(capturedAt) {
  if (!capturedAt) return undefined;
  const [day, time] = capturedAt.split("T");
  const date = new Date(`${day}T12:00:00Z`);
  if (Number.isNaN(date.getTime())) return capturedAt;
  const text = date.toLocaleDateString(undefined, { year: "numeric", month: "long", day: "numeric", timeZone: "UTC" });
  return `${text}, ${time.slice(0, 5)}`;
}

let timer;
/** Shows a message for some seconds, with a button if something can be done. */
export function toast(text, action, act) {
  const box = document.getElementById("toast");
  const button = action && h("button", { type: "button", onclick: () => { box.replaceChildren(); act(); } }, action);
  box.replaceChildren(h("p", {}, text, button));
  clearTimeout(timer);
  timer = setTimeout(() => box.replaceChildren(), action ? 8000 : 5000);
}

/** Whether a key was meant for a field that is being typed in. */
export const isTyping = (event) => event.target.matches?.("input:not([type=checkbox]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey;
