// What both pages share: asking for JSON, filling tables, Airflow's theme.

import { make } from "./show.js";

export async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.status === 401) {
    location.reload();
    throw new Error("You are logged out.");
  }
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    throw new Error(typeof body.detail === "string" ? body.detail : `The server answered ${answer.status}.`);
  }
  return answer.json();
}

export function fillHead(table, columns) {
  table.tHead.rows[0].replaceChildren(...columns.map((column) =>
    make("th", { scope: "col", class: column.number ? "number" : null }, column.name)));
}

// `mark` may leave data on a line for those who listen to it.
export function fillBody(table, columns, rows, mark = () => {}) {
  table.tBodies[0].replaceChildren(...rows.map((row) => {
    const line = make("tr", {}, columns.map((column) => make(column.head ? "th" : "td", {
      scope: column.head ? "row" : null, class: column.number ? "number" : null, "data-label": column.name,
    }, column.cell(row))));
    mark(line, row);
    return line;
  }));
}

// Inside Airflow the page takes on the theme chosen there; elsewhere the system's.
export function followAirflowTheme() {
  if (window.parent === window) return;
  const root = window.parent.document.documentElement;
  const follow = () => {
    const theme = ["dark", "light"].find((name) => root.classList.contains(name));
    document.documentElement.style.colorScheme = theme ?? "";
  };
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["class"] });
  follow();
}
