// Indexing: a button that begins it, and how far it is.

import { get, post } from "./api.js";
import { counted, h, toast } from "./dom.js";

let source;

/** Shows the newest job, if one is running, else the button. */
export async function watchJobs(changed) {
  const { jobs } = await get("/v1/jobs");
  const running = jobs[0] && !hasEnded(jobs[0]);
  if (running) follow(jobs[0], changed);
  else idle(changed);
}

const hasEnded = (job) => ["done", "stopped", "failed"].includes(job.state);

function idle(changed) {
  const begin = async () => {
    try {
      follow(await post("/v1/jobs", { kind: "index" }), changed);
    } catch (error) {
      toast(error.message);
    }
  };
  document.getElementById("job").replaceChildren(
    h("button", { type: "button", class: "plain", title: "Look for new and changed photos", onclick: begin }, "Refresh"));
}

function follow(job, changed) {
  source?.close();
  const bar = h("progress", { "aria-label": "Indexing" });
  const text = h("span", { class: "dim" });
  document.getElementById("job").replaceChildren(bar, text);
  const show = (now) => {
    if (now.scanned && now.total) {
      bar.max = now.total;
      bar.value = now.done;
    }
    const count = `${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")}`;
    text.textContent = now.state === "finishing" ? "Finishing" : now.scanned ? count : `Looking: ${count}`;
  };
  show(job);
  source = new EventSource(`/v1/jobs/${job.id}/events`);
  source.addEventListener("job", (event) => {
    const now = JSON.parse(event.data);
    show(now);
    if (!hasEnded(now)) return;
    source.close();
    idle(changed);
    if (now.state === "failed") toast("Indexing failed: the log of the server says why.");
    else if (now.changes?.added) toast(`${counted(now.changes.added, "new photo")}.`);
    if (now.changes && (now.changes.added || now.changes.changed || now.changes.missing || now.changes.moved)) changed();
  });
}
