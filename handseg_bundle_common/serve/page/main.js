// The page: a radiograph goes in, its bones come out; one bundle or two beside each other.

import * as api from "./api.js";
import { element, find } from "./elements.js";
import { channelsOf, Masks } from "./masks.js";
import { BoneList, showCase, showDetail, showFiles, showMeasures, tip } from "./panels.js";
import { Camera, View } from "./view.js";

const MEBIBYTE = 2 ** 20;
const KEY_STEP = 60;

const look = { visible: [], highlighted: [], opacity: 0.36, light: 1, outlines: true, names: true, overlaps: true };
let about = null;
let bones = [];
let list = null;
let camera = null;
let panes = []; // { study, masks, view } of every bundle
let dice = null;
let used = ""; // the pixel size that was asked for last
let turn = 0; // counts what was asked for, so that a late answer to an earlier wish is dropped

const studies = () => panes.map((pane) => pane.study);
const spacing = () => (find("#spacing").checkValidity() ? find("#spacing").value : "");
const asked = () => { used = spacing(); return used; };

start().catch(complain);

async function start() {
  let bundles;
  [about, bundles, bones] = await Promise.all([api.about(), api.bundles(), api.bones()]);
  look.visible = bones.map(() => true);
  list = new BoneList(bones, look, { onvisible: redraw, onhighlight: highlight });
  for (const { name, description } of bundles) {
    find("#bundle").append(element("option", { value: name, title: description }, name));
    find("#other").append(element("option", { value: name, title: description }, name));
  }
  find("#file").accept = [...about.suffixes, "application/dicom"].join(",");
  find("#promise").textContent =
    `PNG, JPEG, TIFF, NIfTI or DICOM, up to ${about.upload_bytes / MEBIBYTE} MiB. It stays on this computer, and is deleted ` +
    `when this page is closed, or after ${about.minutes} minutes without use.`;
  wire();
  document.documentElement.dataset.ready = "";
}

// ---- segmenting

async function open(file) {
  if (file.size > about.upload_bytes) {
    complain({ what: file.name, why: `is larger than ${about.upload_bytes / MEBIBYTE} MiB`, remedy: "crop or shrink it" });
    return;
  }
  const old = studies();
  await work(`Segmenting ${file.name}`, async (isCurrent) => {
    const study = await api.segment(file, find("#bundle").value, asked());
    if (!(await showFirst(study, isCurrent))) return;
    old.forEach(({ id }) => api.remove(id));
    await addSecond(isCurrent);
  });
}

// Other bundles or another pixel size for the radiograph that is shown.
async function redo() {
  if (!panes.length) return;
  const old = studies();
  await work(`Segmenting with ${find("#bundle").value}`, async (isCurrent) => {
    const study = await api.again(old[0].id, find("#bundle").value, asked());
    if (!(await showFirst(study, isCurrent))) return;
    old.forEach(({ id }) => api.remove(id));
    await addSecond(isCurrent);
  });
}

async function compareWith() {
  if (!panes.length) return;
  await work(`Segmenting with ${find("#other").value}`, async (isCurrent) => {
    panes.slice(1).forEach(({ study }) => api.remove(study.id));
    setPanes(panes.slice(0, 1));
    await addSecond(isCurrent);
  });
}

async function showFirst(study, isCurrent) {
  const [masks, picture] = await Promise.all([api.masks(study.id), api.picture(study.id).then(createImageBitmap)]);
  if (!isCurrent()) {
    api.remove(study.id);
    return false;
  }
  camera = new Camera(study.width, study.height);
  camera.onchange = (scale) => { find("#zoom").textContent = `${Math.round(100 * scale)} %`; };
  dice = null;
  look.visible.fill(true);
  setPanes([{ study, masks: new Masks(masks, bones), picture }]);
  return true;
}

async function addSecond(isCurrent) {
  const other = find("#other").value;
  if (!other) return;
  const [first] = panes;
  const study = await api.again(first.study.id, other, spacing());
  const [masks, compared] = await Promise.all([api.masks(study.id), api.compare(first.study.id, study.id)]);
  if (!isCurrent()) {
    api.remove(study.id);
    return;
  }
  dice = compared;
  setPanes([first, { study, masks: new Masks(masks, bones), picture: first.picture }]);
}

// Show that something is under way, and tell what went wrong.
async function work(text, task) {
  turn += 1;
  const mine = turn;
  find("#alert").hidden = true;
  find("#busy-text").textContent = `${text} …`;
  find("#busy").hidden = false;
  find("#status").textContent = text;
  try {
    await task(() => mine === turn);
  } catch (error) {
    if (mine === turn) complain(error);
  }
  if (mine === turn) find("#busy").hidden = true;
}

function complain(error) {
  const known = error.why !== undefined;
  find("#alert-what").textContent = known ? error.what : "The page";
  find("#alert-why").textContent = known ? `${error.why}.` : `made a mistake (${error.message}).`;
  find("#alert-remedy").textContent = known ? `${error.remedy.charAt(0).toUpperCase()}${error.remedy.slice(1)}.` : "";
  find("#alert").hidden = false;
}

function forget() {
  turn += 1;
  studies().forEach(({ id }) => api.remove(id));
  setPanes([]);
  find("#busy").hidden = true;
  find("#open").focus();
}

// ---- showing

function setPanes(next) {
  panes.forEach((pane) => pane.view?.close());
  panes = next;
  const shown = panes.length > 0;
  find("#panes").hidden = find("#tools").hidden = find("#side").hidden = !shown;
  find("#empty").hidden = shown;
  document.body.classList.toggle("loaded", shown);
  find("#panes").replaceChildren(...panes.map(figure));
  highlight([]);
  hideTip();
  if (!shown) return;
  showCase(studies(), forget);
  list.show(studies(), dice);
  showMeasures(studies(), bones);
  showFiles(studies());
  const found = panes.map(({ study }) => `${study.bundle} found ${study.bones.filter((bone) => bone.label).length} bones`);
  find("#status").textContent = found.join(", ");
}

function figure(pane, place) {
  const canvas = element("canvas", { tabindex: 0, role: "img", "aria-label": describe(pane.study) });
  pane.view = new View(canvas, camera, { ...pane, bones, look });
  canvas.addEventListener("pointermove", (event) => hover(event, pane));
  canvas.addEventListener("pointerleave", () => { highlight([]); hideTip(); });
  canvas.addEventListener("keydown", steer);
  const seconds = `${pane.study.seconds.toFixed(1)} s`;
  const mean = place === 1 && dice ? ` · mean Dice ${dice.mean_dice.toFixed(3)}` : "";
  return element("figure", {}, element("figcaption", {}, element("strong", {}, pane.study.bundle), ` ${seconds}${mean}`), canvas);
}

function describe(study) {
  return `Radiograph ${study.name}, segmented by ${study.bundle}. Arrow keys move it, plus and minus zoom, 0 shows all.`;
}

function redraw() {
  camera?.draw();
}

function highlight(channels) {
  look.highlighted = channels;
  list?.mark(channels);
  if (panes.length) showDetail(studies(), bones, channels[0] ?? null);
  redraw();
}

// All visible bones under the pointer, in every bundle.
function hover(event, pane) {
  if (event.buttons) {
    hideTip();
    return;
  }
  const [x, y] = pane.view.pixel(event);
  const under = panes.map(({ masks }) => channelsOf(masks.at(x, y)).filter((channel) => look.visible[channel]));
  panes.forEach((one) => { one.view.mark = one === pane ? null : [x, y]; });
  highlight([...new Set(under.flat())]);
  if (!under.flat().length) {
    hideTip(false);
    return;
  }
  const box = find("#tip");
  box.replaceChildren(...tip(studies(), bones, under));
  box.hidden = false;
  const stage = find("#stage").getBoundingClientRect();
  const [left, top] = [event.clientX - stage.left, event.clientY - stage.top];
  box.style.left = `${left + 18 + box.offsetWidth > stage.width ? left - 14 - box.offsetWidth : left + 18}px`;
  box.style.top = `${Math.max(8, Math.min(top + 14, stage.height - box.offsetHeight - 8))}px`;
}

function hideTip(unmark = true) {
  find("#tip").hidden = true;
  if (unmark) panes.forEach(({ view }) => { if (view) view.mark = null; });
}

// ---- mouse and keyboard

function steer(event) {
  const step = KEY_STEP / camera.scale;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const zooms = { "+": 1.25, "=": 1.25, "-": 0.8 };
  if (moves[event.key]) camera.move(...moves[event.key]);
  else if (zooms[event.key]) camera.zoomBy(zooms[event.key]);
  else if (event.key === "0") camera.fit();
  else return;
  event.preventDefault();
}

function wire() {
  const choose = () => find("#file").click();
  find("#open").addEventListener("click", choose);
  find("#choose").addEventListener("click", choose);
  find("#file").addEventListener("change", ({ target }) => {
    if (target.files.length) open(target.files[0]);
    target.value = "";
  });
  find("#bundle").addEventListener("change", redo);
  find("#other").addEventListener("change", compareWith);
  find("#spacing").addEventListener("change", ({ target }) => { if (target.reportValidity() && spacing() !== used) redo(); });
  find("#alert-close").addEventListener("click", () => { find("#alert").hidden = true; });
  wireTools();
  wireTabs();
  wireDrops();
  window.addEventListener("pagehide", () => studies().forEach(({ id }) => api.remove(id)));
  // A page that comes back from the browser's memory shows studies that are gone.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

function wireTools() {
  const doings = { fit: () => camera.fit(), in: () => camera.zoomBy(1.25), out: () => camera.zoomBy(0.8) };
  find("#tools").addEventListener("click", ({ target }) => doings[target.dataset.do]?.());
  find("#tools").addEventListener("input", ({ target }) => {
    if (target.dataset.show) look[target.dataset.show] = target.checked;
    else look[target.id] = Number(target.value);
    redraw();
  });
}

function wireTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const select = (chosen) => tabs.forEach((tab) => {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    find(`#${tab.getAttribute("aria-controls")}`).hidden = tab !== chosen;
    find("#detail").hidden = chosen.id !== "tab-bones";
  });
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      select(next);
      next.focus();
    });
  });
}

function wireDrops() {
  const veil = find("#drop");
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    veil.hidden = true;
    const [file] = event.dataTransfer?.files ?? [];
    if (file) open(file);
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file) open(file);
  });
}
