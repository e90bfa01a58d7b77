// When charts are drawn: one at a time, those in view first, the rest once nothing else is to do.
// Plotly draws at once whatever it is given; seven charts in one go held the page for seconds.
(function () {
  "use strict";
  const gl = window.gatelens;
  const waiting = new Map(); // place of a chart -> { figure, settle: [[resolve, reject]] }, newest figure only
  let planned = false;
  const LONGEST_WAIT_MS = 2000; // then a chart below the fold is drawn although answers are still awaited

  const isBlank = (figure) => !(figure.data || []).length && !((figure.layout || {}).annotations || []).length;
  function inView(place) {
    const box = place.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight && box.width > 0;
  }
  // Charts whose figure has come and is not drawn yet: in view, or all of them.
  gl.undrawn = (everywhere) => [...waiting.keys()].filter((place) => place.isConnected && (everywhere || inView(place))).length;

  // The room labels and legend will need, by Plotly's own rules: when it finds too little it draws
  // the whole chart again.
  const pen = document.createElement("canvas").getContext("2d");
  const LEGEND_ITEM = 40, LEGEND_ROW = 19, LEGEND_EDGES = 10, LABEL_GAP = 11;
  const TIMES_GAP = 6, LINE = 1.3; // a label of two lines, the second LINE times the letters' size below
  const widest = (texts) => Math.max(0, ...texts.map((text) => pen.measureText(text).width));
  function withRoom(place, figure) {
    const layout = figure.layout, y = layout.yaxis || {};
    if (!layout.xaxis || !y.ticktext || layout.margin) return figure;
    pen.font = "11px " + getComputedStyle(document.body).fontFamily;
    const letter = pen.measureText("0"), tall = letter.fontBoundingBoxAscent + letter.fontBoundingBoxDescent;
    const left = Math.ceil(widest(y.ticktext) + LABEL_GAP);
    const names = figure.data.filter((t) => t.name && t.showlegend !== false && t.visible !== false).map((t) => t.name);
    let below = Math.ceil(TIMES_GAP + 11 * LINE + tall);
    if (layout.showlegend !== false && figure.data.length > 1 && names.length) {
      const wide = place.clientWidth - left - 10, all = names.map((name) => pen.measureText(name).width + LEGEND_ITEM);
      const each = Math.max(...all), fits = all.reduce((a, b) => a + b + 5, 0) <= wide;
      below += LEGEND_EDGES + LEGEND_ROW * (fits ? 1 : Math.ceil(names.length / Math.max(1, Math.floor(wide / each))));
    }
    return { ...figure, layout: { ...layout, margin: { l: left, r: 10, t: 16, b: below } } };
  }

  function watchDrawing() {
    const react = window.Plotly.react, resize = window.Plotly.Plots.resize;

    window.Plotly.react = function (place, figure, ...rest) {
      if (rest.length || !figure || !figure.layout) return react.call(this, place, figure, ...rest);
      if (isBlank(figure) && !place._fullLayout) return keepPlace(place);
      return new Promise((resolve, reject) => {
        const job = waiting.get(place) || { settle: [], since: Date.now() };
        job.figure = figure;
        job.settle.push([resolve, reject]);
        waiting.set(place, job);
        plan();
      });
    };

    // The blank figure every chart begins with is not drawn: the place shimmers until the first one.
    // Who listens to the chart is remembered until there is one.
    function keepPlace(place) {
      if (place.glListeners) { unveil(place); return Promise.resolve(place); } // an answer without a chart
      place.glListeners = [];
      place.on = (...listener) => place.glListeners.push(listener);
      return Promise.resolve(place);
    }

    // The framework asks for a resize after the first drawing, and again when it measures the place.
    window.Plotly.Plots.resize = function (place) {
      const drawn = place._fullLayout;
      if (!drawn || waiting.has(place)) return Promise.resolve(place);
      const same = Math.abs(drawn.width - place.clientWidth) < 1 && Math.abs(drawn.height - place.clientHeight) < 1;
      return same ? Promise.resolve(place) : resize.call(this, place);
    };

    function unveil(place) {
      const frame = place.closest(".gl-graph");
      if (frame) frame.classList.add("drawn");
    }

    function drawOne(place) {
      const { figure, settle } = waiting.get(place);
      waiting.delete(place);
      const listeners = place.glListeners || [];
      delete place.glListeners;
      react(place, withRoom(place, figure)).then(
        (done) => {
          listeners.forEach((listener) => place.on(...listener));
          unveil(place);
          gl.chartDrawn(place);
          settle.forEach(([resolve]) => resolve(done));
        },
        (error) => settle.forEach(([, reject]) => reject(error)),
      );
    }

    function next() {
      planned = false;
      for (const place of [...waiting.keys()]) if (!place.isConnected) waiting.delete(place);
      const ready = [...waiting.keys()];
      if (!ready.length) return;
      const shown = ready.find(inView);
      if (shown) { drawOne(shown); plan(); return; }
      // Below the fold: only when no answer is awaited, in pauses of the browser.
      if (gl.inflight > 0 && Date.now() - waiting.get(ready[0]).since < LONGEST_WAIT_MS) { plan(100); return; }
      drawOne(ready[0]);
      plan(undefined, true);
    }

    function plan(after, calmly) {
      if (planned) return;
      planned = true;
      if (calmly && window.requestIdleCallback) requestIdleCallback(next, { timeout: 500 });
      else setTimeout(next, after || 0);
    }
    addEventListener("scroll", () => plan(), { passive: true, capture: true });
  }

  document.addEventListener("DOMContentLoaded", watchDrawing);
})();
