// SPDX-License-Identifier: GPL-2.0-only
// What all parts of the page use: elements, numbers as text, canvases, colours. Text goes in as text, never as HTML.
// Colours have their names and values in style.css, one set for light and one for dark.

const page = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

const theme = getComputedStyle(document.documentElement); // live: what the page looks like now
const colour = (name) => theme.getPropertyValue(`--${name}`).trim();

// Okabe and Ito's colours, which colour-blind readers can tell apart; shapes and dashes differ as well.
const SERIES = ["blue", "red", "green", "pink", "orange", "sky", "ink", "grey"];
const DASHES = [[], [7, 3], [8, 3, 2, 3], [2, 2], [9, 2, 2, 2, 2, 2]];
const ROLES = { ue: ["circle", "sky"], gnb: ["triangle", "red"], edge: ["square", "orange"], cloud: ["diamond", "pink"] };
const DIRECTIONS = [["uplink", "blue", []], ["downlink", "red", [7, 4]], ["between servers", "soft", [2, 3]]];
const LANES = { compute: ["computing", "blue"], send: ["sending", "orange"], receive: ["receiving", "green"] };
const TROUBLE = "red"; // a transfer that is not complete

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function svg(name, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function options(select, entries) {
  select.replaceChildren(...entries.map(([value, text]) => element("option", text, { value })));
}

function fillTable(table, heads, rows, caption) {
  const body = element("tbody");
  for (const row of rows) {
    const line = element("tr");
    for (const cell of row) line.append(element("td", cell, isNumberText(cell) ? { class: "number" } : {}));
    body.append(line);
  }
  const parts = caption ? [element("caption", caption)] : [];
  if (heads) {
    const head = element("thead"), line = element("tr");
    for (const text of heads) line.append(element("th", text, { scope: "col" }));
    head.append(line);
    parts.push(head);
  }
  table.replaceChildren(...parts, body);
}

const isNumberText = (text) => typeof text === "string" && /^-?[\d.]+(e[+-]?\d+)?( [kMGTn]?[a-zA-Z%µ]*)?( \*)?$/.test(text);

function scaled(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return "-";
  for (const [prefix, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return `${(value / size).toPrecision(3)} ${prefix}${unit}`;
  }
  return `${Number(value.toPrecision(3))} ${unit}`;
}

// Seconds, as finely as a span of time of that length asks for.
function seconds(value, span) {
  const digits = Math.max(0, Math.min(9, 4 - Math.ceil(Math.log10(Math.max(span, 1e-9)))));
  return `${value.toFixed(digits)} s`;
}

function duration(value) {
  if (value === null || value === undefined) return "-";
  if (value < 1e-3 && value > 0) return `${(value * 1e6).toPrecision(3)} µs`;
  if (value < 1 && value > 0) return `${(value * 1e3).toPrecision(3)} ms`;
  if (value < 120) return `${Number(value.toPrecision(4))} s`;
  const rounded = Math.round(value), hours = Math.floor(rounded / 3600), minutes = Math.floor((rounded % 3600) / 60);
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${rounded % 60} s`;
}

// Round numbers from `low` to `high`, about `count` of them.
function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

// A canvas as large as it is shown, sharp on every screen; returns its context and its size in CSS pixels.
function fit(canvas, height) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth || 600;
  const tall = height || canvas.clientHeight || 400;
  if (height) canvas.style.height = `${height}px`;
  const wide = Math.round(width * ratio), high = Math.round(tall * ratio);
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, tall);
  return [context, width, tall];
}

// The first index whose value is at least `wanted`, in values that never fall.
function lowerBound(values, wanted) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1; else high = middle;
  }
  return low;
}

function showTip(event, text) {
  const tip = byId("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
}
