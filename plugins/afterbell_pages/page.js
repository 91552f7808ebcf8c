// The page: loads the JSON of the views, filters, sorts and shows it.

import { chart } from "./chart.js";
import {
  ago, badge, change, count, date, direction, fixed, instant, longDate, make, price, probability, range, share, skill,
  target,
} from "./show.js";
import { fillBody, fillHead, followAirflowTheme, get } from "./table.js";

const AGAIN_MS = 60_000;
const ROWS_AT_ONCE = 300;
const $ = (id) => document.getElementById(id);
const sessions = (horizon) => parseInt(horizon, 10) || 0;

// One entry per column: its name, what it sorts by, how it looks.
const COLUMNS = [
  { name: "Symbol", key: (r) => r.symbol, cell: opener, head: true },
  { name: "Horizon", key: (r) => sessions(r.horizon), cell: (r) => r.horizon },
  { name: "Direction", key: (r) => ["down", "neutral", "up"].indexOf(r.direction), cell: (r) => direction(r.direction) },
  { name: "Chance of a rise", key: (r) => r.p_up, cell: (r) => probability(r.p_up) },
  { name: "Price", key: (r) => r.price, cell: (r) => price(r.price), number: true },
  { name: "Target", key: (r) => r.expected_return, cell: (r) => target(r.price_target, r.expected_return), number: true },
  { name: "80 % interval", key: (r) => r.price_lower, cell: (r) => range(r.price_lower, r.price_upper), number: true },
  { name: "Matures", key: (r) => r.matures_at, cell: (r) => date(r.matures_at), number: true },
  { name: "Skill", key: (r) => Number(r.has_skill), cell: (r) => skill(r.has_skill) },
];

const CHAMPIONS = [
  { name: "Horizon", cell: (m) => m.horizon, head: true },
  { name: "Version", cell: (m) => make("span", { class: "wrap" }, version(m)) },
  { name: "Skill", cell: (m) => skill(m.has_skill) },
  { name: "Log-loss", cell: (m) => versus(m.log_loss, m.baseline_log_loss), number: true },
  { name: "Brier", cell: (m) => versus(m.brier, m.baseline_brier), number: true },
  { name: "Accuracy", cell: (m) => share(m.accuracy), number: true },
  { name: "Training data", cell: (m) => `${date(m.train_start)} – ${date(m.train_end)}`, number: true },
  { name: "In production since", cell: (m) => instant(m.champion_since), number: true },
];

const state = { rows: [], sort: 0, descending: false, limit: ROWS_AT_ONCE };

function opener(row) {
  const label = `${row.symbol}, ${row.horizon}: open the chart`;
  return make("button", { type: "button", class: "link", "aria-label": label }, row.symbol);
}

function version(model) {
  const missing = model.left_out.length ? ` (without ${model.left_out.join(", ")}: did not learn)` : "";
  return `v${model.model_version} ${model.estimator}${missing}`;
}

function versus(score, baseline) {
  return make("span", {}, [fixed(score, 4), make("span", { class: "muted" }, ` / baseline ${fixed(baseline, 4)}`)]);
}

async function load() {
  try {
    const [rows, publications, models] = await Promise.all(
      ["api/predictions", "api/publications", "api/models"].map(get));
    $("trouble").hidden = true;
    state.rows = rows;
    $("empty").hidden = publications.length > 0;
    $("content").hidden = publications.length === 0;
    $("freshness").replaceChildren(...publications.map(banner));
    offerHorizons();
    renderPredictions();
    fillBody($("champions"), CHAMPIONS, models);
  } catch (error) {
    $("trouble").replaceChildren(make("b", {}, "These predictions could not be loaded. "), error.message);
    $("trouble").hidden = false;
  }
}

function banner(publication) {
  const { is_stale: stale, is_replay: replay } = publication;
  const [kind, word, text] = stale
    ? ["warn", "Stale", "A later night was attempted, or the next answers are overdue. These are the last good ones."]
    : replay
      ? ["info", "Replay", "Run after the next night was due already: the answers belong to that evening, not to today."]
      : ["good", "Fresh", `The next answers are due by ${instant(publication.expires_at)}.`];
  return make("div", { class: `notice ${kind}` }, [
    make("p", {}, [badge(kind, word), " ",
      make("b", {}, `As of the close of ${longDate(publication.as_of)}`)]),
    make("p", {}, text),
    make("p", { class: "muted small" },
      `Closed ${instant(publication.as_of)} · published ${ago(publication.published_at)} ` +
      `(${instant(publication.published_at)}) · data as known ${instant(publication.data_cutoff)} · ` +
      `${count(publication.row_count)} predictions`),
  ]);
}

function offerHorizons() {
  const known = [...new Set(state.rows.map((r) => r.horizon))].sort((a, b) => sessions(a) - sessions(b));
  const chosen = $("horizon").value;
  const options = known.map((h) => make("option", { value: h }, h));
  $("horizon").replaceChildren(make("option", { value: "" }, "All"), ...options);
  $("horizon").value = known.includes(chosen) ? chosen : "";
}

function chosenRows() {
  const wanted = {
    symbol: $("symbol").value.trim().toUpperCase(), horizon: $("horizon").value, direction: $("direction").value,
  };
  const rows = state.rows.filter((r) => r.symbol.toUpperCase().includes(wanted.symbol)
    && (!wanted.horizon || r.horizon === wanted.horizon)
    && (!wanted.direction || r.direction === wanted.direction)
    && (!$("skilled").checked || r.has_skill));
  const { key } = COLUMNS[state.sort];
  const sign = state.descending ? -1 : 1;
  return rows.sort((a, b) => sign * compare(key(a), key(b)) || compare(a.symbol, b.symbol)
    || sessions(a.horizon) - sessions(b.horizon));
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  return a < b ? -1 : 1;
}

function renderPredictions() {
  const rows = chosenRows();
  fillBody($("predictions"), COLUMNS, rows.slice(0, state.limit), (line, row) => {
    Object.assign(line.dataset, { symbol: row.symbol, horizon: row.horizon });
  });
  $("count").textContent = `${count(rows.length)} of ${count(state.rows.length)}`;
  $("nothing").hidden = rows.length > 0;
  $("more").hidden = rows.length <= state.limit;
  $("more").textContent = `Show all ${count(rows.length)}`;
}

function renderHeads() {
  $("predictions").tHead.rows[0].replaceChildren(...COLUMNS.map((column, index) => {
    const sorted = index === state.sort;
    const button = make("button", { type: "button", class: "sort", "data-column": index },
      [column.name, make("span", { "aria-hidden": "true" }, sorted ? (state.descending ? " ↓" : " ↑") : "")]);
    const order = sorted ? (state.descending ? "descending" : "ascending") : null;
    return make("th", { scope: "col", "aria-sort": order, class: column.number ? "number" : null }, button);
  }));
  $("sort").value = `${state.sort} ${state.descending}`;
}

function sortBy(index, descending) {
  Object.assign(state, { sort: index, descending });
  renderHeads();
  renderPredictions();
}

async function openDetail(symbol, horizon) {
  $("detail-title").textContent = symbol;
  $("detail-body").replaceChildren(make("p", { class: "muted" }, "Loading…"));
  $("detail").showModal();
  $("detail-title").focus();
  try {
    const series = await get(`api/series?symbol=${encodeURIComponent(symbol)}`);
    if ($("detail").open && $("detail-title").textContent === symbol) renderDetail(series, horizon);
  } catch (error) {
    $("detail-body").replaceChildren(make("p", { class: "notice bad", role: "alert" }, error.message));
  }
}

function renderDetail(series, horizon) {
  const mine = state.rows.filter((r) => r.symbol === series.symbol)
    .sort((a, b) => sessions(a.horizon) - sessions(b.horizon));
  const figure = make("figure", { class: "chart" });
  const cards = make("div", { class: "outlook" }, mine.map((row) =>
    outlook(row, series.reasons[row.horizon] ?? [], row.horizon === horizon)));
  $("detail-body").replaceChildren(
    make("p", { class: "muted" }, `As of the close of ${longDate(mine[0]?.as_of)} at ${price(mine[0]?.price)}`),
    figure, cards);
  chart(figure, series, horizon);
}

function outlook(row, reasons, chosen) {
  const facts = [
    ["Target", `${price(row.price_target)} (${change(row.expected_return)})`],
    ["80 % interval", range(row.price_lower, row.price_upper)],
    ["Chance of a rise", share(row.p_up)],
    ["Confidence", share(row.confidence)],
    ...weighing(row),
    ["Matures", longDate(row.matures_at)],
    ["Model", `v${row.model_version}`],
  ];
  return make("article", { class: chosen ? "chosen" : null }, [
    make("h3", {}, [row.horizon, " ", direction(row.direction)]),
    skill(row.has_skill),
    row.is_outlier ? badge("warn", "Unlike the training data") : "",
    make("dl", {}, facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
    ...pushes(reasons),
  ]);
}

// Predictions from before models were ensembles have none of these.
function weighing(row) {
  if (row.risk_score === null) return [];
  const worth = (change) => row.price * (1 + change);
  return [
    ["95 % interval", range(worth(row.return_lower_95), worth(row.return_upper_95))],
    ["Chance of the target", share(row.target_probability)],
    ["Stop", `${price(row.price_stop)} (${change(row.return_stop)})`],
    ["Risk", `${Math.round(row.risk_score)} of 100`],
    ["Rose when so much was said", `${share(row.similar_share_up)} (${count(row.similar_dates)} dates)`],
  ];
}

function pushes(reasons) {
  if (reasons.length === 0) return [];
  return [make("details", {}, [
    make("summary", {}, "Why"),
    make("ul", { class: "reasons small" }, reasons.map((reason) => make("li", { class: reason.factor }, reason.words))),
  ])];
}

function listen() {
  $("filters").addEventListener("input", (event) => {
    if (event.target === $("sort")) return;
    state.limit = ROWS_AT_ONCE;
    renderPredictions();
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("sort").addEventListener("input", () => {
    const [index, descending] = $("sort").value.split(" ");
    sortBy(Number(index), descending === "true");
  });
  $("predictions").tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const index = Number(button.dataset.column);
    sortBy(index, index === state.sort && !state.descending);
    $("predictions").tHead.querySelector(`[data-column="${index}"]`).focus();
  });
  $("predictions").tBodies[0].addEventListener("click", (event) => {
    const line = event.target.closest("tr");
    if (line && !getSelection().toString()) openDetail(line.dataset.symbol, line.dataset.horizon);
  });
  $("more").addEventListener("click", () => { state.limit = Infinity; renderPredictions(); });
  $("close").addEventListener("click", () => $("detail").close());
  $("detail").addEventListener("click", (event) => { if (event.target === $("detail")) $("detail").close(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
  setInterval(() => { if (!document.hidden && !$("detail").open) load(); }, AGAIN_MS);
}

followAirflowTheme();
$("sort").append(...COLUMNS.flatMap((column, index) => [false, true].map((descending) =>
  make("option", { value: `${index} ${descending}` }, `${column.name} ${descending ? "↓" : "↑"}`))));
fillHead($("champions"), CHAMPIONS);
renderHeads();
listen();
load();
