// The form of a proposal: tells whether it is saved, keeps the version that the next save starts from, adds rows without
// leaving the page, and sends again what could not be sent. htmx does the saving (hx-post of the form).

import "./page.js";
import { resending } from "./resend.js";

const form = document.getElementById("proposal-form");
const version = form.elements.namedItem("expected_version");
let isSaving = false;
let then = null; // the button that was pressed while a save was under way

const state = () => document.getElementById("save-state");

function tell(name) {
  const element = state();
  element.classList.toggle("save-state-failed", name === "failed");
  let line = element.querySelector("[data-save-text]");
  if (!line) {
    line = document.createElement("p");
    line.dataset.saveText = "";
    element.replaceChildren(line);
  }
  line.textContent = element.dataset[name];
}

const save = () => form.dispatchEvent(new Event("autosave"));

const resend = resending(form, save);

form.addEventListener("input", () => {
  if (!isSaving) tell("waiting");
});

form.addEventListener("htmx:before:request", () => {
  isSaving = true;
  tell("saving");
});

document.addEventListener("htmx:after:swap", () => {
  const saved = state()?.dataset.version;
  if (!saved) return;
  version.value = saved;
  form.dataset.draftVersion = saved;
});

form.addEventListener("htmx:finally:request", async ({ detail }) => {
  isSaving = false;
  const status = detail.ctx?.response?.status ?? 0;
  if (await resend(status)) tell("failed");
  if (then && status < 400 && status > 0) {
    const button = then;
    then = null;
    form.requestSubmit(button);
  }
  then = null;
});

// A save by hand starts from the version that the save under way will have made.
form.addEventListener(
  "submit",
  (event) => {
    const { submitter } = event;
    if (submitter?.name === "_add" || submitter?.name === "_remove") {
      event.preventDefault();
      event.stopPropagation();
      changeRows(submitter);
    } else if (isSaving && !submitter?.formAction.endsWith("/plan")) {
      event.preventDefault();
      event.stopPropagation();
      then = submitter ?? form.querySelector("button[type=submit]");
    }
  },
  true,
);

/** The server makes the page with a row more or less; of it, only that list is taken. */
async function changeRows(button) {
  const name = button.name === "_add" ? button.value : button.value.replace(/\.\d+$/, "");
  const id = `field-${name}`;
  const body = new URLSearchParams(new FormData(form, button));
  try {
    const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const made = page.getElementById(id);
    if (!made) throw new Error("no such list");
    document.getElementById(id).replaceWith(document.adoptNode(made));
    const rows = made.querySelectorAll(":scope > .row");
    const target = button.name === "_add" ? rows[rows.length - 1]?.querySelector("input:not([type=hidden]), select") : made;
    target?.focus();
    save();
  } catch {
    tell("failed");
    resend(0);
  }
}

// A page that comes back from the browser's memory may be older than what was saved since.
addEventListener("pageshow", (event) => event.persisted && location.reload());
