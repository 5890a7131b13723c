// SPDX-License-Identifier: GPL-2.0-only
// Simulated time on the page: one value, moved by the slider, the timeline or the play button, shown everywhere.

const SPEEDS = [["10", "whole run in 10 s"], ["30", "whole run in 30 s"], ["120", "whole run in 2 min"], ["x1", "as simulated"],
  ["x0.1", "ten times slower"], ["x0.01", "100 times slower"]];

class Player {
  constructor(simulation) {
    this.simulation = simulation;
    this.end = Math.max(simulation.end, 1e-9);
    this.time = 0;
    this.playing = false;
    this.tabled = 0;
    this.map = new NetworkMap(byId("map"), simulation);
    this.timeline = new Timeline(byId("timeline"), simulation, (time) => this.seek(time));
    options(byId("speed"), SPEEDS);
    byId("slider").oninput = () => this.seek((Number(byId("slider").value) / 10000) * this.end);
    byId("play").onclick = () => this.play(!this.playing);
    byId("zoom-in").onclick = () => this.timeline.zoom(0.4, this.time);
    byId("zoom-out").onclick = () => this.timeline.zoom(2.5, this.time);
    byId("zoom-all").onclick = () => this.timeline.show(0, this.end);
    window.onresize = () => this.redraw();
    this.timeline.draw();
    this.seek(0);
  }

  // After a change of size or colours.
  redraw() {
    this.map.legend();
    this.timeline.legend();
    this.timeline.draw();
    this.show();
  }

  // Simulated seconds a second.
  speed() {
    const chosen = byId("speed").value;
    return chosen.startsWith("x") ? Number(chosen.slice(1)) : this.end / Number(chosen);
  }

  play(on) {
    if (on && this.time >= this.end) this.time = 0;
    this.playing = on;
    byId("play").textContent = on ? "❚❚ pause" : "▶\uFE0E play";
    byId("play").setAttribute("aria-label", on ? "pause" : "play");
    let before = null;
    const step = (now) => {
      if (!this.playing) return;
      if (before !== null) this.time = Math.min(this.end, this.time + ((now - before) / 1000) * this.speed());
      before = now;
      this.timeline.follow(this.time);
      this.show();
      if (this.time >= this.end) this.play(false); else requestAnimationFrame(step);
    };
    if (on) requestAnimationFrame(step); else this.show();
  }

  stop() { this.playing = false; byId("play").textContent = "▶\uFE0E play"; }

  seek(time) {
    this.time = Math.max(0, Math.min(this.end, time));
    this.show();
  }

  show() {
    const past = this.playing ? this.speed() * 0.15 : 0;
    byId("slider").value = String(Math.round((this.time / this.end) * 10000));
    byId("slider").setAttribute("aria-valuetext", seconds(this.time, this.end));
    byId("now").textContent = `${seconds(this.time, this.end)} of ${seconds(this.end, this.end)}`;
    this.map.draw(this.time, past);
    this.timeline.time = this.time;
    this.timeline.playhead();
    const now = performance.now();
    if (!this.playing || now - this.tabled > 150) { // a table is read, not watched
      this.tabled = now;
      this.table();
    }
  }

  table() {
    const { simulation } = this;
    const rows = simulation.nodes.map((node, i) => {
      const place = simulation.placeOf(i, this.time);
      return [node.name, node.role, place ? `${place[0].toFixed(1)}, ${place[1].toFixed(1)}` : "-", simulation.doing(i, this.time)];
    });
    fillTable(byId("now-table"), ["node", "role", "x, y in m", "does"], rows, `at ${seconds(this.time, this.end)}`);
  }
}
