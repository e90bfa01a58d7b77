// Variables of a custom dashboard: a menu each; what one offers is narrowed by what the others chose.
// A choice goes into the address, where every panel reads it.
(function () {
  "use strict";
  const gl = window.gatelens;
  const make = (...args) => gl.make(...args);
  const NAMES = { env: "Environment", api: "API", version: "API version", status: "Status", client: "Client kind" };
  gl.variableLabel = (variable) => variable.label || NAMES[variable.name] || variable.name.charAt(0).toUpperCase() + variable.name.slice(1);

  gl.board.showVariables = function () {
    const place = document.getElementById("board-variables");
    if (!place) return;
    const variables = (gl.board.draft || gl.board.state.dashboard).variables || [];
    const key = JSON.stringify([variables, location.search]);
    if (place.glShown === key && place.childElementCount) return;
    place.glShown = key;
    place.replaceChildren(...variables.map(menu));
  };

  function menu(variable) {
    const chosen = new URLSearchParams(location.search).getAll(variable.name).filter(Boolean), label = gl.variableLabel(variable);
    const text = chosen.length === 0 ? "All" : chosen.length <= 2 ? chosen.join(", ") : `${chosen.length} chosen`;
    const list = make("div", { className: "gl-pop-list" });
    const summary = make("summary", { className: "gl-button" }, make("span", { className: "gl-muted" }, label), make("b", {}, text));
    summary.setAttribute("aria-label", `${label}: ${text}`);
    const node = make("details", { className: "gl-pop left gl-variable" }, summary, make("div", { className: "gl-pop-body" }, list));
    node.addEventListener("toggle", () => { if (node.open) fill(variable, list, node, new Set(chosen)); });
    return node;
  }

  async function fill(variable, list, node, chosen) {
    const field = make("input", { className: "gl-input", type: "text", placeholder: `Find ${gl.variableLabel(variable).toLowerCase()}` });
    const body = make("div", { className: "gl-pop-values" }, make("div", { className: "gl-none" }, "Asking…"));
    const apply = make("button", { type: "button", className: "gl-button primary" }, "Apply");
    const clear = make("button", { type: "button", className: "gl-button" }, "All");
    list.replaceChildren(field, body, make("div", { className: "gl-toolbar end" }, clear, apply));
    field.focus();
    const go = (values) => {
      node.open = false;
      const params = new URLSearchParams(location.search);
      params.delete(variable.name);
      values.forEach((value) => params.append(variable.name, value));
      gl.go2(params);
    };
    apply.addEventListener("click", () => go(chosen));
    clear.addEventListener("click", () => go([]));
    const found = await gl.values(variable.name, 200);
    chosen.forEach((value) => { if (!found.some((f) => f.value === value)) found.unshift({ value, requests: null }); });
    const draw = () => {
      const typed = field.value.trim().toLowerCase();
      const fitting = found.filter((f) => String(f.value).toLowerCase().includes(typed)).slice(0, 80);
      body.replaceChildren(...(fitting.length ? fitting.map(entry) : [make("div", { className: "gl-none" }, typed ? "Nothing fits" : "Nothing in this range")]));
    };
    const entry = (one) => {
      const box = make("input", { type: "checkbox", checked: chosen.has(one.value) });
      box.addEventListener("change", () => { if (box.checked) chosen.add(one.value); else chosen.delete(one.value); });
      const only = make("button", { type: "button", className: "gl-link-button" }, "only");
      only.addEventListener("click", (event) => { event.preventDefault(); go([one.value]); });
      return make("label", { className: "gl-menu-item gl-check" }, box, make("span", { className: "grow gl-ellipsis" }, String(one.value)),
        make("span", { className: "gl-faint" }, one.requests === null ? "" : one.requests.toLocaleString("en")), only);
    };
    field.addEventListener("input", draw);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { const first = body.querySelector("button"); if (chosen.size && !field.value) go(chosen); else if (first) first.click(); }
      if (event.key === "Escape") node.open = false;
    });
    draw();
  }
})();
