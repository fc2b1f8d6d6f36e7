// How long is left until <… data-until="2026-11-30T17:00:00+09:00">.

import { announce, duration, say } from "./texts.js";

const HOUR = 3600;
const SOON = 600;
const told = new Map(); // element: what was left when it was last shown
let ahead = 0; // milliseconds that the server's clock is ahead

const overdue = (element) => element.dataset.over ?? say("over");

function show(element) {
  const left = Math.floor((Date.parse(element.dataset.until) - Date.now() - ahead) / 1000);
  const text = left > 0 ? say("left", { time: duration(left < SOON ? left : left - (left % 60)) }) : overdue(element);
  if (element.textContent !== text) element.textContent = text;
  element.classList.toggle("countdown-soon", left > 0 && left < 24 * HOUR);
  const before = told.get(element);
  for (const mark of [HOUR, SOON]) if (before > mark && left <= mark && left > 0) announce(text);
  if (before > 0 && left <= 0) announce(text);
  told.set(element, left);
  return left;
}

function tick() {
  const lefts = [...document.querySelectorAll("[data-until]")].map(show).filter((left) => left > 0);
  const next = Math.min(...lefts);
  setTimeout(tick, next < SOON + 60 ? 1000 - ((Date.now() + ahead) % 1000) : 15000);
  return next;
}

document.addEventListener("htmx:after:swap", () => document.querySelectorAll("[data-until]").forEach(show));

// On the last day it matters that this machine's clock may be wrong.
if (tick() < 24 * HOUR) {
  const asked = Date.now();
  fetch(import.meta.url, { method: "HEAD", cache: "no-store" })
    .then((answer) => {
      const now = Date.parse(answer.headers.get("date"));
      const off = now + 500 - (asked + Date.now()) / 2;
      if (Math.abs(off) > 2000) ahead = off;
    })
    .catch(() => {});
}
