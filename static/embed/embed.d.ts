/**
 * The public API of Unjam's embed. One tag on the checkout page brings it in:
 *
 *   <script async src="https://unjam.example/embed.js" data-site="demo" data-order="D-1001" data-amount="124900"
 *     data-currency="ZAR" data-email="sam@example.com" data-signature="..."></script>
 *
 * Only `data-site` is required. The amount is in minor units (cents). The signature is made by the shop's server.
 *
 * The script loads late on purpose. Code that may run before it defines this queue first (it is stub.js, minified);
 * calls made on it are replayed, with their times, when the script arrives:
 *
 * window.Unjam=window.Unjam||{q:[],track(n,o){return this.q.push(["track",n,o,Date.now()]),n},attempt(n){const o=[],t={};return["stage","paid","failed","left"].forEach(s=>{t[s]=u=>{o.push([s,u,Date.now()])}}),this.q.push(["attempt",n,o,t,Date.now()]),t},on(n,o){const t=["on",n,o];return this.q.push(t),()=>{t[3]&&t[3](),t[2]=0}},open(){this.q.push(["open"])},mount(){this.q.push(["mount"])},unmount(){this.q.push(["unmount"])}};
 *
 * No call ever throws, and nothing is read from the page's fields.
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
}

interface UnjamAttemptOptions {
  /** How the customer pays: "card", "apple_pay", "eft". */
  method?: string;
  /** Who processes it: "stripe", "payfast". */
  provider?: string;
  /** The provider's own id of this payment, such as a PaymentIntent id. */
  payment?: string;
  /** Instead of the order on the tag. */
  order?: UnjamOrder;
}

type UnjamStage = "started" | "sdk" | "submitted" | "authenticating" | "confirming";

/** One try to pay one order. */
interface UnjamAttempt {
  /** The payment has reached this stage. Repeating the same stage is not progress. */
  stage(stage: UnjamStage): void;
  /** The payment went through. */
  paid(): void;
  /** It did not. Takes any error; `decline_code`, `code` and `message` are used. */
  failed(error?: unknown): void;
  /** The customer gave up, for instance by closing the wallet. */
  left(): void;
}

interface UnjamEvents {
  /** A payment is stuck. */
  stalled: { kind: "no_answer" | "declined" | "error"; stage: UnjamStage; order?: string; method?: string };
  /** The order was paid in another way, such as a payment link: show the receipt, and do not let it be paid again. */
  paid: { order?: string };
  /** The customer wants to try again, and may: enable the Pay button. */
  retry: Record<string, never>;
  /** The customer chose another way to pay: select it. */
  method: { method: string };
}

interface UnjamApi {
  /**
   * Watches a payment: submitted now, paid when the promise resolves, failed when it rejects or resolves to
   * `{error: {code, message}}`. Returns the very promise it was given, so handle its rejection as before.
   */
  track<T>(promise: T, options?: UnjamAttemptOptions): T;
  /** For more detail than `track`: the shop tells the stages itself. */
  attempt(options?: UnjamAttemptOptions): UnjamAttempt;
  /** Opens the help panel. */
  open(): void;
  /** Calls back on an event, which `document` gets as "unjam:stalled" and so on too. Returns a function that ends it. */
  on<E extends keyof UnjamEvents>(event: E, callback: (detail: UnjamEvents[E]) => void): () => void;
  /** Removes the frame, every listener (those of `on` too) and every timer. */
  unmount(): void;
  /** Brings the frame back after `unmount`. The script mounts by itself when it loads. */
  mount(): void;
}

declare var Unjam: UnjamApi;

interface Window {
  Unjam: UnjamApi;
}
