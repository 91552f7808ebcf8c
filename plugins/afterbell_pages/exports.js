// The exported files, to be downloaded, and the first rows of one: ?export=NAME, or the newest.

import { count, date, fixed, instant, make } from "./show.js";
import { fillBody, fillHead, followAirflowTheme, get } from "./table.js";

const $ = (id) => document.getElementById(id);
const API = "../api/exports";

const EXPORTS = [
  { name: "Night", cell: (e) => make("button", { type: "button", class: "link", "data-export": e.name }, date(e.night)), head: true },
  { name: "Sessions", cell: (e) => `${date(e.first)} to ${date(e.last)}` },
  { name: "Features", cell: (e) => make("span", { class: "wide" }, features(e)) },
  { name: "Symbols", cell: (e) => count(e.symbols), number: true },
  { name: "Rows", cell: (e) => count(e.rows), number: true },
  { name: "Columns", cell: (e) => count(e.columns), number: true },
  { name: "Size", cell: (e) => size(e.bytes), number: true },
  { name: "Made", cell: (e) => instant(e.made_at) },
  { name: "File", cell: (e) => make("a", { href: encodeURIComponent(e.name), download: e.file, title: e.file }, `Download ${e.format}`) },
];

const features = (e) => e.groups.map((group) => group.replace("_", "-")).join(", ");
const shown = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : value ?? "–");

function size(bytes) {
  const [unit, length] = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]].find(([, length]) => bytes >= length) ?? ["B", 1];
  return `${fixed(bytes / length, length === 1 ? 0 : 1)}\u00a0${unit}`;
}

function showPreview(chosen) {
  const names = Object.keys(chosen.preview[0] ?? {});
  const columns = names.map((name, i) => ({ name, cell: (row) => shown(row[name]), head: i === 0, number: i > 1 }));
  fillHead($("preview"), columns);
  fillBody($("preview"), columns, chosen.preview);
  const own = Object.entries(chosen.custom).map(([name, formula]) => `${name} = ${formula}`);
  $("about").textContent = [chosen.file, `as known at ${instant(chosen.known_at)}`, ...own].join(" · ");
  $("more").textContent = `${count(chosen.preview.length)} of ${count(chosen.rows)} rows, ` +
    `${count(names.length)} of ${count(chosen.columns)} columns.`;
  for (const button of $("exports").querySelectorAll("button")) {
    const pressed = button.dataset.export === chosen.name;
    button.setAttribute("aria-pressed", pressed);
    button.closest("tr").classList.toggle("chosen", pressed);
  }
}

async function load() {
  try {
    const found = await get(API);
    $("empty").hidden = found.length > 0;
    $("content").hidden = found.length === 0;
    if (found.length === 0) return;
    fillBody($("exports"), EXPORTS, found);
    const asked = new URLSearchParams(location.search).get("export");
    showPreview(found.find((each) => each.name === asked) ?? found[0]);
    $("exports").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) showPreview(found.find((each) => each.name === button.dataset.export));
    });
  } catch (error) {
    $("trouble").replaceChildren(make("b", {}, "No exports to show. "), error.message);
    $("trouble").hidden = false;
  }
}

followAirflowTheme();
fillHead($("exports"), EXPORTS);
load();
