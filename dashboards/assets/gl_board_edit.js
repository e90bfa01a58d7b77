// Editing a custom dashboard: gridstack over the cells, keys to move and resize, panels added and
// removed, saving. Nothing is sent but the definition, when somebody saves.
(function () {
  "use strict";
  const gl = window.gatelens, board = gl.board;
  const make = (...args) => gl.make(...args);
  const clone = (value) => JSON.parse(JSON.stringify(value));
  const CELL = 56, MARGIN = 6; // a row of 44 px and a gap of 12, as in gatelens.css (.gl-board)
  let grid = null, loading = null;

  function library() {
    loading = loading || new Promise((resolve, reject) => {
      const style = make("link", { rel: "stylesheet", href: "/assets/vendor/gridstack.min.css?v=14.1.0" });
      const script = make("script", { src: "/assets/vendor/gridstack.min.js?v=14.1.0" });
      script.addEventListener("load", resolve);
      script.addEventListener("error", reject);
      document.head.append(style, script);
    });
    return loading;
  }

  // `board.base`: the version one began to change. A redraw brings the newest along, which must not
  // be taken for the one that was seen.
  board.edit = async function () {
    const draft = gl.drafts.get(kept());
    board.draft = draft ? draft.dashboard : clone(board.state.dashboard);
    board.base = draft ? draft.version : board.state.version;
    board.dirty = !!draft;
    document.body.classList.add("gl-editing");
    if (!draft) { await board.layOut(); return; }
    board.redraw();
    gl.toast(`Your changes from ${gl.drafts.age(draft)} are back. Discard throws them away.`);
  };
  // What is changed and not saved is kept in this tab, whatever happens to the page.
  const kept = () => "board:" + board.state.id;
  board.changed = function () {
    board.dirty = true;
    gl.drafts.put(kept(), { dashboard: board.draft, version: board.base });
  };
  board.forget = () => gl.drafts.drop(kept());
  board.offerDraft = function () {
    const draft = board.state.mayEdit && !board.draft && gl.drafts.get(kept());
    if (draft) gl.toast(`You changed this dashboard ${gl.drafts.age(draft)} and did not save.`, "Go on editing", () => board.edit());
  };
  board.leave = function () {
    if (grid) { grid.destroy(false); grid = null; }
    board.draft = null;
    board.dirty = false;
    document.body.classList.remove("gl-editing");
  };

  // gridstack over the cells that are there; called again whenever the server drew them anew.
  board.layOut = async function () {
    await library();
    if (!board.draft) return;
    const place = document.querySelector(".gl-board");
    if (grid) { grid.destroy(false); grid = null; }
    if (!place) return;
    for (const cell of place.children) {
      const [x, y, w, h] = cell.dataset.at.split(",");
      for (const [name, value] of Object.entries({ x, y, w, h })) cell.setAttribute(`gs-${name}`, value);
      cell.setAttribute("gs-id", cell.dataset.panel);
      cell.tabIndex = 0;
    }
    grid = window.GridStack.init({
      column: 12, cellHeight: CELL, margin: MARGIN, float: false, animate: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      handle: ".gl-grip", draggable: { handle: ".gl-grip", cancel: "summary,button,a,input" }, columnOpts: { breakpoints: [{ w: 760, c: 1 }] },
    }, place);
    grid.on("change", (_event, nodes) => moved(nodes));
  };
  function moved(nodes) {
    if (!board.draft || grid.getColumn() !== 12) return; // a phone's one column is no layout to keep
    for (const node of nodes) {
      const panel = board.draft.panels.find((p) => p.id === node.id);
      const at = { x: node.x, y: node.y, w: node.w, h: node.h };
      if (panel && JSON.stringify(panel.at) !== JSON.stringify(at)) {
        panel.at = at;
        node.el.dataset.at = [at.x, at.y, at.w, at.h].join(",");
        board.changed();
      }
    }
  }

  // The server draws the cells of the draft: after panels came or went.
  board.redraw = () => {
    board.changed();
    if (grid) { grid.destroy(false); grid = null; }
    gl.setProps("board-draft", { data: { id: board.state.id, dashboard: board.draft, rev: Date.now() } });
  };
  const lowest = () => Math.max(0, ...board.draft.panels.map((p) => p.at.y + p.at.h));
  // The first place where a panel of this size fits, from the top left.
  function freePlace(w, h) {
    const taken = (x, y) => board.draft.panels.some((p) => x < p.at.x + p.at.w && p.at.x < x + w && y < p.at.y + p.at.h && p.at.y < y + h);
    for (let y = 0; y < lowest(); y += 1) for (let x = 0; x + w <= 12; x += 1) if (!taken(x, y)) return { x, y };
    return { x: 0, y: lowest() };
  }
  const newId = () => "p-" + Math.random().toString(36).slice(2, 8);

  Object.assign(board.actions, {
    edit: () => board.edit(),
    add: async () => {
      if (!board.draft) await board.edit();
      board.openForm({
        id: newId(), kind: "time_series", title: "", description: "", at: { ...freePlace(6, 6), w: 6, h: 6 },
        source: { measures: ["requests_per_s"], by: ["api"], filters: {}, limit: 10, sql: "" }, unit: "auto", thresholds: [], style: "lines", text: "", links: [],
      }, true);
    },
    discard: async () => {
      if (board.dirty && !(await gl.form("Discard your changes?", [], { submit: "Discard", text: "What you changed since the last save is lost." }))) return;
      board.forget();
      board.leave();
      gl.setProps("board-draft", { data: null });
      board.reload();
    },
    settings: async () => {
      const d = board.draft, all = Object.keys(gl.options.dimensions);
      const wanted = await gl.form("Settings", [
        { name: "title", label: "Title", value: d.title },
        { name: "folder", label: "Folder (a/b is a folder in a folder)", value: d.folder },
        { name: "description", label: "Description", value: d.description, rows: 2 },
        { name: "range", label: "Time range when the address says none", options: [["", "as everywhere"], ...gl.options.ranges], value: d.range },
        { name: "variables", label: `Variables, in order; each narrows the next (${all.join(", ")})`, value: d.variables.map((v) => v.name).join(", ") },
        { name: "defaults", label: "What is filtered now becomes the default", type: "checkbox" },
      ], { submit: "Apply" });
      if (!wanted) return;
      const names = wanted.variables.split(/[,\s]+/).filter(Boolean), unknown = names.filter((n) => !all.includes(n));
      if (unknown.length) { gl.toast(`There is no variable ${unknown.join(", ")}; known: ${all.join(", ")}.`); return; }
      const params = new URLSearchParams(location.search);
      Object.assign(d, { title: wanted.title.trim() || d.title, folder: wanted.folder.trim(), description: wanted.description.trim(), range: wanted.range });
      d.variables = [...new Set(names)].map((name) => {
        const before = d.variables.find((v) => v.name === name) || { name, label: "", default: [] };
        return wanted.defaults ? { ...before, default: params.getAll(name).filter(Boolean) } : before;
      });
      board.redraw();
    },
    save: () => save(),
  });
  async function save() {
    if (board.state.version === 0) {
      const wanted = await gl.form("Save a copy", [{ name: "title", label: "Title", value: board.draft.title }, { name: "folder", label: "Folder", value: board.ownFolder(board.draft.folder) }]);
      if (wanted) await board.create({ ...board.draft, ...wanted });
      return;
    }
    if (!board.dirty) { board.leave(); board.reload(); return; }
    const wanted = await gl.form("Save", [{ name: "note", label: "What changed, in a few words (may stay empty)", placeholder: "Latency by route added" }]);
    if (wanted) await put(board.base, wanted.note);
  }
  async function put(seen, note) {
    const answer = await gl.call("PUT", board.path(), { definition: board.draft, seen, note });
    if (answer.ok) {
      board.forget();
      board.leave();
      gl.setProps("board-draft", { data: null });
      board.reload();
      gl.toast(`Saved as version ${answer.body.version}.`);
    } else if (answer.status === 409) conflict(answer.body, note);
    else gl.toast(answer.body.error);
  }
  // Somebody else saved in between: nothing of either is lost, and the choice is said in words.
  function conflict(said, note) {
    const changes = make("ul", { className: "gl-changes" });
    const button = (text, looks, run) => { const b = make("button", { type: "button", className: `gl-button ${looks}` }, text); b.addEventListener("click", () => { node.close(); run(); }); return b; };
    const node = gl.dialog("conflict", "Somebody saved before you", make("h2", {}, "Somebody saved before you"), make("p", {}, said.error),
      make("p", {}, `What ${said.author} changed since version ${board.base}:`), changes, make("div", { className: "gl-toolbar end" },
        button("Go on editing", "", () => {}), button(`Save over version ${said.version}`, "", () => put(said.version, note)), button("Save mine as a copy", "primary", () => board.actions.copy())));
    gl.call("GET", board.path(`/difference?old=${board.base}&new=${said.version}`)).then((found) => {
      const lines = found.ok ? found.body.changes : [found.body.error];
      changes.replaceChildren(...lines.map((line) => make("li", {}, line)));
    });
  }

  Object.assign(board.panelActions, {
    edit: (id) => board.openForm(clone(board.draft.panels.find((p) => p.id === id)), false),
    duplicate: (id) => {
      const panel = clone(board.draft.panels.find((p) => p.id === id));
      board.draft.panels.push({ ...panel, id: newId(), at: { ...panel.at, y: lowest() } });
      board.redraw();
    },
    remove: (id) => {
      const gone = board.draft.panels.find((p) => p.id === id);
      board.draft.panels = board.draft.panels.filter((p) => p.id !== id);
      board.redraw();
      gl.toast("Panel removed.", "Undo", () => { if (board.draft) { board.draft.panels.push(gone); board.redraw(); } });
    },
  });
  board.apply = (panel, isNew) => {
    if (isNew) { board.draft.panels.push(panel); board.redraw(); return; }
    const index = board.draft.panels.findIndex((p) => p.id === panel.id);
    const sameKind = board.draft.panels[index].kind === panel.kind;
    board.draft.panels[index] = { ...panel, at: board.draft.panels[index].at };
    board.changed();
    if (sameKind) gl.setProps({ type: "cell-panel", key: panel.id }, { data: { panel, id: board.state.id, version: board.state.version } });
    else board.redraw();
  };

  // --- keys: arrows move, with Shift they resize, Enter edits, Delete removes -------------------------
  document.addEventListener("keydown", (event) => {
    const cell = event.target.classList && event.target.classList.contains("gl-cell") ? event.target : null;
    if (!cell || !grid || !board.draft) return;
    const at = cell.gridstackNode, id = cell.dataset.panel;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      event.preventDefault();
      if (event.shiftKey) grid.update(cell, { w: Math.max(1, Math.min(12 - at.x, at.w + step[0])), h: Math.max(1, at.h + step[1]) });
      else grid.update(cell, { x: Math.max(0, Math.min(12 - at.w, at.x + step[0])), y: Math.max(0, at.y + step[1]) });
      gl.say(`${cell.getAttribute("aria-label")}: column ${at.x + 1}, row ${at.y + 1}, ${at.w} wide, ${at.h} high`);
    } else if (event.key === "Enter") { event.preventDefault(); board.panelActions.edit(id); }
    else if (event.key === "Delete") { event.preventDefault(); board.panelActions.remove(id); }
  });
  gl.say = function (text) {
    let node = document.getElementById("gl-said");
    if (!node) { node = make("div", { id: "gl-said", className: "gl-unseen" }); node.setAttribute("aria-live", "polite"); document.body.append(node); }
    node.textContent = text;
  };
  window.addEventListener("beforeunload", (event) => { if (board.dirty) event.preventDefault(); });
  // Leaving by a link of ours ends editing; the browser's own question does not come there.
  window.addEventListener("_dashprivate_pushstate", () => {
    const here = board.state && `/dashboards/${encodeURIComponent(board.state.id)}`;
    if (!board.draft || !here || location.pathname === here) return;
    if (board.dirty) gl.toast("The dashboard is not saved; your changes are kept in this tab.", "Back to it", () => gl.go(here));
    board.leave();
  });
})();
