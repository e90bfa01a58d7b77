// The SQL screen's editor: completion from the schema, saved statements, history, share by link, export.
(function () {
  "use strict";
  const gl = window.gatelens, make = gl.make;
  const field = () => document.getElementById("sql-text");
  const HISTORY = "gl-sql-history", KEPT = 30;
  const past = () => { try { return JSON.parse(localStorage.getItem(HISTORY)) || []; } catch (e) { return []; } };

  // React watches the value of its own fields: set it the way typing does.
  gl.setText = function (text) {
    const node = field();
    if (!node) return;
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(node, text);
    node.dispatchEvent(new Event("input", { bubbles: true }));
  };
  gl.sqlRan = function (text) {
    const kept = [text, ...past().filter((t) => t !== text)].slice(0, KEPT);
    try { localStorage.setItem(HISTORY, JSON.stringify(kept)); } catch (e) { /* private mode */ }
    const params = new URLSearchParams(location.search);
    params.set("sql", text);
    if (text.length < 3000) history.replaceState({}, "", location.pathname + "?" + params);
  };
  async function download(format) {
    const answer = await fetch("/api/v1/sql?format=" + format, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ sql: field().value }),
    });
    if (!answer.ok) { document.getElementById("sql-status").textContent = (await answer.json()).error || "The export failed."; return; }
    const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: "result." + format });
    link.click();
    URL.revokeObjectURL(link.href);
  }
  document.addEventListener("click", (event) => {
    const hit = event.target.closest && event.target.closest("[data-gl-sql]");
    if (!hit) return;
    const what = hit.dataset.glSql;
    if (what === "share") {
      const params = new URLSearchParams({ sql: field().value });
      gl.copy(location.origin + "/sql?" + params);
      hit.textContent = "Link copied";
      setTimeout(() => { hit.textContent = "Copy link"; }, 1500);
    } else if (what === "csv" || what === "arrow") download(what);
    else if (what === "save") save();
    else if (what === "history") showHistory();
    else if (what.startsWith("insert:")) insert(what.slice(7));
    else if (what.startsWith("example:")) { gl.setText(what.slice(8)); field().focus(); }
  });
  // Saved by name on the server, for oneself or for all who may ask in SQL; what was run, in this browser.
  let opened = { name: "", shared: false };
  function save() {
    const name = make("input", { className: "gl-input", type: "text", maxLength: 80, placeholder: "Name", value: opened.name });
    name.setAttribute("aria-label", "Name of the statement");
    const shared = make("input", { type: "checkbox", checked: opened.shared });
    const ok = make("button", { type: "button", className: "gl-button primary" }, "Save");
    const said = make("div", { className: "bad-text" });
    said.setAttribute("role", "status");
    const node = gl.dialog("save", "Save this statement", make("h2", {}, "Save this statement"), name,
      make("label", { className: "gl-check" }, shared, " Everybody who may ask in SQL finds it"), said, make("div", { className: "gl-toolbar end" }, ok));
    const keep = async () => {
      if (!name.value.trim()) { name.focus(); return; }
      const answer = await gl.call("POST", "statements", { name: name.value.trim(), sql: field().value, shared: shared.checked });
      if (!answer.ok) { said.textContent = answer.body.error; return; }
      opened = answer.body;
      node.close();
      gl.toast(`Saved as ${answer.body.name}.`);
    };
    ok.addEventListener("click", keep);
    name.addEventListener("keydown", (event) => { if (event.key === "Enter") keep(); });
    name.focus();
  }
  async function showHistory() {
    const answer = await gl.call("GET", "statements");
    const kept = answer.ok ? answer.body.statements : [];
    const take = (text) => { gl.setText(text); document.getElementById("gl-dialog").close(); };
    const button = (text, more, run) => {
      const item = make("button", { type: "button", className: "gl-menu-item" }, text, ...more);
      item.addEventListener("click", run);
      return item;
    };
    const line = (s) => {
      const whose = s.mine ? (s.shared ? "shared" : "") : `by ${s.author}`;
      const open = button(s.name, whose ? [make("span", { className: "gl-faint" }, " " + whose)] : [], () => {
        opened = s.mine ? s : { name: "", shared: false };
        take(s.sql);
      });
      open.title = s.sql;
      const row = make("div", { className: "gl-saved" }, open);
      if (s.mine) {
        const drop = make("button", { type: "button", className: "gl-link-button" }, "Delete");
        drop.setAttribute("aria-label", `Delete ${s.name}`);
        drop.addEventListener("click", async () => {
          const gone = await gl.call("DELETE", "statements/" + s.id);
          if (!gone.ok) { gl.toast(gone.body.error); return; }
          document.getElementById("gl-dialog").close();  // a toast cannot be clicked behind it
          gl.toast(`${s.name} is deleted.`, "Undo", () => gl.call("POST", "statements", { name: s.name, sql: s.sql, shared: s.shared }));
        });
        row.append(drop);
      }
      return row;
    };
    const items = past().map((text) => button(text.replace(/\s+/g, " ").slice(0, 110), [], () => take(text)));
    const list = (found, none) => make("div", { className: "gl-palette-list" }, ...(found.length ? found : [make("div", { className: "gl-none" }, none)]));
    gl.dialog("history", "Saved statements and those run here before",
      make("h2", {}, "Saved"), list(kept.map(line), answer.ok ? "None yet: Save keeps a statement by name." : answer.body.error),
      make("h2", {}, "Run in this browser before"), list(items, "None yet"));
  }
  // How long the running statement has run, and how far it is: what the server tells of its id.
  let since = 0, told = "", asking = false;
  async function askHowFar(id) {
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch("/api/v1/sql/" + id);
      const at = answer.ok ? await answer.json() : {};
      told = at.state === "waiting" ? ", waiting to start" : at.state === "running" && at.progress ? `, ${Math.round(at.progress * 100)} % done` : "";
    } catch (e) { told = ""; }
    asking = false;
  }
  setInterval(() => {
    const place = document.getElementById("sql-running");
    if (!place) return;
    if (!place.classList.contains("on")) { since = 0; told = ""; if (place.textContent) place.textContent = ""; return; }
    since = since || Date.now();
    if (Date.now() - since > 800) askHowFar(place.dataset.glRun);
    place.textContent = `Running for ${Math.round((Date.now() - since) / 1000)} s${told}`;
  }, 500);
  function insert(text) {
    const node = field(), at = node.selectionStart, end = node.selectionEnd;
    gl.setText(node.value.slice(0, at) + text + node.value.slice(end));
    node.focus();
    node.setSelectionRange(at + text.length, at + text.length);
  }

  // --- completion ----------------------------------------------------------------------------------
  const WORDS = "SELECT FROM WHERE GROUP BY ORDER BY LIMIT HAVING JOIN USING INTERVAL DESC COUNT AVG SUM MIN MAX quantile_cont time_bucket date_trunc now".split(" ");
  let choices = [], at = 0, box = null;
  const schema = () => {
    const place = document.getElementById("sql-schema-data");
    if (!place) return { tables: {} };
    return JSON.parse(place.textContent);
  };
  const wordAt = (node) => /[\w.]*$/.exec(node.value.slice(0, node.selectionStart))[0];
  function close() { if (box) { box.remove(); box = null; } choices = []; }
  function suggest() {
    const node = field(), word = wordAt(node);
    close();
    if (word.length < 2) return;
    const tables = schema().tables, low = word.toLowerCase().split(".").pop();
    const used = Object.keys(tables).filter((t) => new RegExp(`\\b${t}\\b`).test(node.value));
    const columns = (used.length ? used : ["requests"]).flatMap((t) => tables[t] || []);
    choices = [...new Set([...columns, ...Object.keys(tables), ...WORDS])]
      .filter((c) => c.toLowerCase().startsWith(low) && c.toLowerCase() !== low).slice(0, 8);
    if (!choices.length) return;
    at = 0;
    box = make("div", { className: "gl-complete" });
    node.parentElement.append(box);
    draw();
  }
  function draw() {
    box.replaceChildren(...choices.map((c, i) => {
      const item = make("button", { type: "button", className: "gl-menu-item gl-mono" + (i === at ? " active" : "") }, c);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(c); });
      return item;
    }));
  }
  function take(choice) {
    const node = field(), word = wordAt(node).split(".").pop();
    close();
    node.selectionStart -= word.length;
    insert(choice);
    close();
  }
  document.addEventListener("input", (event) => { if (event.target.id === "sql-text" && event.isTrusted) suggest(); });
  document.addEventListener("focusout", (event) => { if (event.target.id === "sql-text") close(); });
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "sql-text") return;
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); document.getElementById("sql-run").click(); return; }
    if (!choices.length) return;
    if (event.key === "ArrowDown") at = (at + 1) % choices.length;
    else if (event.key === "ArrowUp") at = (at + choices.length - 1) % choices.length;
    else if (event.key === "Tab" || event.key === "Enter") { event.preventDefault(); take(choices[at]); return; }
    else if (event.key === "Escape") { close(); return; }
    else return;
    event.preventDefault();
    draw();
  }, true);
})();
