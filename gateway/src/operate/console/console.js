// Keeps live parts live, and copies what is to be copied. Every page is complete without it.
"use strict";
(() => {
  const EVERY = 2000;
  const LINES = 50;
  const main = document.getElementById("main");
  const stale = document.getElementById("stale");
  const tail = document.getElementById("tail");
  const pause = document.getElementById("pause");
  let paused = false;
  let signedOut = false;

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const said = button.firstChild;
      try {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        said.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
        said.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { said.textContent = "Copy"; }, 2500);
    });
  }

  if (!main || !main.dataset.live) return;

  function say(words, link) {
    stale.replaceChildren(words);
    if (link) {
      const made = document.createElement("a");
      made.href = link;
      made.textContent = "Sign in";
      stale.append(" ", made);
    }
    stale.hidden = !words;
  }

  async function fetched(address) {
    const response = await fetch(address, { headers: { accept: "application/json" } });
    if (response.status === 401) {
      signedOut = true;
      say("You are signed out: what you see is old.", `/console/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
      throw new Error("signed out");
    }
    if (!response.ok) throw new Error(response.statusText);
    return response.json();
  }

  // What somebody reads or has opened there stays as it is.
  const inUse = (part) => part.contains(document.activeElement) || part.querySelector("details[open]") ||
    (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));

  function show(parts) {
    for (const [id, html] of Object.entries(parts)) {
      const part = document.getElementById(id);
      if (!part || part.shown === html || inUse(part)) continue;
      part.innerHTML = html;
      part.shown = html;
    }
  }

  async function refreshTail() {
    const address = new URL(tail.dataset.tail, location.href);
    address.searchParams.set("after", tail.dataset.after);
    const { after, added, rows } = await fetched(address);
    tail.dataset.after = after;
    if (!added) return;
    const template = document.createElement("template");
    template.innerHTML = rows;
    for (const row of template.content.children) row.className = "new";
    tail.prepend(template.content);
    while (tail.children.length > LINES) tail.lastElementChild.remove();
    document.getElementById("tail-box").hidden = false;
    document.getElementById("tail-empty").hidden = true;
  }

  async function refresh() {
    if (!paused && !signedOut && !document.hidden) {
      try {
        const work = [fetched(main.dataset.live).then(({ parts }) => show(parts))];
        if (tail) work.push(refreshTail());
        await Promise.all(work);
        say("");
        document.documentElement.dataset.live = "yes";
      } catch {
        if (!signedOut) say("The gateway does not answer: what you see is old.");
      }
    }
    if (!signedOut) setTimeout(refresh, EVERY);
  }

  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
    });
  }
  setTimeout(refresh, EVERY / 2);
})();
