// The page's scripts, and what htmx's answers need beside being put in.

import "./countdown.js";
import "./dialogs.js";
import "./drafts.js";
import "./fields.js";
import "./keys.js";
import "./once.js";
import { tellSession } from "./resend.js";
import { announce, say, toast } from "./texts.js";

/** To what is wrong with a form, if anything is. */
function look() {
  const found = document.querySelector(".error-summary:not(.sample *), [data-failure]");
  if (found) found.tabIndex = -1;
  found?.focus();
  return found;
}

if (document.body.dataset.person) tellSession();
look();
document.addEventListener("htmx:after:swap", () => {
  if (!look()) announce(document.querySelector("[data-announce]")?.textContent.trim() ?? "");
});

// A page to sign in at is no part of this one.
document.addEventListener("htmx:before:response", (event) => {
  const { status, raw } = event.detail.ctx.response;
  if (status !== 401 && !(raw.redirected && new URL(raw.url).pathname === say("signIn"))) return;
  event.preventDefault();
  const dialog = document.getElementById("signed-out");
  if (dialog && !dialog.open) dialog.showModal();
});
document.addEventListener("htmx:error", () => toast(say(navigator.onLine ? "notSent" : "offline"), { stays: true }));
