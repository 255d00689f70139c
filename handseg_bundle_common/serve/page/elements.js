// Elements of the page, made without a word of markup, so that names of files stay text.

export const find = (selector) => document.querySelector(selector);

export function element(kind, attributes = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function swatch(colour) {
  const made = element("span", { class: "swatch", "aria-hidden": "true" });
  made.style.backgroundColor = colour;
  return made;
}

export const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
