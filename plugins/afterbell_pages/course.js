// The differences of one comparison by date, their running mean and its band, as an inline SVG. The server computes all
// of them; here they are only drawn.

import { draw, longDate, make } from "./show.js";

const PAD = { top: 12, right: 14, bottom: 30, left: 64 };
const NARROW = 520;
const time = (iso) => new Date(iso).getTime();
const small = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");

export function course(host, given, unit) {
  const readout = make("figcaption", { class: "readout", "aria-live": "polite" });
  const canvas = make("div", { class: "canvas" });
  host.replaceChildren(readout, canvas, legend(given));
  let width = 0;
  new ResizeObserver(() => {
    if (canvas.clientWidth === width || !canvas.clientWidth) return;
    width = canvas.clientWidth;
    canvas.replaceChildren(paint(given, unit, width, width < NARROW ? 260 : 340, readout));
  }).observe(canvas);
}

function legend({ band, margin, coverage }) {
  const entry = (kind, text) => make("span", { class: `key ${kind}` }, text);
  const entries = [entry("mean", "Mean so far"), entry("past", "One date"), entry("zero", "No difference")];
  if (band.place.length) entries.splice(1, 0, entry("fan", `${100 * coverage} % band`));
  if (margin) entries.push(entry("margin", "Margin"));
  return make("p", { class: "legend small muted" }, entries);
}

// All of the band and what belongs to it of the mean. Single dates lie far outside and are drawn on the edge.
function heights({ mean, band, margin }) {
  const seen = [...mean.slice(band.place[0] ?? 0), ...band.lower, ...band.upper, 0, ...(margin ? [-margin] : [])];
  const [low, high] = [Math.min(...seen), Math.max(...seen)];
  const room = 0.8 * ((high - low) || 1);
  return [low - room, high + room];
}

function paint(given, unit, width, height, readout) {
  const times = given.dates.map(time);
  const [low, high] = heights(given);
  const floor = height - PAD.bottom;
  const x = (i) => PAD.left + (width - PAD.left - PAD.right) * (times[i] - times[0]) / ((times.at(-1) - times[0]) || 1);
  const y = (value) => PAD.top + (floor - PAD.top) * (high - value) / (high - low);
  const inside = (value) => value >= low && value <= high;
  const line = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
  const { place, lower, upper } = given.band;
  const edge = (side) => place.map((p, i) => [x(p), y(side[i])]);
  const steady = given.mean.map((value, i) => [value, i]).filter(([value]) => inside(value));
  const across = (kind, value) => draw("line",
    { class: kind, x1: PAD.left, x2: width - PAD.right, y1: y(value), y2: y(value) });
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: "0",
    "aria-label": `Running mean of ${times.length} daily differences, at the end ${small(given.mean.at(-1))} ${unit}. `
      + "Arrow keys move through the dates.",
  }, [
    ...scale(low, high, y, width), ...years(given.dates, x, floor),
    ...given.d.map((value, i) => draw("circle", {
      class: inside(value) ? "past" : "past beyond", cx: x(i), cy: y(Math.max(low, Math.min(high, value))), r: 1.8,
    })),
    ...(place.length ? [draw("path", { class: "fan", d: `${line([...edge(upper), ...edge(lower).reverse()])}Z` })] : []),
    across("zero", 0), ...(given.margin ? [across("margin", -given.margin)] : []),
    draw("path", { class: "mean", d: line(steady.map(([value, i]) => [x(i), y(value)])) }),
  ]);
  follow(svg, given, unit, x, floor, readout);
  return svg;
}

function scale(low, high, y, width) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const shapes = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) {
    const at = y(n * step);
    shapes.push(draw("line", { class: "gridline", x1: PAD.left, x2: width - PAD.right, y1: at, y2: at }),
      draw("text", { class: "tick", x: PAD.left - 8, y: at + 4, "text-anchor": "end" }, small(n * step)));
  }
  return shapes;
}

// A word below the axis at least every 90 pixels: the months that begin there.
function years(dates, x, floor) {
  const name = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "short", year: "2-digit" });
  const shapes = [];
  let last = -Infinity;
  dates.forEach((iso, i) => {
    const begins = i > 0 && new Date(iso).getUTCMonth() !== new Date(dates[i - 1]).getUTCMonth();
    if (!begins || x(i) - last < 90 || x(i) + 44 > x(dates.length - 1)) return;
    last = x(i);
    shapes.push(draw("line", { class: "gridline", x1: last, x2: last, y1: floor, y2: floor + 5 }),
      draw("text", { class: "tick", x: last, y: floor + 18 }, name.format(new Date(iso))));
  });
  return shapes;
}

function follow(svg, given, unit, x, floor, readout) {
  const rule = draw("line", { class: "cursor", y1: PAD.top, y2: floor });
  svg.append(rule);
  const last = given.dates.length - 1;
  let at = last;
  const show = (index) => {
    at = Math.max(0, Math.min(last, index));
    rule.setAttribute("x1", x(at));
    rule.setAttribute("x2", x(at));
    readout.replaceChildren(make("b", {}, longDate(given.dates[at])), `: ${small(given.d[at])} ${unit} that day; `,
      `mean of ${at ? `${at + 1} dates` : "one date"} ${small(given.mean[at])}`, within(given, at));
  };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = event.clientX - box.left;
    return given.dates.reduce((best, _, i) => (Math.abs(x(i) - wanted) < Math.abs(x(best) - wanted) ? i : best), 0);
  };
  svg.addEventListener("pointermove", (event) => show(nearest(event)));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(at + step);
  });
  show(last);
}

// The band of the last place that is not after the date.
function within({ band, coverage }, at) {
  const i = band.place.findLastIndex((p) => p <= at);
  return i < 0 ? ", too few yet for a band"
    : `, with ${100 * coverage} % between ${small(band.lower[i])} and ${small(band.upper[i])}`;
}
