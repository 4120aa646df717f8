// What this person asked for before, newest first, a screenful at a time.

import { get } from "./api.js";
import { isCovered } from "./covers.js";
import { busy, byId, complain, isBusy, pictures, when } from "./words.js";

const EMPTY = "Nothing yet. What you draw on this page is kept here.";
const INTRO = "What you asked for on this page, newest first.";
const STATES = {
  queued: "Waiting…", drawing: "Being drawn…", postponed: "Waiting…",
  failed: "Not drawn", cancelled: "Given up", done: "No longer shown",
};

let last = null; // the oldest job on the page

export async function showHistory() {
  byId("history").replaceChildren();
  byId("more").hidden = true;
  last = null;
  await showOlder();
}

byId("more").addEventListener("click", showOlder);

async function showOlder() {
  const more = byId("more");
  if (isBusy(more)) return;
  busy(more, true);
  try {
    const before = last ? `?before=${last}` : "";
    const { jobs, has_more: hasMore } = await get(`/api/history${before}`);
    const isFirst = last === null;
    const items = jobs.map(past);
    byId("history").append(...items);
    last = jobs.at(-1)?.job_id ?? last;
    more.hidden = !hasMore;
    complain(byId("history-trouble"), "");
    byId("history-intro").textContent = last ? INTRO : EMPTY;
    if (!isFirst) items[0]?.querySelector("a").focus();
  } catch (error) {
    complain(byId("history-trouble"), error.message);
  } finally {
    busy(more, false);
  }
}

function past(view) {
  const item = byId("past").content.cloneNode(true).firstElementChild;
  item.querySelector("a").href = `/jobs/${view.job_id}`;
  item.querySelector(".words").textContent = view.prompt;
  const count = view.pictures?.length ?? view.picture_count;
  item.querySelector(".hint").textContent = [pictures(count), when(view.accepted_at)]
    .filter(Boolean)
    .join(" · ");
  const thumb = item.querySelector(".thumb");
  if (view.state === "done" && count) thumb.append(bestOf(view));
  else thumb.textContent = STATES[view.state] ?? "";
  return item;
}

function bestOf(view) {
  const image = new Image(256, 256);
  image.loading = "lazy";
  image.alt = ""; // the words stand below it
  image.src = view.pictures[0].url;
  image.classList.toggle("covered-picture", isCovered(view.pictures[0]));
  return image;
}
