// SPDX-License-Identifier: GPL-2.0-only
// Puts the page together from its data.

function clock(box, head, entries) {
  box.replaceChildren(element("dt", head, { class: "head" }), ...entries.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  box.hidden = !entries.length;
}

function flat(value, name = "") {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, inner]) => flat(inner, name ? `${name}.${key}` : key));
  }
  return [[name, Array.isArray(value) ? value.join(", ") || "(none)" : value === null ? "-" : String(value)]];
}

let player = null;

async function choose(entry) {
  if (player) player.stop();
  const simulation = await unpack(entry);
  const { transfers, computations } = entry.counts;
  byId("about").textContent = `${entry.scenario}${entry.options ? ` with ${entry.options}` : ""}, seed ${entry.seed}: ` +
    `${entry.nodes.length} nodes, ${transfers} transfers, ${computations} computations`;
  byId("merged").hidden = entry.merged_s === null;
  if (entry.merged_s !== null) byId("merged").textContent = `Many: those of one path that start within ${duration(entry.merged_s)} are drawn as one.`;
  player = new Player(simulation);
  const rows = entry.summary.map((sums, i) => {
    const node = entry.nodes[i];
    return [node.name, node.role, node.device, scaled(sums.sent_bytes, "B"), scaled(sums.received_bytes, "B"), duration(sums.computing_s),
      scaled(sums.flops, "FLOP"), scaled(sums.energy_j, "J")];
  });
  byId("ledger-note").textContent = entry.ledger ? "" : "There is no ledger (table devices) of this simulation: it did not come to its end, or is of an older run. Totals of each node, below, are what transfers and compute have.";
  if (show("ledger-scroll", entry.ledger)) fillTable(byId("ledger"), entry.ledger.heads, entry.ledger.rows);
  if (show("handovers-scroll", entry.handovers)) fillTable(byId("handovers"), entry.handovers.heads, entry.handovers.rows);
  fillTable(byId("summary"), ["node", "role", "device", "sent", "received", "computing", "arithmetic", "energy above idle"], rows);
}

function playback() {
  if (!page.simulations.length) return;
  byId("playback").hidden = false;
  const select = byId("simulation");
  options(select, page.simulations.map((entry, i) => [i, entry.name]));
  select.onchange = () => choose(page.simulations[Number(select.value)]);
  return choose(page.simulations[0]);
}

function show(section, condition) {
  byId(section).hidden = !condition;
  return condition;
}

async function main() {
  byId("title").textContent = page.title;
  byId("state").textContent = page.state;
  show("text-section", page.text || page.results);
  byId("text").textContent = page.text;
  if (show("results-part", page.results)) {
    fillTable(byId("results"), page.results.heads, page.results.rows);
    byId("results-note").textContent = page.results.note;
  }
  clock(byId("simulated"), "Simulated time", page.simulated);
  clock(byId("wall"), "Wall clock", page.wall);
  if (show("means-section", page.means)) fillTable(byId("means"), page.means.heads, page.means.rows);
  if (show("runs-section", page.runs)) {
    fillTable(byId("runs"), page.runs.heads, page.runs.rows);
    byId("runs-note").textContent = page.runs.note || "";
    if (show("costs-part", page.costs)) fillTable(byId("costs"), page.costs.heads, page.costs.rows);
    if (show("differences-part", page.differences)) fillTable(byId("differences"), page.differences.heads, page.differences.rows);
  }
  const chart = new Chart(page.tables, page.scores);
  if (show("figures-section", page.figures.length)) {
    byId("figures").replaceChildren(...page.figures.map(({ name, source }) => {
      const figure = element("figure");
      figure.append(element("img", null, { src: source, alt: name }), element("figcaption", name));
      return figure;
    }));
  }
  if (show("configuration-section", page.configuration)) {
    byId("again").textContent = page.again;
    fillTable(byId("configuration"), ["setting", "value"], flat(page.configuration));
    fillTable(byId("provenance"), null, flat(page.provenance));
  }
  await playback();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (chart.plot) chart.draw();
    if (player) player.redraw();
  });
  document.documentElement.dataset.ready = "yes";
}

main();
