"use strict";
// The parts of a page follow what the server draws anew: a drawing is compared with what stands there, and only
// what differs is changed, so that focus, open details and what the pointer is on stay as they are. The server
// escapes every text; nothing else is ever turned into markup, and the page's policy allows no other maker of it.
(() => {
  document.documentElement.classList.add("has-script");
  document.querySelector(".top a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const page = document.body.dataset.live;
  const state = document.getElementById("stream-state");
  const maker = window.trustedTypes
    ? window.trustedTypes.createPolicy("bringup", { createHTML: (drawn) => drawn })
    : { createHTML: (drawn) => drawn };
  const KEPT = new Set(["open", "tabindex"]); // what a person or this script has changed since

  const follow = (old, fresh) => {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name, value } of fresh.attributes) {
      if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!KEPT.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    followInside(old, fresh);
  };

  const followInside = (old, fresh) => {
    const wanted = [...fresh.childNodes];
    const there = [...old.childNodes].filter((one) => !["tip", "cursor"].some((name) => one.classList?.contains(name)));
    wanted.forEach((one, at) => (at < there.length ? follow(there[at], one) : old.append(one)));
    for (const left of there.slice(wanted.length)) left.remove();
  };

  const replace = (part, drawn) => {
    const holder = document.createElement("template");
    holder.innerHTML = maker.createHTML(drawn);
    followInside(part, holder.content);
    part.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
  };

  const say = (words, isOld = false) => {
    state.textContent = words;
    state.classList.toggle("old", isOld);
  };

  let stream = null;
  const listen = () => {
    stream = new EventSource(`/events/${page}`);
    stream.addEventListener("parts", (event) => {
      for (const [name, inside] of Object.entries(JSON.parse(event.data))) {
        const part = document.getElementById(`part-${name}`);
        if (part) replace(part, inside);
      }
      say("live");
    });
    stream.onerror = () => say("The server does not answer: what is shown is old. It is tried again.", true);
  };
  // A browser opens few connections to one server: a page that nobody sees gives its own back.
  const listenIfSeen = () => {
    if (document.hidden && stream) {
      stream.close();
      stream = null;
    } else if (!document.hidden && !stream) listen();
  };
  if (page) {
    listenIfSeen();
    document.addEventListener("visibilitychange", listenIfSeen);
  }

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!("action" in form.dataset)) return;
    event.preventDefault();
    if (form.dataset.question && !window.confirm(form.dataset.question)) return;
    const token = document.querySelector('meta[name="bringup-action"]').content;
    const answer = await fetch(form.action, { method: "POST", headers: { "X-Bringup-Action": token } });
    const words = (await answer.text()).trim();
    const place = document.getElementById(form.dataset.answer ?? "");
    if (place) place.textContent = words;
    else say(words, !answer.ok);
  });

  window.bringup = { replace };
})();
