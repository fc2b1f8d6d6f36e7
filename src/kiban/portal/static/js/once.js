// A form is sent once: who clicks again while the answer is under way does not do the same twice.

const LONGEST_MS = 10000; // an answer may never come, and nothing tells that the reader has stopped waiting for it

const release = (form) => {
  form.removeAttribute("aria-busy");
  const line = form.querySelector("[data-solving]");
  if (line) line.textContent = "";
};

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  // What a script sends, it answers for; what opens another window leaves this one as it is.
  if (event.defaultPrevented || form.method !== "post" || submitter?.formTarget || form.target) return;
  if (form.hasAttribute("aria-busy")) {
    event.preventDefault();
    return;
  }
  form.setAttribute("aria-busy", "true");
  const line = form.querySelector("[data-solving]");
  if (line) line.textContent = line.dataset.solving;
  else setTimeout(release, LONGEST_MS, form);
});
// Coming back by the browser's history finds the forms ready again.
addEventListener("pageshow", ({ persisted }) => persisted && document.querySelectorAll("form[aria-busy]").forEach(release));
