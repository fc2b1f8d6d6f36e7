// Answers as they are written. Without this script the form brings a whole answer with the next page.

const form = document.getElementById("playground");
const texts = document.getElementById("playground-texts")?.dataset;
const turns = document.getElementById("turns");

if (form && texts) {
  const prompt = form.elements.prompt;
  const [stop, save, state] = ["[data-stop]", "[data-save]", "[data-state]"].map((each) => form.querySelector(each));
  let running = null;

  const count = () => turns.children.length;
  save.hidden = count() === 0;

  function add(role, content) {
    const item = document.getElementById("turn").content.cloneNode(true).firstElementChild;
    item.classList.add(`turn-${role}`);
    const who = item.querySelector(".turn-who");
    who.textContent = role === "user" ? who.dataset.you : who.dataset.model;
    item.querySelector(".turn-text").textContent = content;
    item.dataset.role = role;
    turns.append(item);
    item.scrollIntoView({ block: "nearest" });
    return item;
  }

  /** What the server needs to know of a turn that is done: the page holds the conversation. */
  function settle(item) {
    const number = [...turns.children].indexOf(item);
    for (const [name, value] of [["role", item.dataset.role], ["content", item.querySelector(".turn-text").textContent]]) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = `turns.${number}.${name}`;
      field.value = value;
      item.append(field);
    }
  }

  async function* events(response) {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body) {
      rest += decoder.decode(chunk, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const [name, data] = block.split("\n");
        yield [name.slice(7), JSON.parse(data.slice(6))];
      }
    }
  }

  function write(text) {
    prompt.value = text;
    prompt.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function tell(text) {
    state.textContent = text;
  }

  function show(failure) {
    const shown = document.createElement("p");
    shown.className = "field-error";
    shown.setAttribute("role", "alert");
    shown.textContent = failure;
    turns.after(shown);
  }

  async function ask() {
    document.querySelectorAll("#turns + .field-error").forEach((each) => each.remove());
    const asked = prompt.value.trim();
    if (!asked) return prompt.focus();
    const sent = new URLSearchParams(new FormData(form));
    running = new AbortController();
    stop.hidden = false;
    const mine = add("user", asked);
    write("");
    let answer = null;
    try {
      const response = await fetch(form.dataset.stream, { method: "POST", body: sent, signal: running.signal });
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        throw new Error(page.querySelector("main .banner-title, main p")?.textContent.trim() || texts.broken);
      }
      tell(texts.writing);
      answer = add("assistant", "");
      const place = answer.querySelector(".turn-text");
      for await (const [name, data] of events(response)) {
        if (name === "text") place.append(data.text);
        if (name === "model") {
          const model = answer.querySelector(".turn-model");
          model.querySelector("bdi").textContent = data.name;
          model.querySelector("code").textContent = data.digest.slice(0, 12);
          model.hidden = false;
        }
        if (name === "end") tell(data.finish === "length" ? texts.cut : texts.done);
        if (name === "error") throw new Error([data.message, data.hint].filter(Boolean).join(" "));
      }
    } catch (error) {
      if (error.name === "AbortError") tell(texts.stopped);
      else show(error instanceof TypeError ? texts.broken : error.message);
    }
    // A question without any answer goes back to where it was written.
    if (answer?.querySelector(".turn-text").textContent) {
      settle(mine);
      settle(answer);
    } else {
      answer?.remove();
      mine.remove();
      write(prompt.value || asked);
    }
    running = null;
    stop.hidden = true;
    save.hidden = count() === 0;
    prompt.focus();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running) ask();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) form.requestSubmit();
  });
  stop.addEventListener("click", () => running?.abort());
  save.addEventListener("click", () => {
    const said = [...turns.children].map((item) => ({
      who: item.querySelector(".turn-who").textContent,
      text: item.querySelector(".turn-text").textContent,
      model: item.querySelector(".turn-model bdi")?.textContent || undefined,
      digest: item.querySelector(".turn-model code")?.textContent || undefined,
    }));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(said, null, 2)], { type: "application/json" }));
    link.download = "conversation.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
