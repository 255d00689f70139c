"use strict";

const find = (selector, root = document) => root.querySelector(selector);
const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

const { bones, cases } = JSON.parse(find("#data").textContent);
const body = find("#table tbody");
const rows = findAll("tr", body);
const viewer = find("#viewer");
let opener = null;
const state = { channels: [], column: "dice", descending: false };

/* Scores of a case over the chosen bones */

const everyBone = bones.map((_, channel) => channel);
const mean = (values, channels = state.channels) => {
  const known = channels.map((channel) => values[channel]).filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
};
const faultsOf = (item) => item.faults.filter((fault) => fault.bones.some((bone) => state.channels.includes(bone)));
const worstOf = (item) => state.channels.reduce((worst, bone) => (item.dice[bone] < item.dice[worst] ? bone : worst));
const lostBy = (item) => faultsOf(item).reduce((sum, fault) => sum + fault.severity, 0);
/* The costliest fault, which is the first, and how many there are. */
const briefly = (faults) => (faults.length > 1 ? `${faults.length} faults. ` : "") + (faults[0]?.text ?? "");
const fixed = (value, digits) => (value === null ? "-" : value.toFixed(digits));

/* What a column is sorted by, and what it says */
const columns = {
  image: { key: (item) => item.image },
  patient: { key: (item) => item.patient },
  dice: { key: (item) => mean(item.dice), text: (value) => fixed(value, 3) },
  worst: {
    key: (item) => item.dice[worstOf(item)],
    text: (value, item) => (value < 1 ? `${bones[worstOf(item)].name} ${fixed(value, 3)}` : "-"),
  },
  overlap: { key: (item) => mean(item.overlap), text: (value) => fixed(value, 3) },
  boundary: { key: (item) => mean(item.boundary), text: (value) => fixed(value === null ? null : 100 * value, 1) },
  hd95: { key: (item) => mean(item.hd95), text: (value) => fixed(value, 1) },
  wrist: { key: (item) => item.wrist },
  faults: { key: lostBy, text: (_, item) => briefly(faultsOf(item)) },
};

const caseOf = (row) => cases[Number(row.dataset.case)];
const linkOf = (row) => find("a", row);
const shownRows = () => findAll("tr:not([hidden])", body);

/* The table */

function writeRows() {
  find("#table").classList.toggle("single", state.channels.length === 1);
  for (const row of rows) {
    for (const [name, { key, text }] of Object.entries(columns)) {
      if (text) find(`[data-column="${name}"]`, row).textContent = text(key(caseOf(row)), caseOf(row));
    }
  }
}

function sortRows() {
  const { key } = columns[state.column];
  const keys = new Map(rows.map((row) => [row, key(caseOf(row))]));
  const sign = state.descending ? -1 : 1;
  const compare = (first, second) => {
    const [a, b] = [keys.get(first), keys.get(second)];
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
  };
  body.append(...rows.sort(compare));
  for (const head of findAll("thead th")) {
    if (head.dataset.column === state.column) head.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

function hideRows() {
  const wanted = find("#search").value.trim().toLowerCase();
  const faultyOnly = find("#faulty").checked;
  for (const row of rows) {
    const item = caseOf(row);
    const isNamed = `${item.image}\n${item.patient}`.toLowerCase().includes(wanted);
    row.hidden = !isNamed || (faultyOnly && !faultsOf(item).length);
  }
  find("#count").textContent = `${shownRows().length} of ${rows.length} images`;
}

function chooseBones(value) {
  find("#bones").value = value;
  state.channels = value.split(" ").map(Number);
  if (state.column === "worst" && state.channels.length === 1) state.column = "dice";
  writeRows();
  sortRows();
  hideRows();
}

function moveFocus(step) {
  const links = shownRows().map(linkOf);
  const here = links.indexOf(document.activeElement);
  links.at(here < 0 ? 0 : Math.min(Math.max(here + step, 0), links.length - 1))?.focus();
}

/* A single case */

const numberInHash = () => {
  const number = /^#case-(\d+)$/.exec(location.hash)?.[1];
  return number !== undefined && cases[number] ? Number(number) : null;
};
const element = (name, text, className) => Object.assign(document.createElement(name), { textContent: text, className: className ?? "" });

/* Cases in the order of the table; one that the table hides stands alone. */
function sequence(number) {
  const shown = shownRows().map((row) => Number(row.dataset.case));
  return shown.includes(number) ? shown : [number];
}

function showCase(number) {
  const item = cases[number];
  const order = sequence(number);
  const place = order.indexOf(number);
  find("#viewer-title").textContent = item.image;
  find("#viewer-about").textContent = `${item.patient} · ${item.size[1]} × ${item.size[0]} px`;
  find("#viewer-position").textContent = `${place + 1} of ${order.length}`;
  find("#previous").disabled = place === 0;
  find("#next").disabled = place === order.length - 1;
  showPicture(number);
  showFacts(item);
  showBones(item);
  if (!viewer.open) {
    opener = document.activeElement;
    viewer.showModal();
  }
  find(".seen").scrollTop = 0;
}

function showPicture(number) {
  const picture = find(`#picture-${number}`);
  const layers = picture && find(".layers", picture).cloneNode(true);
  layers?.addEventListener("click", (event) => zoom(event));
  find("#magnify").disabled = !layers;
  find("#magnify").setAttribute("aria-pressed", "false");
  find("#stage").replaceChildren(layers ?? element("p", "This image is not drawn; handseg analyze --worst draws more. Its scores stand beside."));
  find("#viewer-details").replaceChildren(...(picture ? find(".details", picture).cloneNode(true).children : []));
}

/* Magnify where the mouse is, or the middle. */
function zoom(event) {
  const layers = find("#stage .layers");
  if (!layers) return;
  const box = layers.getBoundingClientRect();
  const isZoomed = layers.classList.toggle("zoomed");
  if (isZoomed) layers.style.transformOrigin = event ? `${event.clientX - box.left}px ${event.clientY - box.top}px` : "50% 50%";
  find("#magnify").setAttribute("aria-pressed", String(isZoomed));
}

function showFacts(item) {
  const facts = [
    ["Dice of all bones", fixed(mean(item.dice, everyBone), 3)],
    ["Dice where bones overlap", fixed(mean(item.overlap, everyBone), 3)],
    ["Boundary error", columns.boundary.text(mean(item.boundary, everyBone)) + " %"],
    ["Angle of the wrist", item.wrist === null ? "not known" : `${fixed(item.wrist, 0)}°`],
  ];
  find("#viewer-facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  const list = find("#viewer-faults");
  const texts = item.faults.length ? item.faults.map((fault) => fault.text) : ["None; what is lost is lost within a few px of the outlines."];
  list.className = item.faults.length ? "sentences" : "sentences none";
  list.replaceChildren(...texts.map((text) => element("li", text)));
}

function showBones(item) {
  const faulty = new Set(item.faults.flatMap((fault) => fault.bones));
  const isChosen = (channel) => state.channels.length < bones.length && state.channels.includes(channel);
  const entries = bones.map((bone, channel) => {
    const entry = element("li", "", `${faulty.has(channel) ? "faulty" : ""} ${isChosen(channel) ? "chosen" : ""}`);
    const track = element("span", "", "track");
    const filled = element("span", "");
    filled.style.setProperty("--share", item.dice[channel] ?? 0);
    track.append(filled);
    entry.append(element("span", bone.name), track, element("span", fixed(item.dice[channel], 3), "score"));
    return entry;
  });
  find("#viewer-bones").replaceChildren(...entries);
}

/* A fragment that is no element's id leaves the page where it is. */
const goTo = (number) => location.replace(number === null ? "#-" : `#case-${number}`);

function step(by) {
  const number = numberInHash();
  const next = sequence(number)[sequence(number).indexOf(number) + by];
  if (next !== undefined) goTo(next);
}

function followHash() {
  const number = numberInHash();
  if (number !== null) showCase(number);
  else if (viewer.open) viewer.close();
}

/* What the reader does */

find("thead").addEventListener("click", ({ target }) => {
  const column = target.closest("th")?.dataset.column;
  if (!column) return;
  state.descending = column === state.column && !state.descending;
  state.column = column;
  sortRows();
});

find("#bones").addEventListener("change", ({ target }) => {
  Object.assign(state, { column: "dice", descending: false });
  chooseBones(target.value);
});
find("#search").addEventListener("input", hideRows);
find("#faulty").addEventListener("change", hideRows);
find("#controls").addEventListener("submit", (event) => event.preventDefault());

for (const button of findAll("[data-show]")) {
  button.addEventListener("click", () => {
    find("#faulty").checked = true;
    Object.assign(state, { column: "faults", descending: true });
    chooseBones(button.dataset.show);
    find("#cases").scrollIntoView();
  });
}

body.addEventListener("click", ({ target }) => {
  if (!target.closest("a")) location.hash = `case-${target.closest("tr").dataset.case}`;
});

find("#previous").addEventListener("click", () => step(-1));
find("#next").addEventListener("click", () => step(1));
find("#magnify").addEventListener("click", () => zoom());
find("#close").addEventListener("click", () => viewer.close());
find("#errors").addEventListener("change", ({ target }) => viewer.classList.toggle("without", !target.checked));

viewer.addEventListener("click", ({ target }) => target === viewer && viewer.close());
viewer.addEventListener("close", () => {
  const number = numberInHash();
  if (number === null) return;
  goTo(null);
  const row = find(`tr[data-case="${number}"]`);
  if (opener?.matches("a, button") && !body.contains(opener)) opener.focus();
  else if (!row.hidden) linkOf(row).focus();
});

const inViewer = { ArrowRight: () => step(1), j: () => step(1), ArrowLeft: () => step(-1), k: () => step(-1), e: () => find("#errors").click(), z: () => zoom() };
const inTable = { j: () => moveFocus(1), k: () => moveFocus(-1), ArrowDown: () => moveFocus(1), ArrowUp: () => moveFocus(-1) };

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input[type=search], select")) return;
  if (!viewer.open && !find("#cases .scroll").contains(event.target)) return;
  const action = (viewer.open ? inViewer : inTable)[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

addEventListener("hashchange", followHash);
chooseBones(find("#bones").value);
followHash();
