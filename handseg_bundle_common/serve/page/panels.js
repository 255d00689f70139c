// What stands beside the radiograph: the case, its bones, measurements and downloads.

import { file } from "./api.js";
import { capital, element, find, number, swatch } from "./elements.js";

const SIDES = { L: "left hand", R: "right hand" };
const SOURCES = { dicom_tag: "by its DICOM tag", file_name: "by the file's name", geometry: "by the order of the bones" };
const GROUPS = { pictures: "Pictures", tables: "Tables", masks: "Masks" };

// Below it a bone deserves a second look.
const DOUBTFUL = 0.8;

export function showCase(studies, onremove) {
  const [study] = studies;
  const side = study.side ? `${SIDES[study.side]} ${SOURCES[study.side_from]}` : "side not known";
  const spacing = study.spacing_mm === null ? "pixel size not known" : `${study.spacing_mm} mm a pixel`;
  const title = element("div", { class: "case-title" },
    element("h2", { title: study.name }, study.name),
    element("button", { type: "button", id: "remove", onclick: onremove, title: "Delete the radiograph and its masks" }, "Delete"));
  const facts = element("p", { class: "muted" }, `${study.width} × ${study.height} px · ${spacing} · ${side}`);
  find("#case").replaceChildren(title, facts, ...studies.map((one) => warnings(one, studies.length > 1)));
}

// What is wrong with the picture, and which bones need a look.
function warnings(study, named) {
  const bundle = named ? element("span", { class: "tag" }, study.bundle) : null;
  const picture = study.picture.map((flag) =>
    element("p", { class: flag.is_usable ? "flag warn" : "flag bad" }, bundle?.cloneNode(true), capital(flag.message)));
  const bones = study.flags.length
    ? [element("details", { class: "flag warn" },
        element("summary", {}, bundle?.cloneNode(true), counted(study.flags.length, "bone needs", "bones need"), " a look"),
        element("ul", {}, ...study.flags.map((text) => element("li", {}, capital(text)))))]
    : [];
  if (picture.length || bones.length) return element("div", { class: "flags" }, ...picture, ...bones);
  return element("p", { class: "flag good" }, bundle, "A whole hand; no bone stands out.");
}

const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export class BoneList {
  constructor(bones, look, { onvisible, onhighlight }) {
    Object.assign(this, { bones, look, onvisible, onhighlight });
    this.rows = [];
    this.groups = new Map();
  }

  show(studies, dice) {
    const heads = studies.length > 1
      ? [...studies.map((study) => [study.bundle, `confidence by ${study.bundle}`]), ["Dice", "agreement of both"]]
      : [["Confidence", "how far the mask can be trusted"]];
    const list = element("div", { class: studies.length > 1 ? "bones compared" : "bones" });
    list.append(element("div", { class: "bones-head" },
      element("span", { class: "bones-all" },
        element("button", { type: "button", onclick: () => this.setAll(true) }, "All"),
        element("button", { type: "button", onclick: () => this.setAll(false) }, "None")),
      ...heads.map(([text, title]) => element("span", { class: "column", title }, text))));
    this.rows = [];
    for (const group of new Set(this.bones.map((bone) => bone.group))) list.append(this.#group(group, studies, dice));
    find("#panel-bones").replaceChildren(list);
    this.refresh();
  }

  setAll(shown, channels = this.bones.keys()) {
    for (const channel of channels) this.look.visible[channel] = shown;
    this.refresh();
    this.onvisible();
  }

  refresh() {
    this.rows.forEach(({ box }, channel) => { box.checked = this.look.visible[channel]; });
    for (const [box, channels] of this.groups.values()) {
      const shown = channels.filter((channel) => this.look.visible[channel]).length;
      box.checked = shown === channels.length;
      box.indeterminate = shown > 0 && shown < channels.length;
    }
  }

  mark(channels) {
    this.rows.forEach(({ row }, channel) => row.classList.toggle("on", channels.includes(channel)));
  }

  #group(group, studies, dice) {
    const channels = [...this.bones.keys()].filter((channel) => this.bones[channel].group === group);
    const box = element("input", { type: "checkbox", onchange: () => this.setAll(box.checked, channels) });
    this.groups.set(group, [box, channels]);
    return element("fieldset", {},
      element("legend", {}, element("label", {}, box, capital(group))),
      ...channels.map((channel) => this.#row(channel, studies, dice)));
  }

  #row(channel, studies, dice) {
    const bone = this.bones[channel];
    const found = studies.map((study) => study.bones[channel]);
    const box = element("input", { type: "checkbox", onchange: () => this.setAll(box.checked, [channel]) });
    const missing = found.every((one) => one.label === null);
    const cells = found.map(confidence);
    if (studies.length > 1) cells.push(score(dice ? dice.bones[channel].dice : null));
    const row = element("label", {
      class: missing ? "bone missing" : "bone",
      "data-bone": bone.bone,
      onpointerenter: () => this.onhighlight([channel]),
      onpointerleave: () => this.onhighlight([]),
      onfocusin: () => this.onhighlight([channel]),
      onfocusout: () => this.onhighlight([]),
    }, box, swatch(bone.colour), element("span", { class: "short" }, bone.abbreviation),
      element("span", { class: "long" }, bone.anatomical_name), ...cells);
    this.rows[channel] = { row, box };
    return row;
  }
}

// A bar, its number, and a mark where there is a reason to doubt.
function confidence(found) {
  if (found.label === null) return element("span", { class: "cell plain muted" }, "missing");
  const doubtful = found.reasons.length > 0 || found.confidence < DOUBTFUL;
  return meter(found.confidence, `cell plain${doubtful ? " doubt" : ""}`, 2, found.reasons.join(", "));
}

function score(value) {
  if (value === null) return element("span", { class: "cell" });
  return meter(value, value < DOUBTFUL ? "cell dice doubt" : "cell dice", 3);
}

function meter(value, kind, digits, title = null) {
  const bar = element("span", { class: "bar-full" });
  bar.style.width = `${100 * value}%`;
  return element("span", { class: kind, title: title || null },
    element("span", { class: "track", "aria-hidden": "true" }, bar), element("span", {}, number(value, digits)));
}

// The bones under the pointer, bundle by bundle.
export function tip(studies, bones, channelsOfEach) {
  return studies.map((study, place) => {
    const channels = channelsOfEach[place];
    const head = studies.length > 1 ? [element("p", { class: "tip-head" }, study.bundle)] : [];
    if (channels.length > 1) head.push(element("p", { class: "tip-head both" }, `${channels.length} bones overlap here`));
    if (!channels.length) head.push(element("p", { class: "muted" }, "no bone"));
    return element("div", { class: "tip-study" }, ...head, ...channels.map((channel) => {
      const found = study.bones[channel];
      const sizes = found.sizes;
      const size = sizes && sizes.length !== null
        ? `${number(sizes.length)} × ${number(sizes.width)} ${study.unit}` : "cut by the border";
      return element("div", { class: "tip-bone" }, swatch(bones[channel].colour),
        element("div", {}, element("strong", {}, capital(bones[channel].anatomical_name)),
          element("p", {}, `confidence ${number(found.confidence, 2)} · ${size}`),
          ...found.reasons.map((reason) => element("p", { class: "doubt" }, capital(reason)))));
    }));
  });
}

// All measurements of one bone.
export function showDetail(studies, bones, channel) {
  if (channel === null) {
    const hint = "Point at a bone, in the picture or in the list, to see its measurements.";
    find("#detail").replaceChildren(element("p", { class: "muted" }, hint));
    return;
  }
  const bone = bones[channel];
  const title = element("h3", {}, swatch(bone.colour), `${capital(bone.anatomical_name)} `,
    element("span", { class: "muted" }, bone.abbreviation));
  find("#detail").replaceChildren(title, ...studies.map((study) => sizesOf(study, channel, studies.length > 1)));
}

function sizesOf(study, channel, named) {
  const found = study.bones[channel];
  const { sizes } = found;
  const { unit } = study;
  const head = named ? element("p", { class: "tag" }, study.bundle) : null;
  if (!sizes) return element("div", {}, head, element("p", { class: "muted" }, "Missing."));
  const digits = unit === "mm" ? 1 : 0;
  const rows = [
    ["Length", number(sizes.length), unit], ["Width", number(sizes.width), unit],
    ["Area", number(sizes.area, digits), `${unit}²`], ["Perimeter", number(sizes.perimeter), unit],
    ["Angle", number(sizes.orientation_deg, 0), "°"], ["Brightness", number(sizes.mean_intensity, 2), ""],
  ];
  const reasons = sizes.is_cut ? [...found.reasons, "cut by the border of the picture"] : found.reasons;
  return element("div", {}, head,
    element("dl", { class: "sizes" }, ...rows.map(([name, value, of]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value, value === "–" ? "" : ` ${of}`)))),
    ...reasons.map((reason) => element("p", { class: "doubt" }, capital(reason))));
}

export function showMeasures(studies, bones) {
  find("#panel-measures").replaceChildren(...studies.flatMap((study) => [
    ...(studies.length > 1 ? [element("h3", { class: "of" }, study.bundle)] : []),
    indices(study), boneTable(study, bones), gapTable(study, bones),
  ]));
}

function indices(study) {
  return element("dl", { class: "indices" }, ...study.indices.map((index) =>
    element("div", {}, element("dt", {}, capital(index.label)),
      element("dd", {}, index.missing ? "–" : index.text,
        index.missing ? element("span", { class: "muted" }, ` ${index.missing}`) : null))));
}

function table(caption, heads, rows) {
  return element("table", {}, element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map(([first, ...others]) =>
      element("tr", {}, element("th", { scope: "row" }, ...first), ...others.map((cell) => element("td", {}, cell))))));
}

function boneTable(study, bones) {
  const { unit } = study;
  const heads = ["Bone", `Length, ${unit}`, `Width, ${unit}`, `Area, ${unit}²`, "Angle, °"];
  const rows = study.bones.map((found, channel) => {
    const { length, width, area, orientation_deg: angle } = found.sizes ?? {};
    const bone = bones[channel];
    const name = [swatch(bone.colour), element("abbr", { title: bone.anatomical_name }, bone.abbreviation)];
    return [name, number(length), number(width), number(area, unit === "mm" ? 1 : 0), number(angle, 0)];
  });
  return table("Sizes of the bones", heads, rows);
}

function gapTable(study, bones) {
  const names = Object.fromEntries(bones.map((bone) => [bone.bone, bone.abbreviation]));
  const rows = study.gaps.map((gap) =>
    [[gap.bones.map((bone) => names[bone]).join(" – ")], number(gap.distance), number(gap.overlap, study.unit === "mm" ? 1 : 0)]);
  const heads = ["Neighbours", `Distance, ${study.unit}`, `Overlap, ${study.unit}²`];
  return table("Gaps and overlaps of neighbours", heads, rows);
}

export function showFiles(studies) {
  find("#panel-files").replaceChildren(...studies.flatMap((study) => [
    ...(studies.length > 1 ? [element("h3", { class: "of" }, study.bundle)] : []),
    ...Object.entries(GROUPS).map(([group, title]) => element("div", { class: "files" },
      element("h3", {}, title),
      ...study.files.filter((one) => one.group === group).map((one) => download(study, one)))),
  ]));
}

function download(study, one) {
  if (one.problem) {
    return element("p", { class: "download off" }, element("span", {}, one.label), element("span", { class: "muted" }, one.problem));
  }
  return element("a", { class: "download", href: file(study.id, one.format), download: true, "data-format": one.format },
    element("span", {}, one.label), element("span", { class: "muted" }, one.name));
}
