// The review console: saves as one goes, one save after the other, and lets one score by keys. Keys are off while one
// types, and for who has turned single keys off (keys.js).

const form = document.querySelector("form[data-review]");
const criteria = [...form.querySelectorAll("[data-criterion]")];
const PAUSE = 1500; // milliseconds without typing
let timer = 0;
let isSaving = false;
let isDirty = false;
let waiting = null; // the button that was pressed while a save was under way

// --- saving

function save() {
  clearTimeout(timer);
  timer = 0;
  // The version of the draft comes back with each answer, so a save waits for the one before.
  if (isSaving) isDirty = true;
  else if (form.querySelector("[data-version]")) {
    isSaving = true;
    isDirty = false;
    window.htmx.trigger(form, "autosave");
  } // else saved in another window meanwhile: which of the two counts is for the person to say
}

function soon(pause) {
  clearTimeout(timer);
  timer = setTimeout(save, pause);
}

form.addEventListener("input", ({ target }) => soon(target.type === "radio" ? 200 : PAUSE));
form.addEventListener("change", () => soon(200));

document.addEventListener("htmx:finally:request", ({ target, detail }) => {
  if ((detail.ctx?.sourceElement ?? target) !== form) return;
  isSaving = false;
  const version = form.querySelector("[data-version]");
  if (version) form.dataset.draftVersion = version.value;
  if (waiting) form.requestSubmit(waiting);
  else if (isDirty) save();
});

form.addEventListener("submit", (event) => {
  clearTimeout(timer);
  if (!isSaving) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  waiting = event.submitter;
});

// --- keys

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
