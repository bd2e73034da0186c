// Asks the server; what it refuses becomes an error with its words.

async function answered(answer) {
  if (answer.status === 401) {
    location.assign("/login");
    throw new Error("the key is needed");
  }
  if (answer.ok) return answer.status === 204 ? undefined : answer.json();
  const problem = await answer.json().catch(() => ({}));
  const error = new Error(problem.detail ?? `the server answered ${answer.status}`);
  error.status = answer.status;
  throw error;
}

export const get = async (path, signal) => answered(await fetch(path, { signal }));

export async function post(path, body, signal) {
  const headers = { "content-type": "application/json" };
  return answered(await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

/** Searches for photos like a file. */
export async function searchByFile(file, request) {
  const form = new FormData();
  form.append("image", file);
  form.append("request", JSON.stringify(request));
  return answered(await fetch("/v1/search/upload", { method: "POST", body: form }));
}

export const thumbnailOf = (id) => `/v1/images/${id}/thumbnail`;
export const previewOf = (id, side = 1600) => `/v1/images/${id}/preview?side=${side}`;
export const heatOf = (id, other) => `/v1/images/${id}/heat?with=${other}`;
