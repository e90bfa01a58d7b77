// Command palette (Ctrl-K), list of shortcuts (?), "create alert". All in the browser.
(function () {
  "use strict";
  const gl = window.gatelens, make = gl.make;

  function dialog(name, title, ...children) {
    const old = document.getElementById("gl-dialog");
    if (old) old.remove();
    const node = make("dialog", { id: "gl-dialog", className: "gl-dialog " + name }, ...children);
    node.setAttribute("aria-label", title);
    node.addEventListener("click", (event) => { if (event.target === node) node.close(); });
    node.addEventListener("close", () => node.remove());
    document.body.append(node);
    node.showModal();
    return node;
  }
  gl.dialog = dialog;
  const links = () => [...document.querySelectorAll(".gl-nav-link")];
  // Only what the reader may open or do is offered.
  const linkTo = (first) => links().find((a) => a.getAttribute("href").split("?")[0] === "/" + first);
  const may = (permission) => !!gl.options && gl.options.may.includes(permission);

  // --- palette -----------------------------------------------------------------------------------
  const names = { at: 0, found: [] };
  async function known() {
    if (Date.now() - names.at < 60000) return names.found;
    const ask = (first, name, limit) => (linkTo(first) ? gl.values(name, limit) : []);
    const [apis, consumers] = await Promise.all([ask("apis", "api", 200), ask("consumers", "consumer", 300)]);
    names.at = Date.now();
    names.found = [
      ...apis.map((a) => ({ text: a.value, kind: "API", path: "/apis/" + encodeURIComponent(a.value) })),
      ...consumers.map((c) => ({ text: c.value, kind: "Consumer", path: "/consumers/" + encodeURIComponent(c.value) })),
    ];
    return names.found;
  }
  function commands() {
    const keep = (path) => path + location.search;
    return [
      ...links().map((a) => ({ text: a.textContent, kind: "Screen", run: () => gl.go(a.getAttribute("href")) })),
      ...gl.options.ranges.map(([from, text]) => ({ text, kind: "Time", run: () => gl.navigate({ from, to: "now" }) })),
      ...["dark", "light", "system"].map((t) => ({ text: `Theme: ${t}`, kind: "Look", run: () => gl.setTheme(t) })),
      { text: "Compare with the range before", kind: "Look", run: () => document.getElementById("compare").click() },
      { text: "Refresh now", kind: "Do", run: () => { gl.refreshNow = true; } },
      { text: "Copy link to this screen", kind: "Do", run: () => gl.copy(location.href) },
      ...(linkTo("requests") ? [{ text: "Show raw requests", kind: "Do", run: () => gl.go(keep("/requests")) }] : []),
      ...(may("alerts.manage") ? [{ text: "Create an alert from this screen", kind: "Do", run: () => gl.createAlert("error_rate") }] : []),
      { text: "HTTP API", kind: "Do", run: () => { location.href = "/api/docs"; } },
    ];
  }
  // Every letter of what was typed in order; earlier and closer together is better.
  function score(text, typed) {
    const low = text.toLowerCase(), at = low.indexOf(typed);
    if (at >= 0) return at === 0 ? 0 : 1 + at / 100;
    let from = 0;
    for (const letter of typed) { from = low.indexOf(letter, from) + 1; if (!from) return null; }
    return 10 + from / 100;
  }
  gl.palette = function () {
    const field = make("input", { className: "gl-palette-input", placeholder: "Screen, API, consumer, trace id, or what to do", type: "text" });
    field.setAttribute("aria-label", "Search");
    const list = make("div", { className: "gl-palette-list" });
    list.setAttribute("role", "listbox");
    const node = dialog("palette", "Command palette", field, list);
    let all = commands(), shown = [], at = 0;
    const draw = () => {
      const typed = field.value.trim().toLowerCase();
      const ranked = all.map((c) => [typed ? score(c.text, typed) : 0, c]).filter((p) => p[0] !== null);
      if (typed) ranked.sort((a, b) => a[0] - b[0]);
      shown = ranked.slice(0, 14).map((p) => p[1]);
      if (/^[0-9a-f]{32}$/.test(typed) && linkTo("traces")) shown.unshift({ text: typed, kind: "Trace", path: "/traces/" + typed });
      at = Math.min(at, Math.max(0, shown.length - 1));
      list.replaceChildren(...shown.map((c, i) => {
        const item = make("button", { type: "button", className: "gl-menu-item" + (i === at ? " active" : "") },
          make("span", {}, c.text), make("span", { className: "gl-faint" }, c.kind));
        item.setAttribute("role", "option");
        item.addEventListener("click", () => run(c));
        return item;
      }), ...(shown.length ? [] : [make("div", { className: "gl-none" }, "Nothing fits")]));
      const active = list.querySelector(".active");
      if (active) active.scrollIntoView({ block: "nearest" });
    };
    const run = (c) => { node.close(); if (c.run) c.run(); else gl.go(c.path + location.search); };
    field.addEventListener("input", () => { at = 0; draw(); });
    field.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") at = Math.min(at + 1, shown.length - 1);
      else if (event.key === "ArrowUp") at = Math.max(at - 1, 0);
      else if (event.key === "Enter") { if (shown[at]) run(shown[at]); return; }
      else return;
      event.preventDefault();
      draw();
    });
    draw();
    known().then((more) => { all = [...commands(), ...more]; if (node.open) draw(); });
  };

  // --- shortcuts ---------------------------------------------------------------------------------
  const JUMPS = { h: "", a: "apis", c: "consumers", p: "products", q: "requests", t: "traces", v: "services", l: "logs", m: "explorer", s: "sql", n: "alerts", o: "operate" };
  const KEYS = [
    ["Ctrl K", "command palette"], ["/", "search on this page"], ["f", "add a filter"], ["t", "dark or light"], ["r", "refresh now"],
    ["c", "compare with the range before"], ["[ and ]", "earlier, later by half the range"], ["?", "this list"],
  ];
  gl.shortcuts = function () {
    const row = (keys, text) => make("div", { className: "gl-key" }, make("kbd", {}, keys), make("span", {}, text));
    const jumps = Object.entries(JUMPS).filter(([, first]) => linkTo(first)).map(([key, first]) => row("g " + key, linkTo(first).textContent));
    dialog("shortcuts", "Keyboard shortcuts", make("h2", {}, "Keyboard shortcuts"),
      make("div", { className: "gl-keys" }, make("div", {}, ...KEYS.map((k) => row(...k))), make("div", {}, ...jumps)));
  };
  let leader = 0;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); gl.palette(); return; }
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (Date.now() - leader < 1200 && event.key in JUMPS) {
      leader = 0;
      event.stopImmediatePropagation();
      const link = linkTo(JUMPS[event.key]);
      if (link) gl.go(link.getAttribute("href"));
    } else if (event.key === "g") leader = Date.now();
    else if (event.key === "?") gl.shortcuts();
    else if (event.key === "c") document.getElementById("compare").click();
    else if (event.key === "f") { const menu = document.querySelector("#filter-bar details"); if (menu) menu.open = true; }
    else if (event.key === "[" || event.key === "]") shift(event.key === "[" ? -1 : 1);
  }, true);
  function shift(direction) {
    const ends = gl.range && gl.range();
    if (!ends) return;
    const half = (ends[1] - ends[0]) / 2 * direction;
    const iso = (t) => new Date(t).toISOString().slice(0, 19);
    gl.navigate({ from: iso(ends[0] + half), to: iso(Math.min(ends[1] + half, Date.now())) });
  }
  gl.range = () => {
    const params = new URLSearchParams(location.search), sizes = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
    const read = (text) => {
      if (text === "now") return Date.now();
      const relative = /^now-(\d+)([smhdw])$/.exec(text);
      if (relative) return Date.now() - relative[1] * sizes[relative[2]];
      const moment = Date.parse(/Z|[+-]\d\d:?\d\d$/.test(text) ? text : text + "Z");
      return Number.isNaN(moment) ? null : moment;
    };
    const ends = [read(params.get("from") || gl.options.from), read(params.get("to") || "now")];
    return ends.includes(null) ? null : ends;
  };

  // --- create alert: the editor, with what this screen is filtered by ------------------------------
  // filters: query string of what narrows the chart beyond the page, as a panel of a custom dashboard has.
  gl.createAlert = function (measure, filters) {
    const params = new URLSearchParams(location.search);
    const [first, name] = location.pathname.split("/").slice(1);
    if (name && (first === "apis" || first === "consumers")) params.set(first.slice(0, -1), decodeURIComponent(name));
    const own = new URLSearchParams(filters || "");
    for (const key of new Set(own.keys())) params.delete(key);
    for (const [key, value] of own) params.append(key, value);
    params.set("measure", measure);
    gl.go("/alerts/rules/new?" + params);
  };
  // Of a chart that is not about requests: a rule of that kind, about what this screen searches.
  gl.createRule = function (kind) {
    const params = new URLSearchParams(location.search);
    params.set("kind", kind);
    gl.go("/alerts/rules/new?" + params);
  };
  // The rows behind a chart; filters: query string of what narrows it beyond the page. range: from and
  // to instead of the page's.
  gl.rawRequests = function (filters, range) {
    const [first, name] = location.pathname.split("/").slice(1), params = new URLSearchParams(location.search);
    if (name && (first === "apis" || first === "consumers")) params.set(first.slice(0, -1), decodeURIComponent(name));
    for (const [key, value] of [...new URLSearchParams(filters), ...Object.entries(range || {})]) params.set(key, value);
    gl.go("/requests?" + params);
  };
  // An answer of the HTTP API for what the URL shows, as a file. asked: "usage?by=api".
  gl.takeFile = function (asked) {
    const [answer, words] = asked.split("?");
    const query = gl.apiQuery({ ...Object.fromEntries(new URLSearchParams(words)), format: "csv" });
    gl.make("a", { href: `/api/v1/analytics/${answer}?${query}`, download: "" }).click();
  };
  gl.copy = (text) => navigator.clipboard && navigator.clipboard.writeText(text).catch(() => {});

  document.addEventListener("click", (event) => {
    const hit = (name) => event.target.closest && event.target.closest(`[${name}]`);
    const open = hit("data-gl-open");
    if (open) gl[open.dataset.glOpen]();
    const rule = hit("data-gl-alert");
    if (rule) gl.createAlert(rule.dataset.glAlert, rule.dataset.glFilters);
    const match = hit("data-gl-rule");
    if (match) gl.createRule(match.dataset.glRule);
    const raw = hit("data-gl-raw");
    if (raw) gl.rawRequests(raw.dataset.glRaw);
    const file = hit("data-gl-file");
    if (file) gl.takeFile(file.dataset.glFile);
    const add = hit("data-gl-add");
    if (add) { event.preventDefault(); for (const [key, value] of new URLSearchParams(add.dataset.glAdd)) gl.addFilter(key, value); }
  });
})();
