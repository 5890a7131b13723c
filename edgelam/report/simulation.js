// SPDX-License-Identifier: GPL-2.0-only
// The columns of a simulation, unpacked, and questions to them: what goes on at a time, where a node is.

async function unpack(entry) {
  const text = atob(entry.packed), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const columns = { transfer: {}, compute: {}, place: {} };
  let at = 0;
  for (const [name, kind, length] of entry.columns) {
    const type = globalThis[`${kind}Array`], [table, column] = name.split("_");
    columns[table][column] = new type(buffer, at, length);
    at += Math.ceil((length * type.BYTES_PER_ELEMENT) / 8) * 8;
  }
  return new Simulation(entry, columns);
}

// Events of one kind, in the order they start. `reach`: the latest end up to each, so that a search finds the first
// one that may still go on at a time.
class Lane {
  constructor(index, events) {
    this.index = index;
    this.start = events.start;
    this.end = events.end;
    this.reach = new Float64Array(index.length);
    let latest = -Infinity;
    index.forEach((event, i) => { latest = Math.max(latest, events.end[event]); this.reach[i] = latest; });
  }

  // The events that overlap [from, to], at most `most`.
  within(from, to, most) {
    const found = [];
    for (let i = lowerBound(this.reach, from); i < this.index.length && found.length < most; i++) {
      const event = this.index[i];
      if (this.start[event] > to) break;
      if (this.end[event] >= from) found.push(event);
    }
    return found;
  }
}

class Simulation {
  constructor(entry, columns) {
    Object.assign(this, { nodes: entry.nodes, end: entry.end_s, labels: entry.labels, entry });
    Object.assign(this, columns);
    const { transfer, compute } = columns;
    const count = (events) => (events.start ? events.start.length : 0);
    this.transfers = count(transfer);
    this.computations = count(compute);
    const all = new Lane(Int32Array.from({ length: this.transfers }, (_, i) => i), transfer);
    this.allTransfers = all;
    this.lanes = {
      compute: this.byNode(compute, compute.node, this.computations),
      send: this.byNode(transfer, transfer.from, this.transfers),
      receive: this.byNode(transfer, transfer.to, this.transfers),
    };
    this.ways = this.wayOfEach(columns.place);
  }

  byNode(events, node, count) {
    const lists = this.nodes.map(() => []);
    for (let i = 0; i < count; i++) lists[node[i]].push(i);
    return lists.map((list) => new Lane(Int32Array.from(list), events));
  }

  wayOfEach(place) {
    const ways = this.nodes.map(() => ({ time: [], x: [], y: [] }));
    for (let i = 0; i < (place.time ? place.time.length : 0); i++) {
      const way = ways[place.node[i]];
      way.time.push(place.time[i]);
      way.x.push(place.x[i]);
      way.y.push(place.y[i]);
    }
    return ways;
  }

  // [x, y] in metres at a time, on the straight line between readings; null for a node without a place.
  placeOf(node, time) {
    const { time: times, x, y } = this.ways[node];
    if (!times.length) return null;
    const next = lowerBound(times, time);
    if (next === 0) return [x[0], y[0]];
    if (next === times.length) return [x[next - 1], y[next - 1]];
    const share = (time - times[next - 1]) / (times[next] - times[next - 1]);
    return [x[next - 1] + share * (x[next] - x[next - 1]), y[next - 1] + share * (y[next] - y[next - 1])];
  }

  describeTransfer(event) {
    const { transfer } = this;
    const many = transfer.count[event] > 1 ? `${transfer.count[event]} transfers` : this.labels[transfer.label[event]] || "transfer";
    const trouble = transfer.bad[event] ? ", not complete" : "";
    return `${many}: ${this.nodes[transfer.from[event]].name} to ${this.nodes[transfer.to[event]].name}, ` +
      `${scaled(transfer.bytes[event], "B")}, ${seconds(transfer.start[event], 0.1)} to ${seconds(transfer.end[event], 0.1)}${trouble}`;
  }

  describeComputation(event) {
    const { compute } = this;
    const many = compute.count[event] > 1 ? `${compute.count[event]} computations` : this.labels[compute.label[event]] || "computing";
    return `${many}: ${this.nodes[compute.node[event]].name}, ${seconds(compute.start[event], 0.1)} to ${seconds(compute.end[event], 0.1)}`;
  }

  // What a node does at a time, as text.
  doing(node, time) {
    const parts = [];
    for (const event of this.lanes.compute[node].within(time, time, 1)) parts.push(`computes ${this.labels[this.compute.label[event]]}`);
    const name = (event, end) => this.nodes[this.transfer[end][event]].name;
    const few = (lane, verb, end) => {
      const events = lane.within(time, time, 4);
      const names = [...new Set(events.map((event) => name(event, end)))];
      if (names.length) parts.push(`${verb} ${names.slice(0, 3).join(", ")}${names.length > 3 ? ", ..." : ""}`);
    };
    few(this.lanes.send[node], "sends to", "to");
    few(this.lanes.receive[node], "receives from", "from");
    return parts.join("; ");
  }
}
