// Changes the key for a cookie, and opens the gallery.

document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = document.getElementById("key").value;
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/v1/session", { method: "POST", headers, body: JSON.stringify({ key }) });
  if (answer.ok) {
    location.assign("/");
  } else {
    document.getElementById("answer").textContent =
      answer.status === 401 ? "That is not the key." : `The server answered ${answer.status}.`;
  }
});
