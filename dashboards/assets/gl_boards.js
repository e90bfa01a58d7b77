// The list of custom dashboards: new, import, favourites. "Add to dashboard" from any chart.
(function () {
  "use strict";
  const gl = window.gatelens;
  const make = (...args) => gl.make(...args);
  const changed = () => gl.setProps("boards-changed", { data: Date.now() });

  const actions = {
    new: async () => {
      const wanted = await gl.form("New dashboard", [
        { name: "title", label: "Title", placeholder: "Payments, on one page" },
        { name: "folder", label: "Folder", placeholder: "none" },
      ], { submit: "Create" });
      if (!wanted) return;
      const answer = await gl.call("POST", "dashboards", { definition: { ...wanted, title: wanted.title || "New dashboard", variables: [{ name: "env" }, { name: "api" }] } });
      if (answer.ok) gl.go(`/dashboards/${answer.body.id}${location.search ? location.search + "&" : "?"}edit=1`); else gl.toast(answer.body.error);
    },
    import: () => importDialog(),
  };

  function importDialog() {
    const area = make("textarea", { className: "gl-input", rows: 18, spellcheck: false, placeholder: "title: Payments\npanels:\n  - id: traffic\n    kind: time_series\n    source: {measures: [requests_per_s], by: [api]}" });
    area.setAttribute("aria-label", "YAML of a dashboard");
    const file = make("input", { type: "file", accept: ".yaml,.yml,.txt" });
    file.addEventListener("change", async () => { if (file.files[0]) { area.value = await file.files[0].text(); check(); } });
    const said = make("ul", { className: "gl-problems" });
    said.setAttribute("role", "status");
    const go = make("button", { type: "button", className: "gl-button primary" }, "Import");
    const node = gl.dialog("import", "Import a dashboard", make("h2", {}, "Import a dashboard"),
      make("p", {}, "Paste the YAML that Export gave, or choose the file."), file, area, said, make("div", { className: "gl-toolbar end" }, go));
    const show = (answer) => {
      if (answer.ok) { said.replaceChildren(make("li", { className: "good-text" }, "This is a dashboard.")); return; }
      const problems = answer.body.problems || [{ line: 0, message: answer.body.error, hint: "" }];
      said.replaceChildren(...problems.map((p) => {
        const item = make("li", {}, p.line ? make("b", {}, `Line ${p.line}: `) : "", p.message, p.hint ? make("span", { className: "gl-faint" }, " " + p.hint) : "");
        if (p.line) { item.className = "link"; item.addEventListener("click", () => select(area, p.line)); }
        return item;
      }));
    };
    let waiting = 0;
    const check = () => {
      clearTimeout(waiting);
      if (!area.value.trim()) { said.replaceChildren(); return; }
      waiting = setTimeout(async () => show(await gl.call("POST", "dashboards/check", { yaml: area.value })), 300);
    };
    area.addEventListener("input", check);
    go.addEventListener("click", async () => {
      const answer = await gl.call("POST", "dashboards", { yaml: area.value, note: "Imported" });
      if (!answer.ok) { show(answer); return; }
      node.close();
      gl.go(`/dashboards/${answer.body.id}${location.search}`);
    });
  }
  function select(area, line) {
    const lines = area.value.split("\n"), start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[line - 1] || "").length);
  }

  // A panel made of a default chart: its measure, the filters of the page, grouped as the page is.
  gl.pin = async function (measure, title) {
    const answer = await gl.call("GET", "dashboards");
    if (!answer.ok) { gl.toast(answer.body.error); return; }
    const options = [["", "A new dashboard"], ...answer.body.dashboards.map((d) => [d.id, d.folder ? `${d.folder} / ${d.title}` : d.title])];
    const wanted = await gl.form("Add to dashboard", [
      { name: "id", label: "Dashboard", options }, { name: "title", label: "Title of the panel", value: title },
    ], { submit: "Add" });
    if (!wanted) return;
    const [first, name] = location.pathname.split("/").slice(1), filters = {}, params = new URLSearchParams(location.search);
    for (const [key, dimension] of Object.entries(gl.options.dimensions)) {
      const values = params.getAll(key).filter(Boolean);
      if (values.length) filters[dimension] = values;
    }
    if (name && (first === "apis" || first === "consumers")) filters[first.slice(0, -1)] = [decodeURIComponent(name)];
    const by = first === "consumers" ? (name ? "api" : "consumer") : first === "apis" && name ? "route" : first === "products" ? "product" : "api";
    const panel = { id: "p-" + Math.random().toString(36).slice(2, 8), kind: "time_series", title: wanted.title, source: { measures: [measure], by: [by], filters } };
    if (!wanted.id) {
      const made = await gl.call("POST", "dashboards", { definition: { title: wanted.title || "New dashboard", panels: [{ ...panel, at: { x: 0, y: 0, w: 12, h: 7 } }] } });
      if (made.ok) gl.toast("Added.", "Open it", () => gl.go(`/dashboards/${made.body.id}`)); else gl.toast(made.body.error);
      return;
    }
    const there = await gl.call("GET", `dashboards/${wanted.id}`);
    if (!there.ok) { gl.toast(there.body.error); return; }
    const panels = there.body.definition.panels || [];
    const below = Math.max(0, ...panels.map((p) => (p.at?.y || 0) + (p.at?.h || 6)));
    const saved = await gl.call("PUT", `dashboards/${wanted.id}`, {
      definition: { ...there.body.definition, panels: [...panels, { ...panel, at: { x: 0, y: below, w: 6, h: 6 } }] }, seen: there.body.version, note: `Added ${wanted.title}`,
    });
    if (saved.ok) gl.toast("Added.", "Open it", () => gl.go(`/dashboards/${wanted.id}`)); else gl.toast(saved.body.error);
  };

  document.addEventListener("click", async (event) => {
    const hit = (name) => event.target.closest && event.target.closest(`[${name}]`);
    const button = hit("data-gl-boards");
    if (button) actions[button.dataset.glBoards]();
    const star = hit("data-gl-star");
    if (star) {
      const answer = await gl.call("PUT", `dashboards/${star.dataset.glStar}/favourite`, { on: star.getAttribute("aria-pressed") !== "true" });
      if (answer.ok) changed(); else gl.toast(answer.body.error);
    }
    const pin = hit("data-gl-pin");
    if (pin) gl.pin(pin.dataset.glPin, pin.dataset.glTitle || "");
  });
})();
