// SPDX-License-Identifier: GPL-2.0-only
// A table of the run as lines: one column across, one up, a line for each combination of the columns that are text.

const WIDTH = 1000, HEIGHT = 380, LEFT = 74, BOTTOM = 44, FIRST_SHOWN = 8;
const ACROSS = ["cell", "time_s", "end_s", "simulated_s", "step", "epoch", "round"], UP = ["mean", "accuracy", "nmse", "loss", "loss_nats"];
const FIRST_TABLES = ["metrics", "epochs", "scores", "rounds"];

class Chart {
  constructor(tables) {
    this.tables = tables;
    const names = Object.keys(tables).filter((name) => numericColumns(tables[name]).length > 1);
    byId("chart-section").hidden = !names.length;
    if (!names.length) return;
    names.sort((a, b) => rank(FIRST_TABLES, a) - rank(FIRST_TABLES, b)); // stable: others stay in their order
    options(byId("chart-table"), names.map((name) => [name, name]));
    byId("chart-table").onchange = () => this.choose();
    for (const id of ["chart-x", "chart-y", "chart-log"]) byId(id).onchange = () => this.draw();
    this.hidden = new Set();
    this.choose();
  }

  choose() {
    const table = this.tables[byId("chart-table").value], numeric = numericColumns(table);
    const best = (wanted) => [...numeric].sort((a, b) => rank(wanted, a) - rank(wanted, b))[0];
    options(byId("chart-x"), numeric.map((name) => [name, name]));
    options(byId("chart-y"), numeric.map((name) => [name, name]));
    byId("chart-x").value = best(ACROSS);
    const up = best(UP);
    byId("chart-y").value = up !== byId("chart-x").value ? up : numeric.find((name) => name !== up);
    const part = table.rows < table.of ? `${table.rows} of ${table.of} rows; all are in the file ${byId("chart-table").value}.parquet` : "";
    byId("chart-note").textContent = part;
    this.lines = seriesOf(table);
    this.hidden = new Set(this.lines.slice(FIRST_SHOWN).map((line) => line.name));
    this.draw();
  }

  draw() {
    const table = this.tables[byId("chart-table").value], across = byId("chart-x").value, up = byId("chart-y").value;
    const logarithmic = byId("chart-log").checked;
    const shown = this.lines.filter((line) => !this.hidden.has(line.name)).map((line) => ({ ...line, ...points(table, line.rows, across, up, logarithmic) }));
    const xs = shown.flatMap((line) => line.points.map((p) => p[0])), ys = shown.flatMap((line) => [...line.points.map((p) => p[1]), ...line.levels, ...line.intervals.flatMap((i) => i.slice(1))]);
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${up} against ${across}` });
    const [x0, x1] = range(xs), [y0, y1] = range(ys);
    const toX = (x) => LEFT + ((x - x0) / (x1 - x0)) * (WIDTH - LEFT - 14), toY = (y) => HEIGHT - BOTTOM - ((y - y0) / (y1 - y0)) * (HEIGHT - BOTTOM - 12);
    for (const x of ticks(x0, x1, 8)) picture.append(svg("line", { x1: toX(x), x2: toX(x), y1: 12, y2: HEIGHT - BOTTOM, stroke: "#e2e2e2" }), svg("text", { x: toX(x), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, plain(x)));
    for (const y of ticks(y0, y1, 6)) picture.append(svg("line", { x1: LEFT, x2: WIDTH - 14, y1: toY(y), y2: toY(y), stroke: "#e2e2e2" }), svg("text", { x: LEFT - 8, y: toY(y) + 4, "text-anchor": "end" }, plain(logarithmic ? 10 ** y : y)));
    picture.append(svg("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, titled(across)), svg("text", { x: 14, y: HEIGHT / 2 - 10, transform: `rotate(-90 14 ${HEIGHT / 2 - 10})`, "text-anchor": "middle" }, titled(up)));
    for (const line of shown) {
      const style = { fill: "none", stroke: line.colour, "stroke-width": 2, "stroke-dasharray": line.dash };
      for (const level of line.levels) picture.append(svg("line", { x1: LEFT, x2: WIDTH - 14, y1: toY(level), y2: toY(level), ...style, "stroke-width": 1.2 }));
      if (line.points.length) picture.append(svg("polyline", { points: line.points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(" "), ...style }));
      for (const [x, low, high] of line.intervals) picture.append(svg("line", { x1: toX(x), x2: toX(x), y1: toY(low), y2: toY(high), stroke: line.colour, "stroke-width": 1.2 }));
      if (line.points.length <= 60) for (const [x, y] of line.points) picture.append(svg("path", { d: outline(line.shape, toX(x), toY(y), 3), fill: line.colour }));
    }
    byId("chart").replaceChildren(picture);
    this.legend();
  }

  legend() {
    byId("chart-legend").replaceChildren(...this.lines.map((line) => {
      const label = element("label"), box = element("input", null, { type: "checkbox" }), picture = svg("svg", { width: 34, height: 10 });
      box.checked = !this.hidden.has(line.name);
      box.onchange = () => { if (box.checked) this.hidden.delete(line.name); else this.hidden.add(line.name); this.draw(); };
      picture.append(svg("line", { x1: 1, y1: 5, x2: 33, y2: 5, stroke: line.colour, "stroke-width": 2.2, "stroke-dasharray": line.dash }), svg("path", { d: outline(line.shape, 17, 5, 3), fill: line.colour }));
      label.append(box, " ", picture, line.name);
      return label;
    }));
  }
}

const SHAPES = ["circle", "square", "triangle", "diamond", "pentagon"];
const rank = (wanted, name) => (wanted.indexOf(name) + 100) % 100 + (wanted.includes(name) ? 0 : 1);
const numericColumns = (table) => Object.keys(table.columns).filter((name) => table.columns[name].some((value) => typeof value === "number"));
const titled = (name) => (name.endsWith("_s") ? `${name.slice(0, -2).replaceAll("_", " ")} (${name.includes("wall") ? "wall" : "simulated"} s)` : name.replaceAll("_", " "));
const plain = (value) => (Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(6))));

function range(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low === Infinity) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low - 0.02 * (high - low), high + 0.02 * (high - low)];
}

// The lines of a table: one for each combination of its columns that are text.
function seriesOf(table) {
  const text = Object.keys(table.columns).filter((name) => table.columns[name].some((value) => typeof value === "string"));
  const found = new Map();
  for (let row = 0; row < table.rows; row++) {
    const name = [...new Set(text.map((column) => table.columns[column][row]).filter((value) => value !== null))].join(", ") || "all rows";
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(row);
  }
  return [...found].map(([name, rows], i) => ({ name, rows, colour: COLOURS[i % COLOURS.length], dash: DASHES[i % DASHES.length], shape: SHAPES[i % SHAPES.length] }));
}

// Of some rows: points, levels, which have a value up but none across, and where means have one, their interval.
function points(table, rows, across, up, logarithmic) {
  const found = { points: [], levels: [], intervals: [] }, spreads = up === "mean" && !logarithmic ? table.columns.interval : null;
  for (const row of rows) {
    const x = table.columns[across][row], given = table.columns[up][row];
    if (typeof given !== "number" || (logarithmic && given <= 0)) continue;
    const y = logarithmic ? Math.log10(given) : given;
    if (typeof x === "number") found.points.push([x, y]); else found.levels.push(y);
    if (spreads && typeof x === "number" && typeof spreads[row] === "number") found.intervals.push([x, y - spreads[row], y + spreads[row]]);
  }
  return found;
}
