// Loads the grid's script when the first grid is shown, or once the browser has nothing to do.
// The page leaves it out where no grid is shown at once (app.py: lean).
(function () {
  "use strict";
  const place = document.querySelector("script[data-gl-grid]");
  if (!place || window.dash_ag_grid) return;
  let loading = null;
  const load = () => loading || (loading = new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = place.dataset.glGrid;
    script.onload = resolve;
    script.onerror = reject;
    document.body.appendChild(script);
  }));

  // Stands in for the grid until it has come; the framework looks the component up by this name.
  const stand = function AgGrid(props) {
    const [ready, setReady] = React.useState(window.dash_ag_grid.AgGrid !== stand);
    React.useEffect(() => { if (!ready) load().then(() => setReady(true)); }, []);
    return ready ? React.createElement(window.dash_ag_grid.AgGrid, props) : null;
  };
  window.dash_ag_grid = { AgGrid: stand };

  const calm = () => {
    const drawn = document.querySelector(".js-plotly-plot .trace, .js-plotly-plot .annotation");
    if (drawn && window.gatelens.inflight === 0) load(); else setTimeout(calm, 700);
  };
  setTimeout(calm, 1500);
})();
