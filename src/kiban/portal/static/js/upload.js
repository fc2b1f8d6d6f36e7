// How far a file has been sent (<form data-upload>), and printing (<button data-print>). Without this the form is sent
// as any other.

import { announce } from "./texts.js";

for (const form of document.querySelectorAll("form[data-upload]")) {
  const field = form.querySelector("input[type=file]");
  const line = form.querySelector(".upload-progress");
  const bar = line.querySelector("progress");
  const words = line.querySelector("[role=status]");

  field.addEventListener("change", () => {
    const isTooLarge = field.files[0]?.size > Number(form.dataset.limitBytes);
    field.setCustomValidity(isTooLarge ? form.dataset.tooLarge : "");
    field.reportValidity();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    line.hidden = false;
    request.upload.onprogress = ({ loaded, total }) => {
      bar.value = Math.floor((100 * loaded) / total);
      words.textContent =
        loaded < total ? form.dataset.progress.replace("{percent}", bar.value) : form.dataset.checking;
    };
    request.onerror = () => {
      line.hidden = true;
      field.setCustomValidity(form.dataset.broken);
      field.reportValidity();
      announce(form.dataset.broken);
      field.setCustomValidity("");
    };
    request.onload = () => {
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const failure = page.querySelector("[data-failure]");
      if (!failure && request.status < 400) {
        location.assign(request.responseURL);
        return;
      }
      line.hidden = true;
      document.querySelector("main [data-failure]")?.remove();
      if (failure) {
        document.getElementById("main").prepend(document.adoptNode(failure));
        failure.tabIndex = -1;
        failure.focus();
      } else {
        HTMLFormElement.prototype.submit.call(form);
      }
    };
    request.open("POST", form.action);
    request.send(new FormData(form));
  });
}

for (const button of document.querySelectorAll("[data-print]")) button.onclick = () => print();
