// The filter bar: every filter of the URL as a chip that a click removes, and a menu that adds one.
// Values to choose from are asked of the HTTP API, for the range and filters shown.
(function () {
  "use strict";
  const gl = window.gatelens;
  const make = (tag, attributes, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes || {});
    node.append(...children);
    return node;
  };
  gl.make = make;
  const LABELS = {
    env: "environment", api: "API", version: "version", status: "status", client: "client kind", outcome: "outcome",
  };
  const label = (name) => LABELS[name] || name;
  const hidden = () => {
    const first = location.pathname.split("/")[1];
    if (location.pathname === "/dashboards") return true; // the list; a dashboard itself has filters
    return ["sql", "reports", "alerts", "operate", "admin", "explorer", "traces", "services", "logs"].includes(first);
  };

  gl.removeFilter = (name, value) => {
    const params = new URLSearchParams(location.search), left = params.getAll(name).filter((v) => v !== value);
    params.delete(name);
    left.forEach((v) => params.append(name, v));
    gl.go2(params);
  };
  gl.addFilter = (name, value) => {
    const params = new URLSearchParams(location.search);
    if (!params.getAll(name).includes(value)) params.append(name, value);
    gl.go2(params);
  };
  gl.go2 = (params) => {
    const search = params.toString().replaceAll("%3A", ":");
    history.pushState({}, "", location.pathname + (search ? "?" + search : ""));
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  };

  // Query of the HTTP API for what the URL shows.
  gl.apiQuery = (more, without) => {
    const here = new URLSearchParams(location.search), out = new URLSearchParams(more);
    out.set("start", here.get("from") || gl.options.from);
    if (here.get("to") && here.get("to") !== "now") out.set("end", here.get("to"));
    for (const [name, dimension] of Object.entries(gl.options.dimensions)) {
      if (name !== without) here.getAll(name).forEach((v) => v && out.append(dimension, v));
    }
    return out;
  };
  gl.values = async (name, limit) => {
    const query = gl.apiQuery({ by: gl.options.dimensions[name], limit: limit || 100 }, name);
    const answer = await fetch("/api/v1/analytics/breakdown?" + query);
    if (!answer.ok) return [];
    return (await answer.json()).rows.filter((r) => !r.other && r.group).map((r) => ({
      value: r.group[gl.options.dimensions[name]] ?? "(none)", requests: r.requests,
    }));
  };

  gl.showFilters = () => {
    const bar = document.getElementById("filter-bar");
    if (!bar || !gl.options) return;
    bar.hidden = hidden();
    const params = new URLSearchParams(location.search), nodes = [];
    const shown = location.pathname.startsWith("/dashboards/") ? gl.boardVariables || [] : [];
    for (const name of Object.keys(gl.options.dimensions).filter((n) => !shown.includes(n))) {
      for (const value of params.getAll(name).filter(Boolean)) {
        const chip = make("button", { type: "button", className: "gl-chip on", title: "Remove this filter" },
          label(name) + " ", make("b", {}, value), make("span", { className: "x", ariaHidden: "true" }, "✕"));
        chip.setAttribute("aria-label", `Remove filter ${label(name)} ${value}`);
        chip.addEventListener("click", () => gl.removeFilter(name, value));
        nodes.push(chip);
      }
    }
    const count = nodes.length;
    nodes.push(adder());
    if (count > 1) {
      const clear = make("button", { type: "button", className: "gl-chip" }, "Clear all");
      clear.addEventListener("click", () =>
        gl.navigate(Object.fromEntries(Object.keys(gl.options.dimensions).map((n) => [n, null]))));
      nodes.push(clear);
    }
    bar.replaceChildren(...nodes);
  };

  function adder() {
    const list = make("div", { className: "gl-pop-list" });
    const menu = make("details", { className: "gl-pop left" },
      make("summary", { className: "gl-chip" }, "+ Filter"), make("div", { className: "gl-pop-body" }, list));
    const dimensions = () => list.replaceChildren(...Object.keys(gl.options.dimensions).map((name) => {
      const item = make("button", { type: "button", className: "gl-menu-item" }, label(name), make("span", { className: "gl-faint" }, "›"));
      item.addEventListener("click", (event) => { event.stopPropagation(); choose(name); });
      return item;
    }));
    const choose = async (name) => {
      const field = make("input", { className: "gl-input", placeholder: `Find ${label(name)}`, type: "text" });
      const body = make("div", { className: "gl-pop-values" }, make("div", { className: "gl-none" }, "Asking…"));
      list.replaceChildren(field, body);
      field.focus();
      const found = await gl.values(name);
      const draw = () => {
        const typed = field.value.trim(), low = typed.toLowerCase();
        const fitting = found.filter((f) => String(f.value).toLowerCase().includes(low)).slice(0, 40);
        const items = fitting.map((f) => entry(f.value, f.requests));
        if (typed && !fitting.some((f) => f.value === typed)) items.push(entry(typed, null));
        body.replaceChildren(...(items.length ? items : [make("div", { className: "gl-none" }, "Nothing in this range")]));
      };
      const entry = (value, requests) => {
        const item = make("button", { type: "button", className: "gl-menu-item" }, make("span", {}, String(value)),
          make("span", { className: "gl-faint" }, requests === null ? "as typed" : requests.toLocaleString("en")));
        item.addEventListener("click", () => gl.addFilter(name, String(value)));
        return item;
      };
      field.addEventListener("input", draw);
      field.addEventListener("keydown", (event) => {
        event.stopPropagation();
        if (event.key === "Enter") { const first = body.querySelector("button"); if (first) first.click(); }
        if (event.key === "Escape") menu.open = false;
      });
      draw();
    };
    menu.addEventListener("toggle", () => { if (menu.open) dimensions(); });
    return menu;
  }
})();
