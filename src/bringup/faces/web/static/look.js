"use strict";
// Maps and charts: what a part is comes up where the pointer or the focus is; arrow keys go from part to part.
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
  document.addEventListener("focusin", (event) => (event.target.matches(`.map ${SEEN}`) ? tell(event.target) : hide()));

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

  // Charts: the values at the time under the pointer.
  const valueAt = (curve, x, most) => {
    const points = curve.getAttribute("points").split(" ").map((pair) => pair.split(",").map(Number));
    const near = points.reduce((best, one) => (Math.abs(one[0] - x) < Math.abs(best[0] - x) ? one : best));
    const height = Number(curve.ownerSVGElement.dataset.height);
    return (most * (height - near[1])) / height;
  };
  document.addEventListener("pointermove", (event) => {
    const chart = event.target.closest?.(".chart");
    if (!chart) return;
    const plot = chart.closest(".plot");
    const box = chart.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const { most, unit, first, last } = chart.dataset;
    const when = new Date((Number(first) + share * (Number(last) - Number(first))) * 1000);
    const told = [...chart.querySelectorAll(".curve")].map(
      (curve) => `${curve.dataset.name} ${valueAt(curve, share * 1000, Number(most)).toFixed(1)} ${unit}`,
    );
    show(plot, `${when.toTimeString().slice(0, 8)}: ${told.join(" · ")}`, event.clientX - plot.getBoundingClientRect().left);
  });
  document.addEventListener("pointerout", (event) => {
    if (event.target.closest?.(".chart") && !event.relatedTarget?.closest?.(".chart")) hide();
  });
})();
