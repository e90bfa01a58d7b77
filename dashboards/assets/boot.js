// Runs in <head>, before the first paint: sets the colour scheme, so that nothing flashes.
(function () {
  "use strict";
  var wanted = null;
  try { wanted = new URLSearchParams(location.search).get("theme") || localStorage.getItem("gl-theme"); } catch (e) { /* storage is off */ }
  var dark = matchMedia("(prefers-color-scheme: dark)").matches;
  var mode = wanted === "light" || wanted === "dark" ? wanted : dark ? "dark" : "light";
  document.documentElement.setAttribute("data-scheme", mode);
})();
