// Beside fields: how many characters are left, and how an amount of yen is read.

import { announce, language, say } from "./texts.js";

const UNITS = Object.entries({ 兆: 1e12, 億: 1e8, 万: 1e4, "": 1 });
const figures = new Intl.NumberFormat(language);
let later = 0;

/** Counted as the server does: by code points. Returns what is worth announcing. */
function count(field, note) {
  const limit = Number(field.dataset.limit);
  const used = [...field.value.trim()].length;
  const [isOver, over] = [used > limit, figures.format(used - limit)];
  note.classList.toggle("field-note-over", isOver);
  const shown = { count: figures.format(used), limit: figures.format(limit), over };
  note.textContent = say(isOver ? "tooMany" : "count", shown);
  return used > limit * 0.9 ? note.textContent : "";
}

/** 1億2,000万 and １２０，０００，０００ are both 120000000; null for what is no amount. */
function readYen(text) {
  let rest = text.normalize("NFKC").replace(/[,\s¥円]|yen/g, "");
  let sum = 0;
  for (const [unit, size] of UNITS) {
    const [, digits, after] = rest.match(new RegExp(`^(\\d+(?:\\.\\d+)?)${unit || "$"}(.*)$`)) ?? [];
    if (!digits) continue;
    sum += Math.round(digits * size);
    rest = after;
    if (!rest) return sum;
  }
  return null;
}

function yenText(yen) {
  const exact = say("yen", { amount: figures.format(yen) });
  if (language !== "ja" || yen < 10000) return exact;
  const parts = UNITS.map(([unit, size]) => [Math.floor((yen / size) % 10000), unit]).filter(([part]) => part);
  return `${say("yen", { amount: parts.map(([part, unit]) => figures.format(part) + unit).join("") })} (${exact})`;
}

function refresh(field) {
  const note = document.getElementById(`${field.id}-note`);
  if (field.matches("textarea[data-limit]")) return count(field, note);
  if (!field.matches("input[data-yen]")) return "";
  const yen = readYen(field.value);
  note.textContent = field.value.trim() && (yen === null ? say("notYen") : yenText(yen));
  return "";
}

const refreshAll = () => document.querySelectorAll("textarea[data-limit], input[data-yen]").forEach(refresh);

document.addEventListener("input", ({ target }) => {
  clearTimeout(later);
  const said = refresh(target);
  if (said) later = setTimeout(announce, 1500, said);
});
document.addEventListener("htmx:after:swap", refreshAll);
refreshAll();
