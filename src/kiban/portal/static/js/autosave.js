// <form data-autosave>: sends itself in the background a while after one stopped typing (its hx-trigger is `autosave`), one
// save after the other. The version that the next save starts from comes back in a field data-version. With
// data-autosave="at-once" what is chosen, unlike what is typed, is saved without waiting.

import { resending } from "./resend.js";

const TYPED = 1500; // milliseconds without typing
const CHOSEN = 200; // by the keyboard one comes past other choices

for (const form of document.querySelectorAll("form[data-autosave]")) {
  const isAtOnce = form.dataset.autosave === "at-once";
  let timer = 0;
  let isSaving = false;
  let isDirty = false;
  let waiting = null; // the button that was pressed while a save was under way

  const save = () => {
    clearTimeout(timer);
    if (isSaving) isDirty = true;
    else if (form.querySelector("[data-version]")) {
      isSaving = true;
      isDirty = false;
      window.htmx.trigger(form, "autosave");
    } // else saved in another window meanwhile: which of the two counts is for the person to say
  };
  const soon = (pause) => {
    clearTimeout(timer);
    timer = setTimeout(save, pause);
  };

  form.addEventListener("input", ({ target }) => soon(isAtOnce && target.type === "radio" ? CHOSEN : TYPED));
  if (isAtOnce) form.addEventListener("change", () => soon(CHOSEN));
  const resend = resending(form, save);
  document.addEventListener("htmx:finally:request", async ({ target, detail }) => {
    if ((detail.ctx?.sourceElement ?? target) !== form) return;
    isSaving = false;
    const version = form.querySelector("[data-version]");
    if (version) form.dataset.draftVersion = version.value;
    if (waiting) form.requestSubmit(waiting);
    else if (!(await resend(detail.ctx?.response?.status ?? 0)) && isDirty) save();
  });
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    if (!isSaving) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    waiting = event.submitter;
  });
}
