// Pieces and tensors: what is under the pointer or the keyboard's focus is told in the line above, and the arrow keys
// go from one to the next. Each text or table is one stop of the Tab key.
const cell = (event) => event.target.closest?.("[data-cell]");
const tell = (event) => {
  const at = cell(event);
  const line = element.querySelector(".cell-detail");
  if (at && line) line.textContent = `${at.textContent} — ${at.title}`;
};
element.addEventListener("focusin", tell);
element.addEventListener("pointerover", tell);

const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

// The cell so many columns and rows further; pieces of a text have one row.
const further = (from, [columns, rows]) => {
  const all = [...from.closest("[data-roving]").querySelectorAll("[data-cell]")];
  if (from.tagName !== "TD") return all[all.indexOf(from) + columns + rows];
  if (!rows) return all.filter((other) => other.parentNode === from.parentNode)[from.cellIndex - 1 + columns];
  const lines = [...new Set(all.map((other) => other.parentNode))];
  return lines[lines.indexOf(from.parentNode) + rows]?.cells[from.cellIndex];
};
element.addEventListener("keydown", (event) => {
  const from = cell(event);
  const next = from && STEPS[event.key] && further(from, STEPS[event.key]);
  if (!next) return;
  event.preventDefault();
  from.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
