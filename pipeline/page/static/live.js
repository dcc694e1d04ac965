// Keeps an open page up to date. The server says that something is new (/live); this asks for the same page again and
// takes over the parts marked `data-live`. Without JavaScript the page is the same, as of when it was loaded.
"use strict";
(() => {
  const LEAST_MS = 1000;
  const SETTLE_MS = 5000;
  const SAFETY_MS = 60000;
  const pulse = document.getElementById("pulse");
  const pause = document.getElementById("pause");
  let paused = false;
  let busy = false;
  let wanted = false;
  let urgent = false;
  let cost = 0;
  let timer = 0;

  function say(state) {
    if (!pulse) return;
    pulse.dataset.state = state;
    pulse.querySelector(".word").textContent = pulse.dataset[`${state}Word`];
  }

  function keys(root) {
    return new Set([...root.querySelectorAll("[data-key]")].map((node) => node.dataset.key));
  }

  function takeOver(part, fresh) {
    if (part.outerHTML === fresh.outerHTML) return;
    // Whoever has marked words to copy them keeps them; whoever stands on a link stays on it.
    const selection = getSelection();
    if (!selection.isCollapsed && part.contains(selection.anchorNode)) return;
    const focus = part.contains(document.activeElement) ? document.activeElement : null;
    const twin = focus && [...fresh.querySelectorAll(focus.tagName)]
      .find((node) => node.getAttribute("href") === focus.getAttribute("href"));
    if (focus && !twin) return;
    const known = keys(part);
    const isFirst = part.childElementCount === 0 || (known.size === 0 && part.id !== "banner");
    for (const node of fresh.querySelectorAll("[data-key]")) {
      if (!isFirst || part.id === "banner") node.classList.toggle("fresh", !known.has(node.dataset.key));
    }
    part.replaceWith(fresh);
    if (twin) twin.focus({ preventScroll: true });
  }

  async function refresh() {
    if (busy) { wanted = true; return; }
    busy = true;
    wanted = false;
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); return; }
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of document.querySelectorAll("[data-live][id]")) {
          const fresh = page.getElementById(part.id);
          if (fresh) takeOver(part, document.adoptNode(fresh));
        }
        document.title = page.title;
        document.dispatchEvent(new CustomEvent("opinionwatch:refreshed"));
      }
    } catch {
      // The stream notices when the server is gone, and says so.
    } finally {
      cost = performance.now() - begun;
      busy = false;
      if (urgent) { urgent = false; refresh(); } else if (wanted) soon();
    }
  }

  // At most once a second, and never more than a fifth of the time.
  function soon() {
    if (paused || document.hidden) { wanted = true; return; }
    if (timer) return;
    timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(LEAST_MS, 4 * cost));
  }

  let settle = 0;
  let alarms = null;
  function changed(event) {
    const open = event && event.data ? JSON.stringify(JSON.parse(event.data).alarms) : alarms;
    if (alarms !== null && open !== alarms && !paused) {
      // An alarm waits for nothing.
      clearTimeout(timer);
      timer = 0;
      urgent = busy;
      refresh();
    } else {
      soon();
    }
    alarms = open;
    // Once more when it has gone quiet: what the server had remembered is then of the last change.
    clearTimeout(settle);
    settle = setTimeout(soon, SETTLE_MS);
  }

  function connect() {
    const stream = new EventSource("/live");
    stream.addEventListener("open", () => { say(paused ? "paused" : "live"); soon(); });
    stream.addEventListener("revision", changed);
    stream.addEventListener("error", () => {
      say("lost");
      if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    });
    addEventListener("pagehide", () => stream.close(), { once: true });
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden && wanted) soon(); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  setInterval(soon, SAFETY_MS);
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? pause.dataset.resumeWord : pause.dataset.pauseWord;
      say(paused ? "paused" : "live");
      if (!paused && wanted) soon();
    });
  }
  say("connecting");
  connect();
})();
