// Opens a <dialog> of this page instead of the page that a link leads to; copies what stands beside a button.

import { say, toast } from "./texts.js";

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = Object.assign(document.createElement("textarea"), { value: text }); // without TLS
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

document.addEventListener("click", (event) => {
  const found = event.target.closest?.("[data-dialog], [data-close], [data-copy]");
  if (!found || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { dialog: id, copy: text } = found.dataset;
  const dialog = id === undefined ? found.closest("dialog") : document.getElementById(id);
  if (text !== undefined) {
    copy(text).then(
      () => toast(say("copied")),
      () => toast(say("notCopied")),
    );
  } else if (dialog) {
    event.preventDefault();
    if (id === undefined) dialog.close();
    else dialog.showModal();
  }
});
