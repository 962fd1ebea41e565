"use strict";
// Maps and charts: what a part is comes up where the pointer or the focus is; arrow keys go from part to part,
// and in a chart from moment to moment.
(() => {
  const SEEN = '[role="img"][aria-label]';
  let tip = null;

  const show = (map, words, x) => {
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "tip";
      tip.setAttribute("aria-hidden", "true"); // a screen reader has the part's own name
    }
    if (tip.parentElement !== map) map.append(tip);
    if (tip.textContent !== words) tip.textContent = words;
    tip.style.top = "calc(100% + .2rem)";
    const room = map.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(room, x - tip.offsetWidth / 2))}px`;
  };
  const hide = () => tip?.remove();

  const tell = (part) => {
    const map = part.closest(".map");
    if (!map) return;
    const box = part.getBoundingClientRect();
    show(map, part.getAttribute("aria-label"), box.left + box.width / 2 - map.getBoundingClientRect().left);
  };

  document.addEventListener("pointerover", (event) => {
    const part = event.target.closest?.(`.map ${SEEN}`);
    if (part) tell(part);
    else if (!event.target.closest?.(".plot")) hide();
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(`.map ${SEEN}`)) tell(event.target);
    else hide();
  });

  // One stop for the Tab key in each map; the arrows go on from there.
  const oneStop = (map) => {
    const parts = [...map.querySelectorAll(SEEN)];
    const at = Math.max(0, parts.findIndex((one) => one === document.activeElement));
    parts.forEach((one, index) => one.setAttribute("tabindex", index === at ? "0" : "-1"));
  };
  const allStops = (root) => root.querySelectorAll(".map").forEach(oneStop);
  allStops(document);
  document.addEventListener("drawn", (event) => allStops(event.target));

  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  const MOMENTS = { ...STEPS, ArrowUp: 1, ArrowDown: -1, PageUp: -10, PageDown: 10 };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (!(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey) return;
    const part = event.target.closest?.(`.map ${SEEN}`);
    if (!part) return;
    const parts = [...part.closest(".map").querySelectorAll(SEEN)];
    const next = Math.max(0, Math.min(parts.length - 1, parts.indexOf(part) + STEPS[event.key]));
    event.preventDefault();
    parts.forEach((one, index) => one.setAttribute("tabindex", index === next ? "0" : "-1"));
    parts[next].focus();
  });

  // Charts: the values at the moment under the pointer, or at the cursor that the arrow keys move.
  const pointsOf = (curve) => curve.getAttribute("points").split(" ").map((pair) => pair.split(",").map(Number));
  const nearest = (points, x) => points.reduce((best, one) => (Math.abs(one[0] - x) < Math.abs(best[0] - x) ? one : best));
  const WIDTH = 1000; // units of a drawing
  const tellMoment = (chart, share) => {
    const { most, unit, first, last, height } = chart.dataset;
    const when = new Date((Number(first) + share * (Number(last) - Number(first))) * 1000);
    const told = [...chart.querySelectorAll(".curve")].map((curve) => {
      const [, y] = nearest(pointsOf(curve), share * WIDTH);
      return `${curve.dataset.name} ${((Number(most) * (height - y)) / height).toFixed(1)} ${unit}`;
    });
    const words = `${when.toTimeString().slice(0, 8)}: ${told.join(" · ") || "nothing was told"}`;
    const plot = chart.closest(".plot");
    const box = chart.getBoundingClientRect();
    show(plot, words, box.left + share * box.width - plot.getBoundingClientRect().left);
    return words;
  };

  const heard = document.createElement("div"); // what a screen reader reads out; a drawing anew says nothing
  heard.className = "said";
  heard.setAttribute("role", "status");
  document.body.append(heard);

  const moments = new WeakMap(); // where the cursor of a chart stands, in Unix time
  const shareOf = (chart) => {
    const [first, last] = [Number(chart.dataset.first), Number(chart.dataset.last)];
    const at = moments.get(chart) ?? last;
    return last > first ? Math.max(0, Math.min(1, (at - first) / (last - first))) : 1;
  };
  const drawCursor = (chart) => {
    let line = chart.querySelector(".cursor");
    if (!line) {
      line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      line.setAttribute("class", "cursor");
      chart.append(line);
    }
    const x = shareOf(chart) * WIDTH;
    Object.entries({ x1: x, x2: x, y1: -3, y2: Number(chart.dataset.height) + 3 }).forEach(([name, value]) =>
      line.setAttribute(name, value),
    );
    return tellMoment(chart, shareOf(chart));
  };
  const move = (chart, step) => {
    const xs = [...new Set([...chart.querySelectorAll(".curve")].flatMap((one) => pointsOf(one).map(([x]) => x)))];
    if (!xs.length) return;
    xs.sort((one, other) => one - other);
    const at = shareOf(chart) * WIDTH;
    const now = xs.reduce((best, x, index) => (Math.abs(x - at) < Math.abs(xs[best] - at) ? index : best), 0);
    const next = xs[Math.max(0, Math.min(xs.length - 1, now + step))];
    const [first, last] = [Number(chart.dataset.first), Number(chart.dataset.last)];
    moments.set(chart, first + (next / WIDTH) * (last - first));
    heard.textContent = drawCursor(chart);
  };
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(".chart")) drawCursor(event.target);
  });
  document.addEventListener("focusout", (event) => {
    if (!event.target.matches?.(".chart")) return;
    event.target.querySelector(".cursor")?.remove();
    hide();
  });
  document.addEventListener("keydown", (event) => {
    const chart = event.target.closest?.(".chart");
    if (!chart || !(event.key in MOMENTS) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move(chart, MOMENTS[event.key]);
  });
  // The chart moves on below the cursor, which stays at its moment.
  document.addEventListener("drawn", () => {
    const chart = document.activeElement;
    if (chart?.matches?.(".chart") && chart.querySelector(".cursor")) drawCursor(chart);
  });

  document.addEventListener("pointermove", (event) => {
    const chart = event.target.closest?.(".chart");
    if (!chart) return;
    const box = chart.getBoundingClientRect();
    tellMoment(chart, (event.clientX - box.left) / box.width);
  });
  document.addEventListener("pointerout", (event) => {
    if (event.target.closest?.(".chart") && !event.relatedTarget?.closest?.(".chart")) hide();
  });
})();
