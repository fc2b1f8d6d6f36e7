// Single keys: data-key="j" marks what `j` does, and `?` lists them. None while one types, and none at all for who has
// turned them off (WCAG 2.1.4).

const OFF = "kiban-keys-off";
const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
const list = document.getElementById("key-list");
const isOff = () => localStorage.getItem(OFF) !== null;
const make = (tag, textContent) => Object.assign(document.createElement(tag), { textContent });

function show() {
  const rows = [...document.querySelectorAll("[data-key]")].map((element) => {
    const { key, keyName } = element.dataset;
    const name = keyName ?? element.ariaLabel ?? (element.labels?.[0] ?? element).textContent;
    const [row, term] = [make("div", ""), make("dt", "")];
    term.append(make("kbd", key));
    row.append(term, make("dd", name.trim()));
    return row;
  });
  list.querySelector("[data-keys]").replaceChildren(...rows);
  list.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (isOff() || event.target.closest(TYPING) || document.querySelector("dialog[open]")) return;
  const marked = [...document.querySelectorAll(`[data-key="${CSS.escape(event.key)}"]`)];
  const target = marked.find((element) => element.checkVisibility() && !element.disabled);
  if (!target && event.key !== "?") return;
  event.preventDefault();
  if (!target) return show();
  target.focus();
  if (!target.matches(TYPING)) target.click();
});

const choice = list?.querySelector("[data-keys-on]");
if (choice) {
  choice.checked = !isOff();
  choice.onchange = () => (choice.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"));
}
document.addEventListener("click", ({ target }) => target.closest?.("[data-show-keys]") && show());
