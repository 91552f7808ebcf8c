// The decisions about champions: all of them (?horizon=, ?verdict=), or one with its evidence (?id=NUMBER).

import { course } from "./course.js";
import { badge, count, date, instant, make, wide } from "./show.js";
import { fillBody, fillHead, followAirflowTheme, get } from "./table.js";

const $ = (id) => document.getElementById(id);
const API = "../api/decisions";
const NONE = "–";

const DOORS = {
  first: "nobody served", replace: "another recipe", refresh: "the same recipe on newer rows", by_hand: "by hand",
};
const UNITS = { log_loss: "nats", brier: "squared probability", rank_ic: "rank correlation" };

function figures(value) {
  if (value === null || value === undefined) return NONE;
  if (typeof value !== "number") return String(value);
  const text = Number.isInteger(value) ? count(value) : Number(value.toPrecision(4)).toString();
  return text.replace("-", "−");
}

const spaced = (name) => name.replaceAll("_", " ");

// What became of a decision: the gate's word, and what people and events made of it.
function outcome(d) {
  if (d.verdict === "keep") return ["plain", "kept"];
  if (d.promoted_at !== null) return ["good", "promoted"];
  if (d.approved === false) return ["warn", d.approved_by === null ? "not answered" : "refused"];
  return ["info", "not carried out"];
}

const DECISIONS = [
  { name: "Decision", cell: (d) => make("a", { href: `?id=${d.decision_id}` }, `${d.decision_id}`), head: true },
  { name: "Night", cell: (d) => date(d.as_of) },
  { name: "Horizon", cell: (d) => d.horizon },
  { name: "Outcome", cell: (d) => badge(...outcome(d)) },
  { name: "Candidate", cell: (d) => `${d.candidate_version}`, number: true },
  { name: "Champion", cell: (d) => `${d.champion_version ?? NONE}`, number: true },
  { name: "Statistic", cell: (d) => figures(d.statistic), number: true },
  { name: "Critical", cell: (d) => figures(d.critical_value), number: true },
  { name: "Reason", cell: (d) => wide(d.reason) },
];

const SCORES = [
  { name: "Score", cell: (s) => spaced(s.name), head: true },
  { name: "Candidate", cell: (s) => figures(s.candidate), number: true },
  { name: "Champion", cell: (s) => figures(s.champion), number: true },
];

const VETOES = [
  { name: "Result", cell: (v) => (v.vetoed ? badge("alarm", "vetoed") : badge("good", "passed")) },
  { name: "Veto", cell: (v) => spaced(v.name), head: true },
  { name: "Found", cell: (v) => wide(v.found) },
  { name: "Allowed", cell: (v) => wide(v.allowed) },
];

const MODELS = [
  { name: "Role", cell: (m) => m.who, head: true },
  { name: "Version", cell: (m) => version(m), number: true },
  { name: "Estimators", cell: (m) => wide(m.estimator) },
  { name: "Trained on", cell: (m) => `${date(m.train_start)} to ${date(m.train_end)}` },
  { name: "Rows", cell: (m) => count(m.train_rows), number: true },
  { name: "Trials", cell: (m) => count(m.trials), number: true },
  { name: "Why", cell: (m) => wide(spaced(m.reason) + (m.requested_by ? `, by ${m.requested_by}` : "")) },
  { name: "Code", cell: (m) => make("code", { title: m.code_commit }, m.code_commit.slice(0, 10)) },
  { name: "Data", cell: (m) => make("code", { title: m.snapshot_digest }, m.snapshot_digest.slice(0, 10)) },
];

function version(model) {
  if (!model.mlflow) return `${model.model_version}`;
  const link = make("a", { href: model.mlflow, target: "_blank", rel: "noopener" }, `${model.model_version} in MLflow`);
  link.addEventListener("click", (event) => {
    // The frame within Airflow may open no window; the page around it may.
    if (window.parent === window) return;
    event.preventDefault();
    window.parent.open(model.mlflow, "_blank", "noopener");
  });
  return link;
}

function words(d) {
  const [kind, word] = outcome(d);
  const lines = [
    make("p", {}, [badge(kind === "warn" ? "alarm" : kind, word), " ", make("b", { class: "wide" }, d.reason)]),
    make("p", { class: "muted small wide" }, [
      `Door: ${spaced(d.door)} (${DOORS[d.door] ?? "see the documentation"}). Verdict: ${d.verdict}, by ${d.decided_by}, `
      + `${instant(d.decided_at)}, on the night of ${date(d.as_of)}.`,
      d.promoted_at === null ? "" : ` It took effect ${instant(d.promoted_at)}.`,
    ]),
  ];
  if (d.approved !== null) {
    const said = d.approved ? "Approved" : "Not approved";
    lines.push(make("p", { class: "small wide" }, d.approved_by === null
      ? `Nobody had answered by ${instant(d.approved_at)}: the champion stays.`
      : `${said} by ${d.approved_by}, ${instant(d.approved_at)}.`));
  }
  return make("div", { class: `notice ${kind === "plain" ? "" : kind}` }, lines);
}

function numbers(d) {
  const test = d.evidence.test ?? {};
  const skill = d.evidence.skill ?? {};
  return [
    ["Mean difference", test.mean], ["Standard error", test.std_error], ["Statistic", test.statistic],
    ["Has to exceed", test.critical], ["p", test.p_value], ["Level", test.level], ["Degrees of freedom", test.dof],
    ["Dates", test.n_dates], ["Alpha of this look", d.alpha_spent], ["Look", d.look || null],
    ["Looks taken before", d.evidence.looks_taken], ["p of skill over the baseline", skill.p_value],
  ].filter(([, value]) => value !== null && value !== undefined);
}

// First the score by which the models were judged.
function sideBySide({ candidate, champion }, judged) {
  const names = new Set([...Object.keys(candidate?.scores ?? {}), ...Object.keys(champion?.scores ?? {})]);
  const order = (name) => (name === judged ? "" : name);
  return [...names].sort((a, b) => order(a).localeCompare(order(b))).map((name) => ({ name, candidate: candidate?.scores?.[name], champion: champion?.scores?.[name] }));
}

function showOne(d) {
  $("one-title").textContent = `Decision ${d.decision_id}: ${d.domain} ${d.horizon}, version ${d.candidate_version} `
    + (d.champion_version === null ? "without a champion" : `against champion ${d.champion_version}`);
  $("words").replaceChildren(words(d));
  $("course-section").hidden = d.course === null;
  $("no-course").hidden = d.course !== null;
  const scores = sideBySide(d.evidence, d.score);
  fillBody($("scores"), SCORES, scores);
  $("no-scores").hidden = scores.length > 0;
  const found = numbers(d);
  $("test-section").hidden = found.length === 0;
  $("test").replaceChildren(...found.map(([name, value]) =>
    make("div", {}, [make("dt", {}, name), make("dd", {}, figures(value))])));
  $("note").textContent = d.evidence.test?.note ?? "";
  const vetoes = d.evidence.vetoes ?? [];
  $("vetoes-section").hidden = vetoes.length === 0;
  fillBody($("vetoes"), VETOES, vetoes);
  const models = [["Candidate", d.candidate], ["Champion", d.champion]].filter(([, model]) => model);
  fillBody($("models"), MODELS, models.map(([who, model]) => ({ who, ...model })));
  $("cards").textContent = models.some(([, model]) => model.mlflow)
    ? "In MLflow the description of a version leads to its model card." : "";
  $("one").hidden = false;
  if (d.course === null) return;
  const unit = UNITS[d.score] ?? d.score ?? "score";
  $("how").textContent = `Each point is one date: by how much the candidate was better (${unit}); above 0 speaks for it; `
    + "a point on the edge lies beyond it. "
    + `The line is the mean of all dates so far, the area where it lies with ${100 * d.course.coverage} % confidence. `
    + (d.course.margin ? "To refresh the champion it need only stay above the margin."
      : "An area clear of 0 speaks for the candidate; the gate asks for more, as the test below says.");
  course($("course"), d.course, unit);
}

function showAll(decisions) {
  fillBody($("decisions"), DECISIONS, decisions);
  const total = decisions[0]?.total ?? 0;
  $("count").textContent = `${count(decisions.length)} of ${count(total)}`;
  $("nothing").hidden = decisions.length > 0;
}

const query = () => new URLSearchParams(
  ["horizon", "verdict"].map((name) => [name, $(name).value]).filter(([, value]) => value));

async function list() {
  const decisions = await get(`${API}?${query()}`);
  $("all").hidden = false;
  showAll(decisions);
  return decisions;
}

async function begin() {
  const given = new URLSearchParams(location.search);
  if (given.has("id")) return showOne(await get(`${API}/${encodeURIComponent(given.get("id"))}`));
  const horizons = await get(`${API}/horizons`);
  $("empty").hidden = horizons.length > 0;
  if (horizons.length === 0) return null;
  $("horizon").append(...horizons.map((each) => make("option", { value: each }, each)));
  for (const name of ["horizon", "verdict"]) $(name).value = given.get(name) ?? "";
  return list();
}

function tell(error) {
  $("trouble").replaceChildren(make("b", {}, "Nothing to show. "), error.message, " ",
    make("a", { href: "?" }, "All decisions"));
  $("trouble").hidden = false;
}

$("filters").addEventListener("input", () => {
  history.replaceState(null, "", `?${query()}`);
  list().catch(tell);
});
followAirflowTheme();
for (const [id, columns] of [["decisions", DECISIONS], ["scores", SCORES], ["vetoes", VETOES], ["models", MODELS]]) {
  fillHead($(id), columns);
}
begin().catch(tell);
