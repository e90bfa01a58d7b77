// The panel editor: a form on the right, the panel itself on the left, drawn by the server as one types.
(function () {
  "use strict";
  const gl = window.gatelens, board = gl.board;
  const make = (...args) => gl.make(...args);
  const KINDS = { time_series: "Over time", bar: "Bars", table: "Table", number: "Number", heatmap: "Heat-map", treemap: "Treemap", map: "World map", text: "Text" };
  const UNITS = { auto: "As the measure", count: "Count", rate: "Per second", ms: "Milliseconds", s: "Seconds", percent: "Percent (0–1)", bytes: "Bytes", bytes_per_s: "Bytes per second", money: "Money", none: "Plain number" };
  const STYLES = [["lines", "Lines"], ["areas", "Stacked areas"], ["bars", "Stacked bars"]];
  const TONES = [["good", "good"], ["warn", "warning"], ["bad", "bad"]];
  const GROUPED = ["time_series", "bar", "table", "number", "heatmap", "treemap", "map"];
  const words = () => JSON.parse(document.getElementById("board-words").textContent);
  const nice = (name) => name.replaceAll("_", " ");
  let panel = null, timer = 0;

  // A map is of countries, a treemap needs a grouping, ...: choosing a kind makes the question fit it.
  const FITS = {
    map: (s) => { s.by = ["country"]; s.measures = s.measures.slice(0, 1); s.limit = 100; },
    treemap: (s) => { s.measures = s.measures.slice(0, 1); if (!s.by.length) s.by = ["api"]; },
    bar: (s) => { if (!s.by.length) s.by = ["api"]; },
    heatmap: (s) => { s.measures = s.measures.slice(0, 1); if (!s.by.length && s.measures[0] !== "latency_spread") s.by = ["api"]; },
    number: (s) => { s.by = []; },
  };
  function choose(kind) {
    panel.kind = kind;
    if (kind === "text") { panel.source = { measures: [], by: [], filters: {}, limit: 10, sql: "" }; panel.thresholds = []; panel.text = panel.text || "## A heading\n\nSome **text**."; return; }
    panel.text = "";
    const s = panel.source;
    if (s.sql) return;
    if (!s.measures.length) s.measures = ["requests"];
    if (kind !== "heatmap") s.measures = s.measures.filter((m) => m !== "latency_spread");
    if (!s.measures.length) s.measures = ["requests"];
    if (FITS[kind]) FITS[kind](s);
  }

  // A title that says what is asked, until somebody writes one.
  let titled = false;
  function nameIt() {
    if (titled || panel.kind === "text" || panel.source.sql) return;
    const measure = panel.source.measures.map((m) => nice(m.replace(/_ms$/, "").replace(/_per_s$/, " per second"))).join(", ");
    const by = panel.source.by.length ? ` by ${panel.source.by.map((d) => (d === "api" ? "API" : nice(d))).join(" and ")}` : "";
    panel.title = (measure.charAt(0).toUpperCase() + measure.slice(1) + by).slice(0, 120);
  }
  board.openForm = function (opened, isNew) {
    panel = opened;
    titled = !isNew;
    const dialog = document.getElementById("panel-editor"), place = document.getElementById("editor-form");
    const draw = () => { nameIt(); place.replaceChildren(...fields(draw), foot(dialog, isNew)); preview(0); };
    draw();
    dialog.oncancel = () => close(dialog);
    dialog.showModal();
    place.querySelector("input, select, textarea")?.focus();
  };
  function close(dialog) { dialog.close(); gl.setProps("editor-panel", { data: null }); }
  function preview(wait) {
    clearTimeout(timer);
    timer = setTimeout(() => gl.setProps("editor-panel", { data: { panel: JSON.parse(JSON.stringify(panel)), id: board.state.id, version: board.state.version } }), wait ?? 350);
  }
  function foot(dialog, isNew) {
    const ok = make("button", { type: "button", className: "gl-button primary" }, isNew ? "Add panel" : "Apply");
    const cancel = make("button", { type: "button", className: "gl-button" }, "Cancel");
    cancel.addEventListener("click", () => close(dialog));
    ok.addEventListener("click", async () => {
      // The same check that saving makes, before the panel goes onto the grid.
      const answer = await gl.call("POST", "dashboards/check", { definition: { title: "x", panels: [panel] } });
      if (!answer.ok) { gl.toast(answer.body.error.replace(/^panels, 1,? ?/, "")); return; }
      close(dialog);
      board.apply(panel, isNew);
    });
    return make("div", { className: "gl-toolbar end gl-editor-foot" }, cancel, ok);
  }

  // --- fields ------------------------------------------------------------------------------------
  const label = (text, ...inputs) => make("label", {}, text, ...inputs);
  const group = (text, ...inputs) => { const node = make("fieldset", {}, make("legend", {}, text), ...inputs); return node; };
  function text(value, change, more) {
    const input = make((more || {}).rows ? "textarea" : "input", { className: "gl-input", value, ...(more || {}) });
    input.spellcheck = false;
    input.addEventListener("input", () => { change(input.value); preview(); });
    return input;
  }
  function pick(options, value, change) {
    const input = make("select", { className: "gl-select" }, ...options.map(([v, name, title]) => make("option", { value: v, title: title || "" }, name)));
    input.value = value;
    input.addEventListener("change", () => change(input.value));
    return input;
  }
  const remove = (what, run) => {
    const button = make("button", { type: "button", className: "gl-button icon", title: `Remove ${what}` }, "✕");
    button.setAttribute("aria-label", `Remove ${what}`);
    button.addEventListener("click", run);
    return button;
  };
  const more = (text, run) => { const b = make("button", { type: "button", className: "gl-link-button" }, text); b.addEventListener("click", run); return b; };
  const row = (...inputs) => make("div", { className: "gl-field-row" }, ...inputs);

  function fields(draw) {
    const out = [kinds(draw), label("Title", text(panel.title, (v) => { panel.title = v; titled = true; }, { maxLength: 120 }))];
    if (panel.kind === "text") out.push(label("Text (Markdown)", text(panel.text, (v) => { panel.text = v; }, { rows: 14, maxLength: 10000 })));
    else {
      out.push(sources(draw));
      if (panel.source.sql) out.push(...sqlFields()); else out.push(...measureFields(draw));
      out.push(...looks(draw));
    }
    out.push(label("Description (shown behind the i)", text(panel.description, (v) => { panel.description = v; }, { maxLength: 1000 })), links(draw));
    return out;
  }
  function kinds(draw) {
    const node = make("div", { className: "gl-kinds" });
    node.setAttribute("role", "radiogroup");
    node.setAttribute("aria-label", "Visualisation");
    for (const kind of words().kinds) {
      const button = make("button", { type: "button", className: "gl-kind", title: KINDS[kind] }, make("i", { className: `gl-icon gl-k-${kind}` }), make("span", {}, KINDS[kind]));
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(kind === panel.kind));
      button.addEventListener("click", () => { choose(kind); draw(); });
      node.append(button);
    }
    return node;
  }
  const STARTER = "SELECT\n    time_bucket(to_seconds($interval_s), time) AS time,\n    api,\n    count(*) AS requests\nFROM requests\nWHERE time >= $start\n  AND time < $end\n  AND ($api IS NULL OR list_contains($api, api))\nGROUP BY ALL\nORDER BY time";
  function sources(draw) {
    const mode = pick([["measures", "Measures"], ["sql", "SQL"]], panel.source.sql ? "sql" : "measures", (v) => {
      panel.source = v === "sql" ? { measures: [], by: [], filters: {}, limit: panel.source.limit, sql: STARTER } : { measures: ["requests_per_s"], by: ["api"], filters: {}, limit: 10, sql: "" };
      choose(panel.kind);
      draw();
    });
    if (!board.state.maySql && !panel.source.sql) mode.disabled = true;
    return label("Asks", mode);
  }
  function sqlFields() {
    const area = text(panel.source.sql, (v) => { panel.source.sql = v || " "; }, { rows: 12, maxLength: 10000 });
    area.classList.add("gl-mono");
    return [label("Statement", area), make("div", { className: "gl-menu-help" },
      "$start, $end and $interval_s are the range; each variable is a list, e.g. $api, or NULL when nothing is chosen. A column of times, texts as names, numbers as values.")];
  }
  function measureFields(draw) {
    const known = words(), s = panel.source;
    const measures = known.measures.filter((m) => panel.kind === "heatmap" || m.name !== "latency_spread");
    const options = measures.map((m) => [m.name, nice(m.name), m.text]);
    const single = ["treemap", "map", "heatmap"].includes(panel.kind);
    const list = s.measures.map((name, i) => row(pick(options, name, (v) => {
      s.measures[i] = v;
      s.measures = [...new Set(s.measures)];
      if (v === "latency_spread") s.by = []; else choose(panel.kind);
      draw();
    }), ...(s.measures.length > 1 ? [remove("this measure", () => { s.measures.splice(i, 1); draw(); })] : [])));
    const told = measures.find((m) => m.name === s.measures[0]);
    const out = [group("Measure", ...list, make("div", { className: "gl-menu-help" }, told ? told.text : ""), ...(single || s.measures.length > 3 ? [] : [more("Another measure", () => {
      s.measures.push((measures.find((m) => !s.measures.includes(m.name)) || measures[0]).name);
      draw();
    })]))];
    if (GROUPED.includes(panel.kind) && panel.kind !== "map" && s.measures[0] !== "latency_spread") {
      const dims = [["", "nothing"], ...known.dimensions.map((d) => [d, nice(d)])];
      const by = row(pick(dims, s.by[0] || "", (v) => { s.by = v ? [v, ...s.by.slice(1).filter((d) => d !== v)] : []; draw(); }),
        ...(s.by.length && panel.kind !== "number" ? [pick([["", "and nothing else"], ...known.dimensions.filter((d) => d !== s.by[0]).map((d) => [d, `and ${nice(d)}`])], s.by[1] || "", (v) => { s.by = v ? [s.by[0], v] : [s.by[0]]; draw(); })] : []));
      out.push(group("Grouped by", by));
      if (s.by.length) out.push(label("Groups shown, the largest", text(s.limit, (v) => { s.limit = Math.max(1, Math.min(100, Number(v) || 10)); }, { type: "number", min: 1, max: 100 })));
    }
    const filters = Object.entries(s.filters).map(([dimension, values]) => row(
      pick(known.dimensions.map((d) => [d, nice(d)]), dimension, (v) => { delete s.filters[dimension]; s.filters[v] = values; draw(); }),
      text(values.join(", "), (v) => { s.filters[dimension] = v.split(",").map((x) => x.trim()).filter(Boolean); }, { placeholder: "values, with commas" }),
      remove("this filter", () => { delete s.filters[dimension]; draw(); })));
    out.push(group("Only where", ...filters, more("A filter", () => { s.filters[known.dimensions.find((d) => !(d in s.filters))] = []; draw(); }),
      make("div", { className: "gl-menu-help" }, "The variables of the dashboard narrow every panel; a filter here wins over them.")));
    return out;
  }
  function looks(draw) {
    const out = [];
    if (panel.kind === "time_series") out.push(label("Drawn as", pick(STYLES, panel.style, (v) => { panel.style = v; preview(0); })));
    out.push(label("Unit", pick(words().units.map((u) => [u, UNITS[u] || u]), panel.unit, (v) => { panel.unit = v; preview(0); })));
    if (!["map", "treemap", "heatmap"].includes(panel.kind)) {
      const steps = panel.thresholds.map((step, i) => row(
        text(step.at, (v) => { if (v !== "" && !Number.isNaN(Number(v))) step.at = Number(v); }, { type: "number", step: "any" }),
        pick(TONES, step.tone, (v) => { step.tone = v; preview(0); }), remove("this threshold", () => { panel.thresholds.splice(i, 1); draw(); })));
      out.push(group("Thresholds: from this value on", ...steps, more("A threshold", () => { panel.thresholds.push({ at: 0, tone: "bad" }); draw(); })));
    }
    return out;
  }
  function links(draw) {
    const rows = panel.links.map((link, i) => row(text(link.title, (v) => { link.title = v; }, { placeholder: "Title" }),
      text(link.url, (v) => { link.url = v; }, { placeholder: "/apis or https://" }), remove("this link", () => { panel.links.splice(i, 1); draw(); })));
    return group("Links", ...rows, more("A link", () => { panel.links.push({ title: "", url: "" }); draw(); }));
  }
})();
