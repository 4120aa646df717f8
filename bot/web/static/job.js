// Follows one job and shows it. Everything shown comes from its view (bot/web/views.py).

import { get, post, toLogin } from "./api.js";
import {
  altText, busy, byId, complain, fileName, isBusy, pictures, rankText, timeLeft,
} from "./words.js";
import { COVERED, isCovered, uncover } from "./covers.js";
import { openViewer } from "./viewer.js";

const LOST = "The connection is interrupted; waiting for the bot to come back…";
const BLANK = 235;
const GONE = "This picture cannot be shown any more.";

let shown = null; // the view on the page
let events = null; // the stream of the job that is followed
let retry = null; // the timer of the next try, where the browser has given up
let ready = null; // when the pictures come, by our own clock in ms
let ticking = null;
let covers = []; // cover or uncover each picture of the gallery
let onEnd = () => {};

export const shownView = () => shown;

export function onJobEnd(callback) {
  onEnd = callback;
}

export function follow(jobId) {
  leave();
  events = new EventSource(`/api/jobs/${jobId}/events`);
  events.onmessage = (message) => show(JSON.parse(message.data));
  events.onerror = () => lost(jobId);
}

export function leave() {
  events?.close();
  events = null;
  clearTimeout(retry);
  clearInterval(ticking);
  ready = null;
}

export function hide() {
  leave();
  shown = null;
  byId("job").hidden = true;
}

async function lost(jobId) {
  say(LOST);
  byId("numbers").textContent = "";
  ready = null;
  // The browser tries again by itself unless the bot said no.
  if (events?.readyState !== EventSource.CLOSED) return;
  leave();
  const response = await fetch(`/api/jobs/${jobId}`).catch(() => null);
  if (response?.status === 401) return void toLogin();
  if (response === null || response.ok) {
    retry = setTimeout(() => follow(jobId), response ? 1000 : 3000);
    return;
  }
  const answer = await response.json().catch(() => null);
  hide();
  byId("examples").hidden = false;
  complain(byId("trouble"), answer?.error ?? LOST);
}

function show(view) {
  const isOther = shown?.job_id !== view.job_id;
  shown = view;
  byId("examples").hidden = true;
  byId("job").hidden = false;
  byId("job-prompt").textContent = view.prompt;
  document.title = `${view.prompt} · imagine`;
  byId("origin").hidden = !view.origin;
  if (view.origin) byId("origin").querySelector("a").href = `/jobs/${view.origin}`;
  const isOver = ["done", "failed", "cancelled"].includes(view.state);
  say(status(view));
  complain(byId("job-trouble"), view.state === "failed" ? view.sentence : "");
  count(view);
  byId("cancel").hidden = isOver || view.state === "postponed";
  byId("progress").hidden = isOver || view.state === "postponed";
  byId("done").hidden = view.state !== "done";
  if (view.state === "drawing") byId("progress").value = view.percent;
  else byId("progress").removeAttribute("value");
  if (view.state === "done") showPictures(view);
  else showPlaces(view, isOther);
  if (isOver) finish(view);
}

function say(sentence) {
  if (byId("status").textContent !== sentence) byId("status").textContent = sentence;
}

function status(view) {
  switch (view.state) {
    case "queued":
      return view.pictures_ahead
        ? `In the line: ${pictures(view.pictures_ahead)} to be drawn before yours.`
        : "Next in the line.";
    case "drawing":
      return "Drawing"; // said once; the steps are shown beside it and not read out
    case "done":
      return drawn(view);
    default:
      return view.state === "failed" ? "" : view.sentence;
  }
}

function drawn(view) {
  const count = view.pictures.length;
  if (!count) return "None of its pictures is shown any more.";
  const there = count > 1 ? `${pictures(count)}, the best match first.` : "1 picture.";
  if (!view.withheld_count) return there;
  return `${there} ${pictures(view.withheld_count)} withheld: not fit to be shown.`;
}

// --- percent and time left --------------------------------------------------------------

function count(view) {
  clearInterval(ticking);
  ready = view.eta_s === null || view.eta_s === undefined ? null : Date.now() + view.eta_s * 1000;
  tick(view);
  if (ready !== null) ticking = setInterval(() => tick(view), 1000);
}

function tick(view) {
  const parts = view.state === "drawing" ? [`${view.percent} %`] : [];
  if (ready !== null) parts.push(timeLeft((ready - Date.now()) / 1000));
  byId("numbers").textContent = parts.join(" · ");
}

// --- places and previews ----------------------------------------------------------------

function showPlaces(view, isOther) {
  const list = byId("pictures");
  const placeCount = ["failed", "cancelled"].includes(view.state) ? 0 : view.picture_count;
  if (isOther || list.dataset.holds !== "places" || list.children.length !== placeCount) {
    layOut(list, placeCount, "places");
    list.setAttribute("aria-hidden", "true");
    const place = byId("place").content;
    list.replaceChildren(
      ...Array.from({ length: placeCount }, () => place.cloneNode(true).firstElementChild),
    );
  }
  if (view.preview) showPreview(view);
}

function layOut(list, pictureCount, holds) {
  list.dataset.holds = holds;
  list.dataset.count = pictureCount;
  list.toggleAttribute("data-many", pictureCount > 9);
}

function showPreview(view) {
  const list = byId("pictures");
  if (list.dataset.preview === view.preview.url) return;
  list.dataset.preview = view.preview.url;
  const sheet = new Image();
  sheet.onload = () => {
    const isLate = list.dataset.preview !== view.preview.url || list.dataset.holds !== "places";
    if (!isLate) [...list.children].forEach((place, index) => paint(place, sheet, view, index));
  };
  sheet.src = view.preview.url;
}

// One picture of the sheet: its place there is by index, in rows of which a short last one is
// centred (engine/pictures.py).
function paint(place, sheet, view, index) {
  const { rows, columns, gutter_px: gutter } = view.preview;
  const width = (sheet.naturalWidth - (columns - 1) * gutter) / columns;
  const height = (sheet.naturalHeight - (rows - 1) * gutter) / rows;
  if (Math.min(width, height) < 1) return;
  const row = Math.floor(index / columns);
  const emptyCount = Math.max(0, (row + 1) * columns - view.picture_count);
  const left = ((index % columns) + emptyCount / 2) * (width + gutter);
  const top = row * (height + gutter);
  const box = place.querySelector(".open");
  const canvas = box.querySelector("canvas") ?? box.appendChild(document.createElement("canvas"));
  canvas.width = Math.round(width);
  canvas.height = Math.round(height);
  const pen = canvas.getContext("2d");
  pen.drawImage(sheet, left, top, width, height, 0, 0, canvas.width, canvas.height);
  uncoverBlank(pen, canvas);
}

// What is not drawn yet is a light grey in the sheet (engine/rendering.py); here it is nothing,
// so that the place shows through, in the dark as well.
function uncoverBlank(pen, { width, height }) {
  const image = pen.getImageData(0, 0, width, height);
  const bytes = image.data;
  for (let at = 0; at < bytes.length; at += 4) {
    const isBlank = [0, 1, 2].every((channel) => Math.abs(bytes[at + channel] - BLANK) <= 5);
    if (isBlank) bytes[at + 3] = 0;
  }
  pen.putImageData(image, 0, 0);
}

// --- the pictures -----------------------------------------------------------------------

function showPictures(view) {
  const list = byId("pictures");
  layOut(list, view.pictures.length, view.job_id);
  delete list.dataset.preview;
  list.removeAttribute("aria-hidden");
  covers = [];
  list.replaceChildren(...view.pictures.map((picture) => figure(view, picture)));
  byId("grid").href = view.grid;
  byId("grid").hidden = view.pictures.length < 2;
  byId("grid").download = fileName(view, "all");
  byId("facts").textContent = facts(view);
}

function facts(view) {
  const parts = [`Seed ${view.seed}`];
  const chosen = Object.entries(view.options ?? {}).filter(([, value]) => value !== null);
  parts.push(...chosen.map(([name, value]) => `${name.replace("_", " ")} ${value}`));
  if (view.timings) {
    const drawnIn = view.timings.decoded_s + view.timings.rendered_s;
    parts.push(`drawn in ${drawnIn.toFixed(1)} s by ${view.model}`);
  }
  return parts.join(" · ");
}

function figure(view, picture) {
  const item = byId("picture").content.cloneNode(true).firstElementChild;
  const image = item.querySelector("img");
  const open = item.querySelector(".open");
  image.alt = altText(view, picture.rank);
  image.onerror = () => {
    item.classList.add("gone");
    open.dataset.gone = GONE;
  };
  image.src = picture.url;
  covers.push(() => cover(item, open, picture));
  cover(item, open, picture);
  open.addEventListener("click", () => {
    if (isCovered(picture)) {
      uncover(picture);
      cover(item, open, picture);
    } else openViewer(view, picture.rank, () => covers.forEach((again) => again()));
  });
  item.querySelector(".rank").textContent = rankText(picture.rank);
  item.querySelector(".score").textContent = `score ${picture.score.toFixed(1)}`;
  const save = item.querySelector(".save");
  save.href = picture.url;
  save.download = fileName(view, picture.rank);
  save.textContent = "Save";
  save.setAttribute("aria-label", `Save picture ${picture.rank}`);
  return item;
}

function cover(item, open, picture) {
  const isHidden = isCovered(picture);
  item.classList.toggle("covered", isHidden);
  if (!isHidden) return void open.removeAttribute("aria-label");
  open.dataset.covered = `${COVERED}. Show`;
  open.setAttribute("aria-label", `Picture ${picture.rank}: ${open.dataset.covered}`);
}

function finish(view) {
  leave();
  onEnd();
}

// --- what can be done with the job --------------------------------------------------------

byId("cancel").addEventListener("click", async () => {
  const button = byId("cancel");
  if (isBusy(button)) return;
  busy(button, true);
  try {
    show(await post(`/api/jobs/${shown.job_id}/cancel`));
    byId("prompt").focus();
  } catch (error) {
    complain(byId("job-trouble"), error.message);
    const view = await get(`/api/jobs/${shown.job_id}`).catch(() => null);
    if (view) show(view); // it was too late: here is what became of it
  } finally {
    busy(button, false);
  }
});

byId("copy").addEventListener("click", async () => {
  const button = byId("copy");
  const isCopied = await copied(new URL(`/jobs/${shown.job_id}`, location.origin).href);
  button.textContent = isCopied ? "Link copied" : "Copy it from the address bar";
  setTimeout(() => (button.textContent = "Copy link"), 2500);
});

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text); // not by https: the new way is closed
  }
}

function copiedTheOldWay(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  byId("copy").focus();
  return isCopied;
}
