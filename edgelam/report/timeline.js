// SPDX-License-Identifier: GPL-2.0-only
// The timeline: a row a node with three lanes, computing, sending, receiving, over simulated time. Only the rows in
// sight are drawn, and of events that fall on one pixel one: 100 000 of them take some milliseconds.

const NAMES = window.innerWidth < 600 ? 72 : 120, AXIS = 22; // CSS pixels: the column of names, the axis at the top

class Timeline {
  constructor(box, simulation, seek) {
    Object.assign(this, { box, simulation, seek });
    [this.base, this.over] = box.querySelectorAll("canvas");
    this.row = simulation.nodes.length > 40 ? 15 : 30;
    this.from = 0;
    this.to = Math.max(simulation.end, 1e-9);
    this.time = 0;
    this.full = AXIS + simulation.nodes.length * this.row;
    this.height = Math.min(this.full, Math.max(180, Math.round(window.innerHeight * 0.6)));
    this.over.style.marginTop = `${-this.height}px`;
    box.style.maxHeight = `${this.height + 2}px`;
    let spacer = box.querySelector("div");
    if (!spacer) { spacer = element("div"); box.append(spacer); }
    spacer.style.height = `${this.full - this.height}px`;
    box.scrollTop = 0;
    box.onscroll = () => this.draw();
    this.legend();
    this.listen();
  }

  legend() {
    const parts = [...Object.values(LANES), ["not complete", TROUBLE]].map(([text, fill]) => {
      const picture = svg("svg", { width: 18, height: 10 }), span = element("span");
      picture.append(svg("rect", { width: 18, height: 10, fill: colour(fill) }));
      span.append(picture, text);
      return span;
    });
    byId("timeline-legend").replaceChildren(element("span", "from top to bottom of each row:"), ...parts);
  }

  listen() {
    let begun = null;
    const timeAt = (event) => {
      const box = this.base.getBoundingClientRect();
      return this.from + ((event.clientX - box.left - NAMES) / (box.width - NAMES)) * (this.to - this.from);
    };
    this.base.onpointerdown = (event) => {
      begun = { x: event.clientX, from: this.from, to: this.to, moved: false };
      this.base.setPointerCapture(event.pointerId);
    };
    this.base.onpointermove = (event) => {
      if (!begun) { showTip(event, this.textAt(event, timeAt(event))); return; }
      const shift = ((event.clientX - begun.x) / (this.base.clientWidth - NAMES)) * (begun.to - begun.from);
      begun.moved ||= Math.abs(event.clientX - begun.x) > 3;
      if (begun.moved) this.show(begun.from - shift, begun.to - shift);
    };
    this.base.onpointerup = (event) => {
      if (begun && !begun.moved && event.clientX - this.base.getBoundingClientRect().left >= NAMES) this.seek(timeAt(event));
      begun = null;
    };
    this.base.onpointerleave = () => showTip(null, "");
    this.base.ondblclick = (event) => this.zoom(0.4, timeAt(event));
    this.base.onwheel = (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, timeAt(event));
    };
  }

  zoom(factor, around = (this.from + this.to) / 2) {
    this.show(around - (around - this.from) * factor, around + (this.to - around) * factor);
  }

  // Show [from, to], moved and cut so that it lies in the run; no less than a microsecond.
  show(from, to) {
    const end = Math.max(this.simulation.end, 1e-9), span = Math.min(end, Math.max(to - from, 1e-6));
    this.from = Math.max(0, Math.min(from, end - span));
    this.to = this.from + span;
    this.draw();
  }

  // Keep the time in sight while it plays.
  follow(time) {
    const span = this.to - this.from;
    if (time < this.from || time > this.to) this.show(time - 0.1 * span, time + 0.9 * span);
  }

  draw() {
    const [context, width] = fit(this.base, this.height), { simulation, row, from, to } = this;
    this.toX = (time) => NAMES + ((time - from) / (to - from)) * (width - NAMES);
    const first = Math.floor(this.box.scrollTop / row);
    const last = Math.min(simulation.nodes.length, Math.ceil((this.box.scrollTop + this.height) / row));
    for (let i = first; i < last; i++) {
      const y = AXIS + i * row - this.box.scrollTop, lane = (row - 3) / 3;
      context.fillStyle = colour(i % 2 ? "paper" : "band");
      context.fillRect(0, y, width, row);
      Object.entries(LANES).forEach(([kind, [, fill]], place) => {
        this.lane(context, simulation.lanes[kind][i], y + 1.5 + place * lane, lane - 0.5, fill, width, kind !== "compute");
      });
      context.fillStyle = colour("ink");
      context.font = `${row > 20 ? 13 : 11}px system-ui, sans-serif`;
      context.textAlign = "left";
      context.save();
      context.beginPath();
      context.rect(0, y, NAMES - 6, row);
      context.clip();
      context.fillText(simulation.nodes[i].name, 6, y + row / 2 + 4);
      context.restore();
    }
    this.axis(context, width);
    this.playhead();
  }

  lane(context, lane, y, height, fill, width, transfers) {
    const { index, start, end, reach } = lane, bad = this.simulation.transfer.bad;
    const usual = colour(fill), red = colour(TROUBLE);
    let painted = -Infinity;
    for (let i = lowerBound(reach, this.from); i < index.length; i++) {
      const event = index[i];
      if (start[event] > this.to) break;
      const trouble = transfers && bad[event];
      const x0 = Math.max(NAMES, this.toX(start[event])), x1 = Math.min(width, Math.max(this.toX(end[event]), x0 + 1));
      if (x1 <= painted && !trouble) continue;
      context.fillStyle = trouble ? red : usual;
      context.fillRect(trouble ? x0 : Math.max(x0, painted), y, x1 - (trouble ? x0 : Math.max(x0, painted)), height);
      painted = Math.max(painted, x1);
    }
  }

  axis(context, width) {
    context.fillStyle = colour("paper");
    context.fillRect(0, 0, width, AXIS);
    context.fillStyle = colour("ink");
    context.strokeStyle = colour("grey");
    context.lineWidth = 1;
    context.font = "11px system-ui, sans-serif";
    context.beginPath();
    const marks = ticks(this.from, this.to, Math.max(3, width / 150)), step = marks.length > 1 ? marks[1] - marks[0] : this.to - this.from;
    const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(step) - 1e-9)));
    for (const time of marks) {
      const x = this.toX(time), text = `${time.toFixed(digits)} s`;
      context.moveTo(x, AXIS - 5);
      context.lineTo(x, this.height);
      context.textAlign = x > width - 30 ? "right" : x < NAMES + 20 ? "left" : "center";
      context.fillText(text, x, AXIS - 8);
    }
    context.globalAlpha = 0.5;
    context.stroke();
    context.globalAlpha = 1;
  }

  playhead() {
    const [context, width, height] = fit(this.over, this.height);
    if (!this.toX || this.time < this.from || this.time > this.to) return;
    const x = Math.min(width - 1, this.toX(this.time));
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, height);
    context.stroke();
  }

  textAt(event, time) {
    const box = this.base.getBoundingClientRect(), { simulation } = this;
    const i = Math.floor((event.clientY - box.top - AXIS + this.box.scrollTop) / this.row);
    if (event.clientY - box.top < AXIS || !simulation.nodes[i]) return "";
    if (event.clientX - box.left < NAMES) return simulation.nodes[i].name;
    const reach = ((this.to - this.from) / (box.width - NAMES)) * 1.5, lines = [];
    for (const kind of Object.keys(LANES)) {
      const tell = kind === "compute" ? (e) => simulation.describeComputation(e) : (e) => simulation.describeTransfer(e);
      lines.push(...simulation.lanes[kind][i].within(time - reach, time + reach, 3).map(tell));
    }
    return lines.join("\n");
  }
}
