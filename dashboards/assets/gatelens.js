// What the browser does alone: the URL, theme, refresh, hotkeys. Nothing here asks the server for data.
(function () {
  "use strict";
  const gl = (window.gatelens = { inflight: 0 });
  const none = () => window.dash_clientside.no_update;

  // What the frame says about the server: shown while it is so.
  const SLOW_MS = 4000;
  const NOTICES = {
    "gl-offline": "The server does not answer; what you see may be old. Trying again with every refresh.",
    "gl-slow": "A question takes longer than usual; panels fill in as answers come.",
  };
  function notice(id, shown) {
    let node = document.getElementById(id);
    if (!node && !shown) return;
    if (!node) {
      node = Object.assign(document.createElement("div"), { id, className: "gl-notice", textContent: NOTICES[id] });
      node.setAttribute("role", "status");
      document.body.append(node);
    }
    node.hidden = !shown;
  }

  // What the page brought along (first_page.py): once, and only at the address it was made for.
  function broughtAlong(url) {
    const block = document.querySelector(`script[data-gl-answers="${CSS.escape(url)}"]`);
    if (!block) return null;
    block.remove();
    const { path, search } = block.dataset;
    const elsewhere = path !== undefined && (path !== location.pathname || search !== location.search);
    return elsewhere ? null : block.textContent;
  }

  // Screen updates that are still running; auto-refresh waits for them instead of piling up.
  const realFetch = window.fetch;
  window.fetch = function (resource, options) {
    const url = typeof resource === "string" ? resource : resource.url;
    const known = broughtAlong(url);
    if (known !== null) return Promise.resolve(new Response(known, { headers: { "content-type": "application/json" } }));
    if (!url.includes("_dash-update-component")) return realFetch.apply(this, arguments);
    gl.inflight += 1;
    const slow = setTimeout(() => notice("gl-slow", true), SLOW_MS);
    return realFetch.apply(this, arguments).then(
      (answer) => { notice("gl-offline", answer.status >= 502); return answer; },
      (error) => { notice("gl-offline", true); throw error; },
    ).finally(() => {
      gl.inflight -= 1;
      clearTimeout(slow);
      if (!gl.inflight) notice("gl-slow", false);
    });
  };

  // --- the URL is the state --------------------------------------------------------------------
  gl.navigate = function (changes, push) {
    const params = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") params.delete(name); else params.set(name, value);
    }
    const search = params.toString().replaceAll("%3A", ":");
    const target = location.pathname + (search ? "?" + search : "");
    if (target === location.pathname + location.search) return;
    history[push === false ? "replaceState" : "pushState"]({}, "", target);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  };

  const settable = (target) => target.closest && target.closest("[data-gl-set]");
  document.addEventListener("click", (event) => {
    const item = settable(event.target);
    if (item) {
      event.preventDefault();
      gl.navigate(Object.fromEntries(new URLSearchParams(item.dataset.glSet)));
    }
    const toggle = event.target.closest && event.target.closest("[data-gl-toggle]");
    if (toggle) {
      const name = toggle.dataset.glToggle, on = new URLSearchParams(location.search).get(name) === "1";
      gl.navigate({ [name]: on ? null : "1" });
    }
    const link = event.target.closest && event.target.closest("a[data-gl-go]");
    if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      gl.go(link.getAttribute("href"));
    }
    const theme = event.target.closest && event.target.closest("[data-gl-theme]");
    if (theme) gl.setTheme(theme.dataset.glTheme);
    if (event.target.closest && event.target.closest("[data-gl-apply-range]")) applyRange();
    if (event.target.closest && event.target.closest("[data-gl-refresh-now]")) gl.refreshNow = true;
    // Menus close after a choice and when something else is clicked.
    for (const menu of document.querySelectorAll("details.gl-pop[open]")) {
      const chosen = item || theme || (event.target.closest && event.target.closest("[data-gl-apply-range]"));
      if (chosen || !menu.contains(event.target)) menu.open = false;
    }
  });

  // The wheel moves the page also over the service map; with Ctrl it zooms the map.
  document.addEventListener("wheel", (event) => {
    const over = event.target.closest && event.target.closest("#services-map");
    if (over && !event.ctrlKey && !event.metaKey) event.stopPropagation();
  }, { capture: true, passive: true });

  gl.go = function (path) {
    history.pushState({}, "", path);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  };

  function applyRange() {
    const from = document.getElementById("range-from").value.trim();
    const to = document.getElementById("range-to").value.trim();
    const absolute = (text) => /^\d{4}-/.test(text) ? gl.toUtc(text) : text;
    if (from) gl.navigate({ from: absolute(from), to: absolute(to || "now") });
  }

  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.gl-pop[open]")) menu.open = false;
      return;
    }
    if (event.key === "Enter" && event.target.id && event.target.id.startsWith("range-")) {
      applyRange();
      for (const menu of document.querySelectorAll("details.gl-pop[open]")) menu.open = false;
      return;
    }
    const own = event.target.id && event.target.id.startsWith("param-");
    if (event.key === "Enter" && own) {
      gl.navigate({ [event.target.id.split("-").pop()]: event.target.value.trim() });
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "/") {
      const field = document.querySelector("[id^=param-]");
      if (field) { event.preventDefault(); field.focus(); }
    } else if (event.key === "t") {
      gl.setTheme(document.documentElement.dataset.scheme === "dark" ? "light" : "dark");
    } else if (event.key === "r") {
      gl.refreshNow = true;
    }
  });

  // --- theme -----------------------------------------------------------------------------------
  const system = matchMedia("(prefers-color-scheme: dark)");
  function choice() {
    const asked = new URLSearchParams(location.search).get("theme");
    if (asked === "dark" || asked === "light") return asked;
    try { return localStorage.getItem("gl-theme") || "system"; } catch (e) { return "system"; }
  }
  function resolved() {
    const wanted = choice();
    return wanted === "dark" || wanted === "light" ? wanted : system.matches ? "dark" : "light";
  }
  function applyTheme() {
    document.documentElement.setAttribute("data-scheme", resolved());
    if (window.dash_clientside && dash_clientside.set_props) dash_clientside.set_props("scheme-asked", { data: Date.now() });
  }
  gl.setTheme = function (name) {
    try { localStorage.setItem("gl-theme", name); } catch (e) { /* private mode: for this page only */ }
    if (new URLSearchParams(location.search).has("theme")) gl.navigate({ theme: null }, false);
    applyTheme();
  };
  system.addEventListener("change", applyTheme);

  // --- clientside callbacks ---------------------------------------------------------------------
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    gatelens: {
      // URL, refresh and theme -> what every panel listens to.
      view: (search, pathname, tick, scheme) => ({
        search: search || "", tick: tick || 0, mode: scheme || resolved(), zone: gl.zone(),
      }),

      // The timer: skip while the previous round still runs, or nobody looks.
      tick: (n, previous) => {
        if (gl.refreshNow) { gl.refreshNow = false; return (previous || 0) + 1; }
        if (!n || gl.inflight > 0 || document.hidden) return none();
        const every = gl.refreshSeconds;
        if (!every) return none();
        const now = Date.now();
        if (gl.lastTick && now - gl.lastTick < every * 1000 - 250) return none();
        gl.lastTick = now;
        return (previous || 0) + 1;
      },

      scheme: () => resolved(),

      // Labels of the header's controls, and links of the navigation, from the URL.
      header: (search, pathname, links, options) => {
        const params = new URLSearchParams(search || "");
        const from = params.get("from") || options.from, to = params.get("to") || "now";
        const known = options.ranges.find((r) => r[0] === from && to === "now");
        const relative = /^now-(\d+)([smhdw])$/.exec(from);
        const units = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };
        const pretty = (t) => t.startsWith("now") ? t : gl.fromUtc(t).replace("T", " ").slice(0, 16);
        const refresh = params.get("refresh") || options.refresh;
        gl.refreshSeconds = options.refreshes[refresh] ?? options.refreshes[options.refresh];
        const keep = new URLSearchParams();
        for (const name of ["from", "to", "refresh", "compare", ...Object.keys(options.dimensions)]) {
          // A page about one API or consumer is narrowed by its address; the filter would be said twice.
          for (const value of params.getAll(name)) if (value) keep.append(name, value);
        }
        gl.options = options;
        if (gl.showFilters) gl.showFilters();
        const compare = document.getElementById("compare");
        if (compare) compare.setAttribute("aria-pressed", params.get("compare") === "1");
        const tail = keep.toString() ? "?" + keep.toString().replaceAll("%3A", ":") : "";
        const first = (pathname || "/").split("/")[1];
        return [
          known ? known[1] : relative && to === "now" ? `Last ${relative[1]} ${units[relative[2]]}${relative[1] === "1" ? "" : "s"}` : pretty(from) + " – " + pretty(to),
          refresh === "off" ? "Off" : refresh,
          params.get("env") || "All environments",
          links.map((l) => "/" + l.key + tail),
          links.map((l) => "gl-nav-link" + (l.key === first ? " active" : "")),
        ];
      },

      // The statement of a shared link, or the example.
      sqlFromLink: (id, example) => new URLSearchParams(location.search).get("sql") || example,
      sqlRan: (clicks, text) => { if (clicks && text) gl.sqlRan(text); return none(); },

      // A click on a service of the map leads to its traces, in the range and filters of the page.
      mapClick: (hit) => {
        const service = hit && hit.points && hit.points[0] && hit.points[0].customdata;
        if (!service) return none();
        const params = new URLSearchParams(location.search);
        params.delete("by");
        params.set("service", service);
        gl.go("/traces?" + params.toString());
        return null;
      },

      // A box drawn on the heat-map of traces; its corners go into the URL.
      box: (moved) => {
        if (!moved || moved["xaxis.range[0]"] === undefined || moved["yaxis.range[0]"] === undefined) return none();
        const iso = gl.toUtc;
        const rows = [moved["yaxis.range[0]"], moved["yaxis.range[1]"]].sort((a, b) => a - b).map((r) => r.toFixed(2));
        gl.navigate({ box: [iso(moved["xaxis.range[0]"]), iso(moved["xaxis.range[1]"]), ...rows].join(",") });
        return none();
      },

      // "Silence…" on an alert fills the form's matchers in.
      silenceThis: () => {
        const hit = dash_clientside.callback_context.triggered[0];
        if (!hit || !hit.value) return none();
        const key = JSON.parse(hit.prop_id.slice(0, hit.prop_id.lastIndexOf("."))).key;
        const button = [...document.querySelectorAll("[data-matchers]")].find((b) => b.id.includes(key));
        const form = document.getElementById("silences");
        if (form) form.scrollIntoView({ block: "center", behavior: "smooth" });
        document.getElementById("silence-reason").focus({ preventScroll: true });
        return button ? button.dataset.matchers : none();
      },

      // `silence=alertname=x` in the URL fills the form: a rule may be silenced before it fires.
      silenceAsked: (search) => new URLSearchParams(search || "").get("silence") || none(),

      // `sort=error_rate` in the URL orders a grid by that column, largest first.
      gridSort: (search) => {
        const field = new URLSearchParams(search || "").get("sort");
        return field ? [{ colId: field, sort: "desc" }] : none();
      },

      // A search field shows what its parameter in the URL says.
      param: (search, id) => new URLSearchParams(search || "").get(id.split("-").pop()) || "",

      // Dragging over a chart sets the range of the page.
      zoom: (events) => {
        const moved = dash_clientside.callback_context.triggered[0];
        const range = moved && moved.value;
        if (!range || !range["xaxis.range[0]"]) return none();
        const iso = gl.toUtc;
        gl.navigate({ from: iso(range["xaxis.range[0]"]), to: iso(range["xaxis.range[1]"]) });
        return none();
      },
    },
  });

  // --- cells of AG Grid -------------------------------------------------------------------------
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const el = (...args) => React.createElement(...args);

  // As components/spark.py draws it: what was not measured is a gap, never a zero.
  cells.Spark = (props) => {
    const values = props.value || [];
    const top = Math.max(...values.filter((v) => v !== null), 0) || 1;
    const w = 120, h = 24, step = w / Math.max(1, values.length - 1);
    const runs = [[]];
    values.forEach((v, i) => {
      if (v === null) runs.push([]);
      else runs[runs.length - 1].push([i * step, h - 2 - (h - 4) * v / top].map((n) => n.toFixed(1)));
    });
    const colour = props.data.colour;
    return el("svg", { viewBox: `0 0 ${w} ${h}`, preserveAspectRatio: "none", className: "ag-spark" },
      ...runs.filter((run) => run.length > 0).flatMap((run, i) => {
        if (run.length === 1) run = [-1, 1].map((by) => [(+run[0][0] + by).toFixed(1), run[0][1]]);
        const line = run.join(" "), last = run[run.length - 1];
        return [
          el("polygon", { key: `area${i}`, points: `${run[0][0]},${h} ${line} ${last[0]},${h}`, fill: colour, opacity: 0.13 }),
          el("polyline", { key: `line${i}`, points: line, fill: "none", stroke: colour, strokeWidth: 1.3, vectorEffect: "non-scaling-stroke" }),
        ];
      }));
  };

  // A link inside the app: no page load, back button works.
  const go = (href) => (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  };
  const inside = (href) => typeof href === "string" && href.startsWith("/") && !href.startsWith("//");

  cells.NameLink = (props) => {
    const href = inside(props.data.href) ? props.data.href : "/";
    return el("span", { className: "gl-api" },
      props.data.colour ? el("i", { className: "gl-dot", style: { background: props.data.colour } }) : null,
      el("a", { href, onClick: go(href), className: "gl-name", title: props.value }, props.value),
      props.data.mark ? el("span", { className: "gl-badge warn", title: props.data.mark_why || "" }, props.data.mark) : null);
  };

  // Names the collector made up, in words; the same as in format.py, which cannot be asked here.
  const readable = { __overflow__: "other (unnamed)", __unmatched__: "no route (never answered)" };

  // A value that narrows the page to itself on a click; the column's name is the URL's parameter.
  cells.Filter = (props) => {
    const value = props.value;
    const field = props.colDef.field;
    const dot = field === "status" ? el("i", { className: "gl-dot", style: { background: props.data.colour } }) : null;
    const text = value === null || value === undefined ? "–" : readable[value] || value;
    const narrow = () => gl.addFilter(field, value === null || value === undefined ? "(none)" : String(value));
    return el("button", { type: "button", className: "gl-cell-filter gl-api", title: "Filter by " + text, onClick: narrow }, dot, el("span", { className: "gl-ellipsis" }, text));
  };

  cells.Links = (props) => el("span", { className: "gl-links" }, ...(props.value || []).filter((l) => inside(l[1]))
    .map(([text, href]) => el("a", { key: text, href, onClick: go(href) }, text)));
  // Opens the drawer beside the table: the value is the change of the URL.
  cells.Look = (props) => props.value ? el("button", { type: "button", className: "gl-link-button", "data-gl-set": props.value, "aria-label": "Look at " + props.data.id }, "Look") : null;
  // A row's main text, which opens the drawer with all of it.
  cells.Message = (props) => el("button", { type: "button", className: "gl-cell-filter gl-ellipsis gl-message", "data-gl-set": props.data.open }, props.value);
  cells.Level = (props) => el("span", { className: "gl-api" },
    el("i", { className: "gl-dot", style: { background: props.data.colour } }), props.value);
  cells.PlainLink = (props) => inside(props.data.href) && props.value
    ? el("a", { href: props.data.href, onClick: go(props.data.href) }, props.value) : null;

  // One span of a waterfall: indented name, and a bar at its place in the trace.
  cells.SpanName = (props) => el("span", { className: "gl-api", style: { paddingLeft: Math.min(props.data.depth, 24) * 14 } },
    el("i", { className: "gl-dot", style: { background: props.data.colour } }),
    el("button", { type: "button", className: "gl-cell-filter gl-name gl-ellipsis" + (props.data.error ? " bad-text" : ""), title: props.value, "data-gl-set": props.data.open }, props.value));
  cells.SpanBar = (props) => el("div", { className: "gl-wf-track" },
    el("div", { className: props.data.critical ? "critical" : "", style: { left: props.data.left + "%", width: props.data.width + "%", background: props.data.colour } }));

  // Exact number in `data-value`, people's text inside: the row carries `<field>_text`.
  cells.Number = (props) => {
    const field = props.colDef.field, tone = props.data[field + "_tone"] || "";
    const exact = props.value === null || props.value === undefined ? "" : String(props.value);
    return el("span", { className: "gl-num " + tone, "data-value": exact, "data-field": field, "data-row": props.data.id },
      props.data[field + "_text"]);
  };
})();
