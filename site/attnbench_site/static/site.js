// Sorts and filters tables that are complete without it, and switches the theme.
"use strict";

const remembered = {
  get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },  // storage may be forbidden
  set: (theme) => { try { localStorage.setItem("theme", theme); } catch { /* then it lasts for this page */ } },
};
const theme = remembered.get();
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

function enableTheme() {
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
      || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    remembered.set(document.documentElement.dataset.theme);
  });
}

function key(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}

function sort(table, header) {
  const column = header.cellIndex;
  const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const sign = direction === "ascending" ? 1 : -1;
  const compare = (a, b) => sign * key(a, column).localeCompare(key(b, column), "en", { numeric: true });
  const compareNumbers = (a, b) => sign * (Number(key(a, column)) - Number(key(b, column)));
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.sort(header.classList.contains("number") ? compareNumbers : compare);
  body.append(...rows);
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
}

function enableSorting(table) {
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, header));
    header.append(button);
  }
}

function enableFilter(box) {
  const below = (row) => box.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING;
  const rows = [...document.querySelectorAll(".sortable tbody tr")].filter(below);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const input = document.createElement("input");
  const count = document.createElement("output");
  input.type = "search";
  input.placeholder = `Filter ${box.dataset.noun}`;
  input.setAttribute("aria-label", input.placeholder);

  const apply = () => {
    const terms = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, index) => { row.hidden = !terms.every((term) => texts[index].includes(term)); });
    const hidden = rows.filter((row) => row.hidden).length;
    count.textContent = hidden ? `${rows.length - hidden} of ${rows.length}, ${hidden} hidden` : "";
  };
  const restore = () => {
    const wanted = new URLSearchParams(location.hash.slice(1)).get("q");
    if (wanted !== null) input.value = wanted;
    apply();
  };
  input.addEventListener("input", () => {
    apply();
    history.replaceState(null, "", `#${new URLSearchParams(input.value ? { q: input.value } : {})}`);
  });
  addEventListener("hashchange", restore);
  box.append(input, count);
  box.hidden = false;
  restore();
}

document.addEventListener("DOMContentLoaded", () => {
  enableTheme();
  document.querySelectorAll("table.sortable").forEach(enableSorting);
  document.querySelectorAll(".filter").forEach(enableFilter);
});
