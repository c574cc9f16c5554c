// The order ticket: only the fields that go with the order's type and class are asked for, and a form goes out once.
(() => {
  const needs = {
    market: ["order_qty", "notional"],
    limit: ["order_qty", "price"],
    stop: ["order_qty", "stop_px"],
    stop_limit: ["order_qty", "price", "stop_px"],
    trailing_stop: ["order_qty", "trail_price", "trail_percent"],
  };
  const dependent = ["notional", "price", "stop_px", "trail_price", "trail_percent"];
  const exits = ["take_profit.limit_price", "stop_loss.stop_price", "stop_loss.limit_price"];
  const form = document.getElementById("ticket");
  const type = form.elements.namedItem("ord_type");

  const orderClass = form.elements.namedItem("order_class");

  const ask = (name, wanted) => {
    form.querySelector(`[data-field="${name}"]`).hidden = !wanted;
    form.elements.namedItem(name).disabled = !wanted;
  };
  const show = () => {
    for (const name of dependent) ask(name, (needs[type.value] || dependent).includes(name));
    for (const name of exits) ask(name, !["", "simple"].includes(orderClass.value));
  };
  type.addEventListener("change", show);
  orderClass.addEventListener("change", show);
  show();

  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", () => { sent = false; });
})();
