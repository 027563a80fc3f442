// The bank's page has its answer: it tells the shop's page, which is around it or has opened it.

const { shop, payment } = document.querySelector("script[data-shop]").dataset;
const said = { demoPay: "answered", payment };
if (window.parent !== window) window.parent.postMessage(said, shop);
if (window.opener) {
  window.opener.postMessage(said, shop);
  window.close();
}
