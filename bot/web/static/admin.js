// The admin page: shows what goes on, every five seconds anew, and carries out an admin's acts.
// Everything that is shown comes from bot/web/admin_views.py.

import { Chart } from "/static/charts.js";
import { showReports } from "/static/reports.js";

const REFRESH_MS = 5000;
const SAID_MS = 6000;
const byId = (id) => document.getElementById(id);

const whole = (number) => Math.round(number).toLocaleString();
const few = (number) => (number >= 100 ? whole(number) : String(Math.round(10 * number) / 10));
const usd = (number) => `$${number.toFixed(2)}`;
const who = (item) => `${item.platform}/${item.person}`;
const words = (label) => label.replaceAll("_", " ");
const time = (iso) =>
  new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${Math.round(10 * seconds) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function bytes(count) {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} GB` : `${whole(count / 1e6)} MB`;
}

// ------------------------------------------------------------------ asking and answering

async function get(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (response.status === 401 || response.status === 403) {
    location.assign(`/login?next=${encodeURIComponent("/admin")}`);
    throw new Error("Log in first.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function act(name, wish) {
  const response = await fetch(`/api/admin/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wish),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  say(answer.said);
  await refresh();
}

let saying = null;
function say(sentence) {
  clearTimeout(saying);
  byId("said").textContent = sentence;
  saying = setTimeout(() => (byId("said").textContent = ""), SAID_MS);
}

function complain(sentence) {
  byId("trouble").textContent = sentence;
  byId("trouble").hidden = !sentence;
}

// Does an act at once; what goes wrong is told beside the rest of the page.
function button(label, name, run) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "quiet";
  made.textContent = label;
  made.setAttribute("aria-label", name);
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await run();
    } catch (error) {
      complain(error.message);
    } finally {
      made.disabled = false;
    }
  });
  return made;
}

// Asks for a few fields first. Resolves when the act is done or given up.
function ask({ title, go, fields, run, note = "" }) {
  byId("ask-title").textContent = title;
  byId("ask-note").textContent = note;
  byId("ask-note").hidden = !note;
  byId("ask-go").textContent = go;
  byId("ask-trouble").hidden = true;
  byId("ask-fields").replaceChildren(...fields.map(field));
  const form = byId("ask-form");
  form.onsubmit = async (event) => {
    event.preventDefault();
    byId("ask-go").disabled = true;
    try {
      await run(answers(form, fields));
      byId("ask").close();
    } catch (error) {
      byId("ask-trouble").textContent = error.message;
      byId("ask-trouble").hidden = false;
    } finally {
      byId("ask-go").disabled = false;
    }
  };
  byId("ask").showModal();
}

function field({ name, label, value = "", choices = null, kind = "text", hint = "" }) {
  const row = document.createElement("label");
  const input = document.createElement(choices ? "select" : "input");
  input.name = name;
  if (choices) input.append(...choices.map(([key, text]) => new Option(text, key)));
  else input.type = kind;
  if (kind === "checkbox") {
    row.className = "check";
    input.checked = Boolean(value);
    row.append(input, label);
    return row;
  }
  if (kind === "number") input.min = 1;
  input.value = value ?? "";
  input.placeholder = hint;
  input.autocomplete = "off";
  row.append(label, input);
  return row;
}

function answers(form, fields) {
  return Object.fromEntries(
    fields.map(({ name, kind }) => {
      const input = form.elements[name];
      if (kind === "checkbox") return [name, input.checked];
      const text = input.value.trim();
      return [name, kind === "number" ? (text === "" ? null : Number(text)) : text];
    }),
  );
}

// --------------------------------------------------------------------------------- tables

// Rows are kept by key, so that a refresh takes no button from under a finger or the focus.
function fill(id, items, keyOf, cells, none) {
  const body = byId(id).tBodies[0];
  const kept = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const rows = items.map((item) => {
    const key = keyOf(item);
    const row = kept.get(key) ?? newRow(key);
    cells(item).forEach((cell, index) => write(row, index, cell));
    return row;
  });
  if (!rows.length) rows.push(kept.get("") ?? emptyRow(none, byId(id).tHead.rows[0].cells.length));
  rows.forEach((row, index) => {
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
  });
  while (body.rows.length > rows.length) body.deleteRow(-1);
}

function newRow(key) {
  const row = document.createElement("tr");
  row.dataset.key = key;
  return row;
}

function emptyRow(text, columns) {
  const row = newRow("");
  const cell = row.insertCell();
  cell.colSpan = columns;
  cell.className = "none";
  cell.textContent = text;
  return row;
}

// A cell is text, or {number}, {code}, or {acts: () => buttons}, made once.
function write(row, index, cell) {
  const place = row.cells[index] ?? row.insertCell();
  if (cell?.acts) {
    place.className = "acts";
    if (!place.childElementCount) place.append(...cell.acts());
  } else if (cell?.code !== undefined) {
    const code = place.firstElementChild ?? place.appendChild(document.createElement("code"));
    if (code.textContent !== cell.code) code.textContent = cell.code;
  } else {
    const text = String(cell?.number ?? cell ?? "");
    if (cell?.number !== undefined) place.className = "number";
    if (place.textContent !== text) place.textContent = text;
  }
}

// -------------------------------------------------------------------------------- numbers

const charts = [
  new Chart({
    title: "Pictures a minute",
    series: [{ name: "delivered", of: (point) => point.pictures_per_min }],
    format: few,
  }),
  new Chart({
    title: "From request to pictures",
    series: [
      { name: "half within", of: (point) => point.p50_s },
      { name: "95 % within", of: (point) => point.p95_s },
    ],
    format: duration,
  }),
  new Chart({
    title: "Pictures to come",
    series: [
      { name: "waiting or drawn", of: (point) => point.waiting_count },
      { name: "slots in use", of: (point) => point.busy_slot_count },
    ],
    format: few,
  }),
  new Chart({
    title: "Refused and failed",
    series: [
      { name: "refused", of: (point) => point.refused_count },
      { name: "failed", of: (point) => point.failed_count },
    ],
    format: few,
    columns: true,
  }),
];

function tile(name, value, more = "", share = null) {
  const made = document.createElement("div");
  const term = document.createElement("dt");
  term.textContent = name;
  const shown = document.createElement("dd");
  shown.className = "value";
  shown.textContent = value;
  made.append(term, shown);
  if (more) {
    const detail = document.createElement("dd");
    detail.className = "more";
    detail.textContent = more;
    made.append(detail);
  }
  if (share !== null) {
    const bar = document.createElement("dd");
    bar.append(gauge(share, 1, `${name}: ${value}`));
    made.append(bar);
  }
  return made;
}

function gauge(value, most, label) {
  const made = document.createElement("meter");
  made.max = most;
  made.value = value;
  made.setAttribute("aria-label", label);
  return made;
}

function tiles(now, span) {
  const { engine } = now;
  const toCome = (now.loads ?? []).reduce((sum, load) => sum + load.picture_count, 0);
  const oldest = Math.max(0, ...(now.loads ?? []).map((load) => load.oldest_s));
  const spanName = span.minutes_each === 1 ? "in the last hour" : "in the last day";
  const refused = span.refused.reduce((sum, each) => sum + each.count, 0);
  const failed = span.failed.reduce((sum, each) => sum + each.count, 0);
  const made = [
    tile("Pictures a minute", engine ? few(engine.pictures_per_min) : "–",
      `${whole(span.picture_count)} ${spanName}`),
    tile("Slots in use", engine ? `${engine.busy_slot_count} of ${engine.slot_count}` : "–",
      engine ? `${whole(engine.finishing_picture_count)} being ranked` : "the engine does not answer",
      engine?.slot_count ? engine.busy_slot_count / engine.slot_count : null),
    tile("Pictures to come", now.loads ? whole(toCome) : "–",
      now.loads ? (toCome ? `oldest ${duration(oldest)}` : "nobody waits") : "the database does not answer"),
    tile("Half within", duration(span.p50_s),
      `95 % in ${duration(span.p95_s)} · 99 % in ${duration(span.p99_s)}`),
    tile("Requests", whole(span.accepted_count),
      `${whole(span.delivered_count)} delivered, ${whole(span.cancelled_count)} given up`),
    tile("Refused", whole(refused),
      `${whole(span.quota_refusal_count)} by a limit · ${whole(failed)} failed later`),
    tile("Engine restarts", engine ? whole(engine.restart_count) : "–",
      engine ? memory(engine) : ""),
    money(now),
  ];
  byId("tiles").replaceChildren(...made);
}

function money({ x_spent_usd: spent, x_daily_usd: limit, platforms }) {
  if (spent === null) return tile("Spent on X today", "–", "x" in platforms ? "unknown" : "X is off");
  const share = limit ? Math.min(1, spent / limit) : null;
  return tile("Spent on X today", usd(spent), limit ? `of ${usd(limit)}` : "no limit", share);
}

function memory(engine) {
  const device = engine.device_bytes ? `, ${bytes(engine.device_bytes)} on the device` : "";
  return `${bytes(engine.memory_bytes)} of memory${device}`;
}

function bars(id, counts, none) {
  const most = Math.max(1, ...counts.map((each) => each.count));
  const rows = counts.map(({ label, count }) => {
    const row = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = words(label);
    const number = document.createElement("span");
    number.className = "number";
    number.textContent = whole(count);
    row.append(name, gauge(count, most, `${words(label)}: ${count}`), number);
    return row;
  });
  if (!rows.length) {
    const row = document.createElement("li");
    row.className = "none";
    row.textContent = none;
    rows.push(row);
  }
  byId(id).replaceChildren(...rows);
}

function health(now) {
  const [kind, text] = now.obstacles.length
    ? ["bad", `Not ready: ${now.obstacles.join(", ")}`]
    : now.is_paused
      ? ["wait", "Paused"]
      : ["good", "Ready"];
  const place = byId("health");
  place.className = `health ${kind}`;
  if (place.textContent !== text) place.textContent = text;
  byId("pause").hidden = now.is_paused === null;
  byId("pause").textContent = now.is_paused ? "Resume" : "Pause";
  byId("pause").dataset.act = now.is_paused ? "resume" : "pause";
}

function queue({ now, people, jobs }) {
  fill("loads", now.loads ?? [], (load) => `${load.platform} ${load.state}`,
    (load) => [load.platform, load.state, { number: whole(load.job_count) },
      { number: whole(load.picture_count) }, { number: duration(load.oldest_s) }],
    now.loads ? "Nobody waits." : "The database does not answer.");
  fill("people", people, who,
    (item) => [{ code: who(item) }, { number: whole(item.job_count) },
      { number: whole(item.picture_count) }, { number: duration(item.oldest_s) },
      { acts: () => [button("Block…", `Block ${who(item)}`, () => askBlock(item))] }],
    "Nobody waits.");
  fill("jobs", jobs, (job) => job.job_id,
    (job) => [{ code: job.job_id }, { code: who(job) }, { code: job.community ?? "" }, job.state,
      { number: whole(job.picture_count) }, { number: duration(job.age_s) },
      { acts: () => [button("Cancel", `Cancel request ${job.job_id}`,
        () => act("cancel", { job_id: job.job_id }))] }],
    "No request is unfinished.");
}

// ----------------------------------------------------------------------------- moderation

const BECAME = { allow: "drawn", soft: "drawn, hidden", refuse: "refused" };
const ORDER = ["refuse", "soft", "allow"];
const times = (count, one, many) => `${whole(count)} ${count === 1 ? one : many}`;

function moderation(seen, { open_report_count: openCount }) {
  const judged = [...seen.judged].sort((a, b) =>
    ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) || b.count - a.count);
  fill("judged", judged, (each) => `${each.level} ${each.verdict} ${each.code}`,
    (each) => [BECAME[each.verdict], words(each.code) || "–", each.level,
      { number: whole(each.count) }],
    "No prompt was read.");
  fill("looked-at", seen.pictures, (each) => each.platform,
    (each) => [each.platform, { number: whole(each.shown) }, { number: whole(each.spoiler) },
      { number: whole(each.withheld) }],
    "No picture was drawn.");
  byId("struck-line").textContent = [
    times(seen.strike_count, "strike", "strikes"),
    `${times(seen.strike_block_count, "person", "people")} blocked by them`,
    times(seen.report_count, "report", "reports"),
  ].join(" · ");
  const title = openCount ? `Reports · ${whole(openCount)} open` : "Reports";
  if (byId("reports-title").textContent !== title) byId("reports-title").textContent = title;
}

// ---------------------------------------------------------------------- rules and reports

const PLATFORMS = ["discord", "x", "web", "terminal"].map((name) => [name, name]);
const LENGTHS = [["24", "for a day"], ["168", "for a week"], ["720", "for 30 days"], ["", "until it is lifted"]];

function askBlock({ platform = "discord", person = "", community = "" } = {}) {
  ask({
    title: person ? `Block ${platform}/${person}` : "Block somebody",
    go: "Block",
    fields: [
      { name: "platform", label: "Platform", choices: PLATFORMS, value: platform },
      { name: "person", label: "Person (id)", value: person },
      { name: "community", label: "Community (id)", value: community ?? "", hint: "everywhere" },
      { name: "hours", label: "How long", choices: LENGTHS, value: "168" },
      { name: "reason", label: "Reason, for the audit log" },
    ],
    run: (wish) => act("block", { ...wish, hours: wish.hours ? Number(wish.hours) : null }),
  });
}

let tiers = [];
function askGrant() {
  ask({
    title: "Give a tier",
    go: "Give",
    fields: [
      { name: "platform", label: "Platform", choices: PLATFORMS, value: "discord" },
      { name: "person", label: "Person (id)" },
      { name: "community", label: "or a whole community (id)" },
      { name: "tier", label: "Tier", choices: [...tiers, "unlimited"].map((name) => [name, name]), value: "unlimited" },
    ],
    run: (wish) => act("grant", wish),
  });
}

function askLimits({ platform = "discord", community = "", daily_pictures = "", jobs_at_once = "", is_paused = false } = {}) {
  ask({
    title: community ? `Limits of ${platform}/${community}` : "Limit a community",
    go: "Save",
    fields: [
      { name: "platform", label: "Platform", choices: PLATFORMS, value: platform },
      { name: "community", label: "Community (id)", value: community },
      { name: "daily_pictures", label: "Pictures a day, of all its people", kind: "number", value: daily_pictures, hint: "as the settings say" },
      { name: "jobs_at_once", label: "Requests at once", kind: "number", value: jobs_at_once, hint: "as the settings say" },
      { name: "is_paused", label: "Accept nothing there", kind: "checkbox", value: is_paused },
    ],
    run: (wish) => act("limits", wish),
  });
}

function house(view) {
  tiers = view.tiers;
  fill("blocks", view.blocks, (block) => `${who(block)} ${block.community ?? ""}`,
    (block) => [{ code: who(block) }, block.community ? { code: block.community } : "everywhere",
      block.until ? time(block.until) : "it is lifted", block.reason,
      { acts: () => [button("Unblock", `Unblock ${who(block)}`, () => act("unblock", block))] }],
    "Nobody is blocked.");
  fill("grants", view.grants, (grant) => `${grant.platform} ${grant.scope} ${grant.of}`,
    (grant) => [{ code: `${grant.platform}/${grant.of}` },
      grant.scope === "community" ? `${grant.tier} (community)` : grant.tier,
      { acts: () => [button("Take away", `Take the tier from ${grant.of}`, () => act("grant", {
        platform: grant.platform, [grant.scope]: grant.of, tier: "" }))] }],
    "Nobody has one.");
  fill("communities", view.communities, (each) => `${each.platform}/${each.community}`,
    (each) => [{ code: `${each.platform}/${each.community}` },
      { number: each.daily_pictures ?? "–" }, { number: each.jobs_at_once ?? "–" },
      each.is_paused ? "paused" : "open",
      { acts: () => [button("Change…", `Change the limits of ${each.community}`, () => askLimits(each))] }],
    "None has rules of its own.");
  fill("strikes", view.strikes, who,
    (each) => [{ code: who(each) }, { number: whole(each.count) },
      each.codes.map(words).join(", "), time(each.last_at),
      { acts: () => [button("Block…", `Block ${who(each)}`, () => askBlock(each))] }],
    "Nobody has any.");
}

let audited = [];
function audit(entries, { isOlder = false } = {}) {
  const known = new Set(entries.map((entry) => entry.id));
  const rest = audited.filter((entry) => !known.has(entry.id));
  audited = isOlder ? [...audited, ...entries.filter((each) => !audited.some((a) => a.id === each.id))] : [...entries, ...rest];
  fill("audit", audited, (entry) => String(entry.id),
    (entry) => [time(entry.at), { code: entry.by }, words(entry.act), { code: entry.subject },
      entry.detail],
    "Nothing was done yet.");
  if (isOlder || byId("older").hidden) byId("older").hidden = entries.length < 50;
}

// -------------------------------------------------------------------------------- refresh

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

async function refresh() {
  const [live, rules, reported, log] = await Promise.all([
    get(`/api/admin/now?span=${chosen("span")}`),
    get("/api/admin/house"),
    get(`/api/admin/reports?are=${chosen("reports")}`),
    get("/api/admin/audit"),
  ]);
  complain("");
  health(live.now);
  tiles(live.now, live.span);
  for (const chart of charts) chart.show(live.span.points);
  queue(live);
  bars("refused", live.span.refused, "Nothing was refused.");
  bars("failed", live.span.failed, "Nothing failed.");
  moderation(live.span.moderation, live.now);
  house(rules);
  showReports(byId("reports"), reported, { act, ask, askBlock, button, time, who });
  audit(log.entries);
}

async function refreshOrComplain() {
  try {
    await refresh();
  } catch (error) {
    complain(error instanceof TypeError ? "The bot does not answer. Is it running?" : error.message);
  }
}

async function refreshForEver() {
  if (!document.hidden) await refreshOrComplain();
  setTimeout(refreshForEver, REFRESH_MS);
}

byId("charts").append(...charts.map((chart) => chart.element));
byId("ask-cancel").addEventListener("click", () => byId("ask").close());
byId("block-somebody").addEventListener("click", () => askBlock());
byId("grant-tier").addEventListener("click", askGrant);
byId("limit-community").addEventListener("click", () => askLimits());
byId("pause").addEventListener("click", async () => {
  try {
    await act(byId("pause").dataset.act, {});
  } catch (error) {
    complain(error.message);
  }
});
byId("older").addEventListener("click", async () => {
  const { entries } = await get(`/api/admin/audit?before=${audited.at(-1).id}`);
  audit(entries, { isOlder: true });
});
for (const input of document.querySelectorAll(".spans input")) {
  input.addEventListener("change", refreshOrComplain);
}
document.addEventListener("visibilitychange", () => document.hidden || refreshOrComplain());
refreshForEver();
