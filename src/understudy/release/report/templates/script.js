(function () {
  "use strict";
  var root = document.documentElement;
  var stored = null;
  try { stored = localStorage.getItem("understudy-theme"); } catch (e) { /* file pages may forbid it */ }
  if (/[?&]theme=(light|dark)/.test(location.search)) stored = RegExp.$1;
  if (stored) root.dataset.theme = stored;

  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("understudy-theme", root.dataset.theme); } catch (e) { /* same */ }
  });

  var find = document.getElementById("find");
  if (find) {
    var kind = document.getElementById("kind");
    var cards = Array.prototype.slice.call(document.querySelectorAll(".column"));
    var filter = function () {
      var words = find.value.trim().toLowerCase();
      var shown = 0;
      cards.forEach(function (card) {
        var fits = card.dataset.name.indexOf(words) >= 0 &&
          (!kind.value || card.dataset.kind === kind.value);
        card.hidden = !fits;
        if (fits) shown += 1;
      });
      document.getElementById("count").textContent =
        shown === cards.length ? shown + " columns" : shown + " of " + cards.length + " columns";
      document.getElementById("none").hidden = shown > 0;
    };
    var order = document.getElementById("order");
    if (order) order.addEventListener("change", function () {
      var key = order.value;
      cards.sort(function (a, b) {
        return key === "name"
          ? a.dataset.name.localeCompare(b.dataset.name)
          : Number(b.dataset[key]) - Number(a.dataset[key]);
      });
      cards.forEach(function (card) { card.parentNode.appendChild(card); });
    });
    find.addEventListener("input", filter);
    kind.addEventListener("change", filter);
  }

  addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not(.masked)").forEach(function (d) { d.open = true; });
  });
})();
