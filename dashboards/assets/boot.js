// Runs in <head>, before the first paint: sets the colour scheme, so that nothing flashes, and asks
// for what the framework will ask for, so that it has come by then.
(function () {
  "use strict";
  var wanted = null;
  try { wanted = new URLSearchParams(location.search).get("theme") || localStorage.getItem("gl-theme"); } catch (e) { /* storage is off */ }
  var dark = matchMedia("(prefers-color-scheme: dark)").matches;
  var mode = wanted === "light" || wanted === "dark" ? wanted : dark ? "dark" : "light";
  document.documentElement.setAttribute("data-scheme", mode);
  if (document.documentElement.hasAttribute("data-gl-door")) return;  // nobody is in yet
  window.gatelensEarly = {};
  ["/_dash-layout", "/_dash-dependencies"].forEach(function (path) {
    window.gatelensEarly[path] = fetch(path, { credentials: "same-origin" });
  });
})();
