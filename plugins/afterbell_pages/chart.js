// One symbol's closes and what was predicted from them, as an inline SVG.
//
// The history ends where the prediction was made; right of it the coming sessions are stretched, so
// that one session and twenty can both be seen. Prices are split-adjusted by the server.

import { date, draw, longDate, make, price, share } from "./show.js";

const NARROW = 520;
const HISTORY_SHARE = { wide: 0.68, narrow: 0.58 };
const PAD = { top: 14, right: 14, bottom: 30, left: 54 };
const time = (iso) => new Date(iso).getTime();

export function chart(host, series, horizon) {
  const readout = make("figcaption", { class: "readout", "aria-live": "polite" });
  const canvas = make("div", { class: "canvas" });
  const model = prepare(series, horizon);
  host.replaceChildren(readout, canvas, legend(model));
  if (!model.points.length) {
    canvas.append(make("p", { class: "muted" }, "There are no bars of this symbol."));
    return;
  }
  let width = 0;
  new ResizeObserver(() => {
    if (canvas.clientWidth === width || !canvas.clientWidth) return;
    width = canvas.clientWidth;
    canvas.replaceChildren(paint(model, width, width < NARROW ? 260 : 340, readout));
  }).observe(canvas);
}

function legend({ actions, past, horizon }) {
  const entry = (kind, text) => make("span", { class: `key ${kind}` }, text);
  const entries = [entry("close", "Close"), entry("fan", "80 % interval"), entry("target", "Target")];
  if (past.length) entries.push(entry("past", `Earlier ${horizon} targets`));
  if (actions.some((a) => a.kind === "split")) entries.push(entry("split", "Split (prices adjusted)"));
  if (actions.some((a) => a.kind === "dividend")) entries.push(entry("dividend", "Dividend"));
  return make("p", { class: "legend small muted" }, entries);
}

function prepare(series, horizon) {
  const bars = series.prices.map((bar) => ({ t: time(bar.ts), y: bar.adjusted_close, bar }));
  const ahead = Object.entries(series.predictions)
    .filter(([, nights]) => nights.length && nights.at(-1).adjusted_target !== null)
    .map(([name, nights]) => ({ ...nights.at(-1), name, t: time(nights.at(-1).matures_at), y: nights.at(-1).adjusted_target }))
    .sort((a, b) => a.t - b.t);
  const latest = ahead.length ? Math.max(...ahead.map((p) => time(p.as_of))) : null;
  const outlook = ahead.filter((p) => time(p.as_of) === latest);
  const now = latest ?? bars.at(-1)?.t;
  const past = (series.predictions[horizon] ?? [])
    .map((p) => ({ t: time(p.matures_at), y: p.adjusted_target }))
    .filter((p) => p.y !== null && bars.length && p.t >= bars[0].t && p.t <= now);
  const points = [...bars, ...outlook.map((p) => ({ t: p.t, y: p.y, ahead: p }))].sort((a, b) => a.t - b.t);
  return { symbol: series.symbol, actions: series.actions, bars, outlook, past, points, now, horizon };
}

function paint(model, width, height, readout) {
  const place = scales(model, width, height);
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: "0",
    "aria-label": `Closes of ${model.symbol} over ${model.bars.length} sessions and its predictions. `
      + "Arrow keys move through them.",
  });
  svg.append(
    ...grid(model, place, width, height), ...actionMarks(model, place, height),
    ...fan(model, place), draw("path", { class: "line", d: path(model.bars.map(place.xy)) }),
    ...model.past.map((p) => dot(place.xy(p), "past", 2)), ...horizonMarks(model, place, height));
  follow(svg, model, place, width, height, readout);
  return svg;
}

function scales(model, width, height) {
  const { bars, outlook, past, now } = model;
  const values = [
    ...bars.map((p) => p.y), ...past.map((p) => p.y), ...outlook.flatMap((p) => [p.adjusted_lower, p.adjusted_upper]),
  ].filter(Number.isFinite);
  const ticks = niceTicks(Math.min(...values), Math.max(...values));
  const [low, high] = [ticks[0], ticks.at(-1)];
  const first = Math.min(bars[0]?.t ?? now, now);
  const last = Math.max(now, bars.at(-1)?.t ?? now, ...outlook.map((p) => p.t));
  const inner = width - PAD.left - PAD.right;
  const middle = PAD.left + inner * (last > now ? HISTORY_SHARE[width < NARROW ? "narrow" : "wide"] : 1);
  const x = (t) => (t <= now
    ? PAD.left + (middle - PAD.left) * (t - first) / ((now - first) || 1)
    : middle + (PAD.left + inner - middle) * (t - now) / (last - now));
  const y = (v) => PAD.top + (height - PAD.top - PAD.bottom) * (1 - (v - low) / ((high - low) || 1));
  return { x, y, xy: (p) => [x(p.t), y(p.y)], ticks, first, middle, ahead: last > now };
}

function niceTicks(low, high) {
  const span = (high - low) || Math.abs(high) || 1;
  const rough = span / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const start = Math.floor(low / step);
  const stop = Math.ceil(high / step);
  return Array.from({ length: stop - start + 1 }, (_, i) => (start + i) * step);
}

function grid(model, place, width, height) {
  const floor = height - PAD.bottom;
  const shapes = [];
  if (place.ahead) {
    shapes.push(draw("rect", {
      class: "outlook-area", x: place.middle, y: PAD.top, width: width - PAD.right - place.middle, height: floor - PAD.top,
    }), draw("text", { class: "tick", x: place.middle - 12, y: floor + 18, "text-anchor": "end" }, date(model.now)));
    if (width >= NARROW) shapes.push(draw("text", { class: "tick", x: place.middle + 8, y: PAD.top + 14 }, "coming sessions"));
  }
  for (const tick of place.ticks) {
    const y = place.y(tick);
    shapes.push(draw("line", { class: "gridline", x1: PAD.left, x2: width - PAD.right, y1: y, y2: y }));
    shapes.push(draw("text", { class: "tick", x: PAD.left - 8, y: y + 4, "text-anchor": "end" }, tickText(tick, place.ticks)));
  }
  for (const [t, text] of months(place, model.now)) {
    shapes.push(draw("text", { class: "tick", x: place.x(t), y: floor + 18, "text-anchor": "start" }, text));
    shapes.push(draw("line", { class: "gridline", x1: place.x(t), x2: place.x(t), y1: floor, y2: floor + 5 }));
  }
  return shapes;
}

function tickText(tick, ticks) {
  const step = ticks[1] - ticks[0];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return tick.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function months(place, now) {
  const name = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "short", year: "2-digit" });
  const start = new Date(place.first);
  const found = [];
  for (let month = 1; ; month += 1) {
    const t = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + month, 1);
    const x = place.x(t);
    if (t > now || x + 140 > place.middle) return found;
    if (!found.length || x - place.x(found.at(-1)[0]) >= 74) found.push([t, name.format(t)]);
  }
}

function actionMarks(model, place, height) {
  const floor = height - PAD.bottom;
  return model.actions.flatMap((action) => {
    const x = place.x(time(action.ex_date));
    if (action.kind === "dividend") return [draw("circle", { class: "dividend", cx: x, cy: floor - 5, r: 3 })];
    return [
      draw("line", { class: "split", x1: x, x2: x, y1: PAD.top, y2: floor }),
      draw("text", { class: "tick", x: x + 4, y: PAD.top + 10 }, actionText(action)),
    ];
  });
}

function actionText(action) {
  if (action.kind === "dividend") return `dividend ${price(action.value)}`;
  return action.value >= 1 ? `${round(action.value)}:1 split` : `1:${round(1 / action.value)} reverse split`;
}

const round = (value) => Number(value.toFixed(3)).toString();

function fan(model, place) {
  if (!model.outlook.length) return [];
  const origin = { t: model.now, y: model.outlook[0].adjusted_price };
  if (!Number.isFinite(origin.y)) return [];
  const side = (key) => model.outlook.map((p) => place.xy({ t: p.t, y: p[key] }));
  const start = place.xy(origin);
  return [
    draw("path", { class: "fan", d: `${path([start, ...side("adjusted_upper"), ...side("adjusted_lower").reverse()])}Z` }),
    draw("path", { class: "middle", d: path([start, ...model.outlook.map(place.xy)]) }),
  ];
}

function horizonMarks(model, place, height) {
  return model.outlook.flatMap((p, i) => {
    const [x, y] = place.xy(p);
    const chosen = p.name === model.horizon ? " chosen" : "";
    const next = model.outlook[i + 1];
    const crowded = next && place.x(next.t) - x < 18;
    return [
      draw("line", { class: `interval${chosen}`, x1: x, x2: x, y1: place.y(p.adjusted_lower), y2: place.y(p.adjusted_upper) }),
      dot([x, y], `target${chosen}`, chosen ? 5 : 4),
      draw("text", { class: `tick${chosen}`, x, y: height - PAD.bottom + 18, "text-anchor": "middle" }, crowded ? "" : p.name),
    ];
  });
}

function follow(svg, model, place, width, height, readout) {
  const rule = draw("line", { class: "cursor", y1: PAD.top, y2: height - PAD.bottom });
  const mark = dot([0, 0], "cursor-dot", 4);
  svg.append(rule, mark);
  let at = 0;
  const show = (index) => {
    at = Math.max(0, Math.min(model.points.length - 1, index));
    const [x, y] = place.xy(model.points[at]);
    for (const [name, value] of [["x1", x], ["x2", x]]) rule.setAttribute(name, value);
    mark.setAttribute("cx", x);
    mark.setAttribute("cy", y);
    readout.replaceChildren(...words(model, model.points[at]));
  };
  const xs = model.points.map((p) => place.x(p.t));
  const nearest = (event) => {
    const x = (event.clientX - svg.getBoundingClientRect().left) * width / svg.getBoundingClientRect().width;
    return xs.reduce((best, candidate, i) => (Math.abs(candidate - x) < Math.abs(xs[best] - x) ? i : best), 0);
  };
  const start = model.points.findIndex((p) => p.ahead?.name === model.horizon);
  for (const kind of ["pointermove", "pointerdown"]) svg.addEventListener(kind, (event) => show(nearest(event)));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(at + step);
  });
  show(start < 0 ? model.points.length - 1 : start);
}

function words(model, point) {
  if (point.ahead) {
    const p = point.ahead;
    return [
      make("b", {}, `${p.name}, ${longDate(p.matures_at)}`),
      ` target ${price(p.y)} · 80 % interval ${price(p.adjusted_lower)} – ${price(p.adjusted_upper)} · `
        + `chance of a rise ${share(p.p_up)}`,
    ];
  }
  const { bar } = point;
  const traded = bar.split_factor === 1 ? "" : ` (traded at ${price(bar.close)})`;
  const action = model.actions.filter((a) => a.ex_date === bar.session).map((a) => ` · ${actionText(a)}`).join("");
  return [make("b", {}, longDate(bar.ts)), ` close ${price(point.y)}${traded} · `
    + `low ${price(bar.low / bar.split_factor)} · high ${price(bar.high / bar.split_factor)}${action}`];
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const dot = ([x, y], kind, r) => draw("circle", { class: kind, cx: x, cy: y, r });
