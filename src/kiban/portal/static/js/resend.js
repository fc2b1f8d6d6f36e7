// What a form could not send in the background is sent again: after a while, back on the network, on coming back to the
// window, and as soon as one has signed in again in another.

const SESSION = "kiban-session";
const PASSING = new Set([0, 401, 403, 408, 429]); // and what went wrong at the office

const person = document.body.dataset.person;

/** Tells other windows that this person has a session. */
export function tellSession() {
  const channel = new BroadcastChannel(SESSION);
  channel.postMessage(person);
  channel.close();
}

/** A session that was opened anew has another token; the forms take it over, unless it is somebody else's. */
async function takeToken(form) {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const token = page.querySelector("[name=csrf_token]")?.value;
  if (!token || page.body.dataset.person !== person || token === form.elements.namedItem("csrf_token").value) return false;
  for (const field of document.querySelectorAll("[name=csrf_token]")) field.value = token;
  return true;
}

/** Returns what is to be told the status of every answer (0: none came); it says whether the form waits to be sent again. */
export function resending(form, send) {
  let failures = 0;
  let timer = 0;
  const again = () => {
    clearTimeout(timer);
    if (failures) send();
  };
  addEventListener("online", again);
  addEventListener("focus", again);
  document.addEventListener("visibilitychange", () => document.hidden || again());
  new BroadcastChannel(SESSION).onmessage = ({ data }) => data === person && again();

  return async (status) => {
    clearTimeout(timer);
    if (!PASSING.has(status) && status < 500) {
      if (failures) document.getElementById("signed-out")?.close();
      failures = 0;
      return false;
    }
    failures += 1;
    if (status === 403 && (await takeToken(form).catch(() => false))) {
      send();
      return false;
    }
    // Without a session it is no use to ask again and again.
    if (status !== 401) timer = setTimeout(again, Math.min(60000, 2000 * 2 ** failures));
    return true;
  };
}
