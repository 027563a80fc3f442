// The queue before the embed has loaded. A shop copies it, minified, from embed.d.ts into its own script.
// @ts-nocheck: it is written to be short.
window.Unjam = window.Unjam || {
  q: [],
  track(p, o) {
    this.q.push(["track", p, o, Date.now()]);
    return p;
  },
  attempt(o) {
    const c = [];
    const a = {};
    ["stage", "paid", "failed", "left"].forEach((m) => {
      a[m] = (x) => {
        c.push([m, x, Date.now()]);
      };
    });
    this.q.push(["attempt", o, c, a, Date.now()]);
    return a;
  },
  on(e, f) {
    const i = ["on", e, f];
    this.q.push(i);
    return () => {
      if (i[3]) i[3]();
      i[2] = 0;
    };
  },
  open() {
    this.q.push(["open"]);
  },
  mount() {
    this.q.push(["mount"]);
  },
  unmount() {
    this.q.push(["unmount"]);
  },
};
