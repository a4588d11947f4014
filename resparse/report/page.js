"use strict";
const dialog = document.querySelector("dialog"), inside = document.getElementById("inside");
let read = null;
const data = () => (read ??= JSON.parse(document.getElementById("details").textContent));

/* An element with text and elements in it: nothing is ever parsed as HTML. */
function make(tag, attributes = {}, ...content) {
  const made = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content.filter((x) => x !== null && x !== undefined && x !== "").map((x) => x instanceof Node ? x : String(x)));
  return made;
}

/* Names and values, nested ones as a.b; what is empty is left out. */
function pairs(value, prefix = "") {
  return Object.entries(value).flatMap(([name, x]) =>
    x === null || x === "" || (typeof x === "object" && !Object.keys(x).length) ? []
      : typeof x === "object" && !Array.isArray(x) ? pairs(x, `${prefix}${name}.`)
      : [[prefix + name, Array.isArray(x) ? x.map((y) => typeof y === "object" ? JSON.stringify(y) : y).join(", ") : x]]);
}
function list(value) {
  return make("dl", {}, ...pairs(value).flatMap(([name, x]) => [make("dt", {}, name), make("dd", {}, x)]));
}
const code = (text) => make("code", {}, text);
const folded = (title, ...content) => make("details", {}, make("summary", {}, title), ...content);
const link = (kind, id, text) => make("a", { href: `#${kind}=${encodeURIComponent(id)}` }, text);

function table(head, rows) {
  const cells = (tag, row) => make("tr", {}, ...row.map((x) => make(tag, {}, x)));
  return make("div", { class: "wide" }, make("table", {}, make("thead", {}, cells("th", head)),
    make("tbody", {}, ...rows.map((row) => cells("td", row)))));
}

const CURVES = { rs: "R_s", train_loss: "training loss", val_top1: "validation top-1, %", test_top1: "test top-1, %" };

/* One curve of several runs: a line each, its ends and range in numbers. */
function chart(name, runs) {
  const lines = runs.map(([label, run]) => [label, run.curves[name] ?? []]).filter(([, y]) => y.length);
  const all = lines.flatMap(([, y]) => y), low = Math.min(...all), high = Math.max(...all);
  const longest = Math.max(...lines.map(([, y]) => y.length));
  const x = (n) => 54 + 260 * (longest > 1 ? n / (longest - 1) : 0.5);
  const y = (v) => 10 + 110 * (high > low ? (high - v) / (high - low) : 0.5);
  const short = (v) => Number(v.toPrecision(4));
  const svg = make("svg:svg", { viewBox: "0 0 320 140", role: "img", "aria-label": `${name} by epoch` },
    make("svg:path", { d: "M54 10V120H314" }),
    make("svg:text", { x: 50, y: 16, "text-anchor": "end" }, short(high)),
    make("svg:text", { x: 50, y: 120, "text-anchor": "end" }, short(low)),
    make("svg:text", { x: 54, y: 134 }, "epoch 1"),
    make("svg:text", { x: 314, y: 134, "text-anchor": "end" }, longest));
  lines.forEach(([, values], n) => svg.append(make("svg:polyline", {
    class: `s${n % 5}`, points: values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ") })));
  return make("figure", {}, svg, make("figcaption", {}, `${CURVES[name] ?? name}, seeds `,
    ...lines.map(([label], n) => make("b", { class: `s${n % 5}` }, `${label} `))));
}
function curves(runs) {
  const names = [...new Set(runs.flatMap(([, run]) => Object.keys(run.curves).filter((n) => run.curves[n].length)))].sort();
  return make("div", { class: "curves" }, ...names.map((name) => chart(name, runs)));
}
function whole(key, run) {
  return [make("p", {}, "made by ", code(run.made.command ?? "not said")),
    folded("config", list(run.config)), folded("outcome", list(run.outcome)),
    folded("provenance", list({ key, fingerprint: run.fingerprint, ...run.made, ...data().environments[run.environment] }))];
}
function erratum(id) {
  return id ? make("p", {}, make("b", {}, id), ": ", data().errata[id] ?? "") : "";
}

const show = {
  cell(id) {
    const cell = data().cells[id], view = data().views[id.slice(0, id.lastIndexOf("."))];
    const runs = Object.entries(cell.keys ?? {}).map(([seed, key]) => [seed, key, data().records[key]]);
    const there = runs.map(([seed, , run]) => [seed, run]).filter(([, run]) => run);
    const rows = runs.map(([seed, key, run]) => [seed, cell.seeds?.[seed] ?? "–", run?.status ?? "",
      link("run", key, key), run?.reason ?? ""]);
    return [`${cell.row}, sparsity ${cell.sparsity}: ${cell.metric}`,
      make("p", {}, make("b", {}, `ours ${cell.ours}`), cell.value === undefined ? "" : ` (${cell.value})`),
      make("p", {}, cell.paper ?? "the paper prints no value", cell.source ? ` (${cell.source})` : ""),
      make("p", {}, make("b", {}, cell.verdict), cell.note ? `: ${cell.note}` : ""),
      cell.frozen ? make("p", {}, "against our frozen records: ", make("b", {}, cell.frozen), cell.frozen_note ? `: ${cell.frozen_note}` : "") : "",
      erratum(cell.erratum),
      make("p", {}, "this number by ", code(cell.command)),
      make("p", {}, "all of it by ", code(view.session)),
      make("p", { class: "soft" }, `${view.title}, level ${view.level}: ${view.shows}`),
      cell.computed ? make("p", {}, "Computed for the paper's own network, without training.") : "",
      runs.length ? table(["seed", "value", "status", "run", "reason"], rows) : "",
      there.length ? curves(there) : "",
      ...runs.filter(([, , run]) => run).map(([seed, key, run]) => folded(`seed ${seed}: run ${key}`, ...whole(key, run)))];
  },
  run(key) {
    const run = data().records[key];
    return [`Run ${key}`, make("p", {}, make("b", {}, run.status), run.reason ? `: ${run.reason}` : ""),
      curves([[run.config.seed, run]]), ...whole(key, run)];
  },
  claim(id) {
    const claim = data().claims[id], levels = ["paper", "mini", "smoke"].map((at) => claim[at]);
    const keys = [...new Set(levels.flatMap((x) => x.keys))].filter((key) => data().records[key]);
    return [id, make("p", {}, claim.statement), make("p", { class: "soft" }, `${claim.where}; ${claim.kind}`),
      make("p", {}, make("b", {}, claim.verdict)), make("p", {}, "its own tables: ", claim.own_tables),
      erratum(claim.erratum), claim.margin_reason ? make("p", {}, "margin: ", claim.margin_reason) : "",
      claim.needs ? make("p", {}, "unknown: ", claim.needs) : "", claim.note ? make("p", {}, claim.note) : "",
      make("p", {}, "judged by ", code(data().claims_command), " from the records of ", claim.artifacts.join(", ")),
      table(["level", "verdict", "why", "test", "p for", "p against"], levels.map((x) =>
        [x.level, x.verdict, x.why, x.test, x.p_for ?? "", x.p_against ?? ""])),
      ...levels.filter((x) => x.cells.length || x.problems.length).map((x) =>
        folded(`${x.level}: ${x.cells.length} cells`, make("ul", {}, ...[...x.problems, ...x.cells].map((t) => make("li", {}, t))))),
      keys.length ? folded(`${keys.length} runs`, make("ul", {}, ...keys.map((key) => make("li", {}, link("run", key, key))))) : "",
      folded("what is tested", make("ul", {}, ...claim.part.map((part) => make("li", {}, code(JSON.stringify(part))))))];
  },
};

/* What the address asks for: #cell=..., #run=... or #claim=...; else nothing is open. */
function route() {
  const [, kind, id] = location.hash.match(/^#(cell|run|claim)=(.+)$/) ?? [];
  const known = kind && Object.hasOwn(data()[{ cell: "cells", run: "records", claim: "claims" }[kind]], decodeURIComponent(id));
  if (!known) return dialog.close();
  const [title, ...content] = show[kind](decodeURIComponent(id));
  inside.replaceChildren(make("h2", {}, title), ...content.filter((x) => x !== ""));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}
addEventListener("hashchange", route);
dialog.addEventListener("close", () => {
  if (/^#(cell|run|claim)=/.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
});
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
document.getElementById("close").addEventListener("click", () => dialog.close());

function sort(button) {
  const head = button.parentElement, body = head.closest("table").tBodies[0];
  const down = head.getAttribute("aria-sort") === "ascending", column = head.cellIndex;
  const key = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const both = Number.isFinite(Number(a)) && Number.isFinite(Number(b));
    return (down ? -1 : 1) * (both ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
  };
  for (const other of head.parentElement.cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...[...body.rows].map((row) => [key(row), row]).sort((a, b) => compare(a[0], b[0])).map(([, row]) => row));
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.open) location.hash = button.dataset.open;
  else if (button?.parentElement.hasAttribute("aria-sort")) sort(button);
});
if (location.hash) route();
