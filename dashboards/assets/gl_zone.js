// The reader's time zone: kept in this browser, `tz` in a link goes before. URLs hold UTC always, so
// that a link shows the same moment to everybody.
(function () {
  "use strict";
  const gl = window.gatelens;
  const own = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  gl.zone = function () {
    let name = new URLSearchParams(location.search).get("tz");
    try { name = name || localStorage.getItem("gl-zone"); } catch (e) { /* private mode */ }
    name = name === "browser" ? own() : name || "UTC";
    try { Intl.DateTimeFormat("en", { timeZone: name }); return name; } catch (e) { return "UTC"; }
  };
  // Milliseconds a zone's wall clock is ahead of UTC at a moment.
  function ahead(ms, zone) {
    const parts = Object.fromEntries(new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    }).formatToParts(ms).map((p) => [p.type, p.value]));
    return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second) - Math.floor(ms / 1000) * 1000;
  }
  const iso = (ms) => new Date(ms).toISOString().slice(0, 19);
  const wall = (text) => Date.parse(String(text).trim().replace(" ", "T").slice(0, 19).replace(/^(\d{4}-\d\d-\d\d)$/, "$1T00:00") + "Z");
  // A wall time as the charts and fields show it -> UTC for the URL. What is no time stays as it is.
  gl.toUtc = function (text) {
    const ms = wall(text), zone = gl.zone();
    if (Number.isNaN(ms)) return String(text);
    return iso(ms - ahead(ms - ahead(ms, zone), zone));
  };
  gl.fromUtc = function (text) {
    const ms = wall(text);
    return Number.isNaN(ms) ? String(text) : iso(ms + ahead(ms, gl.zone()));
  };
  document.addEventListener("toggle", (event) => {
    const list = event.target.querySelector && event.target.querySelector("#zone-choice");
    if (!list || list.options.length) return;
    const zones = ["UTC", own(), ...(Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [])];
    for (const name of new Set([gl.zone(), ...zones])) list.add(new Option(name.replaceAll("_", " "), name));
    list.value = gl.zone();
  }, true);
  document.addEventListener("change", (event) => {
    if (event.target.id !== "zone-choice") return;
    try { localStorage.setItem("gl-zone", event.target.value); } catch (e) { /* for this page only */ }
    if (new URLSearchParams(location.search).has("tz")) window.gatelens.navigate({ tz: event.target.value }, false);
    window.gatelens.refreshNow = true;
  });
})();
