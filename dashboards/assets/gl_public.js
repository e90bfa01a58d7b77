// The page of a public link: sends the token behind '#', shows what comes back, again every half minute.
(function () {
  "use strict";
  const place = document.getElementById("public"), dark = matchMedia("(prefers-color-scheme: dark)");
  const mode = () => (dark.matches ? "dark" : "light");
  const token = location.hash.slice(1);
  let timer = 0;

  function say(text) {
    const said = Object.assign(document.createElement("p"), { className: "gl-empty", textContent: text });
    said.setAttribute("role", "alert");
    place.replaceChildren(said);
  }
  async function show() {
    clearTimeout(timer);
    document.documentElement.setAttribute("data-scheme", mode());
    let answer, told;
    try {
      answer = await fetch("/public/view", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token, mode: mode() }) });
      told = await answer.json();
    } catch (e) {
      if (!place.querySelector(".gl-board")) say("The server does not answer; trying again.");
      timer = setTimeout(show, 10000);
      return;
    }
    if (!answer.ok) { say(told.error); return; }
    document.title = told.title;
    document.getElementById("public-label").textContent = told.label;
    place.innerHTML = told.html; // made of escaped text by the server; the policy of this page runs no inline script
    for (const node of place.querySelectorAll("[data-figure]")) {
      const figure = JSON.parse(node.dataset.figure);
      window.Plotly.newPlot(node, figure.data, figure.layout, { displayModeBar: false, responsive: true, scrollZoom: false });
    }
    timer = setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", show, { once: true }) : show()), told.refresh_s * 1000);
  }
  dark.addEventListener("change", show);
  window.addEventListener("hashchange", () => location.reload());
  show();
})();
