"use strict";

const table = document.querySelector("table");
const body = table.tBodies[0];
const head = table.tHead.rows[0];
const search = document.querySelector("#search");
const count = document.querySelector(".search output");
const key = (row, column) => row.cells[column].dataset.key;

/* Numbers as numbers, all else as text; what is not known stands last either way. */
function compare(first, second) {
  const [a, b] = [Number(first), Number(second)];
  return Number.isNaN(a) || Number.isNaN(b) ? first.localeCompare(second, undefined, { numeric: true }) : a - b;
}

function sort(column, descending) {
  const rows = [...body.rows];
  rows.sort((a, b) => {
    const [first, second] = [key(a, column), key(b, column)];
    if (!first || !second) return (first === "") - (second === "");
    return descending ? compare(second, first) : compare(first, second);
  });
  body.append(...rows);
  for (const cell of head.cells) cell.removeAttribute("aria-sort");
  head.cells[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of body.rows) {
    row.hidden = !words.every((word) => row.dataset.search.includes(word));
    shown += !row.hidden;
  }
  count.textContent = words.length ? `${shown} of ${body.rows.length}` : "";
}

head.addEventListener("click", (event) => {
  const cell = event.target.closest("th");
  if (cell) sort(cell.cellIndex, cell.getAttribute("aria-sort") === "ascending");
});
search.addEventListener("input", filter);
document.querySelector(".search").hidden = false;
filter();
