// World maps: fills `[data-gl-map]` with country shapes in the colours the server chose. The shapes
// (vendor/world.json, Natural Earth) are loaded once, when the first map is there.
(function () {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  let world = null;
  const shapes = () => (world = world || fetch("/assets/vendor/world.json?v=2.0.2").then((r) => r.json()));
  const node = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  async function paint(place) {
    const wanted = place.dataset.glMap;
    if (place.glPainted === wanted) return;
    place.glPainted = wanted;
    const [shape, told] = [await shapes(), JSON.parse(wanted)];
    const svg = node("svg", { viewBox: `0 0 ${shape.width} ${shape.height}`, preserveAspectRatio: "xMidYMid meet" });
    const add = (made, code, name) => {
      const known = told.countries[code];
      if (known) {
        made.setAttribute("fill", known[0]);
        made.dataset.code = code;
        made.dataset.text = `${name}: ${known[1]}`;
        made.classList.add("on");
      } else if (name) made.dataset.text = `${name}: none`;
      svg.append(made);
    };
    for (const path of shape.land) add(node("path", { d: path, class: "land" }), "", "");
    for (const [code, [name, path]] of Object.entries(shape.countries)) add(node("path", { d: path, class: "land" }), code, name);
    for (const [code, [name, x, y]] of Object.entries(shape.dots)) {
      if (told.countries[code]) add(node("circle", { cx: x, cy: y, r: 4.5, class: "land" }), code, name);
    }
    place.replaceChildren(svg);
  }

  // One tooltip for all maps; plain text.
  let tip = null;
  function hover(event) {
    const over = event.target.closest && event.target.closest(".gl-map-shapes [data-text]");
    if (!over) { if (tip) tip.hidden = true; return; }
    if (!tip) { tip = Object.assign(document.createElement("div"), { className: "gl-map-tip" }); document.body.append(tip); }
    tip.textContent = over.dataset.text;
    tip.hidden = false;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = event.clientY + 14 + "px";
  }
  document.addEventListener("pointermove", hover);
  document.addEventListener("click", (event) => {
    const country = event.target.closest && event.target.closest(".gl-map-shapes [data-code]");
    const parameter = country && country.closest("[data-gl-click]").dataset.glClick;
    if (parameter && window.gatelens.addFilter) window.gatelens.addFilter(parameter, country.dataset.code);
  });

  const look = () => document.querySelectorAll("[data-gl-map]").forEach((place) => paint(place));
  new MutationObserver((changes) => {
    if (changes.some((c) => c.type === "attributes" || [...c.addedNodes].some((n) => n.nodeType === 1 && (n.matches("[data-gl-map]") || n.querySelector("[data-gl-map]"))))) look();
  }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-gl-map"] });
  if (document.readyState !== "loading") look(); else document.addEventListener("DOMContentLoaded", look);
})();
