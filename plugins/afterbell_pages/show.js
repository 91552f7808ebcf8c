// How values look, and how elements are made. Text always goes in as text: symbols come from files.

const NONE = "–";
const UTC = { timeZone: "UTC" };
const day = new Intl.DateTimeFormat("en-GB", { ...UTC, weekday: "short", day: "numeric", month: "short", year: "numeric" });
const shortDay = new Intl.DateTimeFormat("en-GB", { ...UTC, day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat("en-GB", { ...UTC, hour: "2-digit", minute: "2-digit" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

const missing = (value) => value === null || value === undefined;

export function fixed(value, digits) {
  if (missing(value)) return NONE;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export const price = (value) => fixed(value, !missing(value) && Math.abs(value) < 1 ? 4 : 2);
export const share = (value) => (missing(value) ? NONE : `${fixed(100 * value, 1)}\u00a0%`);
export const count = (value) => fixed(value, 0);

export function change(value) {
  if (missing(value)) return NONE;
  const text = fixed(Math.abs(100 * value), 2);
  const sign = text === "0.00" ? "" : value < 0 ? "−" : "+";
  return `${sign}${text}\u00a0%`;
}

export function target(value, expected) {
  return make("span", {}, [price(value), " ", make("span", { class: "muted change" }, change(expected))]);
}

export const range = (low, high) => (missing(low) || missing(high) ? NONE : `${price(low)} – ${price(high)}`);

// The day of a session, from that day itself or from its close: midnight belongs to the day before, and Wellington's
// half-days close at 23:45 UTC of the day before (serving.session_of).
function session(at) {
  const instant = new Date(at);
  if (/^\d{4}-\d\d-\d\d$/.test(at)) return instant;
  return new Date(instant.getTime() + (instant.getTime() % 86400000 === 0 ? -1 : 900000));
}

export const longDate = (at) => (missing(at) ? NONE : day.format(session(at)));
export const date = (at) => (missing(at) ? NONE : shortDay.format(session(at)));
export const instant = (iso) => (
  missing(iso) ? NONE : `${shortDay.format(new Date(iso))}, ${clock.format(new Date(iso))} UTC`
);

export function ago(iso) {
  const seconds = (new Date(iso) - Date.now()) / 1000;
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= length) return relative.format(Math.round(seconds / length), unit);
  }
  return "just now";
}

const ARROWS = { up: "▲", down: "▼", neutral: "●" };

export function direction(value) {
  return make("span", { class: `direction ${value}` }, [
    make("span", { "aria-hidden": "true" }, ARROWS[value] ?? ""), ` ${value}`,
  ]);
}

export function skill(has) {
  return has
    ? badge("good", "beats the baseline")
    : badge("plain", "no proven skill");
}

export function probability(value) {
  if (missing(value)) return NONE;
  const bar = make("span", { class: `bar ${value >= 0.5 ? "up" : "down"}`, "aria-hidden": "true" }, make("i"));
  bar.style.setProperty("--share", value);
  return make("span", { class: "probability" }, [make("span", {}, share(value)), bar]);
}

export function make(tag, attributes = {}, children = []) {
  return fill(document.createElement(tag), attributes, children);
}

export const wide = (text) => make("span", { class: "wide" }, text);
export const badge = (kind, word) => make("span", { class: `badge ${kind}` }, word);

export function draw(tag, attributes = {}, children = []) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (!missing(value) && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...[children].flat());
  return element;
}
