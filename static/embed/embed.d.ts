/**
 * The public API of Unjam's embed. One tag on the checkout page brings it in:
 *
 *   <script async src="https://unjam.example/embed.js" data-site="demo" data-order="D-1001" data-amount="124900"
 *     data-currency="ZAR" data-email="sam@example.com" data-signature="..."></script>
 *
 * Only `data-site` is required. The amount is in minor units (cents). The signature is made by the shop's server.
 *
 * A shop that cannot call the API says instead where to look:
 *
 *   data-pay        CSS selector of the Pay button. Alone, it serves to notice a dead button and rage clicks.
 *   data-success    the address of the page that says "paid", * for anything: "/thanks/*", "https://shop.example/done?*".
 *                   Together with data-pay, a press of Pay begins an attempt and this address ends it.
 *   data-error      CSS selector of the shop's error message; a text that appears there after Pay is a failure.
 *   data-method     how the customer pays, unless a call of the API says so.
 *
 * `data-sdk="Stripe"` on a provider's script tag has it watched: it should load and define that global. The scripts of
 * the common providers are watched without it.
 *
 * The script loads late on purpose. Code that may run before it defines this queue first (it is stub.js, minified);
 * calls made on it are replayed, with their times, when the script arrives:
 *
 * window.Unjam=window.Unjam||{q:[],track(n,t){return this.q.push([0,"track",[n,t],Date.now()]),n},attempt(n){const t={},{q:o}=this;return o.push([0,"attempt",[n],Date.now(),t]),["stage","paid","failed","left","popup"].forEach(u=>{t[u]=s=>{o.push([t,u,[s],Date.now()])}}),t},on(n,t){const o=[0,"on",[n,u=>t?.(u)],0];return this.q.push(o),()=>{t=void 0,o[5]&&o[5]()}},open(){this.q.push([0,"open",[]])},mount(){this.q.push([0,"mount",[]])},unmount(){this.q.push([0,"unmount",[]])}};
 *
 * No call ever throws, and nothing is read from the page's fields. Stored is only the random key of an attempt, in
 * sessionStorage, from Pay until the attempt is over.
 */

/** What is to be paid, as the shop's server signed it. */
interface UnjamOrder {
  /** The shop's order reference, at most 100 characters. */
  order: string;
  /** In minor units, such as cents. */
  amount: number | string;
  /** ISO 4217, such as "EUR". */
  currency: string;
  email?: string;
  /** Hex HMAC-SHA256 made by the shop's server. */
  signature?: string;
  /** When it was signed, in Unix seconds; part of what is signed. */
  issued_at?: number | string;
}

interface UnjamAttemptOptions {
  /** How the customer pays: "card", "eft", "apple_pay". Methods that end in "_pay" are wallets. */
  method?: string;
  /** Who processes it: "stripe", "payfast". */
  provider?: string;
  /** The provider's own id of this payment, such as a PaymentIntent id. */
  payment?: string;
  /** Instead of the order on the tag. */
  order?: UnjamOrder;
  /** Of an order that is paid in parts (store credit, then a card): which part this is, counted from 1, … */
  leg?: number;
  /** … and of how many. */
  legs?: number;
}

interface UnjamTrackOptions extends UnjamAttemptOptions {
  /**
   * Where the payment is already. Without it, wallets begin in "authenticating" and everything else in "submitted". With
   * it, an attempt of the same method that is running goes on: the shop's own call after a wallet's sheet.
   */
  stage?: UnjamStage;
}

type UnjamStage = "started" | "sdk" | "submitted" | "authenticating" | "confirming";

/**
 * What the page saw. `failed` is any failure that the shop, its provider or its error message told of. Whether that was a
 * decline, and what is behind the others, Unjam's server works out.
 */
type UnjamStallKind = "no_answer" | "sdk" | "popup" | "dead_button" | "rage" | "offline" | "failed";

/** One try to pay one order. */
interface UnjamAttempt {
  /** The payment has reached this stage. Repeating the same stage is not progress. */
  stage(stage: UnjamStage): void;
  /** The payment went through. */
  paid(): void;
  /** It did not. Takes any error; `decline_code`, `statusCode`, `code`, `name` and `message` are used. */
  failed(error?: unknown): void;
  /** The customer gave up, for instance by closing the wallet. */
  left(): void;
  /** The provider's or the bank's window, as `window.open` returned it: null when the browser blocked it. */
  popup(opened: Window | null): void;
}

interface UnjamEvents {
  /** A payment is stuck. */
  stalled: { kind: UnjamStallKind; stage: UnjamStage; order?: string; method?: string };
  /** The order was paid in another way, such as a payment link: show the receipt, and do not let it be paid again. */
  paid: { order?: string };
  /** The customer wants to try again, and may: enable the Pay button. */
  retry: object;
  /** The customer chose another way to pay: select it. */
  method: { method: string };
}

interface UnjamApi {
  /**
   * Watches a payment: submitted now, paid when the promise resolves, failed when it rejects or resolves to
   * `{error: {code, message}}` or to what `fetch` gives with a status like 500. Whatever else it resolves to is paid, so
   * what your server answers in words must be one of these; only a Stripe `{paymentIntent}` that is not paid by its
   * status, such as `processing`, is decided later. Returns the very promise it was given, so handle its rejection as before. A
   * wallet that its customer closes (`AbortError`, `CANCELED`) counts as left, not as failed.
   *
   * An `ApplePaySession` is followed by its events up to the customer's consent. Track the promise of your own call then:
   * `Unjam.track(charge(token), { method: "apple_pay", stage: "confirming" })`.
   */
  track<T>(promise: T, options?: UnjamTrackOptions): T;
  /** For more detail than `track`: the shop tells the stages itself. */
  attempt(options?: UnjamAttemptOptions): UnjamAttempt;
  /** Opens the help panel. */
  open(): void;
  /** Calls back on an event, which `document` gets as "unjam:stalled" and so on too. Returns a function that ends it. */
  on<E extends keyof UnjamEvents>(event: E, callback: (detail: UnjamEvents[E]) => void): () => void;
  /**
   * Removes the frame, every listener (those of `on` too) and every timer. A payment that is under way counts as left
   * in the middle; its promise may still tell how it ended.
   */
  unmount(): void;
  /** Brings the frame back after `unmount`. The script mounts by itself when it loads. */
  mount(): void;
}

declare var Unjam: UnjamApi;

interface Window {
  Unjam: UnjamApi;
}
