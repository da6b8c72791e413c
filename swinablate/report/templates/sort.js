// Sorts a table by a column: numbers by value, words by letter; empty cells stay last.
for (const head of document.querySelectorAll("table.sortable thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    const cell = (row) => row.cells[column];
    const text = (row) => cell(row)?.dataset.value ?? cell(row)?.textContent.trim().replaceAll("\u2212", "-") ?? "";
    const value = (row) => /^[-+]?\d/.test(text(row)) ? parseFloat(text(row)) : NaN;
    const empty = (row) => ["", "\u2013"].includes(text(row));
    const rows = [...body.rows].filter((row) => !row.classList.contains("baseline"));
    rows.sort((a, b) => {
      if (empty(a) || empty(b)) return empty(a) - empty(b);
      const gap = value(a) - value(b);
      const found = Number.isNaN(gap) ? text(a).localeCompare(text(b)) : gap;
      return up ? found : -found;
    });
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...rows);
  });
}
