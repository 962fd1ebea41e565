"use strict";
// Forms whose answer follows at once, and texts to copy. Without this script a button sends the form.
(() => {
  const WAIT_MS = 250;

  for (const form of document.querySelectorAll("form[data-follow]")) {
    const place = document.getElementById(form.dataset.follow);
    let timer = 0;
    let running = null;
    const ask = async () => {
      running?.abort();
      running = new AbortController();
      const query = new URLSearchParams(new FormData(form));
      place.classList.add("busy");
      try {
        const answer = await fetch(`${form.dataset.from}?${query}`, { signal: running.signal });
        if (!answer.ok) return;
        window.bringup.replace(place, await answer.text());
        history.replaceState(null, "", `${form.getAttribute("action")}?${query}`);
        place.classList.remove("busy");
      } catch (problem) {
        if (problem.name !== "AbortError") document.getElementById("stream-state").textContent = "The server does not answer.";
      }
    };
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT_MS);
    };
    form.addEventListener("input", soon);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(timer);
      ask();
    });
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const text = button.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(text); // not allowed here: marked, so that Ctrl+C takes it
      button.textContent = "Marked";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
})();
