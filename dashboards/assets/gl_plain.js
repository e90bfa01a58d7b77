// Elements of a screen that only show something: one component for all of them (components/plain.py).
(function () {
  "use strict";
  const SAFE = /^(?:https?:|mailto:|data:image\/|blob:|[/?#.]|[^:]*$)/i;
  const LINKS = new Set(["href", "src", "action"]);

  // [tag, attributes, ...children] -> element. Handlers and raw HTML are never taken from a tree.
  function element(tree) {
    if (!Array.isArray(tree)) return tree;
    const [tag, given, ...children] = tree;
    const attributes = {};
    for (const [name, value] of Object.entries(given)) {
      if (/^on|^dangerously/i.test(name)) continue;
      if (LINKS.has(name) && !SAFE.test(String(value).trim())) continue;
      attributes[name] = value;
    }
    return React.createElement(tag, attributes, ...children.map(element));
  }

  window.gatelens.Plain = function Plain(props) {
    return React.createElement(React.Fragment, null, ...(props.tree || []).map(element));
  };
})();
