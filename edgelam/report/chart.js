// SPDX-License-Identifier: GPL-2.0-only
// A table of the run as lines, drawn by uPlot: one column across, one up, a line for each combination of the columns
// that are text.

const FIRST_SHOWN = 8;
const ACROSS = ["cell", "time_s", "end_s", "simulated_s", "step", "epoch", "round"]; // where a score does not say

class Chart {
  // scores: what the experiment measures, the main one first: table, column, title, across, where.
  constructor(tables, scores) {
    this.tables = tables;
    this.scores = scores;
    const names = Object.keys(tables).filter((name) => numericColumns(tables[name]).length > 1);
    byId("chart-section").hidden = !names.length;
    if (!names.length) return;
    const first = [...scores.map((score) => score.table), "metrics"];
    names.sort((a, b) => rank(first, a) - rank(first, b)); // stable: others stay in their order
    options(byId("chart-table"), names.map((name) => [name, name]));
    byId("chart-table").onchange = () => this.choose();
    for (const id of ["chart-x", "chart-y", "chart-log"]) byId(id).onchange = () => this.draw();
    this.choose();
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(byId("chart"));
  }

  size() { return { width: byId("chart").clientWidth, height: Math.round(Math.min(380, Math.max(280, window.innerHeight * 0.5))) }; }

  choose() {
    const table = this.tables[byId("chart-table").value], numeric = numericColumns(table);
    const best = (wanted) => [...numeric].sort((a, b) => rank(wanted, a) - rank(wanted, b))[0];
    const own = this.scores.filter((score) => score.table === byId("chart-table").value);
    options(byId("chart-x"), numeric.map((name) => [name, name]));
    options(byId("chart-y"), numeric.map((name) => [name, name]));
    byId("chart-x").value = best([...own.slice(0, 1).map((score) => score.across), ...ACROSS]);
    const up = best(own.length ? own.map((score) => score.column) : numeric.filter((name) => !ACROSS.includes(name)));
    byId("chart-y").value = up !== byId("chart-x").value ? up : numeric.find((name) => name !== up);
    const part = table.rows < table.of ? `${table.rows} of ${table.of} rows; all are in the file ${byId("chart-table").value}.parquet` : "";
    byId("chart-note").textContent = part;
    this.lines = seriesOf(table, own[0]?.where || {});
    this.draw();
  }

  draw() {
    const table = this.tables[byId("chart-table").value], across = byId("chart-x").value, up = byId("chart-y").value;
    const logarithmic = byId("chart-log").checked;
    const score = this.scores.find((each) => each.table === byId("chart-table").value && each.column === up), title = score ? score.title : titled(up);
    for (const line of this.lines) Object.assign(line, points(table, line.rows, across, up, logarithmic));
    this.legend();
    const shown = this.lines.filter((line) => line.shown).reverse(); // the first of the legend is drawn last, on top
    const [xs, ...columns] = aligned(shown.map((line) => line.points));
    const extra = shown.flatMap((line) => [...line.levels, ...line.intervals.flatMap(([, low, high]) => [low, high])]);
    const axis = { stroke: colour("ink"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, labelSize: 20,
      font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", values: (_, splits) => splits.map((value) => (value === null ? "" : plain(value))) };
    const ratio = window.devicePixelRatio || 1;
    this.plot?.destroy();
    this.plot = new uPlot({
      ...this.size(),
      legend: { show: false },
      cursor: { dataIdx: (_, column, index) => (column ? nearest(columns[column - 1], index) : index), points: { size: 7 } },
      scales: {
        x: { time: false, range: (_, low, high) => (low === null ? [0, 1] : low === high ? [low - 0.5, high + 0.5] : [low, high]) },
        y: { distr: logarithmic ? 3 : 1, range: (_, low, high) => spread([low, high, ...extra].filter((value) => value !== null), logarithmic) },
      },
      axes: [{ ...axis, label: titled(across) }, { ...axis, label: title, size: (_, labels) => 18 + 7 * Math.max(3, ...(labels || []).map((text) => text.length)) }],
      series: [{}, ...shown.map((line) => ({
        label: line.name, scale: "y", stroke: colour(line.colour), width: 2, dash: line.dash.map((length) => length * ratio), spanGaps: true,
        points: { show: line.points.length <= 60, size: 6, fill: colour(line.colour) },
      }))],
      hooks: {
        draw: [(plot) => shown.forEach((line) => extras(plot, line))],
        setCursor: [(plot) => shown.forEach((line, i) => this.tell(line, plot.cursor.idxs[i + 1], xs, columns[i]))],
      },
    }, [xs, ...columns], byId("chart"));
    byId("chart").setAttribute("aria-label", `${title} against ${titled(across)}`);
  }

  // A line's value under the pointer, behind its name.
  tell(line, index, xs, values) {
    const value = index === null || index === undefined ? undefined : values[index];
    line.value.textContent = typeof value === "number" ? ` ${plain(value)} at ${plain(xs[index])}` : "";
  }

  legend() {
    byId("chart-legend").replaceChildren(...this.lines.map((line) => {
      const label = element("label"), box = element("input", null, { type: "checkbox" }), picture = svg("svg", { width: 34, height: 10 });
      const name = element("span", line.name);
      line.value = element("span", "", { class: "value", "aria-hidden": "true" });
      box.checked = line.shown;
      box.onchange = () => { line.shown = box.checked; this.draw(); };
      picture.append(svg("line", { x1: 1, y1: 5, x2: 33, y2: 5, stroke: colour(line.colour), "stroke-width": 2.2, "stroke-dasharray": line.dash.join(" ") }));
      label.append(box, " ", picture, name, line.value);
      return label;
    }));
  }
}

const rank = (wanted, name) => (wanted.indexOf(name) + 100) % 100 + (wanted.includes(name) ? 0 : 1);
const numericColumns = (table) => Object.keys(table.columns).filter((name) => table.columns[name].some((value) => typeof value === "number"));
const titled = (name) => (name.endsWith("_s") ? `${name.slice(0, -2).replaceAll("_", " ")} (${name.includes("wall") ? "wall" : "simulated"} s)` : name.replaceAll("_", " "));
const plain = (value) => (Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(6))));

// From the least to the greatest value, with some room.
function spread(values, logarithmic) {
  if (!values.length) return logarithmic ? [0.1, 1] : [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  if (logarithmic) return uPlot.rangeLog(low, high, 10, false);
  return low === high ? [low - 0.5, high + 0.5] : [low - 0.04 * (high - low), high + 0.04 * (high - low)];
}

// The lines of a table: one for each combination of its columns that are text. Drawn at first: those of which the main
// score is taken (`where`: column -> value), and of every run that is compared at least one.
function seriesOf(table, where) {
  const text = Object.keys(table.columns).filter((name) => table.columns[name].some((value) => typeof value === "string"));
  const found = new Map();
  for (let row = 0; row < table.rows; row++) {
    const words = text.map((column) => table.columns[column][row]);
    const name = [...new Set(words.filter((value) => value !== null && value !== ""))].join(", ") || "all rows";
    if (!found.has(name)) {
      found.set(name, { name, rows: [], run: table.columns.run ? table.columns.run[row] : "", main: text.every((column) => !(column in where) || where[column] === table.columns[column][row]) });
    }
    found.get(name).rows.push(row);
  }
  const lines = [...found.values()].sort((a, b) => b.main - a.main); // stable
  const ofRun = new Map(), place = new Map();
  for (const line of lines) {
    place.set(line, ofRun.get(line.run) || 0);
    ofRun.set(line.run, place.get(line) + 1);
  }
  lines.sort((a, b) => place.get(a) - place.get(b)); // the first of each run, the second of each run, ...
  const most = Math.max(FIRST_SHOWN, ofRun.size);
  return lines.map((line, i) => ({ ...line, shown: i < most, colour: SERIES[i % SERIES.length], dash: DASHES[i % DASHES.length] }));
}

// Of some rows: points, levels, which have a value up but none across, and where means have one, their interval.
function points(table, rows, across, up, logarithmic) {
  const found = { points: [], levels: [], intervals: [] }, spreads = up === "mean" && !logarithmic ? table.columns.interval : null;
  for (const row of rows) {
    const x = table.columns[across][row], y = table.columns[up][row];
    if (typeof y !== "number" || (logarithmic && y <= 0)) continue;
    if (typeof x === "number") found.points.push([x, y]); else found.levels.push(y);
    if (spreads && typeof x === "number" && typeof spreads[row] === "number") found.intervals.push([x, y - spreads[row], y + spreads[row]]);
  }
  found.points.sort((a, b) => a[0] - b[0]); // stable: of one x in the order of the rows
  return found;
}

// uPlot's columns for lines that are sorted by x: all x that any has, then the y of each line, null where it has none.
// An x that a line has twice is there twice.
function aligned(lines) {
  const places = new Map(); // x -> how often at most
  const times = lines.map((line) => {
    let same = 0;
    return line.map(([x], i) => {
      same = i && line[i - 1][0] === x ? same + 1 : 0;
      places.set(x, Math.max(places.get(x) || 0, same + 1));
      return same;
    });
  });
  const xs = [...places.keys()].sort((a, b) => a - b), starts = new Map(), all = [];
  for (const x of xs) { starts.set(x, all.length); for (let i = 0; i < places.get(x); i++) all.push(x); }
  const columns = lines.map((line, number) => {
    const column = new Array(all.length).fill(null);
    line.forEach(([x, y], i) => { column[starts.get(x) + times[number][i]] = y; });
    return column;
  });
  return [all, ...columns];
}

// The place next to `index` where a column has a value.
function nearest(column, index) {
  for (let away = 0; away < column.length; away++) {
    if (index - away >= 0 && column[index - away] !== null) return index - away;
    if (index + away < column.length && column[index + away] !== null) return index + away;
  }
  return index;
}

// Levels across the whole chart, and intervals.
function extras(plot, line) {
  const { ctx, bbox } = plot, ratio = window.devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour(line.colour);
  ctx.lineWidth = 1.2 * ratio;
  ctx.beginPath();
  for (const [x, low, high] of line.intervals) {
    const across = plot.valToPos(x, "x", true);
    ctx.moveTo(across, plot.valToPos(low, "y", true));
    ctx.lineTo(across, plot.valToPos(high, "y", true));
  }
  ctx.stroke();
  ctx.setLineDash(line.dash.map((length) => length * ratio));
  ctx.beginPath();
  for (const level of line.levels) {
    const up = plot.valToPos(level, "y", true);
    ctx.moveTo(bbox.left, up);
    ctx.lineTo(bbox.left + bbox.width, up);
  }
  ctx.stroke();
  ctx.restore();
}
