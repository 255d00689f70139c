"use strict";

const keyOf = (row, column) => row.cells[column].dataset.key;

/* Numbers as numbers, all else as text; what is not known stands last either way. */
function sortTable(table, column, descending) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const known = rows.map((row) => keyOf(row, column)).filter((key) => key !== "");
  const isNumeric = known.every((key) => Number.isFinite(Number(key)));
  const sign = descending ? -1 : 1;
  rows.sort((first, second) => {
    const [a, b] = [keyOf(first, column), keyOf(second, column)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (isNumeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", ({ target }) => {
    const head = target.closest("th");
    if (!head) return;
    const descending = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sortTable(table, head.cellIndex, descending);
  });
}
