// A login that has ended: the next answer is 401, and the page goes to the login and comes back.
(function () {
  "use strict";
  var plain = window.fetch;
  var leaving = false;
  window.fetch = function () {
    return plain.apply(this, arguments).then(function (answer) {
      var path = new URL(answer.url || "/", location.href).pathname;
      if (answer.status === 401 && path.indexOf("/_dash") === 0 && !leaving) {
        leaving = true;
        location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
      }
      return answer;
    });
  };
})();
