// Pretend devices: the browser's and the wallets' own scripts, with the shapes of the real ones, and a sheet that shows.

const NAMES = { apple: "Apple Pay", google: "Google Pay", samsung: "Samsung Pay" };
const STARTS_MS = 250;

/** Define the wallets' globals so that they behave as the scenario says. @param {string} scenario */
export function install(scenario) {
  const device = {
    isSetUp: scenario !== "wallet_unavailable",
    fails: scenario === "wallet_fails",
    hangs: scenario === "wallet_hangs",
  };
  Object.assign(window, {
    ApplePaySession: applePay(device),
    google: { payments: { api: { PaymentsClient: googlePay(device) } } },
    SamsungPay: { PaymentClient: samsungPay(device) },
  });
}

function applePay(device) {
  return class ApplePaySession extends EventTarget {
    static STATUS_SUCCESS = 0;
    static STATUS_FAILURE = 1;
    static supportsVersion = (version) => version <= 14;
    static canMakePayments = () => device.isSetUp;

    constructor(version, details) {
      super();
      Object.assign(this, { version, details });
    }

    begin() {
      this.sheet = openSheet(NAMES.apple, {
        confirm: () => this.tell("paymentauthorized", { payment: { token: { paymentData: "demo" } } }),
        cancel: () => this.tell("cancel"),
      });
      setTimeout(() => this.tell("validatemerchant", { validationURL: "https://apple.example/session" }), STARTS_MS);
    }

    completeMerchantValidation() {
      this.sheet?.ready();
    }

    completePayment() {
      this.sheet?.close();
    }

    abort() {
      this.sheet?.close();
    }

    tell(type, details) {
      const event = Object.assign(new Event(type), details);
      this[`on${type}`]?.(event);
      this.dispatchEvent(event);
    }
  };
}

function googlePay(device) {
  return class PaymentsClient {
    async isReadyToPay() {
      return { result: device.isSetUp };
    }

    async prefetchPaymentData() {}

    loadPaymentData() {
      return throughSheet(NAMES.google, device, {
        fault: { statusCode: "INTERNAL_ERROR", statusMessage: "An internal error occurred." },
        cancelled: { statusCode: "CANCELED", statusMessage: "User closed the Payment Request UI." },
        data: { apiVersion: 2, paymentMethodData: { type: "CARD", tokenizationData: { token: "demo" } } },
      });
    }
  };
}

function samsungPay(device) {
  return class PaymentClient {
    async isReadyToPay() {
      return { result: device.isSetUp };
    }

    loadPaymentSheet() {
      return throughSheet(NAMES.samsung, device, {
        fault: { code: "SERVER_ERROR", message: "Samsung Pay reported a fault. You have not been charged." },
        cancelled: { code: "CANCELED", message: "The customer has closed Samsung Pay." },
        data: { "3DS": { type: "S", version: "100", data: "demo" } },
      });
    }

    notify() {}
  };
}

/** The outcome of a sheet as a promise, as Google's and Samsung's scripts give it. */
function throughSheet(name, device, { fault, cancelled, data }) {
  return new Promise((resolve, reject) => {
    const sheet = openSheet(name, {
      confirm: () => {
        sheet.close();
        if (device.fails) reject(fault);
        else resolve(data);
      },
      cancel: () => reject(cancelled),
    });
    if (!device.hangs) setTimeout(sheet.ready, STARTS_MS);
  });
}

/** @param {string} name @param {{confirm: () => void, cancel: () => void}} answers */
function openSheet(name, answers) {
  const sheet = document.createElement("section");
  sheet.className = "wallet";
  sheet.setAttribute("aria-label", `${name} sheet`);
  const title = document.createElement("h2");
  title.textContent = `${name} (demo)`;
  const words = document.createElement("p");
  words.setAttribute("role", "status");
  words.textContent = "Getting ready …";
  const buttons = document.createElement("div");
  buttons.className = "wallet-buttons";
  const close = () => sheet.remove();
  const confirm = button("Confirm", answers.confirm);
  confirm.disabled = true;
  const cancel = button("Cancel", () => {
    close();
    answers.cancel();
  });
  cancel.className = "quiet";
  buttons.append(cancel, confirm);
  sheet.append(title, words, buttons);
  document.body.append(sheet);
  cancel.focus();
  const ready = () => {
    words.textContent = "Visa •••• 4242";
    confirm.disabled = false;
    confirm.focus();
  };
  return { ready, close };
}

function button(words, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = words;
  made.addEventListener("click", press);
  return made;
}
