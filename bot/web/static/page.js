// The page of one person: asks for pictures, and knows which part of it an address shows.

import { get, newId, post } from "./api.js";
import { showHistory } from "./history.js";
import { follow, hide, leave, onJobEnd, shownView } from "./job.js";
import { onVariationAsked } from "./viewer.js";
import { busy, byId, complain, isBusy, pictures } from "./words.js";

const form = byId("form");
const draw = byId("draw");
const OPTIONS = {
  seed: { name: "seed", isWhole: true, usual: "a random one" },
  temperature: { name: "temperature", usual: "the usual one" },
  top_k: { name: "top-k", isWhole: true, usual: "the usual one" },
  top_p: { name: "top-p", usual: "the usual one" },
  condition_scale: { name: "condition scale", usual: "the usual one" },
};

let requestId = null; // kept until an answer arrives: sent twice, it is drawn once

// --- asking -----------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy(draw)) ask();
});

form.addEventListener("input", () => {
  requestId = null;
  byId("count-shown").textContent = byId("count").value;
  complain(byId("trouble"), "");
});

byId("again").addEventListener("click", async () => {
  const again = byId("again");
  if (isBusy(again)) return;
  busy(again, true);
  try {
    const path = `/api/jobs/${shownView().job_id}/redraw`;
    arrive(await post(path, { request_id: newId() }));
  } catch (error) {
    complain(byId("job-trouble"), error.message);
  } finally {
    busy(again, false);
  }
});

for (const example of document.querySelectorAll(".examples button")) {
  example.addEventListener("click", () => {
    byId("prompt").value = example.textContent.trim();
    requestId = null;
    byId("prompt").focus();
    if (!isBusy(draw)) ask();
  });
}

onVariationAsked(arrive);
onJobEnd(showAllowance);

async function ask() {
  const options = readOptions();
  if (options === null) return;
  requestId ??= newId();
  busy(draw, true);
  try {
    const answer = await post("/api/draw", {
      prompt: byId("prompt").value,
      pictures: Number(byId("count").value),
      ...options,
      request_id: requestId,
    });
    requestId = null;
    complain(byId("trouble"), "");
    history.pushState(null, "", answer.page);
    follow(answer.job_id);
  } catch (error) {
    complain(byId("trouble"), error.message);
    byId("prompt").focus();
  } finally {
    busy(draw, false);
  }
}

// The options that are filled in; null if one is no number, which is told.
function readOptions() {
  const options = {};
  for (const [id, { name, isWhole, usual }] of Object.entries(OPTIONS)) {
    const text = byId(id).value.trim().replace(",", ".");
    if (!text) continue;
    const isRight = isWhole ? /^\d+$/.test(text) : /^\d*\.?\d+$/.test(text);
    if (!isRight) {
      const kind = isWhole ? "a whole number" : "a number";
      complain(byId("trouble"), `The ${name} must be ${kind}; leave it empty for ${usual}.`);
      if (id !== "seed") byId("advanced").open = true;
      byId(id).focus();
      return null;
    }
    options[id] = Number(text);
  }
  return options;
}

// Another job that grew out of the one on the page.
function arrive(answer) {
  history.pushState(null, "", answer.page);
  complain(byId("trouble"), "");
  follow(answer.job_id);
  byId("job-prompt").focus();
  byId("job").scrollIntoView({ behavior: "smooth", block: "start" });
}

// --- addresses --------------------------------------------------------------------------

window.addEventListener("popstate", showAddress);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-in-page]");
  const isElsewhere = event.button || event.ctrlKey || event.metaKey || event.shiftKey;
  if (!link || isElsewhere) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  showAddress();
  window.scrollTo(0, 0);
  const heading = isHistory() ? byId("history-title") : byId("prompt");
  heading.focus();
});

const isHistory = () => location.pathname === "/history";

function showAddress() {
  const job = location.pathname.match(/^\/jobs\/([\w-]+)$/);
  complain(byId("trouble"), "");
  byId("draw-view").hidden = isHistory();
  byId("history-view").hidden = !isHistory();
  byId("examples").hidden = Boolean(job);
  document.title = isHistory() ? "History · imagine" : "imagine";
  for (const link of document.querySelectorAll(".bar nav a")) {
    const isHere = (link.pathname === "/history") === isHistory() && link.id !== "admin";
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (job && shownView()?.job_id !== job[1]) hide();
  if (job) follow(job[1]);
  else if (isHistory()) {
    leave();
    showHistory();
  } else hide();
  showAllowance();
}

// --- the bar ----------------------------------------------------------------------------

async function showAllowance() {
  const answer = await get("/api/allowance").catch(() => null);
  if (!answer) return;
  byId("allowance").textContent = answer.left === null ? "" : `${pictures(answer.left)} left today`;
}

async function showSession() {
  const session = await get("/api/session").catch(() => null);
  byId("admin").hidden = session?.role !== "admin";
  byId("log-out").hidden = !session?.has_session;
}

byId("log-out").addEventListener("click", async () => {
  await post("/api/logout").catch(() => null);
  location.assign("/login");
});

showAddress();
showSession();
