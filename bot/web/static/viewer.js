// One picture by itself, large. Arrow keys turn to its neighbours, Esc closes.

import { COVERED, isCovered, uncover } from "./covers.js";
import { newId, post, troubleWith } from "./api.js";
import { altText, busy, byId, complain, fileName, isBusy, placeText } from "./words.js";

const dialog = byId("viewer");
const picture = byId("viewer-picture");
const enlarge = byId("enlarge");
const variations = byId("variations");

let view = null;
let rank = 1;
const enlarged = new Set(); // addresses of enlarged pictures that are there
let onVariation = () => {};
let onUncovered = () => {};

// Called with the answer to a request for variations.
export function onVariationAsked(callback) {
  onVariation = callback;
}

// ``whenUncovered`` is called when a picture was uncovered here.
export function openViewer(ofView, atRank, whenUncovered) {
  view = ofView;
  onUncovered = whenUncovered;
  turnTo(atRank);
  dialog.showModal();
}

const smallUrl = () => view.pictures[rank - 1].url;
const largeUrl = () => smallUrl().replace(".png", "-x4.png");
const bestUrl = () => (enlarged.has(largeUrl()) ? largeUrl() : smallUrl());

function turnTo(newRank) {
  rank = newRank;
  complain(byId("viewer-trouble"), "");
  byId("viewer-title").textContent = placeText(rank, view.pictures.length);
  byId("viewer-words").textContent = view.prompt;
  busy(byId("previous"), rank === 1);
  busy(byId("next"), rank === view.pictures.length);
  showBest();
  for (const neighbour of [view.pictures[rank], view.pictures[rank - 2]]) {
    if (neighbour) new Image().src = neighbour.url;
  }
}

function showBest() {
  const url = bestUrl();
  const isLarge = url === largeUrl();
  const isHidden = isCovered(view.pictures[rank - 1]);
  picture.classList.toggle("covered-picture", isHidden);
  picture.alt = isHidden ? COVERED : altText(view, rank);
  byId("uncover").hidden = !isHidden;
  if (!picture.src.endsWith(url)) picture.src = url;
  for (const [id, kind] of [["save-png", "png"], ["save-webp", "webp"]]) {
    byId(id).href = url.replace(".png", `.${kind}`);
    byId(id).download = fileName(view, isLarge ? `${rank}-x4` : rank, kind);
  }
  enlarge.textContent = isLarge ? "Enlarged ×4" : "Enlarge ×4";
  busy(enlarge, isLarge);
  showFacts();
}

function showFacts() {
  const { score } = view.pictures[rank - 1];
  const size = picture.complete && picture.naturalWidth
    ? ` · ${picture.naturalWidth} × ${picture.naturalHeight} px`
    : "";
  byId("viewer-facts").textContent = `Score ${score.toFixed(1)} · seed ${view.seed}${size}`;
}

picture.addEventListener("load", showFacts);

byId("uncover").addEventListener("click", () => {
  uncover(view.pictures[rank - 1]);
  onUncovered();
  showBest();
  dialog.focus();
});

function turn(by) {
  const to = rank + by;
  if (to >= 1 && to <= view.pictures.length) turnTo(to);
}

byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
byId("viewer-close").addEventListener("click", () => dialog.close());

dialog.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) {
    event.preventDefault();
    turn(by);
  }
});

// A click beside the dialog closes it, too.
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

enlarge.addEventListener("click", async () => {
  if (isBusy(enlarge)) return;
  const [url, atRank, ofView] = [largeUrl(), rank, view];
  busy(enlarge, true);
  enlarge.textContent = "Enlarging…";
  const trouble = await troubleWith(url);
  if (!trouble) enlarged.add(url);
  if (rank !== atRank || view !== ofView) return; // somebody has turned on
  complain(byId("viewer-trouble"), trouble ?? "");
  showBest();
});

variations.addEventListener("click", async () => {
  if (isBusy(variations)) return;
  busy(variations, true);
  try {
    const path = `/api/jobs/${view.job_id}/pictures/${rank}/variation`;
    const pictures = Number(byId("count").value);
    const answer = await post(path, { pictures, request_id: newId() });
    dialog.close();
    onVariation(answer);
  } catch (error) {
    complain(byId("viewer-trouble"), error.message);
  } finally {
    busy(variations, false);
  }
});
