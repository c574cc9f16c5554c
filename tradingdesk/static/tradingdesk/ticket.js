// The order ticket: only the fields that go with the order's type are asked for, and a form goes out once.
(() => {
  const needs = {
    market: ["order_qty", "notional"],
    limit: ["order_qty", "price"],
    stop: ["order_qty", "stop_px"],
    stop_limit: ["order_qty", "price", "stop_px"],
    trailing_stop: ["order_qty", "trail_price", "trail_percent"],
  };
  const dependent = ["notional", "price", "stop_px", "trail_price", "trail_percent"];
  const form = document.getElementById("ticket");
  const type = form.elements.namedItem("ord_type");

  const show = () => {
    for (const name of dependent) {
      const wanted = (needs[type.value] || dependent).includes(name);
      form.querySelector(`[data-field="${name}"]`).hidden = !wanted;
      form.elements.namedItem(name).disabled = !wanted;
    }
  };
  type.addEventListener("change", show);
  show();

  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", () => { sent = false; });
})();
