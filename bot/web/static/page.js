// The page of one person: asks for pictures, follows the job, shows what came of it.
// Everything that is shown comes from the job's view (bot/web/views.py).

const byId = (id) => document.getElementById(id);
const form = byId("form");
const submit = form.querySelector("button");

let events = null; // the stream of the job that is shown
let requestId = null; // kept until an answer arrives: sent twice, it is drawn once

const pictures = (count) => (count === 1 ? "1 picture" : `${count} pictures`);
const newId = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (submit.getAttribute("aria-disabled") !== "true") ask();
});

form.addEventListener("input", () => {
  requestId = null;
  complain("");
});

byId("again").addEventListener("click", () => {
  byId("prompt").value = byId("job-prompt").textContent;
  byId("seed").value = "";
  requestId = null;
  form.scrollIntoView();
  ask();
});

window.addEventListener("popstate", showAddress);

async function ask() {
  const seed = byId("seed").value.trim();
  if (seed && !/^\d+$/.test(seed)) {
    complain("The seed must be a whole number; leave it empty for a random one.");
    byId("seed").focus();
    return;
  }
  requestId ??= newId();
  busy(true);
  try {
    const answer = await post("/api/draw", {
      prompt: byId("prompt").value,
      pictures: Number(form.elements.pictures.value),
      seed: seed ? Number(seed) : null,
      request_id: requestId,
    });
    requestId = null;
    complain("");
    history.pushState(null, "", answer.page);
    follow(answer.job_id);
  } catch (error) {
    complain(error.message);
    byId("prompt").focus();
  } finally {
    busy(false);
  }
}

async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The bot does not answer. Is it running? Press Draw to try again.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function follow(jobId) {
  leave();
  events = new EventSource(`/api/jobs/${jobId}/events`);
  events.onmessage = (message) => show(JSON.parse(message.data));
  events.onerror = () => lost(jobId);
}

async function lost(jobId) {
  // The browser tries again by itself unless the bot said no.
  byId("status").textContent = "The connection is interrupted; waiting for the bot to come back…";
  if (events?.readyState !== EventSource.CLOSED) return;
  leave();
  const response = await fetch(`/api/jobs/${jobId}`).catch(() => null);
  if (!response) return void setTimeout(() => follow(jobId), 3000);
  const answer = await response.json();
  if (response.ok) return void setTimeout(() => follow(jobId), 1000);
  byId("job").hidden = true;
  complain(answer.error);
}

function leave() {
  events?.close();
  events = null;
}

function show(view) {
  byId("job").hidden = false;
  byId("job-prompt").textContent = view.prompt;
  document.title = `${view.prompt} · imagine`;
  if (byId("status").textContent !== status(view)) byId("status").textContent = status(view);
  byId("percent").textContent = view.state === "drawing" ? `${view.percent} %` : "";
  byId("progress").hidden = ["done", "failed", "postponed"].includes(view.state);
  byId("done").hidden = view.state !== "done";
  if (view.state === "drawing") byId("progress").value = view.percent;
  else byId("progress").removeAttribute("value");
  if (view.state === "done") showPictures(view);
  else showPlaces(view.state === "failed" ? 0 : view.picture_count);
  if (view.state === "done" || view.state === "failed") finish(view);
}

function status(view) {
  switch (view.state) {
    case "queued":
      return view.pictures_ahead
        ? `In the line: ${pictures(view.pictures_ahead)} to be drawn before yours.`
        : "Next in the line.";
    case "drawing":
      return "Drawing"; // said once; the steps are shown beside it and not read out
    case "postponed":
      return view.sentence;
    case "done":
      return `${pictures(view.pictures.length)}, the best match first.`;
    default:
      return "";
  }
}

function showPlaces(count) {
  const list = byId("pictures");
  if (list.dataset.job === "places" && list.children.length === count) return;
  list.dataset.job = "places";
  list.dataset.count = count;
  list.setAttribute("aria-hidden", "true");
  list.replaceChildren(
    ...Array.from({ length: count }, () => {
      const place = byId("picture").content.cloneNode(true).firstElementChild;
      place.classList.add("waiting");
      place.querySelector("img").remove();
      place.querySelector("figcaption").remove();
      return place;
    }),
  );
}

function showPictures(view) {
  const list = byId("pictures");
  list.dataset.job = view.job_id;
  list.dataset.count = view.pictures.length;
  list.removeAttribute("aria-hidden");
  list.replaceChildren(...view.pictures.map((picture) => figure(view, picture)));
  byId("grid").href = view.grid;
  byId("grid").download = fileName(view, "all");
  const drawnIn = view.timings.decoded_s + view.timings.rendered_s;
  byId("facts").textContent =
    `Seed ${view.seed} · drawn in ${drawnIn.toFixed(1)} s by ${view.model}`;
}

function figure(view, picture) {
  const item = byId("picture").content.cloneNode(true).firstElementChild;
  const image = item.querySelector("img");
  image.src = picture.url;
  image.alt = `${view.prompt}, picture ${picture.rank} of ${view.pictures.length}`;
  item.querySelector(".open").href = picture.url;
  item.querySelector(".rank").textContent = picture.rank === 1 ? "Best match" : `No. ${picture.rank}`;
  item.querySelector(".score").textContent = `score ${picture.score.toFixed(1)}`;
  const save = item.querySelector(".save");
  save.href = picture.url;
  save.download = fileName(view, picture.rank);
  save.textContent = "Save";
  save.setAttribute("aria-label", `Save picture ${picture.rank}`);
  return item;
}

function fileName(view, suffix) {
  const words = view.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ["imagine"];
  return `${words.slice(0, 8).join("-")}-${view.seed}-${suffix}.png`;
}

function finish(view) {
  leave();
  if (view.state === "failed") complain(view.sentence);
  showAllowance();
}

function complain(sentence) {
  byId("trouble").textContent = sentence;
  byId("trouble").hidden = !sentence;
}

function busy(isBusy) {
  submit.setAttribute("aria-disabled", String(isBusy));
}

async function showAllowance() {
  const response = await fetch("/api/allowance").catch(() => null);
  if (!response?.ok) return;
  const { left } = await response.json();
  byId("allowance").textContent = left === null ? "" : `${pictures(left)} left today`;
}

function showAddress() {
  leave();
  complain("");
  byId("job").hidden = true;
  document.title = "imagine";
  const match = location.pathname.match(/^\/jobs\/([\w-]+)$/);
  if (match) follow(match[1]);
  showAllowance();
}

showAddress();
