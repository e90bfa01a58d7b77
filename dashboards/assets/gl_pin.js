// A click on a chart over time pins the moment: its values stay beside the chart, through refreshes,
// until Escape, the cross or another click; from there to the raw requests of that moment, or closer.
(function () {
  "use strict";
  const gl = window.gatelens;
  const SHOWN_MAX = 12;
  const AROUND = 5; // steps of the chart on either side when one goes closer
  let pinned = null; // { place, card, line, at } of the one pinned moment

  const make = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text || "" });
  // Names in charts are escaped for Plotly's pseudo-HTML.
  const unescaped = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const wall = (at) => typeof at === "number" ? at : Date.parse(String(at).replace(" ", "T").slice(0, 19) + "Z");
  const iso = (ms) => new Date(ms).toISOString().slice(0, 19);

  function unpin() {
    if (!pinned) return;
    pinned.card.remove();
    pinned.line.remove();
    pinned = null;
  }

  // Milliseconds between neighbouring points of a series; a minute where there is one point only.
  function stepOf(trace) {
    const times = (trace.x || []).map(wall).filter((ms) => !Number.isNaN(ms));
    const gaps = times.slice(1).map((ms, i) => ms - times[i]).filter((gap) => gap > 0);
    return gaps.length ? Math.min(...gaps) : 60000;
  }

  function row(point) {
    const trace = point.data, made = make("div", "gl-pin-row");
    const mark = make("i", "gl-dot");
    const colour = (trace.line && trace.line.color) || (trace.marker && trace.marker.color);
    if (typeof colour === "string") mark.style.background = colour;
    const text = point.customdata === undefined || point.customdata === null ? String(point.y) : String(point.customdata);
    made.append(mark, make("span", "gl-ellipsis", unescaped(trace.name || "")), make("b", "gl-num", text.replace(/<[^>]*>/g, "")));
    return made;
  }

  function button(text, run) {
    const made = Object.assign(make("button", "gl-link-button", text), { type: "button" });
    made.addEventListener("click", run);
    return made;
  }

  function pin(place, points) {
    const frame = place.closest(".gl-graph"), at = wall(points[0].x);
    if (!frame || Number.isNaN(at)) return;
    unpin();
    const step = stepOf(points[0].data);
    const card = make("div", "gl-pin"), head = make("div", "gl-pin-head");
    card.setAttribute("role", "status");
    head.append(make("b", "", iso(at).replace("T", " ").slice(0, step < 60000 ? 19 : 16)));
    const close = button("×", unpin);
    close.setAttribute("aria-label", "Unpin");
    head.append(close);
    card.append(head, ...points.slice(0, SHOWN_MAX).map(row));
    if (points.length > SHOWN_MAX) card.append(make("div", "gl-pin-row", `and ${points.length - SHOWN_MAX} more`));
    const foot = make("div", "gl-pin-foot"), panel = place.closest(".gl-panel");
    const raw = panel && panel.querySelector("[data-gl-raw]");
    if (raw) {
      foot.append(button("Raw requests", () => {
        unpin();
        gl.rawRequests(raw.dataset.glRaw, { from: gl.toUtc(iso(at)), to: gl.toUtc(iso(at + step)) });
      }));
    }
    foot.append(button("Closer", () => {
      unpin();
      gl.navigate({ from: gl.toUtc(iso(at - AROUND * step)), to: gl.toUtc(iso(at + (AROUND + 1) * step)) });
    }));
    card.append(foot);
    const line = make("div", "gl-pin-line");
    frame.append(line, card);
    // The pointer rests beside the card or on it: without this the hover box stays behind it. Again
    // after Plotly's own pause between two hovers, in which one may still wait.
    const unhover = () => place.isConnected && window.Plotly.Fx.unhover(place);
    unhover();
    setTimeout(unhover, 150);
    pinned = { place, card, line, at };
    settle();
  }

  // Where the moment is now: a refresh may have moved it, or taken it out of the chart.
  function settle() {
    if (!pinned) return;
    const { place, card, line, at } = pinned, drawn = place._fullLayout;
    if (!place.isConnected || !drawn || !drawn.xaxis || !drawn._size) { unpin(); return; }
    const inside = drawn.xaxis.d2p(at), wide = drawn.xaxis._length;
    if (!(inside >= 0 && inside <= wide)) { unpin(); return; }
    const left = drawn._size.l + inside;
    Object.assign(line.style, { left: `${left}px`, top: `${drawn._size.t}px`, height: `${drawn._size.h}px` });
    const right = inside > wide / 2;
    card.style.left = right ? "auto" : `${left + 8}px`;
    card.style.right = right ? `${place.clientWidth - left + 8}px` : "auto";
  }

  // Called for every chart once it is drawn (gl_charts.js).
  gl.chartDrawn = function (place) {
    settle();
    const graph = place.closest("[id*='time-graph']");
    if (!graph || place.glPins) return;
    place.glPins = true;
    place.on("plotly_click", (event) => {
      const points = ((event && event.points) || []).filter((point) => point.x !== null && point.x !== undefined);
      if (points.length) pin(place, points);
    });
  };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") unpin(); });
})();
