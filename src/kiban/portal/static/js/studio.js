// The budget's slider follows the field and the other way round.

const field = document.querySelector("[data-budget]");
const slider = document.querySelector("[data-budget-slider]");

if (field && slider) {
  const budget = Number(slider.dataset.callBudget);
  slider.addEventListener("input", () => {
    // No study is of no money at all.
    field.value = String(Math.max(1, Math.round((budget * Number(slider.value)) / 100)));
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  field.addEventListener("input", (event) => {
    const yen = Number(field.value.replaceAll(/[,，\s]/g, ""));
    if (event.isTrusted && yen > 0) slider.value = String(Math.round((100 * yen) / budget));
  });
}
