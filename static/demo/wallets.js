// The shop's code for Apple Pay, Google Pay and Samsung Pay, as their documents ask for it.

import { ask } from "./ask.js";
import { install } from "./devices.js";
import { request, watched } from "./payments.js";

const WAYS = { apple_pay: byApple, google_pay: byGoogle, samsung_pay: bySamsung };

/** @param {import("./payments.js").Payment} payment @returns {Promise<string | null>} null when the sheet was closed */
export function payByWallet(payment) {
  const method = payment.method in WAYS ? payment.method : "apple_pay";
  install(payment.scenario);
  return WAYS[method]({ ...payment, method, about: { ...payment.about, method } });
}

/** No card in the wallet: the customer hears so, and Unjam too. */
function unavailable({ about }, name) {
  const attempt = window.Unjam?.attempt(about);
  const error = Object.assign(new Error(`${name} is not set up on this device. You have not been charged.`), {
    code: "wallet_unavailable",
  });
  attempt?.stage("authenticating");
  attempt?.failed(error);
  throw error;
}

/** Charge what the sheet has given; Unjam goes on with the attempt that the sheet began. */
function charge(payment) {
  return watched(request(payment), { ...payment.about, stage: "confirming" });
}

async function byApple(payment) {
  const { addresses, about, scenario, method } = payment;
  if (!window.ApplePaySession?.canMakePayments()) return unavailable(payment, "Apple Pay");
  const session = new window.ApplePaySession(3, {
    countryCode: "ZA",
    currencyCode: addresses.currency,
    supportedNetworks: ["visa", "masterCard"],
    merchantCapabilities: ["supports3DS"],
    total: { label: "Karoo Coffee Co.", amount: (Number(addresses.amount) / 100).toFixed(2) },
  });
  window.Unjam?.track(session, about);
  return new Promise((resolve, reject) => {
    session.onvalidatemerchant = async () => {
      if (scenario === "wallet_hangs") return;
      try {
        session.completeMerchantValidation(await ask(addresses.merchant, { scenario, method }));
      } catch (error) {
        session.abort();
        watched(Promise.reject(error), { ...about, stage: "authenticating" }).catch(reject);
      }
    };
    session.onpaymentauthorized = async () => {
      try {
        const answer = await charge(payment);
        session.completePayment({ status: window.ApplePaySession.STATUS_SUCCESS });
        resolve(answer.next);
      } catch (error) {
        session.completePayment({ status: window.ApplePaySession.STATUS_FAILURE });
        reject(error);
      }
    };
    session.oncancel = () => resolve(null);
    session.begin();
  });
}

async function byGoogle(payment) {
  const client = new window.google.payments.api.PaymentsClient({ environment: "TEST" });
  const wanted = { apiVersion: 2, apiVersionMinor: 0, allowedPaymentMethods: [{ type: "CARD" }] };
  const { result } = await client.isReadyToPay(wanted);
  if (!result) return unavailable(payment, "Google Pay");
  return throughSheet(payment, client.loadPaymentData(wanted), "Google Pay");
}

async function bySamsung(payment) {
  const client = new window.SamsungPay.PaymentClient({ environment: "STAGE" });
  const methods = { version: "2", serviceId: "demo", protocol: "PROTOCOL_3DS", allowedBrands: ["visa", "mastercard"] };
  const { result } = await client.isReadyToPay(methods);
  if (!result) return unavailable(payment, "Samsung Pay");
  const order = { orderNumber: payment.about.payment, amount: { currency: payment.addresses.currency } };
  return throughSheet(payment, client.loadPaymentSheet(methods, order), "Samsung Pay");
}

/** The sheet's own promise says whether the customer confirmed; the money is asked for after it. */
async function throughSheet(payment, sheet, name) {
  const about = { ...payment.about, stage: "authenticating" };
  const paid = sheet.then(() => request(payment));
  try {
    return (await watched(paid, about)).next;
  } catch (error) {
    if (error.statusCode === "CANCELED" || error.code === "CANCELED") return null;
    throw error.statusCode ? new Error(`${name} reported a fault. You have not been charged.`) : error;
  }
}
