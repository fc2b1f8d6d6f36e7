// Keeps what one types into <form data-draft="key"> until the server has it (data-saved="key" in an answer, or a notice
// after a change). Kept by person, and forgotten at sign-out (data-clears-drafts): machines are shared. What was typed
// over one data-draft-version is offered over another, not put in.

import { language, say } from "./texts.js";

const PREFIX = "kiban-draft:";
const SENT = "kiban-sent";
const MONTH = 30 * 86400e3;
const UNKEPT = /^(password|file|hidden|submit|button|reset|image|fieldset|output)$/;
const person = document.body.dataset.person; // of nobody nothing is kept
const sent = new Map(); // form: what it held when it was last sent in the background
const waiting = new Map(); // form: timer

const isDrafted = (form) => Boolean(person && form?.matches("[data-draft]"));
const drafted = () => [...document.querySelectorAll("form[data-draft]")].filter(isDrafted);
const placeOf = (form) => `${PREFIX}${person}:${form.dataset.draft}`;
const versionOf = (form) => form.dataset.draftVersion ?? "";
const isTicked = (field) => field.type === "checkbox" || field.type === "radio";
const kept = (form) =>
  [...form.elements].filter((field) => field.name && !UNKEPT.test(field.type) && !field.matches("[data-no-draft]"));
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function read(form) {
  const values = {};
  for (const field of kept(form)) {
    const list = (values[field.name] ??= []);
    if (!isTicked(field) || field.checked) list.push(field.value);
  }
  return values;
}

/** Puts values back; returns those that the form has no field for, such as rows that were added. */
function fill(form, values) {
  const rest = structuredClone(values);
  for (const field of kept(form)) {
    const list = rest[field.name];
    if (!list) continue;
    if (isTicked(field)) field.checked = list.includes(field.value);
    else if (list.length) field.value = list.shift();
  }
  for (const field of kept(form)) {
    if (isTicked(field)) delete rest[field.name];
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  return Object.entries(rest).filter(([, list]) => list.join(""));
}

function store(form) {
  const draft = { at: Date.now(), version: versionOf(form), values: read(form) };
  try {
    localStorage.setItem(placeOf(form), JSON.stringify(draft));
  } catch {
    // The store is full or forbidden.
  }
}

function flush(form) {
  clearTimeout(waiting.get(form));
  if (waiting.delete(form)) store(form);
}

function forget(form) {
  clearTimeout(waiting.get(form));
  waiting.delete(form);
  localStorage.removeItem(placeOf(form));
}

function tell(form, text, rest, acts) {
  const bar = document.importNode(document.getElementById("draft-notice").content.firstElementChild, true);
  bar.querySelector("[data-text]").textContent = text;
  for (const [name, values] of rest) {
    bar.querySelector("[data-rest]").append(`${name}: ${values.join(" / ")}\n`);
  }
  bar.querySelector("details").hidden = !rest.length;
  for (const button of bar.querySelectorAll("[data-act]")) {
    const act = acts[button.dataset.act];
    button.hidden = !act;
    button.onclick = () => {
      bar.remove();
      act();
    };
  }
  form.before(bar);
}

function restore(form) {
  const draft = JSON.parse(localStorage.getItem(placeOf(form)));
  const given = read(form);
  if (!draft || Date.now() - draft.at > MONTH) return forget(form);
  if (same(draft.values, given)) return document.querySelector("[data-failure]") ? null : forget(form);
  const dateStyle = Date.now() - draft.at > MONTH / 60 ? "medium" : undefined;
  const time = new Date(draft.at).toLocaleString(language, { dateStyle, timeStyle: "short" });
  const discard = () => {
    fill(form, given);
    forget(form);
  };
  const put = () => tell(form, say("restored", { time }), fill(form, draft.values), { keep() {}, discard });
  if (draft.version === versionOf(form)) put();
  else tell(form, say("offered", { time }), [], { put, discard });
}

function confirmed() {
  for (const { dataset } of document.querySelectorAll("[data-saved]")) {
    for (const form of drafted().filter((each) => each.dataset.draft === dataset.saved)) {
      // What was typed while the save was under way is not saved yet.
      if (!sent.has(form) || same(sent.get(form), read(form))) forget(form);
    }
  }
}

document.addEventListener("input", ({ target: { form }, isTrusted }) => {
  if (!isTrusted || !isDrafted(form)) return;
  clearTimeout(waiting.get(form));
  waiting.set(form, setTimeout(flush, 400, form));
});
addEventListener("pagehide", () => [...waiting.keys()].forEach(flush));
document.addEventListener("submit", ({ target: form, submitter }) => {
  if (submitter?.matches("[data-clears-drafts]")) {
    for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
  } else if (isDrafted(form)) {
    waiting.set(form, 0);
    flush(form);
    sessionStorage.setItem(SENT, placeOf(form));
  }
});
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  const form = ctx.sourceElement.closest("form");
  sessionStorage.removeItem(SENT); // the page stays, and answers for itself
  if (isDrafted(form)) sent.set(form, read(form));
});
document.addEventListener("htmx:after:swap", confirmed);

if (document.querySelector("[data-notice]")) localStorage.removeItem(sessionStorage.getItem(SENT));
sessionStorage.removeItem(SENT);
confirmed();
drafted().forEach(restore);
