// Drafts: what was typed or laid out and not saved, kept in this tab (sessionStorage) until it is saved
// or thrown away. Nothing is sent. A closed tab is asked for by the browser; a link of ours says where
// the draft is.
(function () {
  "use strict";
  const gl = window.gatelens;
  const CHARS_MAX = 400000;
  const name = (key) => "gl-draft:" + key;
  const drafts = (gl.drafts = {
    // {at, ...} as put; null = none.
    get(key) {
      try { return JSON.parse(sessionStorage.getItem(name(key))); } catch (e) { return null; }
    },
    put(key, value) {
      const text = JSON.stringify({ ...value, at: Date.now() });
      try { if (text.length < CHARS_MAX) sessionStorage.setItem(name(key), text); } catch (e) { /* private mode, or full: the tab's own question is left */ }
    },
    drop(key) {
      try { sessionStorage.removeItem(name(key)); } catch (e) { /* it was not kept either */ }
    },
    age: (draft) => { const minutes = Math.round((Date.now() - draft.at) / 60000); return minutes < 1 ? "just now" : minutes < 120 ? `${minutes} min ago` : `${Math.round(minutes / 60)} h ago`; },
  });

  // --- rules: the text of the editor, by the address of its page ---------------------------------
  // What the page itself put there (rule.own) is no draft; only what somebody typed differs from it.
  const rule = { path: "", typed: false, offered: "" };
  const textOf = () => document.getElementById("rule-text");
  const key = () => "rule:" + location.pathname;
  document.addEventListener("input", (event) => {
    if (event.target.id !== "rule-text" || event.target.readOnly) return;
    Object.assign(rule, { path: location.pathname, typed: true });
    drafts.put(key(), { text: event.target.value });
  });
  document.addEventListener("click", (event) => {
    const on = (id) => event.target.closest && event.target.closest("#" + id);
    if (on("rule-draft-take")) {
      const kept = drafts.get(key());
      hideOffer();
      if (kept) afterAnswers(() => { gl.setProps("rule-text", { value: kept.text }); Object.assign(rule, { path: location.pathname, typed: true }); });
    } else if (on("rule-draft-drop")) { drafts.drop(key()); hideOffer(); }
  });
  // A new rule's form fills the text in two answers, one after the other; what is taken up comes last.
  function afterAnswers(then, calm = 0) {
    if (calm > 3) then();
    else setTimeout(() => afterAnswers(then, gl.inflight ? 0 : calm + 1), 50);
  }
  function hideOffer() { const box = document.getElementById("rule-draft"); if (box) box.hidden = true; }
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    gatelens_drafts: {
      // A rule's page was opened, or its text saved: offer what was left, or forget it.
      opened: (seen) => {
        rule.typed = false;
        const kept = drafts.get(key()), text = textOf();
        const offered = !!kept && !!text && !text.readOnly && kept.text !== text.value;
        if (offered) document.getElementById("rule-draft-age").textContent = drafts.age(kept);
        return !offered;
      },
      saved: (seen) => {
        if (seen && seen.version && rule.typed) { drafts.drop("rule:" + rule.path); rule.typed = false; }
        return window.dash_clientside.no_update;
      },
    },
  });
  window.addEventListener("beforeunload", (event) => { if (rule.typed && textOf()) event.preventDefault(); });
  window.addEventListener("_dashprivate_pushstate", () => {
    if (!rule.typed || location.pathname === rule.path) return;
    const back = rule.path;
    rule.typed = false;
    gl.toast("The rule is not saved; its text is kept in this tab.", "Back to it", () => gl.go(back));
  });
})();
