// A custom dashboard while one looks at it: what arrived from the server, variables, dialogs, buttons.
// The definition being edited lives in gl.board.draft; gl_board_edit.js lays it out.
(function () {
  "use strict";
  const gl = window.gatelens;
  const make = (...args) => gl.make(...args);
  const board = (gl.board = { state: null, draft: null, dirty: false });
  const set = (id, props) => window.dash_clientside.set_props(id, props);
  gl.setProps = set;

  // --- the HTTP API ------------------------------------------------------------------------------
  // {ok, status, body}; a server that does not answer is a sentence, too.
  gl.call = async function (method, path, body) {
    try {
      const answer = await fetch("/api/v1/" + path, {
        method, headers: body ? { "content-type": "application/json" } : {}, body: body ? JSON.stringify(body) : undefined,
      });
      const text = await answer.text();
      let read;
      try { read = JSON.parse(text); } catch (e) { read = { error: text.slice(0, 200) || "The server gave no answer." }; }
      return { ok: answer.ok, status: answer.status, body: read };
    } catch (e) {
      return { ok: false, status: 0, body: { error: "The server does not answer; nothing was saved. Try again." } };
    }
  };
  const path = (more) => `dashboards/${encodeURIComponent(board.state.id)}${more || ""}`;
  board.path = path;

  gl.toast = function (text, action, run) {
    const old = document.getElementById("gl-toast");
    if (old) old.remove();
    const node = make("div", { id: "gl-toast", className: "gl-notice good" }, text);
    node.setAttribute("role", "status");
    if (action) {
      const button = make("button", { type: "button", className: "gl-link-button" }, action);
      button.addEventListener("click", () => { node.remove(); run(); });
      node.append(" ", button);
    }
    document.body.append(node);
    setTimeout(() => node.remove(), action ? 10000 : 3500);
  };

  // --- what the server sent ------------------------------------------------------------------------
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    gatelens_board: {
      arrived: (state) => {
        const before = board.state;
        board.state = state;
        gl.boardVariables = state ? state.dashboard.variables.map((v) => v.name) : [];
        if (state) {
          board.showVariables();
          if (state.editing) board.layOut();
          else if (!before || before.id !== state.id || before.version !== state.version) board.opened();
        } else document.getElementById("board-variables")?.replaceChildren();
        if (gl.showFilters && gl.options) gl.showFilters();
        return window.dash_clientside.no_update;
      },
    },
  });
  // First sight of a version: defaults into the address, a panel that a link names, `?edit=1`.
  board.opened = function () {
    const params = new URLSearchParams(location.search), known = board.state.dashboard;
    const filtered = Object.keys(gl.options ? gl.options.dimensions : {}).some((name) => params.has(name));
    const changes = {};
    if (known.range && !params.has("from")) Object.assign(changes, { from: known.range, to: "now" });
    const more = new URLSearchParams(params);
    if (!filtered) known.variables.forEach((v) => (v.default || []).forEach((value) => more.append(v.name, value)));
    for (const [name, value] of Object.entries(changes)) more.set(name, value);
    const edit = more.get("edit") === "1", panel = more.get("panel");
    more.delete("edit");
    if (more.toString() !== params.toString()) {
      history.replaceState({}, "", location.pathname + (more.toString() ? "?" + more.toString().replaceAll("%3A", ":") : ""));
      window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    }
    if (edit && board.state.mayEdit) board.edit();
    else board.offerDraft();
    if (panel) setTimeout(() => document.getElementById("panel-" + panel)?.classList.add("closer"), 50);
  };

  // --- looking -------------------------------------------------------------------------------------
  const closest = (event, name) => event.target.closest && event.target.closest(`[${name}]`);
  const onBoard = () => document.getElementById("board-page") && board.state;

  document.addEventListener("click", (event) => {
    const sort = event.target.closest && event.target.closest(".gl-sort");
    if (sort) sortTable(sort);
    if (!onBoard()) return;
    const button = closest(event, "data-gl-board");
    if (button) { closeMenus(); board.actions[button.dataset.glBoard](button); return; }
    const item = closest(event, "data-gl-panel");
    if (item) {
      const cell = item.closest(".gl-cell");
      closeMenus();
      board.panelActions[item.dataset.glPanel](cell.dataset.panel, cell);
    }
  });
  function closeMenus() { document.querySelectorAll("details.gl-pop[open]").forEach((menu) => { menu.open = false; }); }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelector(".gl-cell.closer")?.classList.remove("closer");
  });

  function sortTable(button) {
    const head = button.closest("th"), index = [...head.parentElement.children].indexOf(head);
    const body = button.closest("table").querySelector("tbody"), down = head.getAttribute("aria-sort") !== "descending";
    const key = (row) => { const text = row.children[index].dataset.sort, number = Number(text); return text === "" ? null : Number.isNaN(number) ? text : number; };
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
      return down ? -order : order;
    });
    for (const each of head.parentElement.children) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.replaceChildren(...rows);
  }

  board.panelActions = {
    closer: (id, cell) => cell.classList.toggle("closer"),
    link: (id) => { const url = new URL(location.href); url.searchParams.set("panel", id); gl.copy(url.href); gl.toast("Link copied."); },
    csv: async (id) => {
      const panel = (board.draft || board.state.dashboard).panels.find((p) => p.id === id);
      const answer = await fetch("/api/v1/dashboards/panel/csv", {
        method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ panel, dashboard: board.state.id, version: board.state.version || null, search: location.search }),
      });
      if (!answer.ok) { gl.toast((await answer.json()).error); return; }
      const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: `${panel.title || panel.id}.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    },
  };

  // --- what one can do with the whole dashboard ------------------------------------------------------
  // A dialog with fields; resolves with their values, or null.
  gl.form = function (title, fields, { submit = "Save", text = "" } = {}) {
    return new Promise((resolve) => {
      const inputs = {};
      const labels = fields.map((field) => {
        const input = field.options
          ? make("select", { className: "gl-select" }, ...field.options.map(([value, name]) => make("option", { value }, name)))
          : make(field.rows ? "textarea" : "input", { className: "gl-input", placeholder: field.placeholder || "" });
        if (field.rows) input.rows = field.rows;
        if (field.type) input.type = field.type;
        if (field.type === "checkbox") input.checked = !!field.value; else input.value = field.value ?? "";
        input.name = field.name;
        inputs[field.name] = input;
        return field.type === "checkbox" ? make("label", { className: "gl-check" }, input, field.label) : make("label", {}, field.label, input);
      });
      const said = make("div", { className: "bad-text gl-form-said" });
      said.setAttribute("role", "alert");
      const ok = make("button", { type: "submit", className: "gl-button primary" }, submit);
      const cancel = make("button", { type: "button", className: "gl-button" }, "Cancel");
      const form = make("form", { className: "gl-stack" }, ...labels, said, make("div", { className: "gl-toolbar end" }, cancel, ok));
      const node = gl.dialog("form", title, make("h2", {}, title), ...(text ? [make("p", {}, text)] : []), form);
      let result = null;
      cancel.addEventListener("click", () => node.close());
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        result = Object.fromEntries(fields.map((f) => [f.name, f.type === "checkbox" ? inputs[f.name].checked : inputs[f.name].value]));
        node.close();
      });
      node.addEventListener("close", () => resolve(result));
      (Object.values(inputs)[0] || ok).focus();
    });
  };

  board.actions = {
    share: () => { gl.copy(location.href); gl.toast("Link copied: it keeps time range and variables."); },
    export: () => { location.href = `/api/v1/${path("/yaml")}${board.state.version && board.state.version < board.state.newest ? "?version=" + board.state.version : ""}`; },
    copy: async () => {
      const title = `${board.state.dashboard.title} (copy)`;
      const wanted = await gl.form("Save a copy", [{ name: "title", label: "Title", value: title }, { name: "folder", label: "Folder", value: own(board.state.dashboard.folder) }]);
      if (wanted) board.create({ ...(board.draft || board.state.dashboard), ...wanted });
    },
    delete: async () => {
      const sure = await gl.form("Delete this dashboard?", [], { submit: "Delete", text: "Its public links stop working. All its versions are kept: deleting can be undone." });
      if (!sure) return;
      const id = board.state.id, answer = await gl.call("DELETE", path());
      if (!answer.ok) { gl.toast(answer.body.error); return; }
      gl.go("/dashboards" + location.search);
      gl.toast("Deleted.", "Undo", async () => { await gl.call("POST", `dashboards/${id}/undelete`); gl.go(`/dashboards/${id}`); });
    },
    restore: async () => {
      const answer = await gl.call("POST", path("/restore"), { version: board.state.version, seen: board.state.newest });
      if (answer.ok) { gl.toast(`Version ${board.state.version} is the newest again.`); board.reload(); } else gl.toast(answer.body.error);
    },
    versions: async () => {
      const answer = await gl.call("GET", path("/versions"));
      if (!answer.ok) { gl.toast(answer.body.error); return; }
      const list = make("div", { className: "gl-versions" });
      const node = gl.dialog("versions", "Versions", make("h2", {}, "Versions"), list);
      answer.body.versions.forEach((v, i) => {
        const changes = make("ul", { className: "gl-changes", hidden: true });
        const look = make("button", { type: "button", className: "gl-link-button" }, "Look");
        look.addEventListener("click", () => { node.close(); set("board-asked", { data: { id: board.state.id, version: v.version, rev: Date.now() } }); });
        const what = make("button", { type: "button", className: "gl-link-button" }, "What changed");
        what.addEventListener("click", async () => {
          changes.hidden = !changes.hidden;
          if (changes.childElementCount) return;
          const said = await gl.call("GET", path(`/difference?old=${v.version - 1}&new=${v.version}`));
          const lines = said.ok ? said.body.changes : [said.body.error];
          changes.replaceChildren(...(lines.length ? lines : ["Nothing."]).map((line) => make("li", {}, line)));
        });
        list.append(make("div", { className: "gl-version" },
          make("b", {}, `${v.version}`), make("div", {}, make("div", {}, v.note || (v.version === 1 ? "Created" : "No note")),
            make("div", { className: "gl-faint" }, `${v.author}, ${v.at.replace("T", " ").slice(0, 16)} UTC`), changes),
          make("div", { className: "gl-version-do" }, ...(i === 0 ? [] : [look]), ...(v.version > 1 ? [what] : []))));
      });
    },
    links: () => showLinks(),
  };
  const own = (folder) => (folder === "Ready made" ? "" : folder || "");
  board.ownFolder = own;
  board.create = async function (definition, note) {
    const answer = await gl.call("POST", "dashboards", { definition: { ...definition, folder: own(definition.folder) }, note: note || "" });
    if (!answer.ok) { gl.toast(answer.body.error); return null; }
    board.forget();
    board.leave();
    gl.go(`/dashboards/${answer.body.id}${location.search}`);
    gl.toast("Saved.");
    return answer.body;
  };
  board.reload = () => set("board-asked", { data: { id: board.state.id, rev: Date.now() } });

  async function showLinks() {
    const answer = await gl.call("GET", path("/links"));
    if (!answer.ok) { gl.toast(answer.body.error); return; }
    const list = make("div", { className: "gl-versions" });
    const fresh = make("button", { type: "button", className: "gl-button primary" }, "New public link");
    const node = gl.dialog("links", "Public links", make("h2", {}, "Public links"),
      make("p", {}, "Whoever has such a link sees this dashboard without signing in: the time range and the filters shown now, nothing else, until it ends, somebody revokes it, or whoever made it leaves or may not share any more."),
      list, make("div", { className: "gl-toolbar end" }, fresh));
    const day = (text) => (text || "").slice(0, 10);
    answer.body.links.forEach((link) => {
      const revoke = make("button", { type: "button", className: "gl-link-button" }, "Revoke");
      revoke.addEventListener("click", async () => { await gl.call("DELETE", `dashboard-links/${link.id}`); node.close(); showLinks(); });
      list.append(make("div", { className: "gl-version" }, make("span", { className: `gl-badge ${link.state === "alive" ? "good" : ""}` }, link.state),
        make("div", {}, make("div", {}, link.note || link.shows), make("div", { className: "gl-faint" },
          `${link.created_by}, until ${day(link.expires_at)}, ${link.views} views${link.version ? `, version ${link.version}` : ""}`)),
        make("div", { className: "gl-version-do" }, ...(link.state === "alive" ? [revoke] : []))));
    });
    if (!answer.body.links.length) list.append(make("div", { className: "gl-none" }, "There is none yet."));
    fresh.addEventListener("click", async () => {
      node.close();
      const wanted = await gl.form("New public link", [
        { name: "days", label: "Works for", options: [["1", "1 day"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "1 year"]] },
        { name: "note", label: "For whom", placeholder: "shown in the list of links" },
        { name: "pinned", label: "Keep showing this version, whatever is changed later", type: "checkbox" },
      ], { submit: "Make link", text: "It shows the time range and the filters of this page as they are now." });
      if (!wanted) return;
      const made = await gl.call("POST", path("/links"), { days: Number(wanted.days), note: wanted.note, pinned: wanted.pinned, search: location.search });
      if (!made.ok) { gl.toast(made.body.error); return; }
      const url = location.origin + made.body.path;
      const field = make("input", { className: "gl-input gl-mono", value: url, readOnly: true });
      field.setAttribute("aria-label", "Public link");
      const copy = make("button", { type: "button", className: "gl-button primary" }, "Copy");
      copy.addEventListener("click", () => { field.select(); gl.copy(url); copy.textContent = "Copied"; });
      gl.dialog("link", "Public link", make("h2", {}, "Public link"), make("p", {}, "This is the only time it is shown; only its fingerprint is kept."), field, make("div", { className: "gl-toolbar end" }, copy));
      field.select();
    });
  }
})();
