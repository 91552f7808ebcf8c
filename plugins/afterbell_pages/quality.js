// The report on one delivery of bars: ?ingest=NUMBER, ?run=DAG/RUN (with a list, when the run has several), or the last.

import { badge, count, date, draw, fixed, instant, longDate, make, price, wide } from "./show.js";
import { fillBody, fillHead, followAirflowTheme, get } from "./table.js";

const $ = (id) => document.getElementById(id);
const API = "../api/quality";

const KINDS = { night: "Night", backfill: "Backfill", release: "Release from quarantine" };
const STATUS = {
  accepted: ["good", "Accepted", "Its good rows are in the bars."],
  failed: ["bad", "Stopped", "A check that stops the night did not pass: no row was taken in."],
  landed: ["info", "Landed", "It has come whole and is waiting to be checked."],
  landing: ["info", "Landing", "It is still coming in, or was interrupted; the next attempt goes on from there."],
};
const STATES = { open: "warn", released: "good", rejected: "plain" };

const CHECKS = [
  { name: "Result", cell: result },
  { name: "Check", cell: (c) => c.check_name, head: true },
  { name: "On", cell: (c) => c.column_name ?? "–" },
  { name: "Found", cell: (c) => wide(c.observed) },
  { name: "Expected", cell: (c) => wide(c.expected) },
  { name: "Severity", cell: (c) => (c.severity === "fail" ? "stops the night" : "told") },
];

const DELIVERIES = [
  { name: "Sessions", cell: (d) => make("button", { type: "button", class: "link", "data-ingest": d.ingest_id },
    `${date(d.window_start)} to ${date(d.window_end)}`), head: true },
  { name: "Delivery", cell: (d) => String(d.ingest_id), number: true },
  { name: "Status", cell: (d) => badge(d.status === "failed" ? "alarm" : STATUS[d.status][0], STATUS[d.status][1]) },
  { name: "Checks", cell: trouble },
  { name: "Received", cell: (d) => count(d.received_rows), number: true },
  { name: "New", cell: (d) => count(d.inserted_rows), number: true },
  { name: "Changed", cell: (d) => count(d.restated_rows), number: true },
  { name: "Refused", cell: (d) => count(d.quarantined_rows), number: true },
];

const QUARANTINE = [
  { name: "Symbol", cell: (r) => r.symbol ?? "–", head: true },
  { name: "Session", cell: (r) => date(r.session) },
  { name: "Reason", cell: (r) => wide(r.reason) },
  { name: "Open", cell: (r) => price(r.open), number: true },
  { name: "High", cell: (r) => price(r.high), number: true },
  { name: "Low", cell: (r) => price(r.low), number: true },
  { name: "Close", cell: (r) => price(r.close), number: true },
  { name: "Volume", cell: (r) => fixed(r.volume, 0), number: true },
  { name: "State", cell: state },
];

function trouble(run) {
  return run.failed ? `${run.failed} failed` : run.warned ? `${run.warned} warned` : run.status === "accepted" ? "all passed" : "–";
}

function result(check) {
  if (check.passed) return badge("good", "passed");
  return check.severity === "fail" ? badge("alarm", "failed") : badge("warn", "warning");
}

function state(row) {
  const word = row.state === "open" ? [] : make("div", { class: "wide muted small" },
    `${row.reviewed_by}, ${instant(row.reviewed_at)}: ${row.why}`);
  return make("div", {}, [badge(STATES[row.state], row.state), word].flat());
}

function summary(run, checks) {
  const [kind, word, text] = STATUS[run.status];
  const failed = checks.filter((c) => !c.passed && c.severity === "fail").length;
  const warned = checks.filter((c) => !c.passed && c.severity === "warn").length;
  const numbers = [["Received", run.received_rows], ["New", run.inserted_rows], ["Changed", run.restated_rows],
    ["As before", run.unchanged_rows], ["Refused", run.quarantined_rows]];
  const symbols = run.symbols === null ? "all symbols" : `${count(run.symbols)} symbols`;
  return make("div", { class: `notice ${kind}` }, [
    make("p", {}, [badge(kind === "bad" ? "alarm" : kind, word), " ",
      make("b", {}, `${KINDS[run.kind] ?? run.kind} as of the close of ${longDate(run.as_of)}`)]),
    make("p", {}, `${text} ${checks.length} ${checks.length === 1 ? "check" : "checks"}: ${failed} failed, ${warned} warned.`),
    make("dl", { class: "numbers" }, numbers.map(([name, value]) =>
      make("div", {}, [make("dt", {}, name), make("dd", {}, count(value))]))),
    make("p", { class: "muted small wide" },
      `Delivery ${run.ingest_id} · ${run.provider}: ${run.source} · ${date(run.window_start)} to ${date(run.window_end)}, ` +
      `${symbols} · asked for ${instant(run.requested_at)} · known since ${instant(run.known_at)}`),
  ]);
}

function plot(sessions) {
  const [width, height, foot] = [900, 150, 14];
  const most = Math.max(...sessions.map((s) => s.bars), 1);
  const step = Math.min(width / sessions.length, 30);
  const bars = sessions.flatMap((s, i) => {
    const tall = (height * s.bars) / most;
    const box = { x: i * step, width: Math.max(step - 1.5, 1) };
    const title = draw("title", {}, `${longDate(s.session)}: ${count(s.bars)} bars, ${count(s.quarantined)} refused`);
    const marks = [draw("rect", { ...box, y: height - tall, height: tall, class: "session" }, [title])];
    if (s.quarantined) {
      marks.push(draw("rect", { ...box, y: height + 3, height: foot - 4, class: "refused" }, [title.cloneNode(true)]));
    }
    return marks;
  });
  const [first, last] = [sessions[0], sessions[sessions.length - 1]];
  const label = `Bars by session from ${longDate(first.session)} to ${longDate(last.session)}, at most ${count(most)}`;
  $("plot").replaceChildren(draw("svg",
    { viewBox: `0 0 ${width} ${height + foot}`, role: "img", "aria-label": label, class: "sessions" }, bars));
}

function showReport({ run, checks, quarantine }) {
  $("empty").hidden = run !== null;
  $("content").hidden = run === null;
  if (run === null) return;
  $("summary").replaceChildren(summary(run, checks));
  fillBody($("checks"), CHECKS, checks);
  $("unchecked").hidden = checks.length > 0;
  fillBody($("quarantine"), QUARANTINE, quarantine);
  $("none").hidden = quarantine.length > 0;
  $("review").hidden = quarantine.length === 0;
  const total = quarantine[0]?.total ?? 0;
  $("more").textContent = total > quarantine.length ? `${count(quarantine.length)} of ${count(total)} rows are shown.` : "";
  offer(run);
  $("runs").value = String(run.ingest_id);
  for (const button of $("deliveries").querySelectorAll("button")) {
    const chosen = button.dataset.ingest === String(run.ingest_id);
    button.setAttribute("aria-pressed", chosen);
    button.closest("tr").classList.toggle("chosen", chosen);
  }
}

function option(run) {
  const troubles = run.failed || run.warned ? `, ${trouble(run)}` : "";
  return make("option", { value: String(run.ingest_id) },
    `${run.ingest_id} · ${date(run.as_of)} · ${run.kind} · ${STATUS[run.status][1].toLowerCase()}${troubles}`);
}

function offerRuns(runs) {
  $("filters").hidden = runs.length === 0;
  $("runs").replaceChildren(...runs.map(option));
}

// One that is older than those on offer is offered too, when it is shown.
function offer(run) {
  if (![...$("runs").options].some((each) => each.value === String(run.ingest_id))) $("runs").append(option(run));
}

// A backfill brings a delivery for each of its chunks.
async function listDeliveries() {
  const run = new URLSearchParams(location.search).get("run");
  const found = run ? await get(`${API}/runs?run=${encodeURIComponent(run)}`) : [];
  $("deliveries-section").hidden = found.length < 2;
  fillBody($("deliveries"), DELIVERIES, found.sort((a, b) => (a.window_start < b.window_start ? -1 : 1)));
}

async function load(query) {
  try {
    const report = await get(`${API}${query}`);
    $("trouble").hidden = true;
    showReport(report);
    if (report.run === null) return;
    const sessions = await get(`${API}/sessions?ingest=${report.run.ingest_id}`);
    $("plot-section").hidden = sessions.length === 0;
    if (sessions.length) plot(sessions);
  } catch (error) {
    $("content").hidden = true;
    $("trouble").replaceChildren(make("b", {}, "Nothing to report here. "), error.message,
      $("filters").hidden ? "" : " Choose a delivery above.");
    $("trouble").hidden = false;
  }
}

$("runs").addEventListener("input", () => {
  history.replaceState(null, "", `?ingest=${$("runs").value}`);
  $("deliveries-section").hidden = true;
  load(location.search);
});
$("deliveries").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) load(`?ingest=${button.dataset.ingest}`);
});
followAirflowTheme();
fillHead($("checks"), CHECKS);
fillHead($("deliveries"), DELIVERIES);
fillHead($("quarantine"), QUARANTINE);
// What keeps the list away keeps the report away too, and is told there.
Promise.all([get(`${API}/runs`).then(offerRuns), listDeliveries()]).catch(() => null).then(() => load(location.search));
