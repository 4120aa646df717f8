// What people find fault with, for an admin to judge: the words, the pictures, and what to do.
// Pictures stay covered until a click uncovers them, or while the keyboard is on them.

const GONE = "No picture of it is kept any more.";
const FORGOTTEN = "The request is no longer kept, nor are its pictures.";
const BROKEN = "cannot be shown any more";

// Items are kept by key, so that a refresh covers no picture anew and takes no focus.
export function showReports(list, { reports, whole_count: wholeCount }, tools) {
  const kept = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const items = reports.map((report) => {
    const key = `${report.id} ${report.closed_at ?? ""} ${report.pictures.length}`;
    return kept.get(key) ?? itemOf(report, key, tools);
  });
  if (!items.length) items.push(kept.get("") ?? noteOf("", "There are none."));
  if (wholeCount > reports.length) {
    items.push(noteOf("more", `${reports.length} of ${wholeCount} are shown.`));
  }
  const isSame = items.length === list.children.length
    && items.every((item, index) => item === list.children[index]);
  if (!isSame) list.replaceChildren(...items);
}

function noteOf(key, text) {
  const item = element("li", "card none", text);
  item.dataset.key = key;
  return item;
}

function itemOf(report, key, tools) {
  const item = element("li", "card report");
  item.dataset.key = key;
  item.append(headOf(report, tools));
  if (report.prompt !== null) item.append(element("p", "prompt", `“${report.prompt}”`));
  const reason = element("p", "reason", report.reason || "no reason given");
  reason.prepend(element("span", "name", "Reported for: "));
  item.append(reason);
  if (report.closed_at) {
    const when = tools.time(report.closed_at);
    item.append(element("p", "soft", `Closed by ${report.closed_by}, ${when}`));
    return item;
  }
  item.append(report.pictures.length ? picturesOf(report) : element("p", "soft", goneOf(report)));
  item.append(actsOf(report, tools));
  return item;
}

const goneOf = (report) => (report.prompt === null ? FORGOTTEN : GONE);

function headOf(report, tools) {
  const head = element("p", "head");
  head.append(element("code", "", tools.who(report)));
  if (report.community) head.append(" in ", element("code", "", report.community));
  const request = element("span", "soft", ` · ${tools.time(report.at)} · request `);
  request.append(element("code", "", report.job_id));
  head.append(request);
  return head;
}

function picturesOf(report) {
  const list = element("ol", "reported");
  list.append(...report.pictures.map((picture) => {
    const place = element("li");
    place.append(pictureOf(report, picture));
    return place;
  }));
  return list;
}

function pictureOf(report, picture) {
  const name = `Picture ${picture.rank} of report ${report.id}`;
  const made = element("button", "covered");
  const image = new Image(128, 128);
  made.type = "button";
  made.title = picture.was_covered ? "People see it behind a click, too" : "";
  image.loading = "lazy";
  image.alt = "";
  image.onerror = () => {
    made.classList.add("broken");
    made.disabled = true;
    made.setAttribute("aria-label", `${name} ${BROKEN}`);
    made.replaceChildren(BROKEN);
  };
  image.src = picture.url;
  made.append(image);
  cover(made, name, true);
  made.addEventListener("click", () => cover(made, name, !made.classList.contains("covered")));
  return made;
}

function cover(made, name, isCovered) {
  made.classList.toggle("covered", isCovered);
  made.setAttribute("aria-pressed", String(!isCovered));
  made.setAttribute("aria-label", `${name}: ${isCovered ? "show" : "cover"}`);
}

function actsOf(report, { act, ask, askBlock, button, who }) {
  const acts = element("div", "acts");
  const count = report.pictures.length;
  acts.append(button("Dismiss", `Dismiss report ${report.id}`,
    () => act("close_report", { id: report.id })));
  if (count) {
    acts.append(button("Remove the pictures…", `Remove the pictures of report ${report.id}`,
      () => ask({
        title: count === 1 ? "Remove this picture?" : `Remove these ${count} pictures?`,
        note: "They cannot be shown, enlarged or varied any more, by nobody. This cannot be undone.",
        go: "Remove",
        fields: [],
        run: () => act("remove_pictures", { id: report.id }),
      })));
  }
  acts.append(button("Block…", `Block ${who(report)}`, () => askBlock(report)));
  return acts;
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
