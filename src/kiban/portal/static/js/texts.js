// What scripts say (templates/components/scripts.html), and where.

const texts = document.getElementById("texts")?.dataset ?? {};
export const language = document.documentElement.lang || "en";

/** A text by name, with its {values}. */
export const say = (name, values = {}) => (texts[name] ?? "").replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");

/** For screen readers alone. */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region) region.textContent = text;
}

/** A line at the edge of the page that goes after a while; what is a problem stays until it is closed. */
export function toast(text, { stays = false } = {}) {
  const region = document.getElementById("toasts");
  if (!region) return;
  const make = (tag, more) => Object.assign(document.createElement(tag), more);
  const line = make("div", { className: "toast" });
  const className = "button button-outline button-small";
  const onclick = () => line.remove();
  line.append(make("p", { textContent: text }), make("button", { textContent: say("close"), className, onclick }));
  region.replaceChildren(line);
  const leave = () => (line.matches(":hover, :focus-within") ? setTimeout(leave, 3000) : line.remove());
  if (!stays) setTimeout(leave, 8000);
}

/** Minutes and the like as people say them: the two largest units. */
export function duration(seconds) {
  const sizes = { day: 86400, hour: 3600, minute: 60, second: 1 };
  const units = Object.keys(sizes);
  const first = units.findIndex((unit) => seconds >= sizes[unit]);
  const parts = units.slice(first, first + 2).map((unit, place) => {
    const whole = Math.floor((place ? seconds % sizes[units[first]] : seconds) / sizes[unit]);
    return whole && new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(whole);
  });
  const text = parts.filter(Boolean).join(" ");
  return language === "ja" ? text.replaceAll(" ", "") : text;
}
