// The review console: lets one score by keys. They are off while one types, and for who has turned single keys off
// (keys.js). autosave.js does the saving.

import "./autosave.js";

const form = document.querySelector("form[data-review]");
const criteria = [...form.querySelectorAll("[data-criterion]")];

const isOff = () => localStorage.getItem("kiban-keys-off") !== null;
const isFocused = (criterion) => criterion.contains(document.activeElement);
let here = Math.max(
  criteria.findIndex((criterion) => !criterion.querySelector("input:checked")),
  0,
);

function mark() {
  criteria.forEach((criterion, place) => criterion.classList.toggle("criterion-here", place === here));
}

function go(step) {
  // Into the criteria first, at the one that is marked.
  if (criteria.some(isFocused)) here = Math.min(Math.max(here + step, 0), criteria.length - 1);
  const criterion = criteria[here];
  (criterion.querySelector("input:checked") ?? criterion.querySelector("input")).focus();
  criterion.scrollIntoView({ block: "nearest" });
}

form.addEventListener("focusin", ({ target }) => {
  const found = criteria.indexOf(target.closest("[data-criterion]"));
  if (found >= 0) here = found;
  mark();
});

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isOff()) return;
  if (target.closest("input:not([type=radio]), textarea, select, dialog[open]")) return;
  const isIn = target.closest("[data-criterion]") !== null;
  const step = { j: 1, k: -1, ...(isIn && { ArrowDown: 1, ArrowUp: -1 }) }[key];
  if (step) go(step);
  else if (/^\d$/.test(key)) {
    const point = criteria[here].querySelector(`input[value="${key}"]`);
    if (!point) return;
    point.focus();
    point.click();
  } else return;
  event.preventDefault();
});

mark();
