// Schedules of reports: made, changed, removed, sent at once, through the HTTP API.
(function () {
  "use strict";
  const gl = window.gatelens;
  const ROOT = "analytics/reports/schedules";
  const changed = () => gl.setProps("reports-changed", { data: Date.now() });
  const told = (answer, text) => { gl.toast(answer.ok ? text : answer.body.error || "It did not work."); if (answer.ok) changed(); return answer.ok; };

  async function form(known) {
    const words = JSON.parse(document.getElementById("reports-words").textContent);
    const people = [...words.owners.map((n) => [`owner:${n}`, `${n} (owner)`]), ...words.consumers.map((n) => [`consumer:${n}`, `${n} (consumer)`])];
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    const wanted = await gl.form(known ? "Change the schedule" : "New schedule", [
      { name: "who", label: "For", options: people, value: known ? `${known.audience}:${known.name}` : people[0][0] },
      { name: "period", label: "Every", options: [["day", "Day"], ["week", "Week"], ["month", "Month"]], value: known ? known.period : "week" },
      { name: "send_at", label: "Sent at (after the period has ended)", type: "time", value: known ? known.send_at : "07:00" },
      { name: "zone", label: "Time zone", value: known ? known.zone : zone },
      { name: "recipients", label: "To (addresses with commas; empty = those of the channel)", value: known ? known.recipients.join(", ") : "" },
      { name: "channel", label: "E-mail channel (empty = the only one)", value: known ? known.channel : "" },
      { name: "formats", label: "Attached", options: [["pdf,csv", "PDF and CSV"], ["pdf", "PDF"], ["csv", "CSV"], ["", "nothing"]], value: known ? known.formats.join(",") : "pdf,csv" },
      { name: "skip_empty", label: "Nothing is sent when there was no request", type: "checkbox", value: known ? known.skip_empty : false },
    ]);
    if (!wanted) return;
    const [audience, ...name] = wanted.who.split(":");
    const answer = await gl.call("POST", ROOT, {
      audience, name: name.join(":"), period: wanted.period, zone: wanted.zone, send_at: wanted.send_at, channel: wanted.channel,
      recipients: wanted.recipients.split(/[,;\s]+/).filter(Boolean), formats: wanted.formats.split(",").filter(Boolean), skip_empty: wanted.skip_empty,
    });
    // The old one goes only once the new one is there.
    if (told(answer, known ? "Changed." : "Scheduled.") && known) { await gl.call("DELETE", `${ROOT}/${known.id}`); changed(); }
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest && event.target.closest("[data-gl-report]");
    if (!button) return;
    const known = button.dataset.schedule ? JSON.parse(button.dataset.schedule) : null;
    const what = button.dataset.glReport;
    if (what === "new" || what === "edit") form(known);
    else if (what === "run") told(await gl.call("POST", `${ROOT}/${known.id}/run`), "It is on its way; this takes up to a minute.");
    else if (await gl.form("Remove this schedule?", [], { submit: "Remove", text: `${known.name} gets no more reports by it.` })) told(await gl.call("DELETE", `${ROOT}/${known.id}`), "Removed.");
  });
})();
