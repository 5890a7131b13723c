// SPDX-License-Identifier: GPL-2.0-only
// The map: nodes at their places, lines where bytes are on their way. Nodes without a place stand at the right; where
// no node has one the map is a drawing of who talks to whom, in circles by role.

const STRIP = 96; // CSS pixels, for nodes without a place

class NetworkMap {
  constructor(canvas, simulation) {
    this.canvas = canvas;
    this.simulation = simulation;
    const { nodes, ways } = simulation;
    this.placed = nodes.map((_, i) => ways[i].time.length > 0);
    this.schematic = !this.placed.some(Boolean);
    this.bounds = this.schematic ? [-1, 1, -1, 1] : boundsOf(ways);
    this.drawn = [];
    canvas.onmousemove = (event) => this.tip(event);
    canvas.onmouseleave = () => showTip(null, "");
    this.legend();
  }

  legend() {
    const roles = [...new Set(this.simulation.nodes.map((node) => node.role))];
    const parts = roles.map((role) => {
      const picture = svg("svg", { width: 16, height: 14 }), [shape, fill] = ROLES[role] || ["pentagon", "grey"];
      picture.append(svg("path", { d: outline(shape, 8, 7, 5), fill: colour(fill), stroke: colour("ink") }));
      return [picture, role || "node"];
    });
    for (const [text, stroke, dash] of DIRECTIONS) {
      const picture = svg("svg", { width: 30, height: 10 });
      picture.append(svg("line", { x1: 1, y1: 5, x2: 29, y2: 5, stroke: colour(stroke), "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") }));
      parts.push([picture, text]);
    }
    const spans = parts.map(([picture, text]) => { const span = element("span"); span.append(picture, text); return span; });
    spans.push(element("span", "thick ring: computing"));
    if (this.schematic) spans.push(element("span", "the scenario gives no positions: not to scale"));
    byId("map-legend").replaceChildren(...spans);
  }

  // Draw the state at `time`; what was on its way in the `past` seconds before it is shown too, so that short
  // transfers are seen while time runs fast.
  draw(time, past) {
    const [context, width, height] = fit(this.canvas);
    const { simulation } = this;
    const someWithout = !this.schematic && this.placed.includes(false);
    const right = width - (someWithout ? STRIP : 0);
    const [x0, x1, y0, y1] = this.bounds, gap = 42;
    const scale = Math.min((right - 2 * gap) / (x1 - x0), (height - 2 * gap) / (y1 - y0));
    const toX = (x) => right / 2 + (x - (x0 + x1) / 2) * scale, toY = (y) => height / 2 - (y - (y0 + y1) / 2) * scale;
    if (!this.schematic) grid(context, right, height, toX, toY, scale);
    if (someWithout) {
      context.fillStyle = colour("band");
      context.fillRect(right, 0, STRIP, height);
      context.fillStyle = colour("soft");
      context.font = "11px system-ui, sans-serif";
      context.textAlign = "center";
      context.fillText("no place given", right + STRIP / 2, 14);
    }
    const places = this.places(time, toX, toY, right, height);
    this.lines(context, places, time, past);
    const labelled = simulation.nodes.length <= 40;
    const size = simulation.nodes.length > 150 ? 4 : simulation.nodes.length > 40 ? 5.5 : 8;
    this.drawn = places;
    simulation.nodes.forEach((node, i) => {
      const [shape, fill] = ROLES[node.role] || ["pentagon", "grey"], [x, y] = places[i];
      const busy = simulation.lanes.compute[i].within(time - past, time, 1).length > 0;
      context.fillStyle = colour(fill);
      context.strokeStyle = colour(busy ? "ink" : "soft");
      context.lineWidth = busy ? 3.5 : 1;
      context.setLineDash([]);
      const path = new Path2D(outline(shape, x, y, size));
      context.fill(path);
      context.stroke(path);
      if (labelled) label(context, node.name, x, y - size - 5);
    });
  }

  places(time, toX, toY, right, height) {
    const { nodes } = this.simulation;
    if (this.schematic) return circles(nodes, toX, toY);
    const without = nodes.map((_, i) => i).filter((i) => !this.placed[i]);
    return nodes.map((_, i) => {
      if (this.placed[i]) {
        const [x, y] = this.simulation.placeOf(i, time);
        return [toX(x), toY(y)];
      }
      return [right + STRIP / 2, ((without.indexOf(i) + 1) * height) / (without.length + 1)];
    });
  }

  lines(context, places, time, past) {
    const { transfer, allTransfers } = this.simulation;
    for (const event of allTransfers.within(time - past, time, 300)) {
      const [, stroke, dash] = DIRECTIONS[transfer.kind[event]];
      const [x0, y0] = places[transfer.from[event]], [x1, y1] = places[transfer.to[event]];
      context.strokeStyle = colour(stroke);
      context.globalAlpha = 0.8;
      context.lineWidth = 2.5;
      context.setLineDash(dash);
      context.beginPath(); // to the right of its own way, so that both ways of a pair are seen
      const length = Math.hypot(x1 - x0, y1 - y0) || 1, aside = 3, dx = (-(y1 - y0) / length) * aside, dy = ((x1 - x0) / length) * aside;
      context.moveTo(x0 + dx, y0 + dy);
      context.lineTo(x1 + dx, y1 + dy);
      context.stroke();
      const span = transfer.end[event] - transfer.start[event];
      const share = span > 0 ? Math.min(1, Math.max(0, (time - transfer.start[event]) / span)) : 1;
      context.globalAlpha = 1;
      context.fillStyle = colour(stroke);
      context.beginPath();
      context.arc(x0 + dx + share * (x1 - x0), y0 + dy + share * (y1 - y0), 4, 0, 2 * Math.PI);
      context.fill();
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  tip(event) {
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const near = this.drawn.findIndex(([nx, ny]) => Math.hypot(nx - x, ny - y) < 11);
    const node = this.simulation.nodes[near];
    showTip(event, node ? `${node.name}\n${[node.role, node.device].filter(Boolean).join(", ")}` : "");
  }
}

function boundsOf(ways) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const way of ways) {
    for (const x of way.x) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); }
    for (const y of way.y) { y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
  }
  const least = 10, grow = (low, high) => (high - low >= least ? [low, high] : [(low + high - least) / 2, (low + high + least) / 2]);
  return [...grow(x0, x1), ...grow(y0, y1)];
}

function circles(nodes, toX, toY) {
  const inner = nodes.filter((node) => node.role !== "ue").length, outer = nodes.length - inner;
  let i = 0, o = 0;
  return nodes.map((node) => {
    const ue = node.role === "ue" || outer === 0;
    const radius = ue ? 1 : inner > 1 ? 0.42 : 0;
    const angle = (2 * Math.PI * (ue ? o++ : i++)) / (ue ? outer || inner : inner) + Math.PI / 2;
    return [toX(radius * Math.cos(angle)), toY(radius * Math.sin(angle))];
  });
}

function grid(context, width, height, toX, toY, scale) {
  const back = (pixel) => (pixel - toX(0)) / scale, up = (pixel) => (toY(0) - pixel) / scale;
  context.strokeStyle = colour("line");
  context.fillStyle = colour("soft");
  context.lineWidth = 1;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  context.beginPath();
  for (const x of ticks(back(0), back(width), 7)) {
    context.moveTo(toX(x), 0);
    context.lineTo(toX(x), height);
    if (toX(x) > 40 && toX(x) < width - 40) context.fillText(`${x} m`, toX(x) + 3, height - 4);
  }
  for (const y of ticks(up(height), up(0), 6)) {
    context.moveTo(0, toY(y));
    context.lineTo(width, toY(y));
    if (toY(y) < height - 20 && toY(y) > 14) context.fillText(`${y} m`, 3, toY(y) - 3);
  }
  context.stroke();
}

function outline(shape, x, y, r) {
  if (shape === "circle") return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
  const corners = { square: [4, 45], diamond: [4, 0], triangle: [3, 90], pentagon: [5, 90] }[shape];
  const points = Array.from({ length: corners[0] }, (_, i) => {
    const angle = ((corners[1] + (360 * i) / corners[0]) * Math.PI) / 180;
    return `${x + 1.25 * r * Math.cos(angle)},${y - 1.25 * r * Math.sin(angle)}`;
  });
  return `M${points.join("L")}Z`;
}

function label(context, text, x, y) {
  const shown = text.length > 24 ? `${text.slice(0, 23)}…` : text;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.lineWidth = 3;
  context.strokeStyle = colour("paper");
  context.strokeText(shown, x, y);
  context.fillStyle = colour("ink");
  context.fillText(shown, x, y);
}
