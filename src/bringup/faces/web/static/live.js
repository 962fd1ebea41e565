"use strict";
// Replaces the named parts of a page by what the server drew anew. The server escapes every text; nothing
// else is ever turned into markup here, and the page's policy allows no other maker of it.
(() => {
  const page = document.body.dataset.live;
  const state = document.getElementById("stream-state");
  const maker = window.trustedTypes
    ? window.trustedTypes.createPolicy("bringup", { createHTML: (drawn) => drawn })
    : { createHTML: (drawn) => drawn };

  const focusedIndex = (part) =>
    [...part.querySelectorAll("[tabindex], a, button, input, summary")].indexOf(document.activeElement);

  const replace = (part, drawn) => {
    const at = focusedIndex(part);
    const open = new Set([...part.querySelectorAll("details[open]")].map((one) => one.id));
    part.innerHTML = maker.createHTML(drawn);
    for (const one of part.querySelectorAll("details")) if (open.has(one.id)) one.open = true;
    if (at >= 0) {
      const again = part.querySelectorAll("[tabindex], a, button, input, summary")[at];
      if (again) again.focus({ preventScroll: true });
    }
  };

  if (page) {
    const stream = new EventSource(`/events/${page}`);
    stream.addEventListener("parts", (event) => {
      const drawn = JSON.parse(event.data);
      for (const [name, inside] of Object.entries(drawn)) {
        const part = document.getElementById(`part-${name}`);
        if (part) replace(part, inside);
      }
      state.textContent = "live";
    });
    stream.onerror = () => {
      state.textContent = "The server does not answer: what is shown is old. It is tried again.";
    };
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!("action" in form.dataset)) return;
    event.preventDefault();
    if (!window.confirm(form.dataset.question)) return;
    const token = document.querySelector('meta[name="bringup-action"]').content;
    const answer = await fetch(form.action, { method: "POST", headers: { "X-Bringup-Action": token } });
    state.textContent = await answer.text();
  });
})();
